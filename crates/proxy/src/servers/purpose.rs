//! What a server connection is for.

use crate::protocol::decision::Version;

/// What a server connection is for. Its handshake, its time-outs, and what its end means follow from this by
/// `match`, so that another purpose does not compile until each of them has been decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Carries the requests of many sessions, which all speak one version and use one database.
    Shared { version: Version, database: u32 },
    /// Asks whether an ejected server is well. It carries no request, and is no connection in the counters but
    /// for the gauge of open ones.
    Probe,
}
