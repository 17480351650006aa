//! What happens because time has passed.
//!
//! The earliest moment at which anything can be due is kept as a lower bound: it is looked at again
//! when it comes, so that a busy pool pays for its time-outs once per time-out, not per request.

use super::endings::Blame;
use super::state::Engine;
use crate::cause::Cause;
use crate::id::ConnectionId;
use crate::metrics::ServerMetric;
use crate::protocol::Protocol;
use crate::time::Time;

impl<P: Protocol> Engine<P> {
    /// When something may have to be done without any input.
    pub(super) fn next_deadline(&self) -> Option<Time> {
        [
            self.roster.next_deadline(),
            self.clients.next_deadline(),
            self.upgrades.deadline(),
            self.memory.next(),
            self.routes.next_retry(),
            self.roster.next_check(),
            self.retire_at,
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Deals with everything that is due.
    pub(super) fn handle_due(&mut self) {
        if !self.plans.are_current() {
            self.follow_plans();
        }
        for id in self.roster.take_late(self.now) {
            self.handle_late(id);
        }
        self.time_out_upgrades();
        self.clients.close_idle(self.now, &mut self.outbox);
        self.clients.close_slow_readers(self.now, &mut self.outbox);
        self.refresh_health();
        if self.memory.next().is_some_and(|due| due <= self.now) {
            self.count_memory();
        }
        self.retire_connections();
        self.end_draining();
        self.clients.begin_next_turns();
        self.run_ready();
    }

    /// Closes connections that take no further request and have answered all, or have had their time; forgets
    /// servers to which none is left.
    fn end_draining(&mut self) {
        let is_due = |due| due <= self.now;
        if !self.roster.next_check().is_some_and(is_due) {
            return;
        }
        self.close_drained_connections();
        for id in self.roster.take_overdue(self.now) {
            self.close_connection(id, &Cause::Left, Blame::Nobody);
        }
        let clients = &self.clients;
        let forgotten = self
            .roster
            .forget_servers(|server| clients.has_fragment_at(server));
        forgotten.iter().for_each(|id| self.upgrades.forget(*id));
        self.roster.schedule_check(self.now);
    }

    /// A connection is late: it is closed, or its late requests fail.
    fn handle_late(&mut self, id: ConnectionId) {
        let Some(connection) = self.roster.get(id) else {
            return;
        };
        match self.roster.is_lost(connection, self.now) {
            true => self.close_connection(id, &Cause::TimedOut, Blame::Server),
            false => self.answer_late(id),
        }
    }

    /// Fails the requests that have waited too long, and only those: their replies are dropped when
    /// they come after all.
    fn answer_late(&mut self, id: ConnectionId) {
        let connection = self.roster.get(id);
        let Some((server, is_draining)) = connection.map(|it| (it.server(), it.is_draining()))
        else {
            return;
        };
        let Some(timeout) = self.roster.server(server).settings().timeout else {
            return;
        };
        let mut newest = None;
        while let Some(connection) = self.roster.get_mut(id) {
            let mid_reply = connection.is_mid_reply();
            let queue = connection.queue_mut();
            let Some(entry) = queue.forget_late(self.now, timeout, mid_reply) else {
                break;
            };
            newest = Some(entry.queued);
            // Not to be sent again: it would wait behind itself on the same connection.
            self.fail_without_retry(&entry, &Cause::TimedOut, server);
        }
        if let Some(queued) = newest {
            let counters = self.roster.server(server).counters();
            counters.add(ServerMetric::ServerTimedout, 1);
            if !is_draining {
                // As with connections: what was queued before the last failure fails of the same cause.
                self.count_failure(server, queued);
            }
        }
        self.roster.note_deadline(id);
    }
}
