//! When to stop sending to a server, and when to try it again.
//!
//! Health belongs to the process, not to a worker: all workers share one [`Health`] per pool, so that
//! they route a key alike and one ejection is counted once. It is read before every request, which
//! costs two relaxed loads; it is written only when something fails or comes back.
//!
//! ```text
//!           failures reach the limit                 the rest is over
//!   live ────────────────────────────▶ ejected ────────────────────────▶ live
//!    ▲ │ any reply: failures = 0          (the full limit of new failures ejects again)
//!    └─┘
//! ```

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use crate::time::Time;

/// No retry is due.
const NEVER: u64 = u64::MAX;

/// The shared health of a pool's servers.
#[derive(Debug)]
pub struct Health {
    /// Changes whenever a server is ejected or comes back; a worker that sees another value rebuilds its ring.
    epoch: AtomicU64,
    /// Earliest time at which an ejected server's rest is over, in microseconds; [`NEVER`] if none is ejected.
    next_retry: AtomicU64,
    servers: Box<[ServerHealth]>,
}

#[derive(Debug, Default)]
struct ServerHealth {
    failures: AtomicU32,
    /// When the last failure that was counted happened, plus one; 0 if never, or if the server has
    /// answered since.
    last_failure: AtomicU64,
    /// 0 while live.
    ejected_until: AtomicU64,
    /// Probes since the ejection that were not answered, the one under way included.
    probes: AtomicU32,
}

/// When a failing server is ejected and for how long.
#[derive(Debug, Clone, Copy)]
pub struct EjectionPolicy {
    /// Failures in a row that eject (0 counts as 1, as nutcracker 0.5.0 has it).
    pub failure_limit: u32,
    /// How long the server rests.
    pub retry_timeout: Duration,
}

impl Health {
    /// All of `servers` servers live.
    pub fn new(servers: usize) -> Self {
        Self {
            epoch: AtomicU64::new(0),
            next_retry: AtomicU64::new(NEVER),
            servers: (0..servers).map(|_| ServerHealth::default()).collect(),
        }
    }

    /// The current state's number.
    pub fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// Whether `server` is in use.
    pub fn is_live(&self, server: usize) -> bool {
        self.servers[server].ejected_until.load(Ordering::Acquire) == 0
    }

    /// A reply arrived: failures were not in a row.
    pub fn note_success(&self, server: usize) {
        let health = &self.servers[server];
        if health.last_failure.load(Ordering::Relaxed) != 0 {
            health.failures.store(0, Ordering::Relaxed);
            health.last_failure.store(0, Ordering::Relaxed);
        }
    }

    /// A connection opened at `opened` failed at `now`. Returns whether this ejected the server, which
    /// is true for exactly one caller.
    ///
    /// Connections that were open before the last failure that was counted, without a reply since, died
    /// of the same cause (each worker has its own): they are not counted again.
    pub fn note_failure(
        &self,
        server: usize,
        opened: Time,
        now: Time,
        policy: EjectionPolicy,
    ) -> bool {
        let health = &self.servers[server];
        if !health.begins_anew(opened, now) || !self.is_live(server) {
            return false;
        }
        let failures = health.failures.fetch_add(1, Ordering::AcqRel) + 1;
        failures >= policy.failure_limit.max(1) && self.eject(server, now + policy.retry_timeout)
    }

    /// When the next ejected server is due to come back.
    pub fn next_retry(&self) -> Option<Time> {
        match self.next_retry.load(Ordering::Acquire) {
            NEVER => None,
            due => Some(Time::from_micros(due)),
        }
    }

    /// Takes back every server whose rest is over at `now`; calls `back` for each that this call took back.
    pub fn readmit_due(&self, now: Time, mut back: impl FnMut(usize)) {
        if now.as_micros() < self.next_retry.load(Ordering::Acquire) {
            return;
        }
        for (server, health) in self.servers.iter().enumerate() {
            let until = health.ejected_until.load(Ordering::Acquire);
            if until != 0 && until <= now.as_micros() && swap(&health.ejected_until, until, 0) {
                back(server);
                self.epoch.fetch_add(1, Ordering::AcqRel);
            }
        }
        self.refresh_next_retry();
    }

    /// Claims the right to probe `server`, if that is due at `now`: true for exactly one caller. The next
    /// probe is due after `pause`, which is told how many went before.
    pub fn claim_probe(
        &self,
        server: usize,
        now: Time,
        pause: impl FnOnce(u32) -> Duration,
    ) -> bool {
        let health = &self.servers[server];
        let until = health.ejected_until.load(Ordering::Acquire);
        if until == 0 || until > now.as_micros() {
            return false;
        }
        let next = now + pause(health.probes.load(Ordering::Relaxed));
        if !swap(&health.ejected_until, until, next.as_micros()) {
            return false;
        }
        health.probes.fetch_add(1, Ordering::Relaxed);
        true
    }

