//! A network for tests: streams that cut reads and writes anywhere, say "not now" and "interrupted"
//! whenever they like, and owe an edge exactly when a kernel would.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice};
use std::rc::Rc;

use super::*;
use crate::net::{ByteStream, cause_of};

/// A tiny generator (splitmix64): a seed means the same for ever.
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

/// Both ends of one connection, seen from the driver.
#[derive(Debug)]
pub(super) struct Pipe {
    pub(super) key: usize,
    /// What the driver can read.
    pub(super) inbound: VecDeque<u8>,
    /// The peer's end follows `inbound`.
    pub(super) fin: bool,
    pub(super) reset: bool,
    /// What the driver has written.
    pub(super) outbound: Vec<u8>,
    /// How much more the peer takes before writes block.
    pub(super) window: usize,
    /// The driver sent its end.
    pub(super) shut: bool,
    /// The driver dropped the stream.
    pub(super) closed: bool,
    /// The connect is over.
    pub(super) connected: bool,
    pub(super) refused: bool,
    /// The poll has something to report.
    pub(super) edge: bool,
    /// A write was cut short or blocked, so an edge follows as soon as there is room.
    starved: bool,
    /// Nothing is cut, delayed or interrupted, so that no edge comes that is not owed.
    pub(super) calm: bool,
    dice: Dice,
}

pub(super) type Shared = Rc<RefCell<Pipe>>;

impl Pipe {
    pub(super) fn new(key: usize, seed: u64) -> Shared {
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
            calm: false,
            dice: Dice(seed),
        }))
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

    /// The peer makes room.
    pub(super) fn open_window(&mut self) {
        self.window = usize::MAX;
        self.edge |= std::mem::take(&mut self.starved);
    }

    /// The edge that is owed, as the poll would report it.
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

    /// From 1 to `most`, often very few.
    fn cut(&mut self, most: usize) -> usize {
        if self.calm {
            return most;
        }
        let scale = [2, 20, 300, 100_000][self.dice.roll(4)];
        1 + self.dice.roll(most.min(scale))
    }
}

#[derive(Debug)]
pub(super) struct FakeStream(pub(super) Shared);

impl ByteStream for FakeStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut pipe = self.0.borrow_mut();
        pipe.interrupted()?;
        if pipe.reset {
            return Err(ErrorKind::ConnectionReset.into());
        }
        if pipe.inbound.is_empty() {
            return if pipe.fin {
                Ok(0)
            } else {
                Err(ErrorKind::WouldBlock.into())
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
        // A read that is cut short for no reason is as if the rest came later. The end does not come
        // later: it was part of the edge.
        pipe.edge |= count < buffer.len() && !pipe.inbound.is_empty();
        Ok(count)
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut pipe = self.0.borrow_mut();
        pipe.interrupted()?;
        if pipe.reset {
            return Err(ErrorKind::BrokenPipe.into());
        }
        let all: usize = slices.iter().map(|slice| slice.len()).sum();
        assert!(all > 0 && slices.len() <= 64, "an empty or oversized write");
        if pipe.window == 0 || pipe.one_in(6) {
            // Room comes a moment later, if the peer reads.
            pipe.edge |= pipe.window > 0;
            pipe.starved = true;
            return Err(ErrorKind::WouldBlock.into());
        }
        let most = all.min(pipe.window);
        let count = pipe.cut(most);
        let bytes = slices.iter().flat_map(|slice| slice.iter());
        let bytes: Vec<u8> = bytes.take(count).copied().collect();
        pipe.outbound.extend(bytes);
        pipe.window = pipe.window.saturating_sub(count);
        Ok(count)
    }

    fn finish_connect(&mut self) -> io::Result<bool> {
        let pipe = self.0.borrow();
        match pipe.refused {
            true => Err(ErrorKind::ConnectionRefused.into()),
            false => Ok(pipe.connected),
        }
    }

    fn shut_write(&mut self) {
        self.0.borrow_mut().shut = true;
    }
}

impl Drop for FakeStream {
    fn drop(&mut self) {
        self.0.borrow_mut().closed = true;
    }
}

/// What a server does with those who connect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    Accept,
    Refuse,
    /// There is no descriptor left for the socket.
    NoDescriptor,
}

/// The network: keeps the connections that were dialled for the test to find.
#[derive(Debug)]
pub(super) struct FakeNet {
    pub(super) dialled: Rc<RefCell<Vec<Shared>>>,
    pub(super) answer: Answer,
    pub(super) seed: u64,
}

impl Net for FakeNet {
    type Stream = FakeStream;

    fn dial(&mut self, _: Caller, _: &Target, _: bool, token: usize) -> Dialled<FakeStream> {
        if self.answer == Answer::NoDescriptor {
            let error = io::Error::from(rustix::io::Errno::MFILE);
            return Dialled::Failed(cause_of(&error));
        }
        self.seed += 1;
        let pipe = Pipe::new(token, self.seed);
        pipe.borrow_mut().refused = self.answer == Answer::Refuse;
        self.dialled.borrow_mut().push(Rc::clone(&pipe));
        Dialled::Stream(FakeStream(pipe))
    }

    fn register(&mut self, stream: &mut FakeStream, token: usize) -> io::Result<()> {
        stream.0.borrow_mut().key = token;
        Ok(())
    }
}
