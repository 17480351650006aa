//! What is only logged at the levels above the default.

use std::fmt;

use super::level::Level;

/// Something that happens all the time, for those who look for a reason. Each time is logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trace {
    /// A client has connected.
    ClientOpened,
    /// A client's connection is closed.
    ClientClosed {
        /// Why.
        why: &'static str,
    },
    /// A server connection was made.
    ServerConnected {
        /// The server's name.
        server: String,
        /// What the server's name was found to mean, where it has one.
        peer: Option<Box<str>>,
    },
    /// A server connection has passed its handshake and takes requests.
    ServerReady {
        /// The server's name.
        server: String,
    },
    /// A server connection that is not needed any more was closed.
    ServerReleased {
        /// The server's name.
        server: String,
        /// Why.
        why: &'static str,
    },
    /// An ejected server is asked whether it works again.
    Probing {
        /// The server's name.
        server: String,
    },
    /// Another plan is followed.
    PlanFollowed {
        /// Its number.
        number: u64,
    },
    /// A request was received.
    Requested {
        /// The command, escaped and shortened.
        command: String,
        /// Bytes of the request that were not collected elsewhere.
        len: usize,
        /// The length of its first key, if it has one, and the key itself, escaped and shortened, if that is to be
        /// logged.
        key: Option<(usize, Option<String>)>,
        /// The server of that key.
        server: Option<String>,
    },
    /// Bytes were read or written.
    Moved {
        /// Which way.
        what: &'static str,
        /// How many.
        bytes: usize,
        /// The name of the server, if it was a server's connection.
        server: Option<String>,
    },
}

impl Trace {
    /// From which level on it is logged.
    pub(super) fn level(&self) -> Level {
        match self {
            Trace::ClientOpened | Trace::ClientClosed { .. } => Level::Info,
            Trace::ServerConnected { .. } | Trace::ServerReleased { .. } => Level::Info,
            Trace::ServerReady { .. } | Trace::Probing { .. } => Level::Debug,
            Trace::PlanFollowed { .. } => Level::Debug,
            Trace::Requested { .. } => Level::Requests,
            Trace::Moved { .. } => Level::Traffic,
        }
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Trace::ClientOpened => f.write_str("client connected"),
            Trace::ClientClosed { why } => write!(f, "client closed: {why}"),
            Trace::ServerConnected { server, peer } => {
                write_connection(f, server, peer.as_deref())?;
                f.write_str("made")
            }
            Trace::ServerReady { server } => {
                write!(f, "connection to server '{server}' takes requests")
            }
            Trace::ServerReleased { server, why } => {
                write!(f, "connection to server '{server}' closed: {why}")
            }
            Trace::Moved {
                what,
                bytes,
                server,
            } => match server {
                Some(server) => write!(f, "{what} {bytes} bytes, server '{server}'"),
                None => write!(f, "{what} {bytes} bytes"),
            },
            Trace::Probing { server } => write!(f, "probing ejected server '{server}'"),
            Trace::PlanFollowed { number } => write!(f, "following plan {number}"),
            Trace::Requested {
                command,
                len,
                key,
                server,
            } => {
                write!(f, "request '{command}' of {len} bytes")?;
                match key {
                    Some((len, Some(key))) => write!(f, ", key '{key}' of {len} bytes")?,
                    Some((len, None)) => write!(f, ", key of {len} bytes")?,
                    None => {}
                }
                match server {
                    Some(server) => write!(f, ", server '{server}'"),
                    None => Ok(()),
                }
            }
        }
    }
}

/// The start of a line about a connection.
pub(super) fn write_connection(
    f: &mut fmt::Formatter<'_>,
    server: &str,
    peer: Option<&str>,
) -> fmt::Result {
    write!(f, "connection to server '{server}' ")?;
    match peer {
        Some(peer) => write!(f, "at {peer} "),
        None => Ok(()),
    }
}
