//! The process's clock: the core's times are measured from its origin.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use proxy::Time;

/// A clock whose origin is the start of the process. Copies share the origin, so that all workers give the
/// core comparable times.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    origin: Instant,
    /// The origin in microseconds since the epoch.
    epoch_micros: u64,
}

impl Clock {
    /// A clock that starts now.
    pub(crate) fn start() -> Self {
        let since_epoch = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Self {
            origin: Instant::now(),
            epoch_micros: u64::try_from(since_epoch.as_micros()).unwrap_or(0),
        }
    }

    /// The time now.
    pub(crate) fn now(&self) -> Time {
        self.at(Instant::now())
    }

    /// The time at `instant`.
    pub(crate) fn at(&self, instant: Instant) -> Time {
        let since = instant.saturating_duration_since(self.origin);
        Time::from_micros(u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
    }

    /// `time` in microseconds since the Unix epoch, according to the wall clock when the process started.
    pub(crate) fn to_epoch_micros(self, time: Time) -> u64 {
        self.epoch_micros.saturating_add(time.as_micros())
    }
}
