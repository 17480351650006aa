//! Byte streams: what the event loop needs of a connection, and the sockets that provide it.

use std::io::{self, ErrorKind, IoSlice};
use std::net::{IpAddr, Shutdown, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::time::Duration;

use mio::event::{Event, Source};
use mio::net::{TcpStream, UnixStream};
use mio::{Interest, Registry, Token};
use rustix::net::{RecvFlags, SendFlags};
use socket2::{SockRef, TcpKeepalive};

use super::preface::{Ahead, Preface};
use crate::tls::{Raw, Session, Step};

/// Idle time after which the kernel probes a peer with `tcpkeepalive: true`, and the time between probes.
///
/// nutcracker 0.5.0 keeps the kernel's default of two hours; shorter times detect a dead peer before a
/// firewall drops the connection.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(300);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(60);

/// The same for a connection on which a client may wait without end: its server's host is given up 30 s after the last
/// word from it.
const WATCH_IDLE: Duration = Duration::from_secs(15);
const WATCH_INTERVAL: Duration = Duration::from_secs(5);
const WATCH_PROBES: u32 = 3;

/// How long what was sent on such a connection may be unacknowledged. Linux ends a connection whose probes are not
/// answered after this time, too.
const WATCH_UNACKNOWLEDGED: Duration = Duration::from_secs(30);

/// What an edge of the poll, or a stream, says of its readiness. These are hints: a read or write finds out.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Readiness {
    pub(crate) readable: bool,
    pub(crate) writable: bool,
    /// The peer has sent its end (FIN), maybe after data.
    pub(crate) read_closed: bool,
    pub(crate) error: bool,
}

impl From<&Event> for Readiness {
    fn from(event: &Event) -> Self {
        Self {
            readable: event.is_readable(),
            writable: event.is_writable(),
            read_closed: event.is_read_closed(),
            error: event.is_error(),
        }
    }
}

/// What a read brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Received {
    /// The first `count` bytes of the buffer, at least one.
    Bytes {
        count: usize,
        /// Whether the event loop need not read again before the next readable edge. `false` is always
        /// safe; it costs one more read. The loop never guesses this from `count`.
        drained: bool,
    },
    /// The peer will send nothing more. It may still read.
    End,
}

/// A non-blocking, ordered stream of bytes: what the event loop needs of a connection.
///
/// [`Stream`] is a socket, plain or with TLS; nothing but the stream itself knows which. The tests' stream cuts reads and writes
/// anywhere, buffers writes and needs a handshake. The contract:
///
/// **Edges.** The poll is edge-triggered and always watches both directions. The loop hands every edge of the
/// socket to [`ByteStream::handle_edge`] first, and acts only on what that returns. It reads until a read says
/// `drained` or `WouldBlock`, and writes until `WouldBlock`; then it waits for the next readable or writable
/// edge. A stream must not stop either side in another way unless the socket still owes it an edge.
///
/// **Handshakes.** A stream may have to write when only a read was asked for, and the reverse. It does so
/// inside whichever call it is in, and keeps what the socket does not take for a later edge. Until the handshake
/// is over, reads and writes are `WouldBlock` (or writes are buffered) and `handle_edge` reports neither
/// direction. Only `handle_edge` may complete it, because only its result tells the loop that a side which has
/// blocked can go on; it then reports each direction that is possible, data that came with the last step of the
/// handshake included. The handshake is part of connecting: [`ByteStream::finish_connect`] is `false` until it is over, and a client
/// that was accepted is one only then ([`ByteStream::is_handshaking`]). The loop hands edges on whether or not it wants to
/// read, so a handshake never waits for that.
///
/// **Buffered writes.** The loop counts bytes that a write took as written and forgets them. Bytes that were
/// taken but not yet handed to the kernel make [`ByteStream::has_unsent`] true; the stream sends them at later
/// writable edges without being asked. It must bound them: past the bound a write is `WouldBlock`. The loop
/// does not drop a client's stream with unsent bytes until they are sent, the stream fails, or the time that
/// a client may linger is over. A server connection is dropped as it is.
///
/// **Half close.** [`Received::End`] ends only the reading side, and [`ByteStream::shut_write`] only the
/// writing side.
///
/// **Errors.** Any error other than `WouldBlock` and `Interrupted` (the loop calls again) means that the
/// connection is broken; the loop drops the stream. A stream that finds an error in `handle_edge` keeps it for
/// the next read, write or `finish_connect` and reports readiness with `error`. Dropping a stream closes it.
pub(crate) trait ByteStream {
    /// The poll has reported `socket` for the socket below. Does what the stream itself has to do, such as a
    /// handshake or sending what it holds, and returns what the loop may try now.
    fn handle_edge(&mut self, socket: Readiness) -> Readiness;

    /// Reads what there is into `buffer`, which is not empty.
    ///
    /// # Errors
    ///
    /// `WouldBlock`: nothing is there before the next readable edge.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<Received>;

    /// Writes as much as fits of `slices`, in order; returns how many bytes it took.
    ///
    /// # Errors
    ///
    /// `WouldBlock`: nothing is taken before the next writable edge.
    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize>;

