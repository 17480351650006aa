//! The levels of the log.

/// How important an event is, with nutcracker's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Level {
    /// Something failed that an operator must see.
    Alert = 1,
    /// Something is wrong, but was handled.
    Warn = 4,
    /// Normal but significant.
    Notice = 5,
    /// Connections that are opened and closed.
    Info = 6,
    /// Handshakes, probes and plans.
    Debug = 7,
    /// Each request, without its keys.
    Requests = 8,
    /// The same with its first key.
    Keys = 9,
    /// How much is read from and written to each client and server.
    Traffic = 10,
}
