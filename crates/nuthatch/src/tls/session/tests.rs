//! Both sides of a connection over sockets that take and give what they like, when they like.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use testkit::Authority;

use super::*;
use crate::tls::{
    Acceptance, AcceptanceSource, MinVersion, Protection, ProtectionSource, Verify, read_file,
};

/// A small random generator (splitmix64): a seed always yields the same numbers.
#[derive(Debug)]
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % sides as u64) as usize
    }
}

/// One direction.
#[derive(Debug, Default)]
struct Pipe {
    bytes: VecDeque<u8>,
    is_ended: bool,
}

/// One end: reads from a pipe and writes to another one, in pieces of any size, and often not at all.
#[derive(Debug)]
struct End {
    incoming: Rc<RefCell<Pipe>>,
    outgoing: Rc<RefCell<Pipe>>,
    dice: RefCell<Dice>,
}

/// Bytes that a pipe holds.
const ROOM: usize = 40_000;

impl End {
    fn pair(seed: u64) -> (End, End) {
        let (one, other) = (Rc::<RefCell<Pipe>>::default(), Rc::default());
        let end = |incoming: &Rc<_>, outgoing: &Rc<_>, seed| End {
            incoming: Rc::clone(incoming),
            outgoing: Rc::clone(outgoing),
            dice: RefCell::new(Dice(seed)),
        };
        (end(&one, &other, seed), end(&other, &one, seed ^ 0xffff))
    }

    /// How many of `most` bytes go through now.
    fn cut(&self, most: usize) -> io::Result<usize> {
        let mut dice = self.dice.borrow_mut();
        match dice.roll(8) {
            0 => Err(ErrorKind::WouldBlock.into()),
            1 => Err(ErrorKind::Interrupted.into()),
            2 | 3 => Ok(1 + dice.roll(most.min(7))),
            4 | 5 => Ok(1 + dice.roll(most)),
            _ => Ok(most),
        }
    }
}

impl Raw for End {
    fn receive(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut pipe = self.incoming.borrow_mut();
        if pipe.bytes.is_empty() {
            return match pipe.is_ended {
                true => Ok(0),
                false => Err(ErrorKind::WouldBlock.into()),
            };
        }
        let count = self.cut(buffer.len().min(pipe.bytes.len()))?;
        for (place, byte) in buffer.iter_mut().zip(pipe.bytes.drain(..count)) {
            *place = byte;
        }
        Ok(count)
    }

    fn send(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut pipe = self.outgoing.borrow_mut();
        let all: usize = slices.iter().map(|slice| slice.len()).sum();
        let most = all.min(ROOM - pipe.bytes.len());
        if most == 0 {
            return Err(ErrorKind::WouldBlock.into());
        }
        let count = self.cut(most)?;
        let bytes = slices.iter().flat_map(|slice| slice.iter()).copied();
        pipe.bytes.extend(bytes.take(count));
        Ok(count)
    }

    fn shut(&self) {
        self.outgoing.borrow_mut().is_ended = true;
    }
}

/// One side: what it has to send, and what it has received.
struct Side {
    session: Session,
    raw: End,
    sending: Vec<u8>,
    sent: usize,
    received: Vec<u8>,
    has_ended: bool,
    is_shut: bool,
}

impl Side {
    fn new(session: Session, raw: End, sending: Vec<u8>) -> Self {
        Self {
            session,
            raw,
            sending,
            sent: 0,
            received: Vec::new(),
            has_ended: false,
            is_shut: false,
        }
    }

    /// Does what an event loop does after an edge.
    fn turn(&mut self) {
        let is_end = self.raw.incoming.borrow().is_ended;
        self.session.note_readable(is_end);
        self.session.advance(&self.raw);
        if let Some(failure) = self.session.take_failure() {
            panic!("{failure}");
        }
        self.read();
        self.write();
        if self.sent == self.sending.len() && !std::mem::replace(&mut self.is_shut, true) {
            self.session.shut_write(&self.raw);
        }
    }

