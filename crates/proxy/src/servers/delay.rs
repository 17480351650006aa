//! How long requests may wait at a server before those who have several there are held back.
//!
//! That is a part of `timeout`, behind which they would fail. The way to the server and back does not count, as fewer
//! requests would not shorten it.

use std::time::Duration;

use crate::limits::{DELAY_AT_LEAST, DELAY_CHECKS, DELAY_PART};
use crate::time::Time;

/// The bound for one connection. There is none without `timeout`: nobody fails then.
#[derive(Debug)]
pub(crate) struct DelayBound {
    timeout: Option<Duration>,
    /// The shortest time in which the server has accepted the connection or answered first: about what the way takes.
    way: Option<Duration>,
    /// The bound in microseconds, as it is compared often.
    bound: Option<u64>,
}

impl DelayBound {
    pub(super) fn new(timeout: Option<Duration>) -> Self {
        let mut new = Self {
            timeout,
            way: None,
            bound: None,
        };
        new.compute();
        new
    }

    /// Another `timeout` applies.
    pub(super) fn follow(&mut self, timeout: Option<Duration>) {
        self.timeout = timeout;
        self.compute();
    }

    /// It took so long there and back, or less.
    pub(super) fn note_way(&mut self, way: Duration) {
        self.way = Some(self.way.map_or(way, |known| known.min(way)));
        self.compute();
    }

    /// When a request that is queued at `queued` has waited for too long. Always before it is late.
    #[inline]
    pub(crate) fn after(&self, queued: Time) -> Option<Time> {
        let bound = self.bound?;
        let due = queued.as_micros().saturating_add(bound);
        Some(Time::from_micros(due))
    }

    /// Whether a request that was queued at `queued` has.
    pub(crate) fn is_over(&self, queued: Time, now: Time) -> bool {
        self.after(queued).is_some_and(|due| due <= now)
    }

    /// How long it is until waiting requests are looked at again.
    pub(crate) fn pause(&self) -> Duration {
        self.part() / DELAY_CHECKS
    }

    /// Half of a session's window that is answered within this time was quick.
    pub(crate) fn quick(&self) -> Duration {
        self.counted_way() + self.part() / DELAY_CHECKS
    }

    /// `timeout`, if there is one.
    pub(crate) fn timeout(&self) -> Option<Duration> {
        self.timeout
    }

    fn part(&self) -> Duration {
        (self.timeout.unwrap_or_default() / DELAY_PART).max(DELAY_AT_LEAST)
    }

    /// The way, of which no more counts than half of `timeout`: connecting may have taken long for another reason.
    fn counted_way(&self) -> Duration {
        let most = self.timeout.unwrap_or_default() / 2;
        self.way.unwrap_or_default().min(most)
    }

    fn compute(&mut self) {
        let bound = self.counted_way() + self.part();
        let bound = self.timeout.map(|timeout| bound.min(timeout));
        self.bound = bound.map(|bound| u64::try_from(bound.as_micros()).unwrap_or(u64::MAX));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    fn bound(delay: &DelayBound) -> Option<u64> {
        delay.after(Time::ZERO).map(Time::as_micros)
    }

    #[test]
    fn the_way_to_a_server_does_not_count_unless_it_is_half_of_the_timeout() {
        let mut delay = DelayBound::new(Some(MS(400)));
        assert_eq!(bound(&delay), Some(50_000));
        delay.note_way(MS(300));
        assert_eq!(bound(&delay), Some(250_000));
        delay.note_way(MS(30));
        delay.note_way(MS(90));
        assert_eq!(bound(&delay), Some(80_000));
        assert_eq!(delay.quick(), Duration::from_micros(42_500));
        delay.follow(Some(MS(800)));
        assert_eq!(bound(&delay), Some(130_000));
        assert_eq!(delay.pause(), MS(25));
    }

    #[test]
    fn nothing_waits_for_too_long_without_a_timeout_and_not_longer_than_the_shortest() {
        assert_eq!(bound(&DelayBound::new(None)), None);
        let delay = DelayBound::new(Some(MS(2)));
        assert_eq!(bound(&delay), Some(1_000));
        let delay = DelayBound::new(Some(Duration::from_micros(500)));
        assert_eq!(bound(&delay), Some(500));
    }
}
