//! Byte streams: what the event loop asks of a socket, and the sockets that answer.

use std::io::{self, ErrorKind, IoSlice};
use std::net::{Shutdown, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::time::Duration;

use mio::event::Source;
use mio::net::{TcpStream, UnixStream};
use mio::{Interest, Registry, Token};
use rustix::net::{RecvFlags, SendFlags};
use socket2::{SockRef, TcpKeepalive};

/// Silence after which the kernel probes a peer with `tcpkeepalive: true`, and the time between probes.
///
/// nutcracker 0.5.0 leaves the kernel's two hours; shorter, a dead peer is noticed before a firewall forgets it.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(300);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(60);

/// What the event loop needs of a non-blocking stream. Tests drive the loop over a stream that cuts
/// reads and writes anywhere; TLS would be another one.
pub(crate) trait ByteStream {
    /// Reads what there is; 0 is the peer's end, `WouldBlock` that nothing is there now.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize>;

    /// Writes as much as fits of `slices`, in order.
    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize>;

    /// Whether a connect that was under way has succeeded (`true`) or is not decided yet (`false`).
    ///
    /// # Errors
    ///
    /// Why it failed.
    fn finish_connect(&mut self) -> io::Result<bool>;

    /// Tells the peer that nothing more will be written. It may be gone already, so nothing is reported.
    fn shut_write(&mut self);
}

/// A connected (or connecting) socket.
#[derive(Debug)]
pub(crate) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Stream {
    /// Begins to connect to `address`.
    pub(crate) fn connect_tcp(address: SocketAddr, keepalive: bool) -> io::Result<Self> {
        let stream = Stream::Tcp(TcpStream::connect(address)?);
        stream.tune(keepalive);
        Ok(stream)
    }

    /// Connects to the unix socket at `path`; unlike TCP this succeeds or fails at once.
    pub(crate) fn connect_unix(path: &Path) -> io::Result<Self> {
        UnixStream::connect(path).map(Stream::Unix)
    }

    /// Turns Nagle's delay off and, if asked for, keepalive on. A peer that is gone already makes
    /// these fail, which the next read reports better.
    pub(crate) fn tune(&self, keepalive: bool) {
        let Stream::Tcp(stream) = self else { return };
        let _ = stream.set_nodelay(true);
        if keepalive {
            let probes = TcpKeepalive::new()
                .with_time(KEEPALIVE_IDLE)
                .with_interval(KEEPALIVE_INTERVAL);
            let _ = SockRef::from(stream).set_tcp_keepalive(&probes);
        }
    }

    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Stream::Tcp(stream) => stream.as_fd(),
            Stream::Unix(stream) => stream.as_fd(),
        }
    }

    /// Has `registry` report readiness of both kinds under `token`, at every change.
    pub(crate) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        let source: &mut dyn Source = match self {
            Stream::Tcp(stream) => stream,
            Stream::Unix(stream) => stream,
        };
        registry.register(source, token, Interest::READABLE | Interest::WRITABLE)
    }
}

/// Reads and writes go straight to the kernel: the C library would turn cancellation on and off around
/// each, for there are other threads. One slice, the common case, is sent without a detour through the
/// kernel's file layer.
impl ByteStream for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let (count, _) = rustix::net::recv(self.as_fd(), buffer, RecvFlags::empty())?;
        Ok(count)
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let written = match slices {
            [only] => rustix::net::send(self.as_fd(), only, SendFlags::NOSIGNAL),
            _ => rustix::io::writev(self.as_fd(), slices),
        };
        Ok(written?)
    }

    fn finish_connect(&mut self) -> io::Result<bool> {
        let (error, peer) = match self {
            Stream::Tcp(stream) => (stream.take_error()?, stream.peer_addr().map(drop)),
            Stream::Unix(stream) => (stream.take_error()?, stream.peer_addr().map(drop)),
        };
        match (error, peer) {
            (Some(error), _) => Err(error),
            (None, Ok(())) => Ok(true),
            (None, Err(error)) if error.kind() == ErrorKind::NotConnected => Ok(false),
            (None, Err(error)) => Err(error),
        }
    }

    fn shut_write(&mut self) {
        let _ = match self {
            Stream::Tcp(stream) => stream.shutdown(Shutdown::Write),
            Stream::Unix(stream) => stream.shutdown(Shutdown::Write),
        };
    }
}
