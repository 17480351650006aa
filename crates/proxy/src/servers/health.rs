//! When to stop sending to a server, and when to use it again.
//!
//! Health belongs to the process, not to a worker: all workers share one [`ServerHealth`] per endpoint of a server
//! and one [`PoolHealth`] per pool, so that they route a key alike and one ejection is counted once. It is read
//! before every request, which costs two atomic loads; it is written only when something fails or comes back.
//!
//! ```text
//!           failures reach the limit             the pause is over, or a probe was answered
//!   live ────────────────────────────▶ ejected ──────────────────────────────────────────────▶ live
//!    ▲ │ any reply: failures = 0          (then it takes the full limit of new failures to eject it again)
//!    └─┘
//! ```
//!
//! There are no locks. Of several workers that see the same event, the one whose `compare_exchange` or `swap` of
//! `ejected_until` succeeds acts on it. The epoch changes after that, so a worker that sees the new epoch sees the
//! new state, too.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use crate::time::Time;

/// No retry is due.
const NEVER: u64 = u64::MAX;

/// The health of a pool as a whole: what workers compare before they route.
#[derive(Debug)]
pub(crate) struct PoolHealth {
    /// Changes whenever a server is ejected or comes back; a worker that sees another value rebuilds its ring.
    epoch: AtomicU64,
    /// Earliest time at which an ejected server's pause is over, in microseconds; [`NEVER`] if none is ejected.
    next_retry: AtomicU64,
}

/// The health of one server. The default is that of a live one.
#[derive(Debug, Default)]
pub(crate) struct ServerHealth {
    /// Failures in a row.
    failures: AtomicU32,
    /// When the last counted failure happened, in microseconds plus one; 0 if never, or if the server has answered
    /// since.
    last_failure: AtomicU64,
    /// When its pause is over, in microseconds; 0 while live.
    ejected_until: AtomicU64,
    /// When it was last ejected, in microseconds.
    ejected_at: AtomicU64,
    /// Probes since the ejection, the one under way included.
    probes: AtomicU32,
    /// An operator has taken it out of use, whether it is ejected or not.
    held: AtomicBool,
}

/// When a failing server is ejected and for how long.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EjectionPolicy {
    /// Failures in a row that eject (0 counts as 1, as nutcracker 0.5.0 has it).
    pub(crate) failure_limit: u32,
    /// How long it stays ejected.
    pub(crate) retry_timeout: Duration,
}

impl Default for PoolHealth {
    fn default() -> Self {
        Self {
            epoch: AtomicU64::new(0),
            next_retry: AtomicU64::new(NEVER),
        }
    }
}

impl PoolHealth {
    /// The number of the current state of all servers of the pool.
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// When the pause of an ejected server is over next.
    pub(crate) fn next_retry(&self) -> Option<Time> {
        match self.next_retry.load(Ordering::Acquire) {
            NEVER => None,
            due => Some(Time::from_micros(due)),
        }
    }

    /// A connection to `server` that was opened at `opened` failed at `now`. Returns whether this ejected the
    /// server, which is true for exactly one caller.
    ///
    /// A connection that was open before the last counted failure, without a reply since, failed of the same cause:
    /// when a server dies, all connections of all workers end, and that is one failure. It is not counted again.
    pub(crate) fn note_failure(
        &self,
        server: &ServerHealth,
        opened: Time,
        now: Time,
        policy: EjectionPolicy,
    ) -> bool {
        if !server.record_failure(opened, now) || server.is_ejected() {
            return false;
        }
        let failures = server.failures.fetch_add(1, Ordering::AcqRel) + 1;
        failures >= policy.failure_limit.max(1) && self.eject(server, now, policy.retry_timeout)
    }

