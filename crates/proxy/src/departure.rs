//! The end of the process, as clients are told of it.

/// What clients that want to know are told when the proxy is about to leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Departure {
    /// No two departures that a client hears of have the same number, whichever process announces them.
    pub number: i64,
    /// Within how many seconds a client should be elsewhere.
    pub seconds: u64,
    /// Whether the address stays: clients are to connect to it again, and nowhere else.
    pub stays: bool,
}
