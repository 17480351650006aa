//! Why a server connection ended, with the texts for error lines.

use std::fmt;
use std::rc::Rc;

/// Why a server connection ended or could not be made. Its `Display` text is what nutcracker 0.5.0
/// puts into `-ERR TEXT` and `SERVER_ERROR TEXT`; clients match on these, so they are fixed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// The server closed its side (FIN).
    Closed,
    /// RST.
    Reset,
    /// A write found the connection closed.
    BrokenPipe,
    /// The connection was refused, or every server of the pool is ejected.
    Refused,
    /// A request waited longer than `timeout`.
    TimedOut,
    /// The server's name could not be resolved.
    HostDown,
    /// The server broke the protocol.
    Protocol,
    /// The server is ejected and its keys stay with it.
    Ejected,
    /// The server's queue is full, or memory is short.
    Overloaded,
    /// The server was removed from the pool, or has another address now, and did not answer what was in flight in
    /// time.
    Left,
    /// The server answered a step of the handshake, or the new connection itself, with an error.
    Refusal {
        /// What it refused: a command, or `the connection`.
        what: &'static str,
        /// Its error line, without the type byte of RESP and the line end.
        line: Rc<str>,
    },
    /// Any other error of the operating system, by its text.
    Other(Rc<str>),
}

impl Cause {
    /// A server has refused `what` with the error line `line`.
    pub(crate) fn refusal(what: &'static str, line: &str) -> Self {
        let line = line.into();
        Cause::Refusal { what, line }
    }

    /// Whether nutcracker 0.5.0 has an errno for it. A plain FIN has none, and its text is `unknown`.
    pub(crate) fn has_errno(&self) -> bool {
        !matches!(self, Cause::Closed)
    }

    /// A description for `error_detail`.
    pub(crate) fn detail(&self) -> &str {
        match self {
            Cause::Closed => "the server closed the connection",
            Cause::Reset => "the server reset the connection",
            Cause::BrokenPipe => "the connection was closed while writing",
            Cause::Ejected => "the server is ejected",
            Cause::Refused => "the server refused the connection",
            Cause::TimedOut => "no reply within the time-out",
            Cause::HostDown => "the server's name could not be resolved",
            Cause::Protocol => "the server broke the protocol",
            Cause::Overloaded => "the server's queue is full",
            Cause::Left => "the server has left the pool or has moved",
            Cause::Refusal { line, .. } => line,
            Cause::Other(text) => text,
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Cause::Refusal { what, line } => return write!(f, "the server refused {what}: {line}"),
            Cause::Closed => "unknown",
            Cause::Reset => "Connection reset by peer",
            Cause::BrokenPipe => "Broken pipe",
            Cause::Refused | Cause::Ejected => "Connection refused",
            Cause::TimedOut => "Connection timed out",
            Cause::HostDown => "Host is down",
            Cause::Protocol => "Invalid argument",
            Cause::Overloaded => "Resource temporarily unavailable",
            Cause::Left => "Software caused connection abort",
            Cause::Other(text) => text,
        })
    }
}
