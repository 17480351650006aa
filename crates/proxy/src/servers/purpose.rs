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
    /// Belongs to one session at a time, which holds the lease of it (see [`super::leases`]). Its handshake sets the
    /// same as that of a shared one, and asks the server for the connection's number.
    Leased { version: Version, database: u32 },
    /// Belongs to one session, for one request that ends what keeps its server from hearing anything else. Such a server
    /// answers hardly anything, so that its handshake gives the password and no more.
    Interrupt,
    /// Tests an ejected server. It carries no client's request. Of the counters only the gauge of open connections
    /// includes it.
    Probe,
    /// Receives the messages of channels, for all clients of the worker. It carries no client's request, and counts like
    /// one that does.
    Subscriber,
    /// Asks a server for its release. It carries no client's request, its end means nothing for the server's health,
    /// and no counter includes it.
    Question,
}

impl Purpose {
    /// Whether it carries requests of many sessions.
    pub(crate) fn is_shared(self) -> bool {
        match self {
            Purpose::Shared { .. } => true,
            Purpose::Leased { .. }
            | Purpose::Interrupt
            | Purpose::Subscriber
            | Purpose::Probe
            | Purpose::Question => false,
        }
    }

    /// Whether its server may be silent on it without end, while requests wait there.
    pub(crate) fn may_be_silent(self) -> bool {
        match self {
            // What is sent on it has a limit of its own.
            Purpose::Leased { .. } | Purpose::Interrupt => true,
            Purpose::Shared { .. } | Purpose::Subscriber | Purpose::Probe | Purpose::Question => {
                false
            }
        }
    }

    /// Whether it counts as a connection that was opened.
    pub(super) fn is_counted(self) -> bool {
        match self {
            Purpose::Shared { .. }
            | Purpose::Leased { .. }
            | Purpose::Interrupt
            | Purpose::Subscriber => true,
            Purpose::Probe | Purpose::Question => false,
        }
    }

    /// Whether the gauge of open connections includes it.
    pub(super) fn is_gauged(self) -> bool {
        match self {
            Purpose::Shared { .. }
            | Purpose::Leased { .. }
            | Purpose::Interrupt
            | Purpose::Subscriber
            | Purpose::Probe => true,
            Purpose::Question => false,
        }
    }

    /// How long the server may take to answer what the proxy asks for itself.
    pub(crate) fn answer_within(settings: &PoolSettings) -> Duration {
        let timeout = settings.timeout.unwrap_or(PROBE_PATIENCE);
        timeout.min(PROBE_PATIENCE)
    }

    /// How long it may take until it is ready.
    pub(super) fn patience(self, settings: &PoolSettings) -> Option<Duration> {
        match self {
            Purpose::Shared { .. } => settings.failure.connect_timeout,
            // What waits on it has no time-out of its own that would end this.
            Purpose::Leased { .. } => settings.failure.connect_timeout.or(settings.timeout),
            Purpose::Interrupt | Purpose::Subscriber | Purpose::Probe | Purpose::Question => {
                Some(Self::answer_within(settings))
            }
        }
    }
}
