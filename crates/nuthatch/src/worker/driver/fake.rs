//! A network for tests. Its streams cut reads and writes anywhere, return `WouldBlock` and `Interrupted` at
//! random, and owe an edge exactly when a kernel would. Like TLS, some need a handshake of several edges before
//! they carry data, and some buffer what is written and send it at a later edge.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice};
use std::net::SocketAddr;
use std::rc::Rc;

use super::*;
use crate::net::{ByteStream, Received, cause_of};
use crate::worker::net::{Dialled, Target, Wanted, Word};

/// A small random generator (splitmix64): a seed always yields the same numbers.
#[derive(Debug, Clone)]
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % sides as u64) as usize
    }
}

/// Maximum bytes that a buffering stream holds unsent.
const MAX_UNSENT: usize = 3_000;

/// Both ends of one connection, seen from the driver.
#[derive(Debug)]
pub(super) struct Pipe {
    pub(super) key: usize,
    /// Bytes that the driver can read.
    pub(super) inbound: VecDeque<u8>,
    /// The peer's end follows `inbound`.
    pub(super) fin: bool,
    pub(super) reset: bool,
    /// Bytes that the driver has written.
    pub(super) outbound: Vec<u8>,
    /// How many more bytes the peer accepts before writes block.
    pub(super) window: usize,
    /// The driver sent its end.
    pub(super) shut: bool,
    /// The driver dropped the stream.
    pub(super) closed: bool,
    /// Connecting has finished.
    pub(super) connected: bool,
    pub(super) refused: bool,
    /// An edge is due.
    pub(super) edge: bool,
    /// A write was cut short or blocked, so an edge is due as soon as there is room.
    starved: bool,
    /// Edges until the handshake is over. Until then the stream carries no data.
    handshake: usize,
    /// Some writes are buffered.
    buffers: bool,
    /// Bytes that the driver has written and the stream has not sent yet.
    unsent: VecDeque<u8>,
    /// The driver's end follows `unsent`.
    shut_follows: bool,
    /// What reads have reported so far, indexed by "the buffer was full", then by "drained".
    pub(super) said: [[bool; 2]; 2],
    /// Nothing is cut, delayed or interrupted, and there are no extra edges.
    pub(super) calm: bool,
    dice: Dice,
}

pub(super) type Shared = Rc<RefCell<Pipe>>;

impl Pipe {
    pub(super) fn new(key: usize, seed: u64) -> Shared {
        let mut dice = Dice(seed);
        let (handshake, buffers) = (dice.roll(4), dice.roll(2) == 0);
        Rc::new(RefCell::new(Pipe {
            key,
            inbound: VecDeque::new(),
            fin: false,
            reset: false,
            outbound: Vec::new(),
            window: usize::MAX,
            shut: false,
            closed: false,
            connected: true,
            refused: false,
            edge: true,
            starved: false,
            handshake,
            buffers,
            unsent: VecDeque::new(),
            shut_follows: false,
            said: Default::default(),
            calm: false,
            dice,
        }))
    }

    /// From now on nothing is cut, delayed, buffered or interrupted, and there is no handshake.
    pub(super) fn calm_down(&mut self) {
        (self.calm, self.buffers, self.handshake) = (true, false, 0);
    }

    /// The peer sends.
    pub(super) fn send(&mut self, bytes: &[u8]) {
        self.inbound.extend(bytes);
        self.edge = true;
    }

    /// The peer ends the connection.
    pub(super) fn end(&mut self, reset: bool) {
        match reset {
            true => self.reset = true,
            false => self.fin = true,
        }
        self.edge = true;
    }

    /// The peer accepts more.
    pub(super) fn open_window(&mut self) {
        self.window = usize::MAX;
        self.edge |= std::mem::take(&mut self.starved);
    }

    /// The due edge, as the poll would report it.
    pub(super) fn take_edge(&mut self) -> Option<Readiness> {
        if self.closed || !std::mem::take(&mut self.edge) {
            return None;
        }
        Some(Readiness {
            readable: !self.inbound.is_empty() || self.fin,
            writable: self.connected && self.window > 0,
            read_closed: self.fin,
            error: self.reset || self.refused,
        })
    }

