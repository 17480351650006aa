//! What a server connection is for.

use std::time::Duration;

use crate::limits::PROBE_PATIENCE;
use crate::protocol::decision::Version;
use crate::settings::PoolSettings;

/// What a server connection is for. What follows from this alone is told here. Its handshake, what its end means,
/// and which lists of its server it is on follow where those are. All of it is told by `match`, so that another
/// purpose does not compile until each of them has been decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Carries the requests of many sessions. All of them use the version and the database that its handshake has
    /// set.
    Shared { version: Version, database: u32 },
    /// Tests an ejected server. It carries no client's request. Of the counters only the gauge of open connections
    /// includes it.
    Probe,
    /// Asks a server for its release. It carries no client's request, its end means nothing for the server's health,
    /// and no counter includes it.
    Question,
}

impl Purpose {
    /// Whether it carries requests of sessions.
    pub(crate) fn carries_requests(self) -> bool {
        match self {
            Purpose::Shared { .. } => true,
            Purpose::Probe | Purpose::Question => false,
        }
    }

    /// Whether it counts as a connection that was opened.
    pub(super) fn is_counted(self) -> bool {
        match self {
            Purpose::Shared { .. } => true,
            Purpose::Probe | Purpose::Question => false,
        }
    }

    /// Whether the gauge of open connections includes it.
    pub(super) fn is_gauged(self) -> bool {
        match self {
            Purpose::Shared { .. } | Purpose::Probe => true,
            Purpose::Question => false,
        }
    }

    /// How long it may take until it is ready.
    pub(super) fn patience(self, settings: &PoolSettings) -> Option<Duration> {
        match self {
            Purpose::Shared { .. } => settings.failure.connect_timeout,
            Purpose::Probe | Purpose::Question => {
                let timeout = settings.timeout.unwrap_or(PROBE_PATIENCE);
                Some(timeout.min(PROBE_PATIENCE))
            }
        }
    }
}
