//! The decision what becomes of each request.
//!
//! It is made before anything is sent, from the request and from what the session remembers, without regard to
//! servers and their health. Which server a key belongs to is found later, by the routes.

use std::ops::Range;

use super::grammar::{Grammar, Reply};
use crate::event::Event;
use crate::limits::{KEEP_KEYS, SEGMENT_BYTES};
use crate::time::Time;

/// Decides what becomes of requests: answered by the proxy, sent to one server, split, broadcast, or refused.
pub(crate) trait Decider: Grammar {
    /// What a session remembers between requests.
    type Client;
    /// Which command a request is.
    type Command: Copy;

    /// The state of a new client; `id` is unique in the pool.
    fn client(&self, id: u64, now: Time) -> Self::Client;

    /// Whether the client has to give the pool's password before anything else is done for it.
    fn must_authenticate(&self, client: &Self::Client) -> bool;

    /// When a client that has not given the password yet is closed.
    fn authenticate_by(&self, client: &Self::Client) -> Option<Time>;

    /// The version of the protocol that the client speaks.
    fn version(client: &Self::Client) -> Version;

    /// Decides what becomes of the request. A reply of the proxy's own, and the keys of a request with several, are
    /// written to `out`, which is empty before.
    fn decide(
        &self,
        request: Request<'_, Self>,
        client: &mut Self::Client,
        out: &mut DecisionOutput,
    ) -> Decision<Self::Command>;

    /// Bytes of the client are skipped for which nothing is decided: blank lines, and bytes that are no request.
    /// Returns whether a reply to them is wanted.
    fn pass_over(client: &mut Self::Client) -> Reply;

    /// Writes the reply that a server would give if the request's keys did not exist; false if it is not a pure
    /// read, or that reply is not known.
    fn miss(
        &self,
        command: Self::Command,
        request: Request<'_, Self>,
        client: &Self::Client,
        out: &mut Vec<u8>,
    ) -> bool;

    /// What the log tells of a request: its command, and where its first key is, if it has one.
    fn describe<'r>(&self, request: Request<'r, Self>) -> (&'r [u8], Option<Range<usize>>);

    /// Appends the error for a request whose keys are not all at one server.
    fn cross_shard_error(apart: Apart, out: &mut Vec<u8>);
}

/// A version of the protocol. Clients of different versions use different connections to the servers, as replies are
/// never converted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Version {
    /// RESP2, and the text protocol of memcached: needs no negotiation.
    Base,
    /// RESP3, negotiated by HELLO.
    Resp3,
}

/// One whole request.
pub(crate) struct Request<'a, P: Grammar> {
    /// Its bytes, without those of large arguments that were collected elsewhere.
    pub(crate) text: &'a [u8],
    /// What the parser found in them.
    pub(crate) parser: &'a P::Parser,
    /// Whether nothing of the client is outstanding, as barriers require.
    pub(crate) is_idle: bool,
}

impl<P: Grammar> Clone for Request<'_, P> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<P: Grammar> Copy for Request<'_, P> {}

/// The decision for one request.
#[derive(Debug)]
pub(crate) struct Decision<C> {
    /// Where it goes.
    pub(crate) route: Route,
    /// What must be known of it later.
    pub(crate) facts: Facts<C>,
}

/// What must be known of a request, whatever its route is.
#[derive(Debug)]
pub(crate) struct Facts<C> {
    /// Whether its reply is wanted.
    pub(crate) reply: Reply,
    /// It changes no data, so that it may be retried, and its reply is one frame.
    pub(crate) is_pure_read: bool,
    /// The reply is small whatever the keys hold. Others count for the window of large replies.
    pub(crate) is_small: bool,
    /// A range of its text that is not sent to servers (`noreply`).
    pub(crate) left_out: Option<Range<usize>>,
    /// Its reply is made by a client's script, and says nothing of the server's health.
    pub(crate) is_script: bool,
    /// The command, for further calls of the protocol.
    pub(crate) command: C,
}

/// Where a request goes. Every variant but [`Route::Key`] is carried out away from the common path.
#[derive(Debug)]
pub(crate) enum Route {
    /// Answered by the proxy with [`DecisionOutput::reply`], which may be empty.
    Local,
    /// Answered by the proxy with [`Report::report`](super::report::Report::report).
    Report,
    /// To the server of the key in this range of the text.
    Key(Range<usize>),
    /// To the first key's server if all of [`DecisionOutput::keys`] belong there.
    SameServer {
        /// It uses further keys that only its server finds out, and that may belong to any.
        has_unknown_keys: bool,
        /// If they do not, it goes there all the same if this names the command, for the log; otherwise it is refused.
        else_first_key: Option<&'static str>,
    },
    /// To the server that owns the placeholder key.
    Placeholder,
    /// Split by server over [`DecisionOutput::keys`].
    Split { join: JoinKind },
    /// To every server.
    Broadcast { join: JoinKind },
    /// To be decided again when nothing of the session is outstanding (a barrier).
    WhenIdle,
    /// Changes the session's version to RESP3, if the servers support it.
    Upgrade,
    /// Answered by [`DecisionOutput::reply`], then the session ends.
    Quit,
}

/// Why the keys of a request are not all at one server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Apart {
    /// Its keys belong to several.
    Keys,
    /// The keys that only its server finds out may belong to others.
    UnknownKeys,
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
    Stats(Statistics),
}

/// How the statistics of several servers become one answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Statistics {
    /// A table says which are summed, and what becomes of others.
    Totals,
    /// The same without those that are not of servers: each name keeps its class of sizes.
    Classes,
    /// What all servers say alike.
    Alike,
    /// Each line names its server.
    Named,
    /// The same where there are several servers.
    Apart,
    /// The counters of each prefix are summed.
    Prefixes,
    /// One RESET when all say so.
    Reset,
}

impl JoinKind {
    /// Whether the joined reply is small whatever the keys hold.
    pub(crate) fn is_small(self) -> bool {
        match self {
            JoinKind::Sum | JoinKind::Ok => true,
            JoinKind::Array | JoinKind::Values | JoinKind::Stats(_) => false,
        }
    }

    /// Whether the joined reply has its parts in the order of the request's keys, so that it must be known
    /// where each part of a fragment's reply ends.
    pub(crate) fn is_ordered(self) -> bool {
        match self {
            JoinKind::Array | JoinKind::Values => true,
            JoinKind::Sum | JoinKind::Ok | JoinKind::Stats(_) => false,
        }
    }
}

/// The parts of a decision that need buffers. They are kept in the engine, so that requests allocate nothing.
#[derive(Debug, Default)]
pub(crate) struct DecisionOutput {
    /// A reply of the proxy's own.
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

    /// Frees what a large request has needed.
    pub(crate) fn shrink(&mut self) {
        if self.keys.capacity() > KEEP_KEYS {
            self.keys = Vec::new();
        }
        if self.reply.capacity() > SEGMENT_BYTES {
            self.reply = Vec::new();
        }
    }
}
