//! What a protocol must offer to the engine. A pool speaks one protocol, chosen when it is built, so
//! that the per-request loop never asks.

pub(crate) mod memcached;
pub(crate) mod redis;

use std::ops::Range;

use crate::cause::Cause;
use crate::event::Event;
use crate::flow::buffer::{Chunk, Rope};
use crate::limits::SEGMENT_BYTES;
use crate::settings::PoolSettings;

/// Which kind of server connection a session needs: connections are keyed by protocol version.
pub(crate) type Lane = usize;

/// Number of lanes: RESP2 (and memcached), RESP3.
pub(crate) const LANES: usize = 2;

/// One protocol: how requests are read and routed, and how replies are read and joined.
pub(crate) trait Protocol: Sized {
    /// Resumable parser of one request.
    type Parser: Default;
    /// Resumable scanner of one reply.
    type Scanner: Default;
    /// What a session remembers between requests.
    type Client;
    /// What kind of reply was scanned.
    type Kind: Copy + std::fmt::Debug;

    fn new(settings: &PoolSettings) -> Self;
    fn client(&self, id: u64) -> Self::Client;
    fn lane(client: &Self::Client) -> Lane;

    /// Looks for a request at the start of `text`, which holds what it held before and more.
    fn parse(&self, parser: &mut Self::Parser, text: &[u8], scratch: &mut Scratch) -> Parsed;
    /// The body asked for by [`Parsed::Body`] has arrived (elsewhere); `tail` is its last two bytes.
    fn after_body(
        &self,
        parser: &mut Self::Parser,
        text: &[u8],
        tail: [u8; 2],
        scratch: &mut Scratch,
    ) -> Parsed;
    /// At least this many bytes are missing after a partial parse of `len` bytes.
    fn missing(parser: &Self::Parser, len: usize) -> usize;
    /// The request's text, where the parser rewrote it (inline commands).
    fn rewritten(parser: &Self::Parser) -> Option<&[u8]>;
    /// Forgets the request, ready for the next.
    fn reset(parser: &mut Self::Parser);

    /// Decides what becomes of the request just parsed.
    fn plan(
        &self,
        parser: &Self::Parser,
        text: &[u8],
        client: &mut Self::Client,
        scratch: &mut Scratch,
    ) -> Planned;
    /// Passes over bytes of the client that are not planned: blank ones, and those that are no request.
    /// Says whether a reply to them is wanted.
    fn pass_over(client: &mut Self::Client) -> Reply;
    /// Whether a reply that was made here is an error.
    fn is_error(reply: &[u8]) -> bool;
    /// Whether a server's reply of this kind is one.
    fn is_error_kind(kind: Self::Kind) -> bool;

    /// Whether asking twice does no harm, and the reply is one frame.
    fn is_pure_read(&self, parser: &Self::Parser, text: &[u8]) -> bool;
    /// Writes what the request would be answered if its key did not exist; false when it is not a pure
    /// read or that is not known.
    fn miss(
        &self,
        parser: &Self::Parser,
        text: &[u8],
        client: &Self::Client,
        out: &mut Vec<u8>,
    ) -> bool;
    /// Finds out what it takes that nothing which the request writes lives longer than `seconds`.
    fn cap(&self, parser: &Self::Parser, text: &[u8], seconds: u32, cap: &mut Cap);
    /// The same for one key of a fragment that was begun with the same seconds: what must follow it.
    fn cap_key(&self, parser: &Self::Parser, text: &[u8], key: Key, seconds: u32, cap: &mut Cap);
    /// Asks a server whether it can do that, where not every server can.
    fn can_cap(&self) -> Option<Step>;
    /// How many bytes of keys one fragment may have.
    fn most_key_bytes(parser: &Self::Parser) -> usize;
    /// Writes the part of a fragment before its keys, then each key, then the part after. With `seconds`
    /// no time in it is longer.
    fn fragment_start(
        &self,
        parser: &Self::Parser,
        text: &[u8],
        keys: usize,
        seconds: Option<u32>,
        out: &mut Rope,
    );
    fn fragment_key(
        &self,
        parser: &Self::Parser,
        source: &Source<'_>,
        key: Key,
        out: &mut Rope,
        body: Option<&mut Rope>,
    );
    fn fragment_end(&self, out: &mut Rope);

    /// Reads on in a server's reply; `marks` collects the ends of its elements where a join needs them.
    fn scan(
        scanner: &mut Self::Scanner,
        data: &[u8],
        marks: Option<&mut Vec<u64>>,
    ) -> Result<Scan<Self::Kind>, BadReply>;
    fn is_between_replies(scanner: &Self::Scanner) -> bool;
    /// Whether a frame that begins with `first` answers nobody (a push).
    fn is_push(first: u8) -> bool;
    /// Whether a reply says that the server cannot serve just now; counted for its health.
    fn is_transient_failure(kind: Self::Kind, start: &[u8]) -> bool;

