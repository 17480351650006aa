//! Handshakes of server connections, and the change of a session to RESP3, which is granted only
//! where the servers accept it.

use std::collections::VecDeque;

use super::Engine;
use crate::cause::Cause;
use crate::clients::session::Slot;
use crate::event::Event;
use crate::flow::buffer::Rope;
use crate::id::{ConnectionId, SessionId};
use crate::limits::{MAX_UPGRADE_WAITERS, PROBE_PATIENCE};
use crate::metrics::ServerMetric;
use crate::protocol::{HandshakeError, LANES, Protocol, Reply, Scan, StepKind, StepOutcome};
use crate::servers::connection::{Connection, Place, State};
use crate::servers::server::Resp3Support;
use crate::settings::{ProtocolSettings, Resp3};
use crate::time::Time;

/// The lane that sessions are upgraded to.
const UPGRADED: usize = LANES - 1;

/// Sessions that wait to learn whether the servers speak RESP3.
#[derive(Debug, Default)]
pub(super) struct Upgrade {
    waiters: Vec<Waiter>,
    /// When the waiters are answered with what is known by then.
    deadline: Option<Time>,
}

/// A session that waits, and where its answer belongs.
#[derive(Debug, Clone, Copy)]
struct Waiter {
    session: SessionId,
    slot: u64,
    reply: Reply,
}

impl Upgrade {
    pub(super) fn deadline(&self) -> Option<Time> {
        self.deadline
    }
}

impl<P: Protocol> Engine<P> {
    /// The socket of a connection is there.
    pub(crate) fn handle_connected(&mut self, id: ConnectionId, now: Time) {
        self.now = now;
        let Some(connection) = self.connections.get_mut(id) else {
            return;
        };
        if !matches!(connection.state, State::Connecting) {
            return;
        }
        self.metrics
            .add_server(connection.server, ServerMetric::ServerConnections, 1);
        let (lane, server, is_probe) = (connection.lane, connection.server, connection.is_probe);
        let steps: VecDeque<_> = self.handshake_of(lane, server, is_probe).into();
        if steps.is_empty() {
            return self.make_ready(id, now);
        }
        let Some(connection) = self.connections.get_mut(id) else {
            return;
        };
        let mut output = Rope::new();
        for step in &steps {
            output.extend(&step.request);
        }
        connection.state = State::Handshaking {
            steps,
            output,
            reply: Vec::new(),
        };
        self.mark_connection(id);
    }

    fn make_ready(&mut self, id: ConnectionId, now: Time) {
        let Some(connection) = self.connections.get_mut(id) else {
            return;
        };
        if connection.is_probe {
            return self.finish_probe(id, now);
        }
        connection.state = State::Ready;
        let (server, lane, pending) = (
            connection.server,
            connection.lane,
            !connection.output.is_empty(),
        );
        if pending {
            self.mark_connection(id);
        }
        if lane == UPGRADED {
            self.servers[server].resp3 = Resp3Support::Yes;
            self.settle_upgrade(false, now);
        }
    }

    /// Reads on in the replies to the handshake, of which the rest may still be unwritten. Returns how
    /// much was taken; `None` when the server is out of step.
    pub(super) fn take_handshake_reply(
        &mut self,
        id: ConnectionId,
        data: &[u8],
        now: Time,
    ) -> Option<usize> {
        let connection = self.connections.get_mut(id)?;
        if !connection.expects_reply() {
            return None;
        }
        let State::Handshaking { steps, reply, .. } = &mut connection.state else {
            return None;
        };
        if reply.len() > MAX_HANDSHAKE_REPLY {
            return None;
        }
        let (len, kind) = match P::scan(&mut connection.scanner, data, None).ok()? {
            Scan::Complete { len, kind } => (len, kind),
            Scan::Partial => {
                reply.extend_from_slice(data);
                return Some(data.len());
            }
        };
        reply.extend_from_slice(&data[..len]);
        let step = steps.pop_front()?;
        let outcome = self.protocol.step_reply(&step, kind, reply);
        reply.clear();
        let (finished, server) = (steps.is_empty(), connection.server);
        match outcome {
            StepOutcome::Fine => {}
            StepOutcome::Complain(text) => self.complain(step.kind, server, text),
            StepOutcome::Refused(error) => {
                if self.handle_refusal(id, error, now) {
                    return Some(data.len());
                }
            }
            StepOutcome::CannotCap => {
                self.refuse_failover(id, server, now);
                return Some(data.len());
            }
            StepOutcome::NoSuchLane => {
                self.refuse_lane(id, server, now);
                return Some(data.len());
            }
        }
        if finished {
            self.make_ready(id, now);
        }
        Some(len)
    }

    fn complain(&mut self, kind: StepKind, server: usize, text: String) {
        let server = self.server_settings(server).name.clone();
        self.events.push(match kind {
            StepKind::Auth | StepKind::Hello | StepKind::Probe | StepKind::Cap => {
                Event::AuthFailed { server, text }
            }
            StepKind::Select => Event::SelectFailed { server, text },
        });
    }

    /// A server has answered a step of the handshake by an error that makes the connection useless. Whether
    /// the connection was closed: for a probe most errors are a sign of life like any other.
    fn handle_refusal(&mut self, id: ConnectionId, error: HandshakeError, now: Time) -> bool {
        let Some(connection) = self.connections.get(id) else {
            return true;
        };
        if connection.is_probe && !error.is_failure {
            return false;
        }
        let (server, lane) = (connection.server, connection.lane);
        if !connection.is_probe {
            let chance = self.router.draw();
            self.servers[server].note_refusal(lane, error.cause.clone(), now, chance);
        }
        self.close_refused(id, &error, now);
        true
    }

