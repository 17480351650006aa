//! A fake network: byte pipes that cut and delay data and have limited capacity, and nothing else.
//!
//! A [`Link`] is one connection with two [`Pipe`]s. What is written to a pipe is *in transit* until a
//! delivery event moves a random part of it to the receiver's *arrived* bytes. The capacity limits both
//! together, as socket buffers do; a writer that finds no room is notified when there is some again.

use proxy::{ConnectionId, SessionId};

use crate::rng::Rng;
use crate::servers::ServerSide;

/// Bytes in order: appended at the end, taken from the front.
#[derive(Debug, Default)]
pub(crate) struct ByteQueue {
    bytes: Vec<u8>,
    start: usize,
}

impl ByteQueue {
    pub(crate) fn len(&self) -> usize {
        self.bytes.len() - self.start
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) {
        if self.start > 0 && self.start >= self.bytes.len() / 2 {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
        self.bytes.extend_from_slice(bytes);
    }

    pub(crate) fn consume(&mut self, count: usize) {
        assert!(
            count <= self.len(),
            "the simulator took more bytes than there are"
        );
        self.start += count;
    }

    pub(crate) fn take(&mut self, count: usize) -> Vec<u8> {
        let taken = self.bytes()[..count].to_vec();
        self.consume(count);
        taken
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }
}

/// The position of the end of a pipe's bytes (a FIN).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fin {
    None,
    Sent,
    Arrived,
}

/// One direction of a connection.
#[derive(Debug)]
pub(crate) struct Pipe {
    transit: ByteQueue,
    pub(crate) arrived: ByteQueue,
    capacity: usize,
    pub(crate) fin: Fin,
    /// A delivery event is planned.
    pub(crate) scheduled: bool,
    /// The writer found no room and wants to be notified.
    pub(crate) starved: bool,
    /// Total bytes that the receiver has read.
    pub(crate) read: u64,
}

impl Pipe {
    fn new(capacity: usize) -> Self {
        Self {
            transit: ByteQueue::default(),
            arrived: ByteQueue::default(),
            capacity,
            fin: Fin::None,
            scheduled: false,
            starved: false,
            read: 0,
        }
    }

    /// Bytes that the writer may write now.
    pub(crate) fn room(&self) -> usize {
        self.capacity
            .saturating_sub(self.transit.len() + self.arrived.len())
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) {
        assert!(
            bytes.len() <= self.room(),
            "the simulator wrote past a pipe's capacity"
        );
        self.transit.push(bytes);
    }

    pub(crate) fn finish(&mut self) {
        if self.fin == Fin::None {
            self.fin = Fin::Sent;
        }
    }

    /// Whether a delivery would change anything.
    pub(crate) fn has_cargo(&self) -> bool {
        !self.transit.is_empty() || self.fin == Fin::Sent
    }

    pub(crate) fn in_transit(&self) -> usize {
        self.transit.len()
    }

    /// Moves one segment to the receiver; a FIN arrives with the last byte or after it.
    fn deliver(&mut self, pace: &Pace, rng: &mut Rng) {
        let most = pace
            .segment
            .max(self.transit.len() / 12)
            .min(self.transit.len());
        if most > 0 {
            let count = rng.between(1, most);
            self.arrived.push(&self.transit.bytes()[..count]);
            self.transit.consume(count);
        }
        if self.transit.is_empty() && self.fin == Fin::Sent && rng.chance(2, 3) {
            self.fin = Fin::Arrived;
        }
    }

    pub(crate) fn read(&mut self, count: usize) -> Vec<u8> {
        self.read += count as u64;
        self.arrived.take(count)
    }

    /// The effect of a reset: everything unread is lost.
    pub(crate) fn destroy(&mut self) {
        self.transit.clear();
        self.arrived.clear();
    }

    /// Drops what has not arrived yet, from a random byte on.
    pub(crate) fn cut(&mut self, rng: &mut Rng) {
        let keep = rng.between(0, self.transit.len());
        let kept = self.transit.take(keep);
        self.transit.clear();
        self.transit.push(&kept);
    }
}

/// The segment sizes and delays of a link.
#[derive(Debug, Clone)]
pub(crate) struct Pace {
    /// Normal maximum of a segment. A twelfth of what is in transit is always allowed, so that a large value
    /// is transferred in a bounded number of events.
    pub(crate) segment: usize,
    /// Minimum and maximum microseconds between two segments.
    pub(crate) delay: (u64, u64),
    /// Capacity of each direction in bytes.
    pub(crate) capacity: usize,
}

/// The direction of bytes, as seen from the proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    In,
    Out,
}

/// The state of a link's end at the proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ProxySide {
    /// A client has connected; the worker has not noticed yet.
    Accepting,
    Session(SessionId),
    Connecting(ConnectionId),
    Connected(ConnectionId),
    /// The proxy's core has forgotten it.
    Gone,
}

/// The peer at the other end.
#[derive(Debug)]
pub(crate) enum Peer {
    Client(usize),
    Server(Box<ServerSide>),
}

/// The position of a peer's reset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reset {
    None,
    Coming,
    Arrived,
}

/// One connection between the proxy and a client or a server.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) worker: usize,
    pub(crate) peer: Peer,
    pub(crate) side: ProxySide,
    pub(crate) inbound: Pipe,
    pub(crate) outbound: Pipe,
    pub(crate) reset: Reset,
    pace: Pace,
    /// It is on the worker's ready list.
    pub(crate) ready: bool,
    /// The shell has output that it could not write yet.
    pub(crate) unwritten: bool,
    /// The core was told about the client's FIN.
    pub(crate) fin_told: bool,
    /// The peer has closed its socket: anything that the proxy sends is answered with a reset.
    pub(crate) peer_gone: bool,
}

impl Link {
    pub(crate) fn new(worker: usize, peer: Peer, side: ProxySide, pace: Pace) -> Self {
        Self {
            worker,
            peer,
            side,
            inbound: Pipe::new(pace.capacity),
            outbound: Pipe::new(pace.capacity),
            reset: Reset::None,
            pace,
            ready: false,
            unwritten: false,
            fin_told: false,
            peer_gone: false,
        }
    }

    pub(crate) fn pipe(&mut self, direction: Direction) -> &mut Pipe {
        match direction {
            Direction::In => &mut self.inbound,
            Direction::Out => &mut self.outbound,
        }
    }

    /// Moves one segment.
    pub(crate) fn deliver(&mut self, direction: Direction, rng: &mut Rng) {
        let pace = self.pace.clone();
        self.pipe(direction).deliver(&pace, rng);
    }

    /// Microseconds until the next segment.
    pub(crate) fn delay(&self, rng: &mut Rng) -> u64 {
        rng.micros(self.pace.delay.0, self.pace.delay.1)
    }

    /// The server at the other end; the caller knows that there is one.
    pub(crate) fn server(&self) -> &ServerSide {
        match &self.peer {
            Peer::Server(server) => server,
            Peer::Client(client) => panic!("link of client {client} taken for a server's"),
        }
    }

    pub(crate) fn server_mut(&mut self) -> &mut ServerSide {
        match &mut self.peer {
            Peer::Server(server) => server,
            Peer::Client(client) => panic!("link of client {client} taken for a server's"),
        }
    }
}