    /// Has the kernel notice soon when the peer's host is gone, though nothing is sent or received for long. Nothing is
    /// reported: what cannot be noticed then is noticed later.
    fn watch_host(&self);

    /// Whether bytes that a write took are still to be handed to the kernel.
    fn has_unsent(&self) -> bool;

    /// Whether a handshake is still to be made or to be completed, so that it is no connection yet.
    fn is_handshaking(&self) -> bool;

    /// The client that a load balancer connects, once the handshake is over. It is told once.
    fn take_client(&mut self) -> Option<SocketAddr>;

    /// Whether an attempt to connect, with its handshake, has succeeded (`true`) or is not decided yet (`false`).
    ///
    /// # Errors
    ///
    /// Why it failed.
    fn finish_connect(&mut self) -> io::Result<bool>;

    /// Tells the peer that nothing more will be written, after everything that is unsent. The peer may be gone
    /// already, so nothing is reported.
    fn shut_write(&mut self);
}

/// A connected (or connecting) socket.
#[derive(Debug)]
pub(crate) struct Stream {
    socket: Socket,
    /// The poll has reported the peer's end, so a read that is cut short may be followed by it.
    end_reported: bool,
    /// What encrypts, if anything does.
    tls: Option<Box<Session>>,
    /// What stands before everything else, until it was told whom it names.
    preface: Option<Box<Preface>>,
}

#[derive(Debug)]
enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl From<TcpStream> for Stream {
    fn from(socket: TcpStream) -> Self {
        Self {
            socket: Socket::Tcp(socket),
            end_reported: false,
            tls: None,
            preface: None,
        }
    }
}

impl From<UnixStream> for Stream {
    fn from(socket: UnixStream) -> Self {
        Self {
            socket: Socket::Unix(socket),
            end_reported: false,
            tls: None,
            preface: None,
        }
    }
}

impl Stream {
    /// Begins to connect to `address`.
    pub(crate) fn connect_tcp(address: SocketAddr, keepalive: bool) -> io::Result<Self> {
        let stream = Stream::from(TcpStream::connect(address)?);
        stream.tune(keepalive);
        Ok(stream)
    }

    /// Connects to the unix socket at `path`; unlike TCP this succeeds or fails at once.
    pub(crate) fn connect_unix(path: &Path) -> io::Result<Self> {
        UnixStream::connect(path).map(Stream::from)
    }

    /// Turns Nagle's algorithm off and, if asked for, keepalive on. If the peer is gone already these fail,
    /// which the next read reports better.
    pub(crate) fn tune(&self, keepalive: bool) {
        let Socket::Tcp(stream) = &self.socket else {
            return;
        };
        let _ = stream.set_nodelay(true);
        if keepalive {
            let probes = TcpKeepalive::new()
                .with_time(KEEPALIVE_IDLE)
                .with_interval(KEEPALIVE_INTERVAL);
            let _ = SockRef::from(stream).set_tcp_keepalive(&probes);
        }
    }

    /// The same socket, which begins with a header that names the client.
    pub(crate) fn with_header(mut self) -> Self {
        self.preface = Some(Box::new(Preface::Expected));
        self
    }

    /// Where the peer is, unless this is a unix socket or the peer has gone.
    pub(crate) fn peer(&self) -> Option<IpAddr> {
        match &self.socket {
            Socket::Tcp(stream) => stream.peer_addr().ok().map(|address| address.ip()),
            Socket::Unix(_) => None,
        }
    }

    /// Whether nothing has to be read before everything else.
    fn has_passed(&self) -> bool {
        match self.preface.as_deref() {
            None | Some(Preface::Read(_)) => true,
            Some(Preface::Expected | Preface::Wrong(_)) => false,
        }
    }

    /// Reads the header if it has come. Returns whether it is there, or needs not be.
    fn pass_preface(&mut self) -> bool {
        if let Some(preface) = self.preface.as_deref_mut() {
            preface.advance(&self.socket);
        }
        self.has_passed()
    }

    /// The same socket with TLS.
    pub(crate) fn secured(mut self, session: Session) -> Self {
        self.tls = Some(Box::new(session));
        self
    }

    /// Has `registry` report readability and writability under `token`, edge-triggered.
    pub(crate) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        let source: &mut dyn Source = match &mut self.socket {
            Socket::Tcp(stream) => stream,
            Socket::Unix(stream) => stream,
        };
        registry.register(source, token, Interest::READABLE | Interest::WRITABLE)
    }
}

