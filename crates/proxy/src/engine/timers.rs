//! What happens because time has passed.
//!
//! The earliest moment at which anything can be due is kept as a lower bound: it is looked at again
//! when it comes, so that a busy pool pays for its time-outs once per time-out, not per request.

use std::time::Duration;

use super::Engine;
use crate::cause::Cause;
use crate::clients::session::{Phase, Session};
use crate::event::Event;
use crate::id::{ConnectionId, SessionId};
use crate::limits::{CLIENT_SCAN_AT_LEAST, PROBE_PATIENCE, SILENCE_AT_LEAST, SILENCE_FACTOR};
use crate::metrics::{PoolMetric, ServerMetric};
use crate::pool::Action;
use crate::protocol::Protocol;
use crate::servers::connection::{Connection, InFlight, Place, State};
use crate::settings::{PoolSettings, TimeoutAction};
use crate::time::Time;

impl<P: Protocol> Engine<P> {
    /// When something may have to be done without any input.
    pub(crate) fn poll_deadline(&self) -> Option<Time> {
        let retry = match self.settings.auto_eject_hosts {
            true => self.health.next_retry(),
            false => None,
        };
        [
            self.earliest,
            self.next_client_scan,
            self.again_at,
            self.readers.deadline(),
            self.upgrade.deadline(),
            self.scale.next,
            retry,
            self.failover_due(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    pub(crate) fn handle_timeout(&mut self, now: Time) {
        self.now = now;
        self.time_out_connections(now);
        self.time_out_upgrade(now);
        self.time_out_clients(now);
        self.judge_readers();
        if self.settings.auto_eject_hosts {
            self.refresh_health(now);
        }
        if self.scale.next.is_some_and(|due| due <= now) {
            self.count_memory(now);
        }
        self.retire_connections(now);
        self.take_turns(now);
    }

    /// Something of a connection may be due at `at`.
    pub(super) fn note_due(&mut self, at: Option<Time>) {
        if let Some(at) = at {
            self.earliest = Some(self.earliest.map_or(at, |known| known.min(at)));
        }
    }

    /// Deals with every connection that is late.
    fn time_out_connections(&mut self, now: Time) {
        if self.earliest.is_none_or(|earliest| now < earliest) {
            return;
        }
        self.earliest = None;
        for id in self.connections.ids() {
            let Some(connection) = self.connections.get(id) else {
                continue;
            };
            match self.deadline_of(connection) {
                Some(due) if due <= now => self.handle_late(id, now),
                due => self.note_due(due),
            }
        }
    }

    /// When the connection is late, as things are.
    pub(super) fn deadline_of(&self, connection: &Connection<P>) -> Option<Time> {
        let settings = self.settings_of(connection.server);
        let timeout = settings.timeout;
        let connect = match (&connection.state, connection.is_probe) {
            (State::Ready, _) => None,
            (_, true) => Some(timeout.unwrap_or(PROBE_PATIENCE).min(PROBE_PATIENCE)),
            (_, false) => settings.failure.connect_timeout,
        };
        let connect = connect.map(|patience| connection.opened + patience);
        let request = connection.oldest_waiting().zip(timeout);
        let request = request.map(|(oldest, timeout)| oldest.queued + timeout);
        let silence = silence(settings).filter(|_| connection.owes_forgotten());
        let silence = silence.map(|bound| connection.waiting_since(connection.opened) + bound);
        [connect, request, silence].into_iter().flatten().min()
    }

    fn handle_late(&mut self, id: ConnectionId, now: Time) {
        let Some(connection) = self.connections.get(id) else {
            return;
        };
        let ready = matches!(connection.state, State::Ready);
        let silent = silence(self.settings_of(connection.server))
            .is_none_or(|bound| connection.waiting_since(now) + bound <= now);
        if !ready || silent {
            return self.break_connection(id, Cause::TimedOut, now);
        }
        self.answer_late(id, now);
    }

    /// Fails the requests that have waited too long, and only those: their replies are dropped when
    /// they come after all.
    fn answer_late(&mut self, id: ConnectionId, now: Time) {
        let Some(server) = self.connections.get(id).map(|connection| connection.server) else {
            return;
        };
        let Some(timeout) = self.settings_of(server).timeout else {
            return;
        };
        let mut newest = None;
        while let Some(connection) = self.connections.get_mut(id)
            && let Some(entry) = connection.forget_late(now, timeout)
        {
            newest = Some(entry.queued);
            self.fail_late(&entry, server, now);
        }
        if let Some(queued) = newest {
            self.metrics
                .add_server(server, ServerMetric::ServerTimedout, 1);
            // As with connections: what was queued before the last failure fails of the same cause.
            self.count_failure(server, queued, now);
        }
        let due = self
            .connections
            .get(id)
            .and_then(|connection| self.deadline_of(connection));
        self.note_due(due);
    }

    fn fail_late(&mut self, entry: &InFlight, server: usize, now: Time) {
        let cause = &Cause::TimedOut;
        match entry.place {
            // Not to be retried: it would wait behind itself on the same connection.
            Place::Slot(slot) => self.fail_slot(entry.session, slot, cause, server),
            place => self.fail_place(entry.session, place, cause, server, now),
        }
    }

    /// Arranges for clients to be looked at, if any may be late some day.
    pub(super) fn schedule_client_scan(&mut self, now: Time) {
        if self.next_client_scan.is_none()
            && let Some(shortest) = self.shortest_client_timeout()
        {
            self.next_client_scan = Some(now + (shortest / 4).max(CLIENT_SCAN_AT_LEAST));
        }
    }

    fn shortest_client_timeout(&self) -> Option<Duration> {
        let failure = &self.settings.failure;
        [failure.client_idle_timeout, failure.client_request_timeout]
            .into_iter()
            .flatten()
            .min()
    }

    /// Closes clients that are idle, or in the middle of a request, for too long.
    fn time_out_clients(&mut self, now: Time) {
        if self.next_client_scan.is_none_or(|due| now < due) {
            return;
        }
        self.next_client_scan = None;
        for id in self.sessions.ids() {
            if self
                .sessions
                .get(id)
                .is_some_and(|session| self.is_client_late(session, now))
            {
                self.close_late_client(id);
            }
        }
        if self.sessions.len() > 0 {
            self.schedule_client_scan(now);
        }
    }

    fn is_client_late(&self, session: &Session<P>, now: Time) -> bool {
        if session.phase != Phase::Open
            || session.has_backlog()
            || session.stopped
            || !session.is_idle()
            || !session.output.is_empty()
        {
            return false;
        }
        let limit = match session.intake {
            Some(_) => self.settings.failure.client_request_timeout,
            None => self.settings.failure.client_idle_timeout,
        };
        limit.is_some_and(|limit| session.since + limit <= now)
    }

    fn close_late_client(&mut self, id: SessionId) {
        let mid_request = self
            .sessions
            .get(id)
            .is_some_and(|session| session.intake.is_some());
        self.events.push(Event::ClientTimedOut { mid_request });
        self.metrics.add(PoolMetric::ClientErr, 1);
        self.forget_session(id);
        self.actions.push_back(Action::CloseSession {
            session: id,
            linger: false,
        });
    }
}

/// How long a server may be silent that owes a reply which nobody waits for any more.
fn silence(settings: &PoolSettings) -> Option<Duration> {
    let timeout = settings.timeout?;
    match settings.failure.timeout_action {
        TimeoutAction::Close => None,
        TimeoutAction::Answer => Some((timeout * SILENCE_FACTOR).max(SILENCE_AT_LEAST)),
    }
}

impl<P: Protocol> Connection<P> {
    /// The oldest request that somebody still waits for.
    fn oldest_waiting(&self) -> Option<&InFlight> {
        self.in_flight.get(self.forgotten)
    }

    /// Whether a reply is under way that is late: one nobody waits for, or one that is being passed on.
    fn owes_forgotten(&self) -> bool {
        self.forgotten > 0
    }

    /// Takes the place of the next request that has waited for `timeout`. One whose reply is being
    /// passed on keeps it: a late reply is better than half of one.
    fn forget_late(&mut self, now: Time, timeout: Duration) -> Option<InFlight> {
        loop {
            let skip = self.forgotten == 0 && self.mid_reply;
            let entry = self.in_flight.get_mut(self.forgotten)?;
            if entry.queued + timeout > now {
                return None;
            }
            self.forgotten += 1;
            if !skip {
                let late = *entry;
                entry.place = Place::Forgotten {
                    follows: late.place.follows(),
                };
                return Some(late);
            }
        }
    }
}