    fn read(&mut self) {
        let most = [1, 100, 5_000, 70_000][self.raw.dice.borrow_mut().roll(4)];
        let mut buffer = vec![0; most];
        while !self.has_ended {
            match self.session.read(&self.raw, &mut buffer) {
                Ok((0, _)) => self.has_ended = true,
                Ok((count, is_drained)) => {
                    self.received.extend(&buffer[..count]);
                    if is_drained {
                        let again = self.session.read(&self.raw, &mut buffer);
                        assert!(
                            again.is_err() || matches!(again, Ok((0, _))),
                            "it was drained"
                        );
                        self.has_ended |= again.is_ok();
                        return;
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) => panic!("{error}"),
            }
        }
    }

    fn write(&mut self) {
        while self.sent < self.sending.len() {
            let rest = &self.sending[self.sent..];
            let (one, other) = rest.split_at(rest.len() / 3);
            match self
                .session
                .write(&self.raw, &[IoSlice::new(one), IoSlice::new(other)])
            {
                Ok(count) => self.sent += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) => panic!("{error}"),
            }
        }
    }
}

/// How both sides are secured.
struct Both(Acceptance, Protection);

impl Both {
    fn new(min_version: MinVersion) -> Self {
        let authority = Authority::new();
        let own = authority.sign("own", &["localhost"]);
        let source = AcceptanceSource {
            cert: own.cert,
            key: own.key,
            client_ca: None,
            min_version,
        };
        let acceptance = Acceptance::new(source, &read_file).expect("its files");
        let source = ProtectionSource {
            ca: Some(authority.file()),
            own: None,
            server_name: None,
            min_version,
            verify: Verify::Full,
        };
        let protection = Protection::new(source, &read_file).expect("its files");
        Self(acceptance, protection)
    }

    fn accepted(&self) -> Session {
        self.0.accept(b"no TLS\r\n").expect("a session")
    }

    fn begun(&self) -> Session {
        let secured = self.1.to(Some("localhost")).expect("a name");
        secured.begin().expect("a session")
    }
}

fn some_bytes(dice: &mut Dice) -> Vec<u8> {
    let count = [3, 1_000, 20_000, 400_000][dice.roll(4)];
    (0..count).map(|at| (at % 251) as u8).collect()
}

#[test]
fn bytes_arrive_as_they_were_sent_however_the_sockets_behave() {
    let both = Both::new(MinVersion::default());
    for seed in 0..60 {
        let mut dice = Dice(seed);
        let (one, other) = End::pair(seed);
        let mut client = Side::new(both.begun(), one, some_bytes(&mut dice));
        let mut server = Side::new(both.accepted(), other, some_bytes(&mut dice));
        let mut turns = 0;
        while !(client.has_ended && server.has_ended) {
            client.turn();
            server.turn();
            turns += 1;
            assert!(turns < 2_000_000, "seed {seed}: no end in sight");
        }
        assert!(client.received == server.sending, "seed {seed}: client");
        assert!(server.received == client.sending, "seed {seed}: server");
    }
}

#[test]
fn what_is_no_tls_is_an_error_whatever_it_is() {
    let both = Both::new(MinVersion::Tls13);
    let mut dice = Dice(7);
    for _ in 0..2_000 {
        let (peer, raw) = End::pair(dice.roll(usize::MAX) as u64);
        let mut session = both.accepted();
        let mut bytes: Vec<u8> = (0..1 + dice.roll(300))
            .map(|_| dice.roll(256) as u8)
            .collect();
        // Half of them begin like a handshake.
        if dice.roll(2) == 0 {
            bytes[0] = HANDSHAKE_RECORD;
        }
        peer.outgoing.borrow_mut().bytes.extend(bytes);
        peer.shut();
        let mut steps = 0;
        while !session.has_failed() {
            session.note_readable(true);
            assert_eq!(session.advance(&raw), Step::Unfinished);
            steps += 1;
            assert!(steps < 10_000, "it never fails");
        }
        assert!(session.held.len() <= READ_SIZE);
    }
}
