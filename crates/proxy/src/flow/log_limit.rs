//! Rate limiting of log lines.

use crate::limits::LOG_EVERY;
use crate::time::Time;

/// Counts occurrences of something that is logged at most once per [`LOG_EVERY`], with their number.
#[derive(Debug, Default)]
pub(crate) struct LogLimit {
    /// Occurrences since the last log line.
    since: u64,
    /// When it was last logged.
    logged: Option<Time>,
}

impl LogLimit {
    /// Counts an occurrence; returns whether it is the first since the last log line.
    pub(crate) fn note(&mut self) -> bool {
        self.since += 1;
        self.since == 1
    }

    /// Whether there were occurrences since the last log line.
    #[inline]
    pub(crate) fn has_noted(&self) -> bool {
        self.since > 0
    }

    /// The number of occurrences since the last log line, if there are any and it may be logged again. Counts as
    /// logged.
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
