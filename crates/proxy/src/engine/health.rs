//! Which servers are in use. An ejected one is asked whether it is well before it gets requests again. The
//! question goes over a connection of its own: no client's request is spent on it.
//!
//! ```text
//!  ejected ── rest over ──▶ one worker claims the probe ── answered ──▶ live
//!     ▲                                   └─ refused, silent ─┐
//!     └──────────── rest again, a little longer ◀─────────────┘
//! ```

use std::sync::Arc;
use std::time::Duration;

use super::state::Engine;
use crate::event::Event;
use crate::id::ServerId;
use crate::limits::{FAILOVER_LINGER, FIRST_PROBE_PAUSE, PROBE_DOUBLINGS};
use crate::metrics::{PoolMetric, ServerMetric};
use crate::protocol::Protocol;
use crate::routes::routing::Destination;
use crate::servers::purpose::Purpose;
use crate::share::PoolShare;
use crate::time::Time;

impl<P: Protocol> Engine<P> {
    /// Where a request for `key` goes now.
    #[inline]
    pub(super) fn route(&mut self, key: &[u8]) -> Destination {
        self.check_health();
        self.routes.route(key)
    }

    /// Takes over what has changed in the health of the servers, if anything has.
    #[inline]
    pub(super) fn check_health(&mut self) {
        if !self.routes.is_current(self.now) {
            self.refresh_health();
        }
    }

    /// Takes back the servers whose rest is over, or asks them; routes by those that are live now.
    #[cold]
    pub(super) fn refresh_health(&mut self) {
        for (pool, servers) in self.routes.pools() {
            let settings = Arc::clone(&pool.plan().settings);
            let is_due = |due: Time| due <= self.now;
            match pool.health.next_retry() {
                None => {}
                // A plan has turned ejection off while some were out.
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

    /// Routes by the servers that are live now.
    pub(super) fn refresh_routes(&mut self) {
        self.routes.refresh();
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

    /// Takes back what is due of the servers of one pool.
    fn readmit_due(&mut self, pool: &PoolShare, servers: &[ServerId]) {
        let mut back = Vec::new();
        let roster = &self.roster;
        let health = servers.iter().map(|id| roster.server(*id).health());
        pool.health
            .readmit_due(health, self.now, |server| back.push(servers[server]));
        for server in back {
            self.log_readmitted(server);
        }
    }

    /// Takes back every server of one pool.
    fn readmit_all(&mut self, pool: &PoolShare, servers: &[ServerId]) {
        for server in servers {
            let roster = &self.roster;
            let health = servers.iter().map(|id| roster.server(*id).health());
            if pool.health.readmit(roster.server(*server).health(), health) {
                self.log_readmitted(*server);
            }
        }
    }

    /// Asks those of one pool of whom it is time to ask.
    fn probe_due(&mut self, pool: &PoolShare, servers: &[ServerId], longest: Duration) {
        let longest = longest.max(FIRST_PROBE_PAUSE);
        for server in servers {
            let chance = self.routes.draw();
            let health = self.roster.server(*server).health();
            let pause = |failed| pause(failed, longest, chance);
            if health.claim_probe(self.now, pause) {
                let (roster, outbox) = (&mut self.roster, &mut self.outbox);
                roster.open(*server, Purpose::Probe, self.now, outbox);
            }
        }
        let roster = &self.roster;
        let health = servers.iter().map(|id| roster.server(*id).health());
        pool.health.refresh_next_retry(health);
    }

    /// A server has answered its probe.
    pub(super) fn readmit(&mut self, server: ServerId) {
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
        if !server.settings().auto_eject_hosts {
            return;
        }
        if server.note_failure(opened, self.now) {
            let now = self.now.as_micros() as i64;
            server.pool_counters().add(PoolMetric::ServerEjects, 1);
            server.counters().set(ServerMetric::ServerEjectedAt, now);
            self.outbox.log(Event::Ejected {
                server: server.name().to_owned(),
                millis: server.settings().server_retry_timeout.as_millis() as u64,
            });
        }
        self.refresh_routes();
    }
}

/// How long to wait after so many failed probes: doubling, up to the longest, and up to a quarter more
/// by chance, so that many proxies do not ask at once.
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
