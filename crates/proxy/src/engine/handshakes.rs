//! Server connections until they carry requests. Requests may be queued on a connection from the start; they are
//! written when its handshake is done.

use super::endings::Blame;
use super::state::Engine;
use crate::cause::Cause;
use crate::event::{Event, Level, Trace};
use crate::flow::outbox::Action;
use crate::id::{ConnectionId, ServerId};
use crate::limits::RESP3_REFUSAL_KEPT;
use crate::protocol::Protocol;
use crate::protocol::decision::Version;
use crate::protocol::greeting::{HandshakeError, Step, StepKind, StepOutcome};
use crate::servers::connection::{Connection, Progress, StepReply};
use crate::servers::purpose::Purpose;
use crate::servers::upgrades::Support;

/// Why a server of the failover pool cannot be used.
const CANNOT_CAP_TTL: &str = "the failover server cannot limit the time to live";

impl<P: Protocol> Engine<P> {
    /// The socket of a connection is connected.
    pub(super) fn begin_handshake(&mut self, id: ConnectionId) {
        let Some(connection) = self.roster.get_mut(id) else {
            return;
        };
        if connection.progress() != Progress::Connecting {
            return;
        }
        connection.note_way(self.now);
        let Some(connection) = self.roster.get(id) else {
            return;
        };
        let steps = self.steps(connection);
        let (server, peer) = (connection.server(), connection.peer().map(Into::into));
        self.trace_server(Level::Info, server, |server| Trace::ServerConnected {
            server,
            peer,
        });
        if !self.roster.start_handshake(id, steps, &mut self.outbox) {
            self.make_ready(id);
        }
    }

    /// The steps of a connection's handshake.
    fn steps(&self, connection: &Connection<P>) -> Vec<Step> {
        let endpoint = connection.endpoint();
        match connection.purpose() {
            Purpose::Shared { version, database } => {
                let mut steps = P::handshake(version, database, endpoint);
                let server = self.roster.server(connection.server());
                if server.ttl_cap().is_some() {
                    steps.extend(P::ttl_cap_test());
                }
                steps
            }
            Purpose::Leased { version, database } => {
                let mut steps = P::handshake(version, database, endpoint);
                steps.extend(P::number_question());
                steps
            }
            Purpose::Interrupt | Purpose::Subscriber => P::handshake(Version::Base, 0, endpoint),
            Purpose::Probe => {
                let mut steps = P::handshake(Version::Base, endpoint.database, endpoint);
                steps.push(P::probe());
                steps
            }
            Purpose::Question => {
                let mut steps = P::handshake(Version::Base, 0, endpoint);
                steps.extend(self.protocol.release_question());
                steps
            }
        }
    }

    /// Every step of the handshake has been answered.
    fn make_ready(&mut self, id: ConnectionId) {
        let Some(connection) = self.roster.get_mut(id) else {
            return;
        };
        let (server, is_draining) = (connection.server(), connection.is_draining());
        let version = match connection.purpose() {
            Purpose::Shared { version, .. } => version,
            // What its handshake tells is known from that of the shared ones.
            Purpose::Leased { .. } | Purpose::Interrupt => Version::Base,
            Purpose::Subscriber => return self.begin_listening(id),
            Purpose::Probe => return self.finish_probe(id),
            Purpose::Question => return self.finish_question(id),
        };
        // Requests may have been queued while it was connecting.
        if connection.become_ready(self.now) {
            self.roster.flush(id, &mut self.outbox);
        }
        self.roster.note_deadline(id);
        self.trace_server(Level::Debug, server, |server| Trace::ServerReady { server });
        // It may lead to an old endpoint, which says nothing about the current one.
        if is_draining {
            return;
        }
        self.ask_release(server);
        match version {
            Version::Base => {}
            Version::Resp3 => {
                self.note_support(server, Support::Yes);
                self.settle_upgrades(false);
            }
        }
    }

    /// Asks a server for its release on a connection of its own, so that no client's request waits for the answer,
    /// unless it was asked just now.
    fn ask_release(&mut self, id: ServerId) {
        let endpoint = self.roster.server(id).endpoint();
        if self.protocol.release_question().is_some() && endpoint.release.claim_question(self.now) {
            let (now, outbox) = (self.now, &mut self.outbox);
            self.roster.open(id, Purpose::Question, now, outbox);
        }
    }

    /// The server has answered the question for its release.
    fn finish_question(&mut self, id: ConnectionId) {
        if self.roster.remove(id).is_some() {
            self.outbox.act(Action::CloseConnection { connection: id });
        }
    }

    /// The server has answered its probe.
    fn finish_probe(&mut self, id: ConnectionId) {
        // When the next server is due is found out anew, and by all servers that there are.
        if !self.plans.are_current() {
            self.follow_plans();
        }
        if let Some(connection) = self.roster.remove(id) {
            self.outbox.act(Action::CloseConnection { connection: id });
            // A probe that was sent during an earlier ejection says nothing of what happened since.
            let health = self.roster.server(connection.server()).health();
            if connection.opened() >= health.ejected_at() {
                self.readmit(connection.server());
            }
        }
    }

