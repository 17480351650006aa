//! One connection of a worker: its stream, its role and its readiness.

use std::io::{self, ErrorKind, IoSlice};
use std::net::SocketAddr;

use proxy::{ConnectionId, Rope, SessionId, Time};

use super::chunks::Chunks;
use super::path::Opening;
use crate::connections::Counted;
use crate::net::{ByteStream, Readiness, Received};
use crate::pool::PoolId;

/// Reads per tick from a client, so that one that sends without end does not starve others.
const SESSION_READS: u8 = 4;

/// Reads per tick from a server; more, because many clients wait behind one server connection.
const CONNECTION_READS: u8 = 16;

/// Writes per tick to either.
const WRITES: u8 = 16;

/// Maximum slices per write.
const MAX_SLICES: usize = 64;

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// A client whose handshake is not over; it is closed at this time.
    Greeting(Time),
    /// A client.
    Session(SessionId),
    /// A client whose write side is shut: what it still sends is read and discarded, until it closes or the
    /// time is up. In a shutdown one that sends meanwhile gets until the end of the shutdown.
    Lingering(Time),
    /// A server connection whose server's name is being resolved; there is no stream yet.
    Resolving(ConnectionId),
    /// A server connection that is not established yet.
    Connecting(ConnectionId),
    /// A server connection.
    Connection(ConnectionId),
}

/// A connection.
#[derive(Debug)]
pub(super) struct Link<S> {
    pub(super) pool: PoolId,
    pub(super) role: Role,
    /// What it has only until the connection is made.
    pub(super) opening: Option<Box<Opening>>,
    stream: Option<S>,
    /// There may be something to read: the stream has not said since the last edge that it is drained.
    readable: bool,
    /// The peer's end was read.
    ended: bool,
    /// A lingering client has sent something: to close it now would reset the connection, and replies that it has not
    /// read would be lost.
    pub(super) sends_on: bool,
    /// A write may succeed: none has blocked since the last edge.
    writable: bool,
    /// Is on the list of links that continue in the next tick.
    pub(super) queued: bool,
    turn: Turn,
    /// Counts the connection until the link is dropped.
    _counted: Counted,
}

/// What a link has used of its share of the current tick.
#[derive(Debug, Default)]
struct Turn {
    tick: u32,
    reads: u8,
    writes: u8,
}

/// What a read brought.
#[derive(Debug)]
pub(super) enum Read {
    /// This many bytes, at the start of the chunk.
    Data(usize),
    /// The peer will send nothing more.
    End,
    /// Nothing now.
    Nothing,
    /// The connection is broken.
    Failed(io::Error),
}

/// The result of a write.
#[derive(Debug)]
pub(super) enum Written {
    /// This many bytes.
    Bytes(usize),
    /// Nothing now; the next edge tells when.
    Blocked,
    /// The connection is broken.
    Failed(io::Error),
}

impl<S: ByteStream> Link<S> {
    /// A link whose readiness is unknown, except that an accepted client can be written to.
    pub(super) fn new(pool: PoolId, role: Role, stream: Option<S>, counted: Counted) -> Self {
        Self {
            pool,
            role,
            opening: None,
            stream,
            readable: false,
            ended: false,
            sends_on: false,
            writable: matches!(role, Role::Session(_) | Role::Greeting(_)),
            queued: false,
            turn: Turn::default(),
            _counted: counted,
        }
    }

    /// Gives the link its stream, perhaps instead of one that could not be connected.
    pub(super) fn begin_connecting(&mut self, id: ConnectionId, stream: S) {
        self.role = Role::Connecting(id);
        self.stream = Some(stream);
        (self.readable, self.writable, self.ended) = (false, false, false);
    }

    /// Takes note of an edge of the socket; returns what it means for the stream.
    pub(super) fn note(&mut self, socket: Readiness) -> Readiness {
        let ready = match &mut self.stream {
            Some(stream) => stream.handle_edge(socket),
            None => socket,
        };
        self.writable |= ready.writable || ready.error;
        if !self.ended {
            self.readable |= ready.readable || ready.read_closed || ready.error;
        }
        ready
    }

    pub(super) fn is_readable(&self) -> bool {
        self.readable
    }