/// Reads and writes use direct system calls: the C library would enable and disable thread cancellation
/// around each. One slice, the common case, is sent with `send`, which avoids the kernel's file layer.
impl ByteStream for Stream {
    fn handle_edge(&mut self, socket: Readiness) -> Readiness {
        let is_end = socket.read_closed || socket.error;
        let had_passed = self.has_passed();
        if !had_passed && !self.pass_preface() {
            return Readiness {
                error: socket.error,
                ..Readiness::default()
            };
        }
        let Some(session) = &mut self.tls else {
            self.end_reported |= is_end;
            return Readiness {
                writable: socket.writable || !had_passed,
                ..socket
            };
        };
        if socket.readable || is_end {
            session.note_readable(is_end);
        }
        // Nothing is sent before the connection is there: that would look like its failure.
        let can_go_on = socket.writable || !session.is_handshaking() || socket.readable;
        let step = match can_go_on {
            true => session.advance(&self.socket),
            false => Step::Unfinished,
        };
        match step {
            Step::Unfinished => Readiness {
                error: socket.error || session.has_failed(),
                ..Readiness::default()
            },
            Step::Completed => Readiness {
                readable: true,
                writable: true,
                ..socket
            },
            Step::Over => Readiness {
                writable: socket.writable && !session.has_unsent(),
                ..socket
            },
        }
    }

    /// A short read has emptied the socket: whatever arrives later brings an edge. Only the peer's end may
    /// have arrived in the same edge as the data; then one more read is needed to find it.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<Received> {
        let (count, drained) = match &mut self.tls {
            None => {
                let count = self.socket.receive(buffer)?;
                (count, count < buffer.len() && !self.end_reported)
            }
            Some(session) => session.read(&self.socket, buffer)?,
        };
        match count {
            0 => Ok(Received::End),
            count => Ok(Received::Bytes { count, drained }),
        }
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match &mut self.tls {
            None => self.socket.send(slices),
            Some(session) => session.write(&self.socket, slices),
        }
    }

    fn watch_host(&self) {
        let Socket::Tcp(stream) = &self.socket else {
            return;
        };
        let probes = TcpKeepalive::new()
            .with_time(WATCH_IDLE)
            .with_interval(WATCH_INTERVAL)
            .with_retries(WATCH_PROBES);
        let socket = SockRef::from(stream);
        let _ = socket.set_tcp_keepalive(&probes);
        let _ = socket.set_tcp_user_timeout(Some(WATCH_UNACKNOWLEDGED));
    }

    fn has_unsent(&self) -> bool {
        self.tls
            .as_ref()
            .is_some_and(|session| session.has_unsent())
    }

    fn is_handshaking(&self) -> bool {
        let is_handshaking = |session: &Session| session.is_handshaking();
        !self.has_passed() || self.tls.as_deref().is_some_and(is_handshaking)
    }

    fn take_client(&mut self) -> Option<SocketAddr> {
        match *self.preface.take()? {
            Preface::Read(client) => client,
            Preface::Expected | Preface::Wrong(_) => None,
        }
    }

    fn finish_connect(&mut self) -> io::Result<bool> {
        if let Some(Preface::Wrong(error)) = self.preface.as_deref_mut() {
            return Err(std::mem::replace(error, ErrorKind::InvalidData.into()));
        }
        if !self.has_passed() {
            return Ok(false);
        }
        if let Some(session) = &mut self.tls {
            if let Some(failure) = session.take_failure() {
                return Err(failure);
            }
            if session.is_handshaking() {
                // A socket that could not be connected has no handshake to wait for.
                let connected = self.socket.is_connected().map(|_| false);
                return connected.map_err(|error| match session.is_untouched() {
                    // Somebody has seen that the port is open.
                    true => ErrorKind::UnexpectedEof.into(),
                    false => error,
                });
            }
        }
        if self.preface.is_some() {
            // It was accepted, and what became of it since is found by reading.
            return Ok(true);
        }
        self.socket.is_connected()
    }

    fn shut_write(&mut self) {
        match &mut self.tls {
            None => self.socket.shut(),
            Some(session) => session.shut_write(&self.socket),
        }
    }
}

impl Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Socket::Tcp(stream) => stream.as_fd(),
            Socket::Unix(stream) => stream.as_fd(),
        }
    }

    /// Whether an attempt to connect has succeeded, or is not decided yet.
    fn is_connected(&self) -> io::Result<bool> {
        let (error, peer) = match self {
            Socket::Tcp(stream) => (stream.take_error()?, stream.peer_addr().map(drop)),
            Socket::Unix(stream) => (stream.take_error()?, stream.peer_addr().map(drop)),
        };
        match (error, peer) {
            (Some(error), _) => Err(error),
            (None, Ok(())) => Ok(true),
            (None, Err(error)) if error.kind() == ErrorKind::NotConnected => Ok(false),
            (None, Err(error)) => Err(error),
        }
    }
}

impl Ahead for Socket {
    fn peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let (count, _) = rustix::net::recv(self.as_fd(), buffer, RecvFlags::PEEK)?;
        Ok(count)
    }

    fn take(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.receive(buffer)
    }
}

impl Raw for Socket {
    fn receive(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let (count, _) = rustix::net::recv(self.as_fd(), buffer, RecvFlags::empty())?;
        Ok(count)
    }

    fn send(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let sent = match slices {
            [only] => rustix::net::send(self.as_fd(), only, SendFlags::NOSIGNAL),
            _ => rustix::io::writev(self.as_fd(), slices),
        };
        Ok(sent?)
    }

    fn shut(&self) {
        let _ = match self {
            Socket::Tcp(stream) => stream.shutdown(Shutdown::Write),
            Socket::Unix(stream) => stream.shutdown(Shutdown::Write),
        };
    }
}
