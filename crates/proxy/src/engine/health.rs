//! Which servers are in use. An ejected server must answer a probe before it gets requests again. The probe has a
//! connection of its own, so that no client's request is lost by testing a server that is still down.
//!
//! ```text
//!  ejected ── pause over ──▶ one worker claims the probe ── answered ──▶ live
//!     ▲                                   └─ refused, no answer ─┐
//!     └──────────── another pause, longer than the last ◀────────┘
//! ```
//!
//! Health is shared by all workers. This file acts on it for one worker: it routes by it, and of the workers only the
//! one whose atomic change succeeds opens the probe, counts the ejection, or logs the return.

use std::sync::Arc;
use std::time::Duration;

use super::state::Engine;
use crate::event::{Event, Level, Trace};
use crate::id::ServerId;
use crate::limits::{FAILOVER_LINGER, FIRST_PROBE_PAUSE, LONGEST_REPLICA_PAUSE, PROBE_DOUBLINGS};
use crate::metrics::{PoolMetric, ServerMetric};
use crate::protocol::Protocol;
use crate::routes::routing::Destination;
use crate::servers::health::ServerHealth;
use crate::servers::purpose::Purpose;
use crate::share::PoolShare;
use crate::time::Time;

impl<P: Protocol> Engine<P> {
    /// Where a request for `key` goes now. Always called instead of `routes.route`, unless health was checked before.
    #[inline]
    pub(super) fn route(&mut self, key: &[u8]) -> Destination {
        self.check_health();
        self.routes.route(key)
    }

    /// Takes over changes in the health of the servers, if there are any. Two atomic loads when there are none.
    #[inline]
    pub(super) fn check_health(&mut self) {
        if !self.routes.is_current(self.now) {
            self.refresh_health();
        }
    }

    /// Readmits the ejected servers whose pause is over, or probes them; then routes by the servers that are live.
    #[cold]
    pub(super) fn refresh_health(&mut self) {
        for (pool, servers) in self.routes.pools() {
            let settings = Arc::clone(&pool.plan().settings);
            let is_due = |due: Time| due <= self.now;
            match pool.health.next_retry() {
                None => {}
                // A plan has turned ejection off while servers were ejected.
                Some(_) if !settings.auto_eject_hosts => self.readmit_all(&pool, &servers),
                Some(due) if !is_due(due) => {}
                Some(_) if settings.failure.probe => {
                    self.probe_due(&pool, &servers, settings.server_retry_timeout)
                }
                Some(_) => self.readmit_due(&pool, &servers),
            }
        }
        self.refresh_routes();
    }

    /// Routes by the servers that are live now. Connections to the failover pool are kept for a while after the last
    /// own server has come back.
    pub(super) fn refresh_routes(&mut self) {
        self.routes.refresh();
        self.wait_watch.note_change();
        if !self.routes.has_failover() {
            return;
        }
        let is_used = |server: ServerId| self.roster.server(server).is_used();
        if !self.routes.all_live() {
            self.retire_at = None;
        } else if self.retire_at.is_none() && self.routes.failover().any(is_used) {
            self.retire_at = Some(self.now + FAILOVER_LINGER);
        }
    }

    /// Readmits the servers of one pool whose pause is over.
    fn readmit_due(&mut self, pool: &PoolShare, servers: &[ServerId]) {
        // Several workers may do this at once: each logs only the servers that it has readmitted itself.
        let mut back = Vec::new();
        let roster = &self.roster;
        let health = servers.iter().map(|id| roster.server(*id).health());
        pool.health
            .readmit_due(health, self.now, |server| back.push(servers[server]));
        for server in back {
            self.log_readmitted(server);
        }
    }

    /// Readmits every server of one pool.
    fn readmit_all(&mut self, pool: &PoolShare, servers: &[ServerId]) {
        for server in servers {
            let roster = &self.roster;
            let health = servers.iter().map(|id| roster.server(*id).health());
            if pool.health.readmit(roster.server(*server).health(), health) {
                self.log_readmitted(*server);
            }
        }
        // What is due may be due of a server that only an earlier plan has.
        let roster = &self.roster;
        let health = servers.iter().map(|id| roster.server(*id).health());
        pool.health.refresh_next_retry(health);
    }