    /// The first that a server says is no reply to anything. That it does not want the connection is told
    /// as that; anything else breaks the protocol.
    pub(super) fn handle_unasked(&mut self, id: ConnectionId, data: &[u8], now: Time) {
        let refused = match P::unasked_error(data) {
            Some(error) => self.handle_refusal(id, error, now),
            None => false,
        };
        if !refused {
            self.break_connection(id, Cause::Protocol, now);
        }
    }

    fn refuse_lane(&mut self, id: ConnectionId, server: usize, now: Time) {
        self.servers[server].resp3 = Resp3Support::No;
        self.events.push(Event::NoResp3 {
            server: self.server_settings(server).name.clone(),
        });
        self.close_declined(id, now);
    }

    /// A session asks for RESP3. Nothing of it is outstanding.
    pub(super) fn begin_upgrade(&mut self, id: SessionId, reply: Reply, now: Time) {
        let Place::Slot(slot) = self.new_slot(id, Slot::waiting()) else {
            return;
        };
        if let Some(session) = self.sessions.get_mut(id) {
            session.barrier = true;
        }
        let waiter = Waiter {
            session: id,
            slot,
            reply,
        };
        if self.upgrade.waiters.len() >= MAX_UPGRADE_WAITERS {
            return self.finish_upgrade(waiter, &Err(Cause::Overloaded));
        }
        self.upgrade.waiters.push(waiter);
        if self.may_not_upgrade() {
            return self.answer_waiters(&Ok(false));
        }
        if self.settle_upgrade(false, now) {
            return;
        }
        self.ask_servers(now);
        self.settle_upgrade(false, now);
    }

    fn may_not_upgrade(&self) -> bool {
        matches!(&self.settings.protocol, ProtocolSettings::Redis(redis) if redis.resp3 == Resp3::Off)
    }

    /// Puts the question to every server that has not answered, unless that was done just now. An ejected
    /// one is not asked: every client would wait for it.
    fn ask_servers(&mut self, now: Time) {
        if self.upgrade.deadline.is_some() {
            return;
        }
        self.upgrade.deadline = Some(
            now + self
                .settings
                .timeout
                .unwrap_or(PROBE_PATIENCE)
                .min(PROBE_PATIENCE),
        );
        for server in 0..self.own {
            if self.servers[server].resp3 == Resp3Support::Yes {
                continue;
            }
            let refuses = self.servers[server].refusal(UPGRADED, now).is_some();
            if refuses || !self.health.is_live(server) {
                self.servers[server].resp3 = Resp3Support::Unreachable;
                continue;
            }
            self.servers[server].resp3 = Resp3Support::Unknown;
            if self.servers[server].connections(UPGRADED).is_empty() {
                self.open_connection(server, UPGRADED, now);
            }
        }
    }

    /// Answers the waiters if enough is known: one refusal decides, else every server must have been
    /// heard or found unreachable. With `anyway`, what is known must do.
    fn settle_upgrade(&mut self, anyway: bool, now: Time) -> bool {
        if self.upgrade.waiters.is_empty() {
            return true;
        }
        let own = &self.servers[..self.own];
        let has = |wanted| own.iter().any(|server| server.resp3 == wanted);
        let answer = if has(Resp3Support::No) && self.upgrade.deadline.is_some() {
            Ok(false)
        } else if has(Resp3Support::No) || (has(Resp3Support::Unknown) && !anyway) {
            return false;
        } else if has(Resp3Support::Yes) {
            Ok(true)
        } else if self.upgrade.deadline.is_none() {
            return false;
        } else {
            let told = own.iter().find_map(|server| server.refusal(UPGRADED, now));
            Err(told.cloned().unwrap_or(Cause::Refused))
        };
        self.upgrade.deadline = None;
        self.answer_waiters(&answer);
        true
    }

    fn answer_waiters(&mut self, granted: &Result<bool, Cause>) {
        for waiter in std::mem::take(&mut self.upgrade.waiters) {
            self.finish_upgrade(waiter, granted);
        }
    }

    fn finish_upgrade(&mut self, waiter: Waiter, granted: &Result<bool, Cause>) {
        let Some(session) = self.sessions.get_mut(waiter.session) else {
            return;
        };
        let mut line = Vec::new();
        self.protocol
            .upgraded(&mut session.client, granted.clone(), &mut line);
        if waiter.reply == Reply::Dropped {
            self.drop_reply(&line);
            line.clear();
        }
        self.fill_slot(waiter.session, waiter.slot, &line);
    }

    /// A connection of the upgraded lane ended before its server had answered.
    pub(super) fn note_upgrade_failure(&mut self, connection: &Connection<P>, now: Time) {
        if connection.lane == UPGRADED
            && self.servers[connection.server].resp3 == Resp3Support::Unknown
        {
            self.servers[connection.server].resp3 = Resp3Support::Unreachable;
        }
        if connection.lane == UPGRADED {
            self.settle_upgrade(false, now);
        }
    }

    pub(super) fn time_out_upgrade(&mut self, now: Time) {
        if self
            .upgrade
            .deadline
            .is_some_and(|deadline| deadline <= now)
        {
            self.settle_upgrade(true, now);
            self.upgrade.deadline = None;
        }
    }
}

/// A reply to HELLO is a few hundred bytes; a server that says much more is not one.
const MAX_HANDSHAKE_REPLY: usize = 64 << 10;