    /// Joins the fragments' replies into one. Only called when every fragment has ended.
    fn join(&self, join: &mut Join<Self::Kind>, client: &Self::Client, out: &mut Rope) -> Joined;
    /// Appends the error line for `cause`.
    fn error_line(out: &mut Vec<u8>, cause: &Cause, detail: Option<&str>);

    /// What a new server connection is told first; `None` when it is ready at once.
    fn handshake(&self, lane: Lane, server: usize) -> Vec<Step>;
    /// What an ejected server is asked.
    fn probe(&self) -> Step;
    /// Judges the reply to one step.
    fn step_reply(&self, step: &Step, kind: Self::Kind, reply: &[u8]) -> StepOutcome;
    /// Reads the error line with which a server ends a connection that it has been asked nothing on, as
    /// one does that has too many clients.
    fn unasked_error(data: &[u8]) -> Option<HandshakeError>;

    /// A session's change of lane has been decided; writes its reply.
    fn upgraded(&self, client: &mut Self::Client, granted: Result<bool, Cause>, out: &mut Vec<u8>);
}

/// Where a request's bytes are.
pub(crate) struct Source<'a> {
    /// The request's text.
    pub(crate) text: &'a [u8],
    /// The chunk it lies in and where it starts there, if its bytes may be passed on by reference.
    pub(crate) chunk: Option<(&'a Chunk, usize)>,
}

impl Source<'_> {
    /// Appends a part of the text to `out`.
    pub(crate) fn write(&self, range: Range<usize>, out: &mut Rope) {
        match self.chunk {
            Some((chunk, at)) => out.push(chunk, at + range.start..at + range.end),
            None => out.extend(&self.text[range]),
        }
    }
}

/// A large argument that was gathered outside the text.
#[derive(Debug)]
pub(crate) struct Body {
    /// Where in the text it belongs.
    pub(crate) at: usize,
    pub(crate) rope: Rope,
}

/// What was found at the start of a text.
#[derive(Debug)]
pub(crate) enum Parsed {
    /// A whole request.
    Request { len: usize },
    /// Bytes that ask for nothing.
    Skip { len: usize },
    /// Not yet a whole request.
    Partial,
    /// A large argument of `len` bytes starts at `at` and is to be gathered elsewhere.
    Body { at: usize, len: usize },
    /// A request that is not served; its answer is in `scratch.reply`. `len` bytes of text and then
    /// `skip` more bytes are dropped.
    Refused { len: usize, skip: u64, reply: Reply },
    /// Bytes that cannot be framed; the last words are in `scratch.reply`.
    Fatal,
}

/// What becomes of a request, and of its reply.
#[derive(Debug)]
pub(crate) struct Planned {
    pub(crate) plan: Plan,
    pub(crate) reply: Reply,
}

/// What becomes of a reply, whoever makes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reply {
    /// The client gets it, in its turn.
    Wanted,
    /// The client has asked for none (`noreply`, CLIENT REPLY OFF). Nothing waits for it.
    Dropped,
}

/// What becomes of a request.
#[derive(Debug)]
pub(crate) enum Plan {
    /// Answered here; the reply (possibly none) is in `scratch.reply`.
    Local,
    /// To the server of `key`, as it is. With `cut`, a range of the text is left out. `is_small` where the
    /// reply is small whatever the key holds.
    Forward {
        key: Range<usize>,
        cut: Option<Range<usize>>,
        is_small: bool,
    },
    /// To the first key's server if all of `scratch.keys` belong there; else by the cross-shard rule.
    Together { command: &'static str, legacy: bool },
    /// To the server that owns the placeholder key.
    Placeholder,
    /// Split by server over `scratch.keys`.
    Split { join: JoinKind },
    /// To every server. With `cut` as in `Forward`.
    Broadcast {
        join: JoinKind,
        cut: Option<Range<usize>>,
    },
    /// To be planned again when nothing of the session is outstanding.
    Barrier,
    /// Changes the session's lane, if the servers can.
    Upgrade,
    /// Answered by `scratch.reply`, then the session ends.
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
}

/// Work space that lives in the pool, so that requests allocate nothing.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    /// A reply made here.
    pub(crate) reply: Vec<u8>,
    /// The keys of a request with several.
    pub(crate) keys: Vec<Key>,
    /// Argument indices.
    pub(crate) indices: Vec<usize>,
    /// Something to log.
    pub(crate) event: Option<Event>,
    /// Whether nothing of the session is outstanding.
    pub(crate) idle: bool,
}