    pub(super) fn is_writable(&self) -> bool {
        self.writable
    }

    /// Whether the peer's end was read.
    pub(super) fn has_ended(&self) -> bool {
        self.ended
    }

    /// Whether the link may read once more in `tick`; counts it.
    pub(super) fn take_read(&mut self, tick: u32) -> bool {
        let most = match self.role {
            Role::Greeting(_) | Role::Session(_) | Role::Lingering(_) => SESSION_READS,
            Role::Resolving(_) | Role::Connecting(_) | Role::Connection(_) => CONNECTION_READS,
        };
        take(&mut self.turn.of(tick).reads, most)
    }

    /// Whether the link may write once more in `tick`; counts it.
    pub(super) fn take_write(&mut self, tick: u32) -> bool {
        take(&mut self.turn.of(tick).writes, WRITES)
    }

    /// Reads once into a free chunk of `chunks`.
    pub(super) fn read(&mut self, chunks: &mut Chunks) -> Read {
        let Some(stream) = &mut self.stream else {
            return Read::Nothing;
        };
        match retry(|| stream.read(chunks.free())) {
            Ok(Received::Bytes { count, drained }) => {
                self.readable = !drained;
                Read::Data(count)
            }
            Ok(Received::End) => {
                self.readable = false;
                self.ended = true;
                Read::End
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                self.readable = false;
                Read::Nothing
            }
            Err(error) => Read::Failed(error),
        }
    }

    /// Writes the start of `output`, which is not empty.
    pub(super) fn write(&mut self, output: &Rope) -> Written {
        let Some(stream) = &mut self.stream else {
            return Written::Blocked;
        };
        match retry(|| write_rope(stream, output)) {
            Ok(0) => Written::Failed(ErrorKind::WriteZero.into()),
            Ok(count) => Written::Bytes(count),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                self.writable = false;
                Written::Blocked
            }
            Err(error) => Written::Failed(error),
        }
    }

    /// See [`ByteStream::take_client`].
    pub(super) fn take_client(&mut self) -> Option<SocketAddr> {
        self.stream.as_mut()?.take_client()
    }

    /// Whether an attempt to connect, or a handshake, has succeeded.
    pub(super) fn finish_connect(&mut self) -> io::Result<bool> {
        match &mut self.stream {
            Some(stream) => retry(|| stream.finish_connect()),
            None => Ok(false),
        }
    }

    /// See [`ByteStream::watch_host`].
    pub(super) fn watch_host(&self) {
        if let Some(stream) = &self.stream {
            stream.watch_host();
        }
    }

    /// Whether the peer's end was read and nothing is left to be sent.
    pub(super) fn is_over(&self) -> bool {
        self.ended && !self.has_unsent()
    }

    /// Whether the stream still holds bytes that the core counts as written.
    pub(super) fn has_unsent(&self) -> bool {
        self.stream.as_ref().is_some_and(ByteStream::has_unsent)
    }

    /// Ends the write side.
    pub(super) fn shut_write(&mut self) {
        if let Some(stream) = &mut self.stream {
            stream.shut_write();
        }
    }
}

impl Turn {
    fn of(&mut self, tick: u32) -> &mut Self {
        if self.tick != tick {
            *self = Turn {
                tick,
                ..Turn::default()
            };
        }
        self
    }
}

fn take(count: &mut u8, most: u8) -> bool {
    let left = *count < most;
    *count += u8::from(left);
    left
}

/// Repeats the call while a signal interrupts it.
fn retry<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

fn write_rope(stream: &mut impl ByteStream, output: &Rope) -> io::Result<usize> {
    let mut rest = output.slices();
    let first = IoSlice::new(rest.next().unwrap_or_default());
    let Some(second) = rest.next() else {
        // By far the most common case.
        return stream.write_vectored(&[first]);
    };
    let mut slices = [IoSlice::new(&[]); MAX_SLICES];
    slices[..2].copy_from_slice(&[first, IoSlice::new(second)]);
    let mut count = 2;
    for (place, slice) in slices[2..].iter_mut().zip(rest) {
        *place = IoSlice::new(slice);
        count += 1;
    }
    stream.write_vectored(&slices[..count])
}
