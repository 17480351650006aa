//! Everything that ends: server connections, time-outs, and what it means for their requests.

use super::Engine;
use crate::cause::Cause;
use crate::clients::session::Phase;
use crate::event::Event;
use crate::id::{ConnectionId, SessionId};
use crate::metrics::{PoolMetric, ServerMetric};
use crate::pool::Action;
use crate::protocol::{HandshakeError, Protocol};
use crate::servers::connection::{Connection, Place, State};
use crate::time::Time;

impl<P: Protocol> Engine<P> {
    /// A connection has ended by itself.
    pub(crate) fn handle_connection_closed(&mut self, id: ConnectionId, cause: Cause, now: Time) {
        self.now = now;
        self.end_connection(id, &cause, true, now);
        self.run_ready(now);
    }

    /// Closes a connection ourselves, as for a broken protocol or a request that waited too long. That is
    /// asked for first: a read that is sent again may need a connection, which may get the same index.
    pub(super) fn break_connection(&mut self, id: ConnectionId, cause: Cause, now: Time) {
        self.actions
            .push_back(Action::CloseConnection { connection: id });
        self.end_connection(id, &cause, true, now);
    }

    /// Closes a connection whose server is well, but does not speak its version.
    pub(super) fn close_declined(&mut self, id: ConnectionId, now: Time) {
        self.close_because(id, &Cause::Protocol, now);
    }

    /// The same for another cause.
    pub(super) fn close_because(&mut self, id: ConnectionId, cause: &Cause, now: Time) {
        self.actions
            .push_back(Action::CloseConnection { connection: id });
        self.end_connection(id, cause, false, now);
    }

    /// Closes a connection that the server does not want, or of which it refused a step of the handshake.
    pub(super) fn close_refused(&mut self, id: ConnectionId, error: &HandshakeError, now: Time) {
        self.actions
            .push_back(Action::CloseConnection { connection: id });
        self.end_connection(id, &error.cause, error.is_failure, now);
    }

    /// Counts a failure of `server`, seen on a connection opened at `opened`.
    pub(super) fn count_failure(&mut self, server: usize, opened: Time, now: Time) {
        if !self.settings_of(server).auto_eject_hosts {
            return;
        }
        let (health, index) = self.health_of(server);
        if health.note_failure(index, opened, now, self.ejection_policy(server)) {
            self.metrics.add_for(server, PoolMetric::ServerEjects, 1);
            self.metrics.set_server(
                server,
                ServerMetric::ServerEjectedAt,
                now.as_micros() as i64,
            );
            let millis = self.settings_of(server).server_retry_timeout.as_millis() as u64;
            self.events.push(Event::Ejected {
                server: self.server_settings(server).name.clone(),
                millis,
            });
        }
        self.refresh_routes(now);
    }

    /// Forgets a connection and fails its requests. `is_failure` is false where the server is not to blame.
    fn end_connection(&mut self, id: ConnectionId, cause: &Cause, is_failure: bool, now: Time) {
        let Some(connection) = self.connections.remove(id) else {
            return;
        };
        let server = connection.server;
        if connection.is_probe {
            // It was ejected already, and when to ask again was settled when this probe was claimed.
            return self.note_probe_closed(&connection);
        }
        self.servers[server].remove(connection.lane, id);
        self.count_ending(&connection, cause);
        // A server that closes an idle connection (redis `timeout`) has not failed.
        let was_idle = connection.in_flight.is_empty() && *cause == Cause::Closed;
        if is_failure && !was_idle {
            self.count_failure(server, connection.opened, now);
        }
        self.note_upgrade_failure(&connection, now);
        self.log_ending(&connection, cause);
        if !self.one_each {
            self.unbind_all(id, &connection);
        }
        let mid_reply = connection.mid_reply;
        for (index, entry) in connection.in_flight.iter().enumerate() {
            if index == 0 && mid_reply && self.cut_off(entry.session, entry.place) {
                continue;
            }
            self.fail_place(entry.session, entry.place, cause, server, now);
        }
    }

    /// Frees the sessions from a connection that has ended, before any of their requests is retried.
    fn unbind_all(&mut self, id: ConnectionId, connection: &Connection<P>) {
        for entry in &connection.in_flight {
            if let Some(session) = self.sessions.get_mut(entry.session) {
                session.unbind(id);
            }
        }
    }

    /// A probe is no server connection in the counters but for the gauge of open ones.
    pub(super) fn note_probe_closed(&mut self, connection: &Connection<P>) {
        if !matches!(connection.state, State::Connecting) {
            let gauge = ServerMetric::ServerConnections;
            self.metrics.add_server(connection.server, gauge, -1);
        }
    }