impl Scratch {
    pub(crate) fn clear(&mut self) {
        self.reply.clear();
        self.keys.clear();
        self.indices.clear();
        self.event = None;
    }
}

/// What it takes that nothing which a request writes lives for too long.
#[derive(Debug, Default)]
pub(crate) struct Cap {
    /// Ranges of the request's text, and what is to stand there.
    pub(crate) edits: Vec<(Range<usize>, Vec<u8>)>,
    /// Requests that are to follow it, one after the other.
    followers: Vec<u8>,
    /// Where each of them ends.
    ends: Vec<usize>,
}

impl Cap {
    /// Adds a request that is to follow.
    pub(crate) fn follow(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        write(&mut self.followers);
        self.ends.push(self.followers.len());
    }

    /// The requests that are to follow.
    pub(crate) fn followers(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        let ends = self.ends.iter();
        starts
            .zip(ends)
            .map(|(start, end)| &self.followers[start..*end])
    }

    /// Forgets all; a large request's memory is given back.
    pub(crate) fn clear(&mut self) {
        if self.followers.capacity() > SEGMENT_BYTES {
            *self = Self::default();
        }
        self.edits.clear();
        self.followers.clear();
        self.ends.clear();
    }
}

/// Result of scanning a reply.
#[derive(Debug)]
pub(crate) enum Scan<K> {
    /// The reply ends after `len` bytes.
    Complete { len: usize, kind: K },
    /// All bytes belong to it and more are to come.
    Partial,
}

/// The server broke the protocol.
#[derive(Debug)]
pub(crate) struct BadReply;

/// One step of a server connection's handshake.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) request: Vec<u8>,
    pub(crate) kind: StepKind,
}

/// What a handshake step is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StepKind {
    Auth,
    Hello,
    Select,
    Probe,
    /// Whether the server can limit how long something lives.
    Cap,
}

impl StepKind {
    /// The step as log lines name it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            StepKind::Auth => "AUTH",
            StepKind::Hello => "HELLO",
            StepKind::Select => "SELECT",
            StepKind::Probe => "PING",
            StepKind::Cap => "PEXPIRE",
        }
    }
}

/// What follows from the reply to a handshake step.
#[derive(Debug)]
pub(crate) enum StepOutcome {
    /// On to the next step.
    Fine,
    /// Go on, but log a warning.
    Complain(String),
    /// The server does not speak the lane's version.
    NoSuchLane,
    /// The connection is of no use: nothing may be sent on it.
    Refused(HandshakeError),
    /// The server cannot limit how long something lives.
    CannotCap,
}

/// A server's error in the place of a connection that can be used.
#[derive(Debug)]
pub(crate) struct HandshakeError {
    /// What waits for the connection fails with this.
    pub(crate) cause: Cause,
    /// Whether it counts for the server's health: it cannot serve just now. A refused password does not,
    /// for the server is well.
    pub(crate) is_failure: bool,
}

/// The replies to a split request, as they come in.
#[derive(Debug)]
pub(crate) struct Join<K> {
    pub(crate) kind: JoinKind,
    /// The keys of an ejected server count as missing.
    pub(crate) lenient: bool,
    pub(crate) fragments: Vec<Fragment<K>>,
    /// For joins in key order: the fragment that owns each key.
    pub(crate) owners: Vec<u32>,
    /// Fragments that have not ended.
    pub(crate) waiting: usize,
}

impl<K> Join<K> {
    /// Bytes of memory.
    pub(crate) fn footprint(&self) -> usize {
        let fragment = |fragment: &Fragment<K>| {
            let marks = fragment.marks.capacity() * size_of::<u64>();
            size_of::<Fragment<K>>() + fragment.reply.footprint() + marks
        };
        let fragments: usize = self.fragments.iter().map(fragment).sum();
        size_of::<Self>() + fragments + self.owners.capacity() * size_of::<u32>()
    }
}

/// One server's part of a split request.
#[derive(Debug)]
pub(crate) struct Fragment<K> {
    pub(crate) server: usize,
    pub(crate) reply: Rope,
    pub(crate) marks: Vec<u64>,
    pub(crate) outcome: Option<Result<K, Cause>>,
}

/// What a join came to.
#[derive(Debug)]
pub(crate) enum Joined {
    /// The reply has been written.
    Done,
    /// The request failed, as the fragment with this index did.
    Failed(usize),
    /// The fragments' replies do not fit together.
    Mismatch,
}
