//! Time as an argument: the core reads no clock.

use std::ops::Add;
use std::time::Duration;

/// A point in time, in microseconds since an origin that the caller chose (the same for all workers).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Hash)]
pub struct Time(u64);

impl Time {
    /// The origin itself.
    pub const ZERO: Time = Time(0);

    /// The point `micros` microseconds after the origin.
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// Microseconds since the origin.
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// How long ago `earlier` was; zero when it lies in the future.
    pub fn since(self, earlier: Time) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Time {
    type Output = Time;

    /// Saturates: a deadline beyond the end of time is never reached.
    fn add(self, by: Duration) -> Time {
        let micros = u64::try_from(by.as_micros()).unwrap_or(u64::MAX);
        Time(self.0.saturating_add(micros))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adding_saturates_and_since_never_underflows() {
        let early = Time::from_micros(5);
        assert_eq!((early + Duration::from_millis(2)).as_micros(), 2_005);
        assert_eq!((early + Duration::MAX).as_micros(), u64::MAX);
        assert_eq!(early.since(early + Duration::from_secs(1)), Duration::ZERO);
    }
}
