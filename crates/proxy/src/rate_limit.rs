//! A limit of requests per second that all workers of the process keep together.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::time::Time;

/// Nanoseconds of a second.
const SECOND: u64 = 1_000_000_000;

/// How much of a rate is used up. A request moves a point in time on by its part of a second; that point never is before now,
/// nor more than a second after it. So a second's worth of requests may come at once, and no more than the rate in the long
/// run. The rate is no part of it, so that another one can take effect at any time.
#[derive(Debug, Default)]
pub(crate) struct RateLimit {
    /// In nanoseconds since the origin of time.
    used_until: AtomicU64,
}

impl RateLimit {
    /// Takes one request at `rate` requests per second; false if there are none left.
    pub(crate) fn take(&self, rate: u32, now: Time) -> bool {
        let now = now.as_micros().saturating_mul(1_000);
        // A little less than a second where the rate does not divide it.
        let latest = now.saturating_add(part(rate) * u64::from(rate));
        let take = |until: u64| {
            let next = until.max(now).saturating_add(part(rate));
            (next <= latest).then_some(next)
        };
        let taken = self
            .used_until
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, take);
        taken.is_ok()
    }

    /// Gives back what was taken for a request that is not sent.
    pub(crate) fn give_back(&self, rate: u32) {
        let give = |until: u64| Some(until.saturating_sub(part(rate)));
        // It never fails, as a value is always given.
        let _ = self
            .used_until
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, give);
    }
}

/// A request's part of a second: for rates up to a million too short by less than a thousandth.
fn part(rate: u32) -> u64 {
    SECOND / u64::from(rate.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many requests are let through at this time.
    fn through(limit: &RateLimit, rate: u32, micros: u64) -> u32 {
        let mut count = 0;
        while limit.take(rate, Time::from_micros(micros)) {
            count += 1;
        }
        count
    }

    #[test]
    fn a_second_of_requests_at_once_and_then_the_rate() {
        for rate in [1, 3, 7, 1_000, 999_999, 1_000_000] {
            let limit = RateLimit::default();
            assert_eq!(through(&limit, rate, 5_000_000), rate, "{rate}");
            assert_eq!(through(&limit, rate, 5_000_000), 0, "{rate}");
            assert_eq!(through(&limit, rate, 6_000_000), rate, "{rate}");
            assert_eq!(through(&limit, rate, 60_000_000), rate, "{rate}");
        }
        let limit = RateLimit::default();
        assert_eq!(through(&limit, 1_000, 5_000_000), 1_000);
        assert_eq!(through(&limit, 1_000, 5_010_000), 10);
    }

    #[test]
    fn what_is_given_back_can_be_taken_again() {
        let (limit, now) = (RateLimit::default(), Time::from_micros(9_000_000));
        assert!(limit.take(1, now) && !limit.take(1, now));
        limit.give_back(1);
        assert!(limit.take(1, now) && !limit.take(1, now));
    }

    #[test]
    fn another_rate_takes_effect_within_a_second() {
        let limit = RateLimit::default();
        assert_eq!(through(&limit, 1_000, 5_000_000), 1_000);
        assert_eq!(through(&limit, 10, 5_000_000), 0);
        assert_eq!(through(&limit, 10, 6_000_000), 10);
    }

    #[test]
    fn several_threads_together_get_the_rate() {
        let (limit, now) = (RateLimit::default(), Time::from_micros(7_000_000));
        let taken = std::thread::scope(|scope| {
            let take = || (0..10_000).filter(|_| limit.take(5_000, now)).count();
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(take)).collect();
            let counts = threads.into_iter().map(|it| it.join().expect("a count"));
            counts.sum::<usize>()
        });
        assert_eq!(taken, 5_000);
    }
}