    /// Takes back a server that has answered; false when it was back already.
    pub fn readmit(&self, server: usize) -> bool {
        let back = self.servers[server].ejected_until.swap(0, Ordering::AcqRel) != 0;
        if back {
            self.epoch.fetch_add(1, Ordering::AcqRel);
            self.refresh_next_retry();
        }
        back
    }

    fn eject(&self, server: usize, until: Time) -> bool {
        let health = &self.servers[server];
        health.probes.store(0, Ordering::Relaxed);
        if !swap(&health.ejected_until, 0, until.as_micros().max(1)) {
            return false;
        }
        health.failures.store(0, Ordering::Release);
        self.next_retry
            .fetch_min(until.as_micros(), Ordering::AcqRel);
        self.epoch.fetch_add(1, Ordering::AcqRel);
        true
    }

    /// Finds out anew when the next server is due.
    ///
    /// Two workers may do this at once; each computes from the records, and an ejection in between
    /// lowers the result again through `fetch_min`.
    pub fn refresh_next_retry(&self) {
        self.next_retry.store(NEVER, Ordering::Release);
        for health in &self.servers {
            match health.ejected_until.load(Ordering::Acquire) {
                0 => {}
                until => drop(self.next_retry.fetch_min(until, Ordering::AcqRel)),
            }
        }
    }
}

impl ServerHealth {
    /// Notes a failure at `now`, unless `opened` is before the last one that was noted. That one's time
    /// stays then: many connections that keep failing in turn would else hide each other for ever.
    fn begins_anew(&self, opened: Time, now: Time) -> bool {
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

    #[test]
    fn failures_in_a_row_eject_once_and_time_brings_back() {
        let health = Health::new(2);
        assert!(!health.note_failure(1, at(1), at(2), POLICY));
        assert!(health.note_failure(1, at(3), at(4), POLICY));
        assert!(!health.is_live(1) && health.is_live(0));
        assert_eq!((health.epoch(), health.next_retry()), (1, Some(at(14))));
        health.readmit_due(at(13), |_| panic!("too early"));
        let mut back = Vec::new();
        health.readmit_due(at(14), |server| back.push(server));
        assert_eq!(
            (back, health.epoch(), health.next_retry()),
            (vec![1], 2, None)
        );
        assert!(
            !health.note_failure(1, at(20), at(21), POLICY),
            "the full limit counts anew"
        );
    }

    #[test]
    fn a_reply_between_failures_forgives() {
        let health = Health::new(1);
        health.note_failure(0, at(1), at(2), POLICY);
        health.note_success(0);
        assert!(!health.note_failure(0, at(3), at(4), POLICY));
    }

    #[test]
    fn a_connection_that_outlived_a_failure_counts_when_it_dies() {
        let health = Health::new(1);
        assert!(!health.note_failure(0, at(1), at(50), POLICY));
        health.note_success(0);
        assert!(!health.note_failure(0, at(1), at(60), POLICY));
        assert!(
            health.note_failure(0, at(60), at(61), POLICY),
            "the second in a row"
        );
    }

    #[test]
    fn connections_that_die_together_count_once() {
        let health = Health::new(1);
        for _ in 0..4 {
            assert!(!health.note_failure(0, at(1), at(50), POLICY));
        }
        assert!(
            health.note_failure(0, at(50), at(51), POLICY),
            "a connection opened since then is a new failure"
        );
    }

    #[test]
    fn connections_that_fail_in_turn_do_not_hide_each_other() {
        let health = Health::new(1);
        assert!(!health.note_failure(0, at(0), at(100), POLICY));
        assert!(!health.note_failure(0, at(50), at(150), POLICY));
        assert!(health.note_failure(0, at(100), at(200), POLICY));
    }

    #[test]
    fn a_probe_is_claimed_once_and_again_after_its_pause() {
        let health = Health::new(1);
        health.note_failure(0, at(1), at(2), POLICY);
        assert!(health.note_failure(0, at(3), at(4), POLICY));
        let claim = |millis| {
            let pause = |failed| Duration::from_millis(5 * (u64::from(failed) + 1));
            health.claim_probe(0, at(millis), pause)
        };
        assert!(!claim(13), "it rests");
        assert!(claim(14));
        assert!(!claim(14), "somebody has it");
        assert!(!claim(18) && claim(19), "a pause of 5 ms");
        assert!(!claim(28) && claim(29), "a pause of 10 ms");
        health.refresh_next_retry();
        assert_eq!(health.next_retry(), Some(at(44)));
        assert!(health.readmit(0) && !health.readmit(0));
        assert!(health.is_live(0) && !claim(100));
        assert_eq!(health.next_retry(), None);
    }
}
