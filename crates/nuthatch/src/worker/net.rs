//! The event loop's way to the network, behind a trait so that tests can be the network.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;

use mio::{Registry, Token, Waker};
use proxy::{Cause, ConnectionId};

use super::Message;
use crate::net::{ByteStream, Stream, cause_of};
use crate::resolver::Resolver;

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
    /// What no socket can reach, such as a path that is too long.
    Nowhere,
}

impl Target {
    /// The target for a host, numeric or not, and a port.
    pub(crate) fn tcp(host: &str, port: u16) -> Self {
        match host.parse::<IpAddr>() {
            Ok(address) => Target::Address((address, port).into()),
            Err(_) => Target::Name(host.into(), port),
        }
    }

    /// The target for a unix socket.
    pub(crate) fn unix(path: PathBuf) -> Self {
        if path.as_os_str().len() > MAX_UNIX_PATH {
            return Target::Nowhere;
        }
        Target::Unix(path)
    }
}

/// Which server connection of which pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Caller {
    /// Index of the pool.
    pub(crate) pool: u32,
    /// The connection within it.
    pub(crate) connection: ConnectionId,
}

/// What became of an attempt to connect.
#[derive(Debug)]
pub(super) enum Dialled<S> {
    /// It is under way on this stream.
    Stream(S),
    /// The name is being looked up; the answer will come as a message.
    Resolving,
    /// It failed at once.
    Failed(Cause),
}

/// The network as the event loop sees it.
pub(super) trait Net {
    /// A connection.
    type Stream: ByteStream;

    /// Begins to connect to `target`, with readiness reported under `token`.
    fn dial(
        &mut self,
        caller: Caller,
        target: &Target,
        keepalive: bool,
        token: usize,
    ) -> Dialled<Self::Stream>;

    /// Has readiness of an accepted stream reported under `token`.
    fn register(&mut self, stream: &mut Self::Stream, token: usize) -> io::Result<()>;
}

/// The real network.
#[derive(Debug)]
pub(super) struct Sockets {
    registry: Registry,
    resolver: Resolver,
    /// The worker's own inbox, for the resolver's answers.
    inbox: SyncSender<Message>,
    waker: Arc<Waker>,
}

impl Sockets {
    pub(super) fn new(
        registry: Registry,
        resolver: Resolver,
        inbox: SyncSender<Message>,
        waker: Arc<Waker>,
    ) -> Self {
        Self {
            registry,
            resolver,
            inbox,
            waker,
        }
    }

    fn begin(&mut self, stream: io::Result<Stream>, token: usize) -> Dialled<Stream> {
        let registered = stream.and_then(|mut stream| {
            self.register(&mut stream, token)?;
            Ok(stream)
        });
        match registered {
            Ok(stream) => Dialled::Stream(stream),
            Err(error) => Dialled::Failed(cause_of(&error)),
        }
    }

    fn resolve(&mut self, caller: Caller, host: &Arc<str>, port: u16) -> Dialled<Stream> {
        let (inbox, waker) = (self.inbox.clone(), Arc::clone(&self.waker));
        let reply = Box::new(move |address| {
            // The worker always empties its inbox, so this waits briefly if at all; it may have ended.
            let _ = inbox.send(Message::Resolved { caller, address });
            let _ = waker.wake();
        });
        match self.resolver.ask(Arc::clone(host), port, reply) {
            true => Dialled::Resolving,
            false => Dialled::Failed(Cause::Overloaded),
        }
    }
}

impl Net for Sockets {
    type Stream = Stream;

    fn dial(
        &mut self,
        caller: Caller,
        target: &Target,
        keepalive: bool,
        token: usize,
    ) -> Dialled<Stream> {
        match target {
            Target::Address(address) => self.begin(Stream::connect_tcp(*address, keepalive), token),
            Target::Unix(path) => self.begin(Stream::connect_unix(path), token),
            Target::Name(host, port) => self.resolve(caller, host, *port),
            Target::Nowhere => Dialled::Failed(Cause::HostDown),
        }
    }

    fn register(&mut self, stream: &mut Stream, token: usize) -> io::Result<()> {
        stream.register(&self.registry, Token(token))
    }
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
        assert_eq!(Target::unix("/x".repeat(54).into()), Target::Nowhere);
    }
}
