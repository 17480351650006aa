//! From the accepted connection of a client to its session: registered, and past its handshake if it has one.

use std::io::ErrorKind;

use super::state::Driver;
use crate::connections::Counted;
use crate::logger::{ALERT, NOTICE, Repeats, log_limited};
use crate::net::{ByteStream, Readiness, error_text};
use crate::pool::PoolId;
use crate::worker::link::{Link, Role};
use crate::worker::net::Net;
use crate::worker::path::Opening;

impl<N: Net> Driver<N> {
    /// A client has been accepted.
    pub(in crate::worker) fn open_session(
        &mut self,
        pool: PoolId,
        mut stream: N::Stream,
        name: Box<str>,
        counted: Counted,
    ) {
        if self.refuses_clients(pool) {
            return;
        }
        let entry = self.links.vacant_entry();
        let key = entry.key();
        if let Err(error) = self.net.register(&mut stream, key) {
            let pool = self.pools[pool].share.name();
            let repeats = Repeats::of("registering", pool);
            log_limited!(
                ALERT,
                repeats,
                "registering client {name} of pool '{pool}' failed: {error}"
            );
            return;
        }
        let is_greeting = stream.is_handshaking();
        if !is_greeting {
            entry.insert(Link::new(
                pool,
                Role::Greeting(self.now),
                Some(stream),
                counted,
            ));
            return self.begin_session(key, name);
        }
        let until = self.handshakes.begin(key, self.now);
        let mut link = Link::new(pool, Role::Greeting(until), Some(stream), counted);
        link.opening = Some(Box::new(Opening::Client(name)));
        entry.insert(link);
    }

    /// Whether clients see their connections closed: the pool was removed just after they were accepted, or the process ends.
    fn refuses_clients(&self, pool: PoolId) -> bool {
        self.end.is_some() || self.pools.get(pool).is_none() || self.is_leaving(pool)
    }

    fn begin_session(&mut self, key: usize, name: Box<str>) {
        // The core may reuse the index of a closed session whose socket is still to be closed.
        self.drain();
        let (now, link) = (self.now, &mut self.links[key]);
        let part = &mut self.pools[link.pool];
        let id = part.core.open_session(name, now);
        part.sessions.set(id.index(), key);
        link.role = Role::Session(id);
        let pool = link.pool;
        self.touch(pool);
    }

    /// The socket of a client has an edge before its handshake is over.
    pub(super) fn continue_greeting(&mut self, key: usize, ready: Readiness) {
        if !self.handshakes.take_step(key, ready) {
            return;
        }
        let link = &mut self.links[key];
        link.note(ready);
        match link.finish_connect() {
            Ok(true) => self.finish_greeting(key),
            Ok(false) if !ready.error => {}
            Ok(false) => drop(self.links.remove(key)),
            // It has left without a word: load balancers look whether the port is open.
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => drop(self.links.remove(key)),
            Err(error) => self.refuse_greeting(key, &error_text(&error)),
        }
    }

    fn finish_greeting(&mut self, key: usize) {
        let link = &mut self.links[key];
        let (pool, opening) = (link.pool, link.opening.take());
        let Some(Opening::Client(name)) = opening.map(|opening| *opening) else {
            return;
        };
        let announced = link.take_client().map(|client| client.to_string().into());
        let name = announced.unwrap_or(name);
        if self.refuses_clients(pool) {
            self.links.remove(key);
            return;
        }
        self.pools[pool].share.note_handshake(true);
        self.begin_session(key, name);
        // Requests may have come with the last step of the handshake.
        self.read(key);
    }

    /// A handshake has failed.
    pub(super) fn refuse_greeting(&mut self, key: usize, why: &str) {
        let link = self.links.remove(key);
        let Some(Opening::Client(name)) = link.opening.as_deref() else {
            return;
        };
        let share = &self.pools[link.pool].share;
        share.note_handshake(false);
        let pool = share.name();
        log_limited!(
            NOTICE,
            Repeats::of("handshake", pool),
            { event: "handshake_failed", pool: pool, client: &**name, cause: why },
            "pool '{pool}': the handshake with client {name} failed: {why}"
        );
    }

    /// Closes all of them: they have asked for nothing yet.
    pub(super) fn end_greetings(&mut self) {
        self.links
            .retain(|_, link| !matches!(link.role, Role::Greeting(_)));
    }
}
