//! `client_idle_timeout` and `client_request_timeout`: which clients may be closed for sending nothing, and
//! which must be.

use proxy::limits::AUTHENTICATE_WITHIN;

use crate::clients::{Client, Phase};
use crate::network::{Peer, ProxySide};
use crate::scenario::Ending;
use crate::stalls::Moves;
use crate::world::World;

/// Maximum interval at which the core checks clients, and maximum delay of its shell, in microseconds.
const LOOKS_EVERY: u64 = 100_000;
const LATE: u64 = 10_000;

/// The progress of a client's input, as far as the proxy has read it.
#[derive(Debug, Default)]
pub(crate) struct Clock {
    /// Where each request ends in the client's input.
    ends: Vec<u64>,
    /// How much of it the proxy has read.
    read: u64,
    /// When the proxy's timer for it last restarted: the client connected, began or ended a request, or took
    /// replies between requests.
    since: u64,
    connected: u64,
    /// It was closed by a timeout.
    pub(crate) is_over: bool,
    /// What was on its way to it then may have been lost.
    pub(crate) is_cut: bool,
}

impl Clock {
    /// Another request has this length, or has this length and never ends.
    pub(crate) fn sends(&mut self, bytes: usize, is_part: bool) {
        let start = self.ends.last().copied().unwrap_or(0);
        let missing = u64::from(is_part);
        self.ends.push(start + bytes as u64 + missing);
    }

    pub(crate) fn starts(&mut self, now: u64) {
        self.since = now;
        self.connected = now;
    }

    /// The proxy has read this many more bytes.
    pub(crate) fn reads(&mut self, bytes: usize, now: u64) {
        let before = self.read;
        let was_within = self.is_within();
        self.read += bytes as u64;
        let ended = self
            .ends
            .iter()
            .any(|end| (before + 1..=self.read).contains(end));
        if !was_within || ended {
            self.since = now;
        }
    }

    /// The client's replies were written.
    pub(crate) fn writes(&mut self, now: u64) {
        if !self.is_within() {
            self.since = now;
        }
    }

    /// Whether the proxy has read the beginning of an incomplete request.
    fn is_within(&self) -> bool {
        self.read > 0 && !self.ends.contains(&self.read)
    }

    /// Whether the proxy has read a whole request.
    pub(crate) fn has_read(&self, seq: usize) -> bool {
        self.ends[seq] <= self.read
    }
}

impl Client {
    /// The oldest expected reply whose request the proxy has read.
    pub(crate) fn waits_for(&self) -> Option<usize> {
        let oldest = self.owed.front()?.seq;
        self.clock.has_read(oldest).then_some(oldest)
    }
}

impl World {
    /// Whether clients are closed for sending nothing.
    pub(crate) fn has_client_timeouts(&self) -> bool {
        self.scenario.client_idle.is_some() || self.scenario.client_request.is_some()
    }

    /// The clock of a client's link.
    pub(crate) fn clock_of(&mut self, link: usize) -> &mut Clock {
        match self.links[link].peer {
            Peer::Client(id) => &mut self.clients[id].clock,
            Peer::Server(_) => panic!("link {link} is a server's"),
        }
    }

    /// The record of bytes moved on a client's link.
    pub(crate) fn moves_of(&mut self, link: usize) -> &mut Moves {
        match self.links[link].peer {
            Peer::Client(id) => &mut self.clients[id].moves,
            Peer::Server(_) => panic!("link {link} is a server's"),
        }
    }

    /// The core closes a client. If that was for a timeout is determined from what it has read and written, and
    /// when. Such a client gets no final reply, so it needs no time to read one.
    pub(crate) fn note_client_closed(&mut self, link: usize, linger: bool) {
        let Peer::Client(id) = self.links[link].peer else {
            return;
        };
        if !linger && (self.is_overdue(id, self.now) || self.is_stranger_for_long(id)) {
            self.clients[id].clock.is_over = true;
            self.counts.dawdlers += 1;
        } else if !linger {
            self.note_stalled(id);
        }
    }

    /// Whether the client has not given the password for as long as it may take.
    fn is_stranger_for_long(&self, id: usize) -> bool {
        let client = &self.clients[id];
        let until = client.clock.connected + AUTHENTICATE_WITHIN.as_micros() as u64;
        self.scenario.password.is_some() && !client.redis.has_authenticated && until <= self.now
    }

    fn is_overdue(&self, id: usize, now: u64) -> bool {
        let clock = &self.clients[id].clock;
        let limit = match clock.is_within() {
            true => self.scenario.client_request,
            false => self.scenario.client_idle,
        };
        limit.is_some_and(|limit| clock.since + limit <= now)
    }

    /// Nothing has happened for long: every client that exceeded a timeout must be closed.
    pub(crate) fn check_nobody_exceeds_timeouts(&self, until: u64) {
        let limits = [self.scenario.client_idle, self.scenario.client_request];
        let shortest = limits.into_iter().flatten().min().unwrap_or(0);
        let since = until - (shortest / 4).max(LOOKS_EVERY) - LATE;
        for (number, link) in self.links.iter().enumerate() {
            let (Peer::Client(id), ProxySide::Session(session)) = (&link.peer, link.side) else {
                continue;
            };
            let client = &self.clients[*id];
            let speaks = client.phase == Phase::Talking
                && !matches!(client.plan.ending, Ending::Quit | Ending::Garbage);
            let pool = &self.workers[link.worker].pool;
            let is_waited_for = client.owed.is_empty()
                && client.has_nothing_at_servers()
                && !self.may_wait_for_ever(link.worker)
                && pool.session_output(session).is_empty()
                && pool.session_wants_read(session)
                && link.inbound.arrived.is_empty();
            assert!(
                !(speaks && is_waited_for && self.is_overdue(*id, since)),
                "link {number}: client {id} says nothing and was not closed"
            );
        }
    }
}
