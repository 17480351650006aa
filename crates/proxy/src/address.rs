//! Where a server is.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// Where a server is. The core only compares it; the shell connects to it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Address {
    /// A name or a numeric address, and a port.
    Tcp {
        /// The host, as written.
        host: Arc<str>,
        /// The port.
        port: u16,
    },
    /// A unix socket.
    Unix(Arc<Path>),
    /// It is not known yet: a connection to it fails at once.
    Unknown,
}

impl Address {
    /// A host, by name or numeric, and a port.
    pub fn tcp(host: &str, port: u16) -> Self {
        let host = host.into();
        Address::Tcp { host, port }
    }

    /// A unix socket.
    pub fn unix(path: &Path) -> Self {
        Address::Unix(path.into())
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Address::Tcp { host, port } => write!(f, "{host}:{port}"),
            Address::Unix(path) => write!(f, "{}", path.display()),
            Address::Unknown => f.write_str("unknown"),
        }
    }
}
