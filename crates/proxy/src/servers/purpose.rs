//! What a server connection is for.

use crate::protocol::decision::Version;

/// What a server connection is for. Its handshake, its time-outs, and what its end means follow from this by
/// `match`, so that another purpose does not compile until each of them has been decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Carries the requests of many sessions. All of them use the version and the database that its handshake has
    /// set.
    Shared { version: Version, database: u32 },
    /// Tests an ejected server. It carries no client's request. Of the counters only the gauge of open connections
    /// includes it.
    Probe,
}
