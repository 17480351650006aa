//! How a client ends.

use super::phase::Phase;
use crate::metrics::PoolMetric;

/// How a client ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Everything it is to get was written.
    Finished { linger: bool },
    /// Its connection is gone.
    Gone,
    /// The proxy closes it for a limit or a time-out.
    Closed,
    /// Another client has asked for that.
    Killed,
    /// It may not be its user any more.
    Barred,
}

impl Ending {
    /// What is logged of it.
    pub(crate) fn describe(self) -> &'static str {
        match self {
            Ending::Finished { .. } => "everything was answered",
            Ending::Gone => "its connection was lost",
            Ending::Closed => "it was closed for a limit or a time-out",
            Ending::Killed => "another client has asked for that",
            Ending::Barred => "its user is gone, or has lost channels",
        }
    }

    /// What it counts as, for a client in this phase.
    pub(crate) fn metric(self, phase: Phase, is_shutdown: bool) -> PoolMetric {
        match (self, phase) {
            (Ending::Gone | Ending::Closed, _) => PoolMetric::ClientErr,
            // It is asked for, and is no error.
            (Ending::Killed | Ending::Barred, _) => PoolMetric::ClientEof,
            (Ending::Finished { .. }, Phase::Broken) => PoolMetric::ClientErr,
            (Ending::Finished { .. }, Phase::Quitting { linger: true }) if !is_shutdown => {
                PoolMetric::ClientErr
            }
            (Ending::Finished { .. }, _) => PoolMetric::ClientEof,
        }
    }
}
