//! Errors of fake servers: refused handshakes, replies that are cut off, and bytes that are not replies.

use crate::redis_server::{Incoming, Step, UNWELL, UNWILLING};
use crate::servers::ServerSide;
use crate::world::World;

/// What goes wrong with a reply.
#[derive(Debug, Clone, Copy)]
pub(crate) enum ServerError {
    Fin,
    Reset,
    Hang,
    Garbage,
}

/// Bytes that no Redis server sends.
pub(crate) const NO_REDIS: [&[u8]; 4] = [
    b"?bogus\r\n",
    b"$abc\r\n",
    b"HTTP/1.1 400 Bad Request\r\n",
    b"*99999999999999999999999\r\n",
];
/// Bytes that no memcached sends.
pub(crate) const NO_MEMCACHED: [&[u8]; 3] = [b"BOGUS\r\n", b"\x81\x00\x00\x00\r\n", b"VALUE\r\n"];

impl World {
    /// Refuses a step of a handshake at random.
    pub(crate) fn refuse_step(&mut self, link: usize, incoming: &mut Incoming) {
        let talk = &self.links[link].server().talk;
        let spoilt = talk.refusal.is_some() || talk.refused_hello || talk.refused_limit;
        let Some(odds) = self
            .scenario
            .refused_steps
            .filter(|_| self.faults_allowed && !spoilt)
        else {
            return;
        };
        if !self.refusals_rng.chance(1, odds) {
            return;
        }
        // It does not want to tell: then its waits cannot be ended.
        if incoming.step == Step::Number {
            incoming.reply = b"-NOPERM no permissions to run 'client|id'\r\n".to_vec();
            return;
        }
        let (unwell, unwilling) = (
            self.refusals_rng.pick(&UNWELL),
            self.refusals_rng.pick(&UNWILLING),
        );
        // An answer other than an error about a limit only shows that the server supports none.
        let is_unwell = incoming.step == Step::Limit || self.refusals_rng.chance(2, 3);
        let (said, of_auth) = match is_unwell {
            true => unwell,
            false => unwilling,
        };
        let told = match incoming.step {
            Step::Auth => of_auth,
            _ => said,
        };
        incoming.reply = format!("-{said}\r\n").into_bytes();
        self.links[link].server_mut().talk.refusal = Some(told);
        self.counts.refused_steps += 1;
    }

    pub(crate) fn server_error(&mut self) -> Option<ServerError> {
        let odds = self.scenario.bad_replies.filter(|_| self.faults_allowed)?;
        self.rng.chance(1, odds).then(|| {
            self.rng.pick(&[
                ServerError::Fin,
                ServerError::Reset,
                ServerError::Hang,
                ServerError::Garbage,
            ])
        })
    }

    pub(crate) fn misbehave(&mut self, link: usize, server_error: ServerError, reply: &[u8]) {
        self.trace(|| format!("link {link}: {server_error:?} instead of a whole reply"));
        let part = self.rng.below(reply.len());
        let garbage: &[u8] = if self.scenario.redis {
            self.rng.pick(&NO_REDIS)
        } else {
            self.rng.pick(&NO_MEMCACHED)
        };
        let side = self.links[link].server_mut();
        if let ServerError::Garbage = server_error {
            // The reply that is replaced never ends.
            side.unread
                .back_mut()
                .into_iter()
                .for_each(|reply| reply.end = u64::MAX);
            return side.garble(garbage);
        }
        side.unsent.push(&reply[..part]);
        side.produced += part as u64;
        side.hung = true;
        match server_error {
            ServerError::Fin => self.links[link].server_mut().leaves = true,
            ServerError::Reset => self.peer_resets(link),
            ServerError::Hang | ServerError::Garbage => {}
        }
    }

    /// A server sends something that was not requested. Returns what it sent; the connection must be closed
    /// because of it.
    pub(crate) fn stray_reply(&mut self, link: usize, is_idle: bool) -> Option<&'static [u8]> {
        let odds = self.scenario.bad_replies.filter(|_| self.faults_allowed)?;
        if !is_idle || self.links[link].server().garbled.is_some() || !self.rng.chance(1, 3 * odds)
        {
            return None;
        }
        let stray: &[u8] = if self.scenario.redis {
            b"+OK\r\n"
        } else {
            b"STORED\r\n"
        };
        let read = self.links[link].inbound.read;
        self.links[link].inbound.read += stray.len() as u64;
        self.links[link].server_mut().garbled = Some((read, read + stray.len() as u64));
        Some(stray)
    }
}

impl ServerSide {
    /// Bytes that are not a reply, or not the expected one, go directly to the proxy.
    fn garble(&mut self, bytes: &[u8]) {
        self.unsent.push(bytes);
        self.garbled = Some((self.produced, self.produced + bytes.len() as u64));
        self.produced += bytes.len() as u64;
        self.hung = true;
    }
}