    /// Probes the servers of one pool whose pause is over.
    fn probe_due(&mut self, pool: &PoolShare, servers: &[ServerId], longest: Duration) {
        let longest = longest.max(FIRST_PROBE_PAUSE);
        for server in servers {
            let chance = self.routes.draw();
            let health = self.roster.server(*server).health();
            let pause = |failed| pause(failed, longest, chance);
            // One worker of all gets the claim. If the probe fails, nothing is to be done: the pause has begun
            // already.
            if health.claim_probe(self.now, pause) {
                self.trace_server(Level::Debug, *server, |server| Trace::Probing { server });
                let (roster, outbox) = (&mut self.roster, &mut self.outbox);
                roster.open(*server, Purpose::Probe, self.now, outbox);
            }
        }
        let roster = &self.roster;
        let health = servers.iter().map(|id| roster.server(*id).health());
        pool.health.refresh_next_retry(health);
    }

    /// Probes the replicas of a server whose pauses are over.
    pub(super) fn probe_replicas(&mut self, of: ServerId) {
        let is_due =
            |health: &ServerHealth| health.ejected_until().is_some_and(|due| due <= self.now);
        let roster = &self.roster;
        let replicas = self.routes.readers().into_iter();
        let replicas = replicas.flat_map(|readers| readers.replicas_of(of));
        let due: Vec<ServerId> = replicas
            .filter(|id| is_due(roster.server(*id).health()))
            .collect();
        for server in due {
            let chance = self.routes.draw();
            let pause = |failed| pause(failed, LONGEST_REPLICA_PAUSE, chance);
            if self
                .roster
                .server(server)
                .health()
                .claim_probe(self.now, pause)
            {
                self.trace_server(Level::Debug, server, |server| Trace::Probing { server });
                let (roster, outbox) = (&mut self.roster, &mut self.outbox);
                roster.open(server, Purpose::Probe, self.now, outbox);
            }
        }
    }

    /// A server has answered its probe: it is live again.
    pub(super) fn readmit(&mut self, server: ServerId) {
        if self.roster.server(server).is_replica() {
            let (pool, health) = (self.plans.pool(), self.roster.server(server).health());
            if pool.replica_health.readmit(health, std::iter::empty()) {
                self.log_readmitted(server);
            }
            return;
        }
        let (pool, endpoint) = {
            let server = self.roster.server(server);
            (Arc::clone(server.pool()), Arc::clone(server.endpoint()))
        };
        let all = self.routes.pools();
        let servers = all
            .iter()
            .find(|(other, _)| Arc::ptr_eq(other, &pool))
            .map_or(&[][..], |(_, servers)| servers);
        let roster = &self.roster;
        let health = servers.iter().map(|id| roster.server(*id).health());
        if pool.health.readmit(&endpoint.health, health) {
            self.log_readmitted(server);
        }
        self.refresh_routes();
    }

    fn log_readmitted(&mut self, server: ServerId) {
        let server = self.roster.server(server).name().to_owned();
        self.outbox.log(Event::Readmitted { server });
    }

    /// Counts a failure of a server, seen on a connection that was opened at `opened`.
    pub(super) fn count_failure(&mut self, id: ServerId, opened: Time) {
        let server = self.roster.server(id);
        // The settings of the server's own pool: a failover pool's servers are ejected by their rules.
        if !server.is_judged() {
            return;
        }
        if server.note_failure(opened, self.now) {
            let now = self.now.as_micros() as i64;
            server.pool_counters().add(PoolMetric::ServerEjects, 1);
            server.counters().set(ServerMetric::ServerEjectedAt, now);
            self.outbox.log(Event::Ejected {
                server: server.name().to_owned(),
                millis: server.ejection().retry_timeout.as_millis() as u64,
            });
        }
        self.refresh_routes();
    }
}

/// The pause after `failed` failed probes. It doubles up to `longest`, and is made up to a quarter longer at random,
/// so that many proxies do not probe a server at the same moment.
fn pause(failed: u32, longest: Duration, chance: u32) -> Duration {
    let doubled = FIRST_PROBE_PAUSE * (1 << failed.min(PROBE_DOUBLINGS));
    let pause = doubled.min(longest);
    pause + pause.mul_f64(f64::from(chance) / f64::from(u32::MAX) / 4.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_vary_by_a_quarter() {
        let longest = Duration::from_secs(5);
        let pauses: Vec<_> = (0..5)
            .map(|failed| pause(failed, longest, 0).as_secs())
            .collect();
        assert_eq!(pauses, [1, 2, 4, 5, 5]);
        assert_eq!(pause(0, longest, u32::MAX), Duration::from_millis(1_250));
        assert!(pause(u32::MAX, longest, u32::MAX) <= longest.mul_f64(1.25));
    }
}