    fn interrupted(&mut self) -> io::Result<()> {
        match self.one_in(8) {
            true => Err(ErrorKind::Interrupted.into()),
            false => Ok(()),
        }
    }

    fn one_in(&mut self, sides: usize) -> bool {
        !self.calm && self.dice.roll(sides) == 0
    }

    /// From 1 to `most`, often very few and sometimes all.
    fn cut(&mut self, most: usize) -> usize {
        if self.calm {
            return most;
        }
        match [2, 20, 300, 100_000, usize::MAX][self.dice.roll(5)] {
            usize::MAX => most,
            scale => 1 + self.dice.roll(most.min(scale)),
        }
    }

    /// Whether a read that leaves `left` behind says that the stream is drained: at random, whether or not the
    /// read filled its buffer. If it says so too early, it is as if the rest came later, with an edge. The end
    /// does not come later: it was part of the edge that brought the data.
    fn is_drained(&mut self, left: usize) -> bool {
        match left {
            0 => !self.fin && (self.calm || self.dice.roll(2) == 0),
            _ => {
                let delayed = self.one_in(2);
                self.edge |= delayed;
                delayed
            }
        }
    }

    /// Does one step of the handshake; returns whether it is over.
    fn shake_hands(&mut self) -> bool {
        self.handshake = self.handshake.saturating_sub(1);
        // The peer answers.
        self.edge |= self.handshake > 0;
        self.handshake == 0
    }

    /// Sends the buffered bytes, as many as the peer accepts.
    fn send_unsent(&mut self) {
        if self.reset {
            return;
        }
        let count = self.unsent.len().min(self.window);
        let sent = self.unsent.drain(..count);
        self.outbound.extend(sent);
        self.window = self.window.saturating_sub(count);
        self.starved |= !self.unsent.is_empty();
        self.shut |= self.shut_follows && self.unsent.is_empty();
    }
}

#[derive(Debug)]
pub(super) struct FakeStream(pub(super) Shared);