    /// Readmits every one of `servers` whose pause is over at `now`; calls `back` for each that this call readmitted.
    /// `servers` are all of the pool.
    pub(crate) fn readmit_due<'a>(
        &self,
        servers: impl Iterator<Item = &'a ServerHealth> + Clone,
        now: Time,
        mut back: impl FnMut(usize),
    ) {
        if now.as_micros() < self.next_retry.load(Ordering::Acquire) {
            return;
        }
        for (index, health) in servers.clone().enumerate() {
            let until = health.ejected_until.load(Ordering::Acquire);
            if until != 0 && until <= now.as_micros() && swap(&health.ejected_until, until, 0) {
                back(index);
                self.epoch.fetch_add(1, Ordering::AcqRel);
            }
        }
        self.refresh_next_retry(servers);
    }

    /// Readmits a server that has answered; false if it is live already. `servers` are all of the pool.
    pub(crate) fn readmit<'a>(
        &self,
        server: &ServerHealth,
        servers: impl Iterator<Item = &'a ServerHealth>,
    ) -> bool {
        let back = server.ejected_until.swap(0, Ordering::AcqRel) != 0;
        if back {
            self.epoch.fetch_add(1, Ordering::AcqRel);
            self.refresh_next_retry(servers);
        }
        back
    }

    /// Computes anew when the next pause of `servers`, which are all of the pool, is over.
    ///
    /// Two workers may do this at once: each computes it from the state of all servers, and an ejection in between
    /// lowers the result through `fetch_min`, so no pause is missed.
    pub(crate) fn refresh_next_retry<'a>(&self, servers: impl Iterator<Item = &'a ServerHealth>) {
        self.next_retry.store(NEVER, Ordering::Release);
        for health in servers {
            match health.ejected_until.load(Ordering::Acquire) {
                0 => {}
                until => drop(self.next_retry.fetch_min(until, Ordering::AcqRel)),
            }
        }
    }

    /// Takes a server out of use, or ends that; false if it was so already.
    pub(crate) fn hold(&self, server: &ServerHealth, held: bool) -> bool {
        let changed = server.held.swap(held, Ordering::AcqRel) != held;
        if changed {
            self.epoch.fetch_add(1, Ordering::AcqRel);
        }
        changed
    }

    /// Ejects a server at `now` for a time; false if it is ejected already.
    pub(crate) fn eject(&self, server: &ServerHealth, now: Time, pause: Duration) -> bool {
        let until = now + pause;
        server.probes.store(0, Ordering::Relaxed);
        server.ejected_at.store(now.as_micros(), Ordering::Release);
        if !swap(&server.ejected_until, 0, until.as_micros().max(1)) {
            return false;
        }
        server.failures.store(0, Ordering::Release);
        self.next_retry
            .fetch_min(until.as_micros(), Ordering::AcqRel);
        self.epoch.fetch_add(1, Ordering::AcqRel);
        true
    }
}

impl ServerHealth {
    /// Whether the server is in use.
    pub(crate) fn is_live(&self) -> bool {
        !self.is_ejected() && !self.is_held()
    }

    fn is_ejected(&self) -> bool {
        self.ejected_until.load(Ordering::Acquire) != 0
    }

    /// When its pause is over, or its next probe due, if it is ejected.
    pub(crate) fn ejected_until(&self) -> Option<Time> {
        let until = self.ejected_until.load(Ordering::Acquire);
        (until != 0).then(|| Time::from_micros(until))
    }

    /// Failures in a row since it last answered or was ejected.
    pub(crate) fn failures(&self) -> u32 {
        self.failures.load(Ordering::Acquire)
    }

    /// When it was last ejected; the origin of time if never.
    pub(crate) fn ejected_at(&self) -> Time {
        Time::from_micros(self.ejected_at.load(Ordering::Acquire))
    }

    /// Whether an operator has taken it out of use.
    pub(crate) fn is_held(&self) -> bool {
        self.held.load(Ordering::Acquire)
    }

    /// Probes since it was ejected, the one under way included.
    pub(crate) fn probes(&self) -> u32 {
        self.probes.load(Ordering::Relaxed)
    }

    /// For a server that no worker knows yet.
    pub(crate) fn set_probes(&self, probes: u32) {
        self.probes.store(probes, Ordering::Relaxed);
    }

    /// For a server that no worker knows yet.
    pub(crate) fn set_failures(&self, failures: u32) {
        self.failures.store(failures, Ordering::Release);
    }

    /// For a server that no worker knows yet.
    pub(crate) fn set_held(&self, held: bool) {
        self.held.store(held, Ordering::Release);
    }

    /// A reply arrived: failures before it and after it are not in a row.
    pub(crate) fn note_success(&self) {
        if self.last_failure.load(Ordering::Relaxed) != 0 {
            self.failures.store(0, Ordering::Relaxed);
            self.last_failure.store(0, Ordering::Relaxed);
        }
    }

    /// Claims the right to probe the server, if that is due at `now`: true for exactly one caller. The next probe is
    /// due after `pause`, which is given the number of earlier ones; this one simply expires if it is not answered.
    /// The caller then has to compute the pool's next retry anew.
    pub(crate) fn claim_probe(&self, now: Time, pause: impl FnOnce(u32) -> Duration) -> bool {
        let until = self.ejected_until.load(Ordering::Acquire);
        if until == 0 || until > now.as_micros() {
            return false;
        }
        let next = now + pause(self.probes.load(Ordering::Relaxed));
        if !swap(&self.ejected_until, until, next.as_micros()) {
            return false;
        }
        self.probes.fetch_add(1, Ordering::Relaxed);
        true
    }