    /// Handles the reply to one step of the handshake, or a part of it. Returns how many bytes it has; `None` when
    /// they are no valid reply.
    pub(super) fn handle_step_reply(&mut self, id: ConnectionId, data: &[u8]) -> Option<usize> {
        let connection = self.roster.get_mut(id)?;
        let server = connection.server();
        let (len, step, kind, reply) = match connection.next_step_reply(data).ok()? {
            StepReply::Partial => return Some(data.len()),
            StepReply::Complete {
                len,
                step,
                kind,
                reply,
            } => (len, step, kind, reply),
        };
        // Before the reply is judged, as that may remove the connection.
        let is_finished = connection.is_handshake_done();
        let is_closed = match P::step_outcome(&step, kind, &reply) {
            StepOutcome::Passed => false,
            StepOutcome::Release(release) => {
                connection.endpoint().release.set(release);
                false
            }
            StepOutcome::Number(number) => {
                if let Some(lease) = connection.lease_mut() {
                    lease.set_number(number);
                }
                false
            }
            StepOutcome::Warn(text) => {
                self.log_step_error(step.kind, server, text);
                false
            }
            StepOutcome::Refused(error) => self.handle_refusal(id, error),
            StepOutcome::CannotCapTtl => {
                self.refuse_failover(id, server);
                true
            }
            StepOutcome::NoSuchVersion => {
                self.refuse_version(id, server);
                true
            }
        };
        if is_closed {
            // The rest of the bytes is dropped with the connection.
            return Some(data.len());
        }
        if is_finished {
            self.make_ready(id);
        }
        Some(len)
    }

    fn log_step_error(&mut self, kind: StepKind, server: ServerId, text: String) {
        let server = self.roster.server(server).name().to_owned();
        // Only AUTH and SELECT cause warnings; the other kinds are named so that a new one must be considered here.
        self.outbox.log(match kind {
            StepKind::Auth
            | StepKind::Hello
            | StepKind::Probe
            | StepKind::TtlCap
            | StepKind::Number
            | StepKind::ReadOnly
            | StepKind::Release => Event::AuthFailed { server, text },
            StepKind::Select | StepKind::SelectOther => Event::SelectFailed { server, text },
        });
    }

    /// A server has answered a step of the handshake with an error that makes the connection unusable. Returns
    /// whether the connection was closed: a probe goes on after most errors, as any answer shows that the server
    /// works.
    fn handle_refusal(&mut self, id: ConnectionId, error: HandshakeError) -> bool {
        let Some(connection) = self.roster.get(id) else {
            return true;
        };
        let (server, purpose) = (connection.server(), connection.purpose());
        match purpose {
            Purpose::Probe if !error.is_failure => return false,
            Purpose::Interrupt | Purpose::Subscriber | Purpose::Probe | Purpose::Question => {}
            Purpose::Shared { .. } | Purpose::Leased { .. } if connection.is_draining() => {}
            // Requests are answered with this error for a while, instead of each opening a connection.
            Purpose::Shared { .. } | Purpose::Leased { .. } => {
                let chance = self.routes.draw();
                let refuser = self.roster.server_mut(server);
                refuser.note_refusal(purpose, error.cause.clone(), self.now, chance);
            }
        }
        let blame = match error.is_failure {
            true => Blame::Server,
            false => Blame::Nobody,
        };
        self.close_connection(id, &error.cause, blame);
        true
    }

    /// The first bytes from a server come before it was asked anything. An error line means that it refuses the
    /// connection (too many clients), and is reported as that; anything else is a protocol error.
    pub(super) fn handle_unsolicited(&mut self, id: ConnectionId, data: &[u8]) {
        let refused = match P::unsolicited_error(data) {
            Some(error) => self.handle_refusal(id, error),
            None => false,
        };
        if !refused {
            self.close_connection(id, &Cause::Protocol, Blame::Server);
        }
    }

    /// A server works, but does not support the protocol version of the connection.
    fn refuse_version(&mut self, id: ConnectionId, server: ServerId) {
        // Noted before the connection ends: its end would make the server count as unreachable otherwise.
        let connection = self.roster.get(id);
        if connection.is_some_and(|connection| !connection.is_draining()) {
            let until = self.now + RESP3_REFUSAL_KEPT;
            self.note_support(server, Support::No { until });
        }
        self.outbox.log(Event::NoResp3 {
            server: self.roster.server(server).name().to_owned(),
        });
        self.close_connection(id, &Cause::Protocol, Blame::Nobody);
    }

    /// A server of the failover pool cannot cap TTLs: nothing may be written there.
    fn refuse_failover(&mut self, id: ConnectionId, server: ServerId) {
        self.outbox.log(Event::CannotCapTtl {
            server: self.roster.server(server).name().to_owned(),
        });
        self.close_connection(id, &Cause::Other(CANNOT_CAP_TTL.into()), Blame::Nobody);
    }
}
