//! What is due because time has passed.
//!
//! The roster keeps only a lower bound of when a connection can be late. When that time comes, all connections are
//! looked at and the bound is computed anew. So a busy pool pays for time-outs once per time-out, not per request: a
//! request that is answered leaves the bound as it is.

use super::endings::Blame;
use super::state::Engine;
use crate::cause::Cause;
use crate::id::ConnectionId;
use crate::metrics::ServerMetric;
use crate::protocol::Protocol;
use crate::servers::leases::LeaseDue;
use crate::subscriptions::registry::Due;
use crate::time::Time;

/// Why a connection is closed whose server has not ended a wait.
const NOT_ENDED: &str = "the wait of a client that has left could not be ended";

impl<P: Protocol> Engine<P> {
    /// When something may have to be done although nothing arrives. May be too early, never too late.
    pub(super) fn next_deadline(&self) -> Option<Time> {
        [
            self.roster.next_deadline(),
            self.clients.next_deadline(),
            self.upgrades.deadline(),
            self.memory.next(),
            // Without this, a pool without traffic would not probe or readmit its ejected servers.
            self.routes.next_retry(),
            self.roster.next_check(),
            self.wait_watch.next(),
            self.subscriptions.deadline(self.routes.version()),
            self.retire_at,
            self.questions.deadline(),
            self.pause.map(|pause| pause.until),
            self.redirects.deadline(),
            self.hot_keys.as_ref().and_then(|it| it.publish_at()),
            // What was left out of the log is told even if nothing further happens.
            self.outbox.log_deadline(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Does everything that is due. The plan comes first, so that what follows goes by current time-outs and servers;
    /// sessions are resumed last, when the rest has freed what they wait for.
    pub(super) fn handle_due(&mut self) {
        if !self.plans.are_current() {
            self.follow_plans();
        }
        let waiting = self.roster.take_waiting(self.now);
        for id in waiting.late {
            self.handle_late(id);
        }
        for id in waiting.delayed {
            self.hold_back_waiting(id);
        }
        self.time_out_upgrades();
        self.clients
            .close_idle(&self.protocol, self.now, &mut self.outbox);
        self.clients.close_slow_readers(self.now, &mut self.outbox);
        self.clients.leave_due(self.now, &mut self.outbox);
        self.refresh_health();
        self.attend_redirects();
        self.watch_waits();
        self.attend_subscribers();
        if self.memory.next().is_some_and(|due| due <= self.now) {
            self.count_memory();
        }
        self.publish_due_hot_keys();
        self.retire_connections();
        self.give_up_questions();
        self.end_due_pause();
        self.end_draining();
        self.clients.begin_next_turns();
        self.continue_joins();
        self.run_ready();
    }

    /// Closes draining connections that have answered everything or have exceeded `DRAIN_WITHIN`; forgets removed
    /// servers that nothing refers to any more.
    fn end_draining(&mut self) {
        let is_due = |due| due <= self.now;
        if !self.roster.next_check().is_some_and(is_due) {
            return;
        }
        self.close_drained_connections();
        for id in self.roster.take_overdue(self.now) {
            self.close_connection(id, &Cause::Left, Blame::Nobody);
        }
        let (clients, subscriptions) = (&self.clients, &self.subscriptions);
        let forgotten = self
            .roster
            .forget_servers(|id| clients.has_fragment_at(id) || subscriptions.uses(id));
        forgotten.iter().for_each(|id| self.upgrades.forget(*id));
        self.roster.schedule_check(self.now);
    }

    /// Does what is due for subscriptions, and closes the connections for them that are not needed any more, or whose
    /// server does not answer.
    fn attend_subscribers(&mut self) {
        if self.subscriptions.is_empty() {
            return;
        }
        for (server, due) in self.subscriptions.due(self.now) {
            match due {
                Due::Late(id) => self.close_connection(id, &Cause::TimedOut, Blame::Server),
                Due::Idle(id) => self.release_subscriber(server, id),
                Due::Connect | Due::Ask | Due::Ping | Due::Forget => {}
            }
        }
        self.follow_subscriptions();
        self.attend_sites();
    }

    /// A connection is late: it is closed, or only its late requests fail (`timeout_action`).
    fn handle_late(&mut self, id: ConnectionId) {
        let Some(connection) = self.roster.get(id) else {
            return;
        };
        if let Some(due) = self.roster.lease_due(id, self.now) {
            return self.handle_late_lease(id, due);
        }
        match self.roster.is_lost(connection, self.now) {
            true => self.close_connection(id, &Cause::TimedOut, Blame::Server),
            false => self.answer_late(id),
        }
    }

    /// A lease is not used, or its server has not ended a wait in time.
    fn handle_late_lease(&mut self, id: ConnectionId, due: LeaseDue) {
        match due {
            LeaseDue::Unused => self.end_lease(id),
            LeaseDue::CancelAgain => self.tell_server(id),
            LeaseDue::Late => self.close_connection(id, &Cause::TimedOut, Blame::Nobody),
            LeaseDue::CancelLate => {
                self.end_lease(id);
                // Unless its request was not sent yet.
                let lease = self.lease_mut(id);
                if lease.is_some_and(|lease| lease.wait().is_some()) {
                    let cause = Cause::Other(NOT_ENDED.into());
                    self.close_connection(id, &cause, Blame::Nobody);
                }
            }
        }
    }

    /// Fails the requests that have waited longer than `timeout`, and only those. They stay in the queue, because
    /// their replies still come and must be matched and dropped; otherwise each later reply would go to the wrong
    /// request.
    fn answer_late(&mut self, id: ConnectionId) {
        let connection = self.roster.get(id);
        let Some((server, is_draining)) = connection.map(|it| (it.server(), it.is_draining()))
        else {
            return;
        };
        let Some(timeout) = self.roster.server(server).settings().timeout else {
            return;
        };
        // However many requests are late, the server has failed once.
        let mut newest = None;
        while let Some(connection) = self.roster.get_mut(id) {
            let mid_reply = connection.is_mid_reply();
            let queue = connection.queue_mut();
            let Some(entry) = queue.forget_late(self.now, timeout, mid_reply) else {
                break;
            };
            newest = Some(entry.queued);
            // No retry: on the same connection it would wait behind the original request.
            self.fail_without_retry(&entry, &Cause::TimedOut, server);
        }
        if let Some(queued) = newest {
            let counters = self.roster.server(server).counters();
            counters.add(ServerMetric::ServerTimedout, 1);
            if !is_draining {
                // The time of queueing stands for the time of opening: requests queued before the last counted
                // failure fail of the same cause and must not count again.
                self.count_failure(server, queued);
            }
        }
        // `take_waiting` has taken this connection's deadline out of the lower bound.
        self.roster.note_deadline(id);
    }
}