impl ByteStream for FakeStream {
    fn handle_edge(&mut self, socket: Readiness) -> Readiness {
        let mut pipe = self.0.borrow_mut();
        let was_over = pipe.handshake == 0;
        if !pipe.shake_hands() {
            return Readiness {
                error: socket.error,
                ..Readiness::default()
            };
        }
        pipe.send_unsent();
        Readiness {
            // Edges that came during the handshake were not passed on.
            readable: socket.readable || (!was_over && !pipe.inbound.is_empty()),
            writable: pipe.connected && pipe.window > 0,
            ..socket
        }
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<Received> {
        let mut pipe = self.0.borrow_mut();
        pipe.interrupted()?;
        if pipe.reset {
            return Err(ErrorKind::ConnectionReset.into());
        }
        if pipe.handshake > 0 {
            return Err(ErrorKind::WouldBlock.into());
        }
        if pipe.inbound.is_empty() {
            return match pipe.fin {
                true => Ok(Received::End),
                false => Err(ErrorKind::WouldBlock.into()),
            };
        }
        if pipe.one_in(6) {
            // As if the bytes came a moment later.
            pipe.edge = true;
            return Err(ErrorKind::WouldBlock.into());
        }
        let most = buffer.len().min(pipe.inbound.len());
        let count = pipe.cut(most);
        for (place, byte) in buffer.iter_mut().zip(pipe.inbound.drain(..count)) {
            *place = byte;
        }
        let left = pipe.inbound.len();
        let drained = pipe.is_drained(left);
        let full = count == buffer.len();
        pipe.said[usize::from(full)][usize::from(drained)] = true;
        Ok(Received::Bytes { count, drained })
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut pipe = self.0.borrow_mut();
        pipe.interrupted()?;
        if pipe.reset {
            return Err(ErrorKind::BrokenPipe.into());
        }
        let all: usize = slices.iter().map(|slice| slice.len()).sum();
        assert!(all > 0 && slices.len() <= 64, "an empty or oversized write");
        let buffered = pipe.buffers && (!pipe.unsent.is_empty() || pipe.one_in(2));
        let room = match buffered {
            true => MAX_UNSENT - pipe.unsent.len(),
            false => pipe.window,
        };
        if room == 0 || pipe.handshake > 0 || pipe.one_in(6) {
            // Room comes a moment later, if the peer reads.
            pipe.edge |= pipe.window > 0;
            pipe.starved = true;
            return Err(ErrorKind::WouldBlock.into());
        }
        let count = pipe.cut(all.min(room));
        let bytes = slices.iter().flat_map(|slice| slice.iter());
        let bytes = bytes.take(count).copied();
        if buffered {
            pipe.unsent.extend(bytes);
            pipe.edge |= pipe.window > 0;
            pipe.starved |= pipe.window == 0;
        } else {
            pipe.outbound.extend(bytes);
            pipe.window = pipe.window.saturating_sub(count);
        }
        Ok(count)
    }

    fn watch_host(&self) {}

    fn has_unsent(&self) -> bool {
        !self.0.borrow().unsent.is_empty()
    }

    fn is_handshaking(&self) -> bool {
        self.0.borrow().handshake > 0
    }

    fn take_client(&mut self) -> Option<SocketAddr> {
        None
    }

    fn finish_connect(&mut self) -> io::Result<bool> {
        let pipe = self.0.borrow();
        match pipe.refused {
            true => Err(ErrorKind::ConnectionRefused.into()),
            false => Ok(pipe.connected && pipe.handshake == 0),
        }
    }

    fn shut_write(&mut self) {
        let mut pipe = self.0.borrow_mut();
        pipe.shut_follows = true;
        pipe.shut = pipe.unsent.is_empty();
    }
}

impl Drop for FakeStream {
    fn drop(&mut self) {
        self.0.borrow_mut().closed = true;
    }
}

/// What a server does with connection attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    Accept,
    Refuse,
    /// There is no descriptor left for the socket.
    NoDescriptor,
    /// Servers have names, and all of their addresses but this one refuse.
    Only(SocketAddr),
}

/// The network: keeps the dialled connections for the test to find.
#[derive(Debug)]
pub(super) struct FakeNet {
    pub(super) dialled: Rc<RefCell<Vec<Shared>>>,
    pub(super) answer: Answer,
    pub(super) seed: u64,
    /// Who waits for a name to be resolved.
    pub(super) asking: Rc<RefCell<Vec<Caller>>>,
    /// What the resolver was told: the address, and whether it was reached.
    pub(super) attempts: Rc<RefCell<Vec<(SocketAddr, bool)>>>,
}

impl Net for FakeNet {
    type Stream = FakeStream;

    fn dial(&mut self, wanted: Wanted<'_>) -> Dialled<FakeStream> {
        let refused = match (self.answer, wanted.target) {
            (Answer::Only(_), Target::Name(..)) => {
                self.asking.borrow_mut().push(wanted.caller);
                return Dialled::Resolving;
            }
            (Answer::Only(open), Target::Address(address)) => open != *address,
            (answer, _) => answer == Answer::Refuse,
        };
        if self.answer == Answer::NoDescriptor {
            let error = io::Error::from(rustix::io::Errno::MFILE);
            return Dialled::Failed(cause_of(&error));
        }
        self.seed += 1;
        let pipe = Pipe::new(wanted.token, self.seed);
        pipe.borrow_mut().refused = refused;
        self.dialled.borrow_mut().push(Rc::clone(&pipe));
        Dialled::Stream(FakeStream(pipe))
    }

    fn note_attempt(&mut self, _: &Arc<str>, address: SocketAddr, reached: bool) {
        self.attempts.borrow_mut().push((address, reached));
    }

    /// There is one worker.
    fn tell(&mut self, _: usize, _: Word) -> bool {
        false
    }

    fn register(&mut self, stream: &mut FakeStream, token: usize) -> io::Result<()> {
        stream.0.borrow_mut().key = token;
        Ok(())
    }
}