    fn count_ending(&mut self, connection: &Connection<P>, cause: &Cause) {
        let server = connection.server;
        let (mut waiting, mut sent) = ((0, 0), (0, 0));
        for (index, entry) in connection.in_flight.iter().enumerate() {
            let queue = if index < connection.sent() {
                &mut sent
            } else {
                &mut waiting
            };
            queue.0 += 1;
            queue.1 += entry.bytes as i64;
        }
        let metric = match cause {
            Cause::Closed => ServerMetric::ServerEof,
            Cause::TimedOut => ServerMetric::ServerTimedout,
            _ => ServerMetric::ServerErr,
        };
        self.metrics.add_server(server, metric, 1);
        self.metrics
            .add_server(server, ServerMetric::InQueue, -waiting.0);
        self.metrics
            .add_server(server, ServerMetric::InQueueBytes, -waiting.1);
        self.metrics
            .add_server(server, ServerMetric::OutQueue, -sent.0);
        self.metrics
            .add_server(server, ServerMetric::OutQueueBytes, -sent.1);
        if !matches!(connection.state, State::Connecting) {
            self.metrics
                .add_server(server, ServerMetric::ServerConnections, -1);
        }
    }

    fn log_ending(&mut self, connection: &Connection<P>, cause: &Cause) {
        let server = self.server_settings(connection.server).name.clone();
        let lost = connection.in_flight.len();
        self.events.push(Event::ServerClosed {
            server,
            lost,
            cause: cause.clone(),
        });
    }

    /// A reply broke off. Where part of it has gone to the client, nothing may follow: that client
    /// is closed. Returns whether the request was dealt with so.
    fn cut_off(&mut self, id: SessionId, place: Place) -> bool {
        let Some(session) = self.sessions.get_mut(id) else {
            return true;
        };
        let Place::Slot(slot) = place else {
            return false;
        };
        let Some(position) = session.position(slot) else {
            return true;
        };
        let entry = &session.slots[position];
        if position > 0 || entry.bytes == entry.stash.len() {
            let partial = entry.stash.len();
            session.stashed -= partial;
            session.slots[position].stash.clear();
            return false;
        }
        session.phase = Phase::Broken;
        session.drop_slots();
        session.drop_input();
        self.await_end(id);
        true
    }

    /// Gives a request (or fragment) that has failed its error line, or what the join makes of it.
    pub(super) fn fail_place(
        &mut self,
        id: SessionId,
        place: Place,
        cause: &Cause,
        server: usize,
        now: Time,
    ) {
        match place {
            Place::Forgotten { .. } => {}
            Place::Nowhere | Place::Follower => {
                if place == Place::Nowhere {
                    self.note_lost(cause, Some(server));
                }
                if let Some(session) = self.sessions.get_mut(id) {
                    session.silent = session.silent.saturating_sub(1);
                }
                self.note_progress(id);
                self.close_if_finished(id);
            }
            Place::Slot(slot) if self.retry(id, slot, cause, now) => {}
            Place::Slot(slot) => self.fail_slot(id, slot, cause, server),
            Place::Fragment(slot, fragment) => self.fail_fragment(id, slot, fragment, cause),
        }
    }

    pub(super) fn fail_slot(&mut self, id: SessionId, slot: u64, cause: &Cause, server: usize) {
        if self
            .sessions
            .get(id)
            .is_none_or(|session| session.position(slot).is_none())
        {
            return;
        }
        let mut line = Vec::new();
        self.write_error(&mut line, cause, Some(server));
        self.fill_slot(id, slot, &line);
    }

    /// Completes the request in `slot` with a reply made here.
    pub(super) fn fill_slot(&mut self, id: SessionId, slot: u64, reply: &[u8]) {
        let Some(session) = self.sessions.get_mut(id) else {
            return;
        };
        let Some(position) = session.position(slot) else {
            return;
        };
        let entry = &mut session.slots[position];
        entry.stash.extend(reply);
        // Nothing is learnt from it about the size of servers' replies.
        entry.bytes = 0;
        entry.done = true;
        session.stashed += reply.len();
        if position == 0 && session.advance() {
            self.mark_session(id);
            self.note_progress(id);
            self.close_if_finished(id);
        }
    }

    fn fail_fragment(&mut self, id: SessionId, slot: u64, fragment: u32, cause: &Cause) {
        let Some(session) = self.sessions.get_mut(id) else {
            return;
        };
        let Some(position) = session.position(slot) else {
            return;
        };
        let Some(join) = session.slots[position].join.as_mut() else {
            return;
        };
        let part = &mut join.fragments[fragment as usize];
        session.stashed -= part.reply.len();
        part.reply.clear();
        part.marks.clear();
        part.outcome = Some(Err(cause.clone()));
        join.waiting -= 1;
        self.finish_join(id, slot);
    }
}
