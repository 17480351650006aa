//! What becomes of each request.

use std::ops::Range;

use super::grammar::{Grammar, Reply};
use crate::event::Event;

/// Decides what becomes of requests.
pub(crate) trait Decider: Grammar {
    /// What a session remembers between requests.
    type Client;
    /// Which command a request is.
    type Command: Copy;

    /// A client that has said nothing yet; `id` is unlike any other client's of the pool.
    fn client(&self, id: u64) -> Self::Client;

    /// The version of the protocol that the client speaks.
    fn version(client: &Self::Client) -> Version;

    /// Decides what becomes of the request. What it answers itself, and the keys of a request with several,
    /// are in `out`, which is empty before.
    fn decide(
        &self,
        request: Request<'_, Self>,
        client: &mut Self::Client,
        out: &mut DecisionOutput,
    ) -> Decision<Self::Command>;

    /// Passes over bytes of the client that are not planned: blank ones, and those that are no request.
    /// Says whether a reply to them is wanted.
    fn pass_over(client: &mut Self::Client) -> Reply;

    /// Writes what the request would be answered if its keys did not exist; false when it is not a pure
    /// read or that is not known.
    fn miss(
        &self,
        command: Self::Command,
        request: Request<'_, Self>,
        client: &Self::Client,
        out: &mut Vec<u8>,
    ) -> bool;

    /// Appends the error for a request whose keys belong to several servers.
    fn cross_shard_error(out: &mut Vec<u8>);
}

/// Which version of the protocol somebody speaks. Connections to servers are kept apart by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Version {
    /// RESP2, and the text protocol of memcached: what needs no agreement.
    Base,
    /// RESP3, which HELLO agrees on.
    Resp3,
}

/// One whole request.
pub(crate) struct Request<'a, P: Grammar> {
    /// Its bytes, without those of large arguments that were gathered elsewhere.
    pub(crate) text: &'a [u8],
    /// What the parser found in them.
    pub(crate) parser: &'a P::Parser,
    /// Whether nothing of the client is outstanding.
    pub(crate) is_idle: bool,
}

impl<P: Grammar> Clone for Request<'_, P> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<P: Grammar> Copy for Request<'_, P> {}

/// What becomes of a request.
#[derive(Debug)]
pub(crate) struct Decision<C> {
    /// Where it goes.
    pub(crate) route: Route,
    /// What is to be known of it on the way.
    pub(crate) facts: Facts<C>,
}

/// What is to be known of a request wherever it goes.
#[derive(Debug)]
pub(crate) struct Facts<C> {
    /// What becomes of its reply.
    pub(crate) reply: Reply,
    /// Asking twice does no harm, and the reply is one frame.
    pub(crate) is_pure_read: bool,
    /// The reply is small whatever the keys hold.
    pub(crate) is_small: bool,
    /// A range of its text that servers do not get.
    pub(crate) left_out: Option<Range<usize>>,
    /// The command, for whatever else is asked of the protocol.
    pub(crate) command: C,
}

/// Where a request goes.
#[derive(Debug)]
pub(crate) enum Route {
    /// Answered here, by [`DecisionOutput::reply`] (possibly nothing).
    Local,
    /// To the server of the key at this place in the text.
    Key(Range<usize>),
    /// To the first key's server if all of [`DecisionOutput::keys`] belong there. If not, it goes there all the same
    /// where `else_first_key`, and is refused otherwise. `command` is its name.
    SameServer {
        command: &'static str,
        else_first_key: bool,
    },
    /// To the server that owns the placeholder key.
    Placeholder,
    /// Split by server over [`DecisionOutput::keys`].
    Split { join: JoinKind },
    /// To every server.
    Broadcast { join: JoinKind },
    /// To be planned again when nothing of the session is outstanding.
    WhenIdle,
    /// Changes the session's version, if the servers can.
    Upgrade,
    /// Answered by [`DecisionOutput::reply`], then the session ends.
    Quit,
}

/// One key of a request that may be split: where it is, and which argument it is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Key {
    pub(crate) start: u32,
    pub(crate) len: u32,
    pub(crate) arg: u32,
}

impl Key {
    pub(crate) fn range(self) -> Range<usize> {
        self.start as usize..self.start as usize + self.len as usize
    }
}

/// How fragments' replies become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum JoinKind {
    /// Elements in the order of the request's keys (MGET).
    Array,
    /// The sum of integers (DEL).
    Sum,
    /// One OK when all say OK (MSET, FLUSHALL, flush_all).
    Ok,
    /// VALUE blocks (get).
    Values,
    /// STAT lines (stats).
    Stats,
}

impl JoinKind {
    /// Whether the joined reply is small whatever the keys hold.
    pub(crate) fn is_small(self) -> bool {
        match self {
            JoinKind::Sum | JoinKind::Ok => true,
            JoinKind::Array | JoinKind::Values | JoinKind::Stats => false,
        }
    }

    /// Whether the joined reply has its parts in the order of the request's keys, so that it must be known
    /// where each part of a fragment's reply ends.
    pub(crate) fn is_ordered(self) -> bool {
        match self {
            JoinKind::Array | JoinKind::Values => true,
            JoinKind::Sum | JoinKind::Ok | JoinKind::Stats => false,
        }
    }
}

/// What a plan has besides [`Decision`]; it lives in the pool, so that requests allocate nothing.
#[derive(Debug, Default)]
pub(crate) struct DecisionOutput {
    /// A reply made here.
    pub(crate) reply: Vec<u8>,
    /// The keys of a request with several.
    pub(crate) keys: Vec<Key>,
    /// Something to log.
    pub(crate) event: Option<Event>,
}

impl DecisionOutput {
    pub(crate) fn clear(&mut self) {
        self.reply.clear();
        self.keys.clear();
        if self.event.is_some() {
            self.event = None;
        }
    }
}
