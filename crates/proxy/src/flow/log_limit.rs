//! What is logged at most now and then, however often it happens.

use crate::limits::LOG_EVERY;
use crate::time::Time;

/// Counts what is logged at most every [`LOG_EVERY`].
#[derive(Debug, Default)]
pub(crate) struct LogLimit {
    since: u64,
    logged: Option<Time>,
}

impl LogLimit {
    /// It has happened; says whether it had not since it was last logged.
    pub(crate) fn note(&mut self) -> bool {
        self.since += 1;
        self.since == 1
    }

    /// Whether it has happened since it was last logged.
    #[inline]
    pub(crate) fn has_noted(&self) -> bool {
        self.since > 0
    }

    /// How often it has happened since it was last logged, if it may be logged again.
    #[inline]
    pub(crate) fn due(&mut self, now: Time) -> Option<u64> {
        if self.since == 0 {
            return None;
        }
        let waits = self
            .logged
            .is_some_and(|logged| now.since(logged) < LOG_EVERY);
        if waits {
            return None;
        }
        self.logged = Some(now);
        Some(std::mem::take(&mut self.since))
    }
}