    /// Records a failure at `now`, unless the connection was opened before the last recorded one. Then the recorded
    /// time stays: if each failure moved it, connections that fail one after the other would keep each other from
    /// being counted.
    fn record_failure(&self, opened: Time, now: Time) -> bool {
        let noted =
            self.last_failure
                .fetch_update(Ordering::AcqRel, Ordering::Acquire, |previous| {
                    (previous <= opened.as_micros() + 1).then_some(now.as_micros() + 1)
                });
        noted.is_ok()
    }
}

fn swap(value: &AtomicU64, from: u64, to: u64) -> bool {
    value
        .compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire)
        .is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: EjectionPolicy = EjectionPolicy {
        failure_limit: 2,
        retry_timeout: Duration::from_millis(10),
    };

    fn at(millis: u64) -> Time {
        Time::from_micros(millis * 1_000)
    }

    /// A pool of so many servers.
    struct Servers(PoolHealth, Vec<ServerHealth>);

    impl Servers {
        fn new(count: usize) -> Self {
            let servers = (0..count).map(|_| ServerHealth::default());
            Self(PoolHealth::default(), servers.collect())
        }

        fn fails(&self, server: usize, opened: Time, now: Time) -> bool {
            self.0.note_failure(&self.1[server], opened, now, POLICY)
        }
    }

    #[test]
    fn failures_in_a_row_eject_once_and_time_brings_back() {
        let both = Servers::new(2);
        assert!(!both.fails(1, at(1), at(2)));
        assert!(both.fails(1, at(3), at(4)));
        let Servers(pool, servers) = &both;
        assert!(!servers[1].is_live() && servers[0].is_live());
        assert_eq!((pool.epoch(), pool.next_retry()), (1, Some(at(14))));
        pool.readmit_due(servers.iter(), at(13), |_| panic!("too early"));
        let mut back = Vec::new();
        pool.readmit_due(servers.iter(), at(14), |server| back.push(server));
        assert_eq!((back, pool.epoch(), pool.next_retry()), (vec![1], 2, None));
        assert!(!both.fails(1, at(20), at(21)), "the full limit counts anew");
    }

    #[test]
    fn a_held_server_stays_out_of_use_whatever_happens() {
        let one = Servers::new(1);
        let Servers(pool, servers) = &one;
        let server = &servers[0];
        assert!(pool.hold(server, true) && !pool.hold(server, true));
        assert_eq!((pool.epoch(), pool.next_retry()), (1, None));
        assert!(!one.fails(0, at(1), at(2)) && one.fails(0, at(3), at(4)));
        pool.readmit_due(servers.iter(), at(14), |_| {});
        assert!(!server.is_live() && server.ejected_until().is_none());
        assert!(pool.hold(server, false) && server.is_live());
    }

    #[test]
    fn a_reply_between_failures_forgives() {
        let one = Servers::new(1);
        one.fails(0, at(1), at(2));
        one.1[0].note_success();
        assert!(!one.fails(0, at(3), at(4)));
    }

    #[test]
    fn a_connection_that_outlived_a_failure_counts_when_it_dies() {
        let one = Servers::new(1);
        assert!(!one.fails(0, at(1), at(50)));
        one.1[0].note_success();
        assert!(!one.fails(0, at(1), at(60)));
        assert!(one.fails(0, at(60), at(61)), "the second in a row");
    }

    #[test]
    fn connections_that_die_together_count_once() {
        let one = Servers::new(1);
        for _ in 0..4 {
            assert!(!one.fails(0, at(1), at(50)));
        }
        assert!(
            one.fails(0, at(50), at(51)),
            "a connection opened since then is a new failure"
        );
    }

    #[test]
    fn connections_that_fail_in_turn_do_not_hide_each_other() {
        let one = Servers::new(1);
        assert!(!one.fails(0, at(0), at(100)));
        assert!(!one.fails(0, at(50), at(150)));
        assert!(one.fails(0, at(100), at(200)));
    }

    #[test]
    fn a_probe_is_claimed_once_and_again_after_its_pause() {
        let one = Servers::new(1);
        one.fails(0, at(1), at(2));
        assert!(one.fails(0, at(3), at(4)));
        let Servers(pool, servers) = &one;
        let claim = |millis| {
            let pause = |failed| Duration::from_millis(5 * (u64::from(failed) + 1));
            servers[0].claim_probe(at(millis), pause)
        };
        assert!(!claim(13), "it rests");
        assert!(claim(14));
        assert!(!claim(14), "somebody has it");
        assert!(!claim(18) && claim(19), "a pause of 5 ms");
        assert!(!claim(28) && claim(29), "a pause of 10 ms");
        pool.refresh_next_retry(servers.iter());
        assert_eq!(pool.next_retry(), Some(at(44)));
        let readmit = || pool.readmit(&servers[0], servers.iter());
        assert!(readmit() && !readmit());
        assert!(servers[0].is_live() && !claim(100));
        assert_eq!(pool.next_retry(), None);
    }
}
