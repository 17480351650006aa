//! Fake servers: connections that read, think, answer, and sometimes do not.

use std::collections::{HashMap, VecDeque};

use crate::agenda::Event;
use crate::faults::Blow;
use crate::keys::{self, Tag};
use crate::memcached_server;
use crate::network::{ByteQueue, Direction, Fin, ProxySide, Reset};
use crate::redis_server::{Incoming, RedisTalk};
use crate::scenario::Weather;
use crate::world::World;

/// The server's end of a connection.
#[derive(Debug)]
pub(crate) struct ServerSide {
    pub(crate) index: usize,
    talk: RedisTalk,
    /// Replies being thought about, oldest first, with the time at which they are ready.
    thinking: VecDeque<(u64, Incoming)>,
    /// Reply bytes that the network had no room for.
    unsent: ByteQueue,
    /// Reply bytes produced since the beginning.
    produced: u64,
    /// Replies not wholly read by the proxy yet, with the position at which each ends.
    unread: VecDeque<Reply>,
    /// Reads and answers nothing any more.
    pub(crate) hung: bool,
    /// Has sent something that is not the protocol, up to this position: the proxy must close.
    pub(crate) garbled: Option<u64>,
    /// How the connect ended, until the proxy is told.
    pub(crate) outcome: Option<Result<(), Blow>>,
    pub(crate) opened: u64,
    /// Last time at which the proxy waited for nothing here.
    pub(crate) idle_at: u64,
    /// The last request of each client that was executed here.
    executed: HashMap<usize, usize>,
}

#[derive(Debug)]
struct Reply {
    end: u64,
    tag: Option<Tag>,
    handshake: bool,
    transient: bool,
}

impl ServerSide {
    pub(crate) fn new(index: usize, now: u64) -> Self {
        Self {
            index,
            talk: RedisTalk::default(),
            thinking: VecDeque::new(),
            unsent: ByteQueue::default(),
            produced: 0,
            unread: VecDeque::new(),
            hung: false,
            garbled: None,
            outcome: None,
            opened: now,
            idle_at: now,
            executed: HashMap::new(),
        }
    }

    /// Whether every request read was answered and every answer read.
    pub(crate) fn owes_nothing(&self) -> bool {
        self.thinking.is_empty() && self.unread.is_empty()
    }

    pub(crate) fn refused_hello(&self) -> bool {
        self.talk.refused_hello
    }

    /// Requests whose replies the proxy has not wholly read, and the one whose reply it has in part.
    pub(crate) fn open_tags(&self, read: u64) -> (Vec<Tag>, Vec<Tag>) {
        let thinking = self.thinking.iter().filter_map(|(_, incoming)| tag_of(incoming));
        let tags = self.unread.iter().filter_map(|reply| reply.tag).chain(thinking).collect();
        let begun = self.unread.front().filter(|reply| read < reply.end && self.start_of_front < read);
        (tags, begun.and_then(|reply| reply.tag).into_iter().collect())
    }
}

fn tag_of(incoming: &Incoming) -> Option<Tag> {
    incoming.keys.first().and_then(|key| keys::read(key)).map(|key| key.tag())
}
