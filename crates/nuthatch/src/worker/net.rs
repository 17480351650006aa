//! The event loop's access to the network, behind a trait so that tests can replace it.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use proxy::settings::Address;
use proxy::{Cause, ConnectionId, Question};

use crate::net::ByteStream;
use crate::pool::PoolId;
use crate::tls::Secured;

/// A socket address of the unix family holds a path of at most this many bytes (and a NUL).
const MAX_UNIX_PATH: usize = 107;

/// Where a server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    /// A numeric address: no name to look up.
    Address(SocketAddr),
    /// A name and a port.
    Name(Arc<str>, u16),
    /// A unix socket.
    Unix(PathBuf),
    /// Unreachable, such as a path that is too long, or what is not known yet.
    Nowhere,
}

impl Target {
    /// The target for an address as configured.
    pub(crate) fn of(address: &Address) -> Self {
        match address {
            Address::Tcp { host, port } => Self::tcp(host, *port),
            Address::Unix(path) => Self::unix(path),
            Address::Unknown => Target::Nowhere,
        }
    }

    /// The target for a host, numeric or not, and a port.
    fn tcp(host: &str, port: u16) -> Self {
        match host.parse::<IpAddr>() {
            Ok(address) => Target::Address((address, port).into()),
            Err(_) => Target::Name(host.into(), port),
        }
    }

    /// The target for a unix socket.
    fn unix(path: &Path) -> Self {
        if path.as_os_str().len() > MAX_UNIX_PATH {
            return Target::Nowhere;
        }
        Target::Unix(path.to_owned())
    }
}

/// A server connection of a pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Caller {
    /// The pool.
    pub(crate) pool: PoolId,
    /// The connection within it.
    pub(crate) connection: ConnectionId,
}

/// What a worker tells another one about a pool.
#[derive(Debug)]
pub(crate) enum Word {
    /// It asks for what that one's clients contribute to an answer.
    Ask(PoolId, Arc<Question>),
    /// That is its answer to the question of that one with this number.
    Answer(PoolId, u64, Vec<u8>),
}

/// A connection to a server that is to be made.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted<'w> {
    /// Who wants it.
    pub(super) caller: Caller,
    /// Where to.
    pub(super) target: &'w Target,
    /// How it is secured, if it is.
    pub(super) secured: Option<&'w Secured>,
    /// Whether it sends keepalive probes.
    pub(super) keepalive: bool,
    /// Its readiness is reported under this.
    pub(super) token: usize,
}

/// The result of starting to connect.
#[derive(Debug)]
pub(super) enum Dialled<S> {
    /// Connecting has begun on this stream.
    Stream(S),
    /// The name is being resolved; the answer comes as a message.
    Resolving,
    /// It failed at once.
    Failed(Cause),
}

/// The network as the event loop sees it.
pub(super) trait Net {
    /// A connection.
    type Stream: ByteStream;

    /// Begins to make a connection.
    fn dial(&mut self, wanted: Wanted<'_>) -> Dialled<Self::Stream>;

    /// A connection to one of several `host` addresses was made, or could not be made in time.
    fn note_attempt(&mut self, host: &Arc<str>, address: SocketAddr, reached: bool);

    /// Tells another worker something; returns whether that can be.
    fn tell(&mut self, worker: usize, word: Word) -> bool;

    /// Has readiness of an accepted stream reported under `token`.
    fn register(&mut self, stream: &mut Self::Stream, token: usize) -> io::Result<()>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_are_looked_up() {
        assert_eq!(
            Target::tcp("::1", 1),
            Target::Address("[::1]:1".parse().unwrap())
        );
        assert_eq!(Target::tcp("[::1]", 1), Target::Name("[::1]".into(), 1));
        assert_eq!(Target::tcp("cache", 1), Target::Name("cache".into(), 1));
        assert_eq!(Target::unix("/x".repeat(54).as_ref()), Target::Nowhere);
    }
}
