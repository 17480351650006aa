//! The decision what becomes of each request.
//!
//! It is made before anything is sent, from the request and from what the session remembers, without regard to
//! servers and their health. Which server a key belongs to is found later, by the routes.

use std::ops::Range;
use std::sync::Arc;

use super::channel::{Change, ChannelKind};
use super::grammar::{Grammar, Mark, Reply};
use crate::client_info::AboutClient;
use crate::event::Event;
use crate::latency::Class;
use crate::limits::{KEEP_KEYS, SEGMENT_BYTES};
use crate::script_memory::Script;
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

    /// Which connections its requests go over.
    #[inline]
    fn lane(client: &Self::Client) -> Lane {
        Lane::of(Self::version(client))
    }

    /// Decides what becomes of the request. A reply of the proxy's own, and the keys of a request with several, are
    /// written to `out`, which is empty before.
    fn decide(
        &self,
        request: Request<'_, Self>,
        client: &mut Self::Client,
        out: &mut DecisionOutput,
    ) -> Decision<Self::Command>;

    /// What is special about a request's work at a server.
    fn work(facts: &Facts<Self::Command>) -> Work;

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

    /// The name that a client has given itself; empty if none.
    fn client_name(client: &Self::Client) -> &[u8];

    /// What a client has told of itself.
    fn about(client: &Self::Client) -> AboutClient;

    /// What the log tells of a request: its command, and where its first key is, if it has one.
    fn describe<'r>(&self, request: Request<'r, Self>) -> (&'r [u8], Option<Range<usize>>);

    /// Appends the error for a request whose keys are not all at one server.
    fn cross_shard_error(&self, command: Self::Command, apart: Apart, out: &mut Vec<u8>);
}

/// What is special about a request's work at a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Work {
    /// What is special about its reply.
    pub(crate) mark: Mark,
    /// It may keep the server busy for long, whatever the size of request and reply.
    pub(crate) may_be_long: bool,
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

/// Which connections of each server a client's requests go over: those with this version and this database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lane {
    pub(crate) version: Version,
    pub(crate) database: Selected,
}

/// The database that a client has selected, if it has; otherwise the one of each server's settings. In four bytes, as
/// every request asks for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Selected(u32);

impl Selected {
    /// None was selected.
    pub(crate) const NONE: Self = Self(u32::MAX);

    /// This one, which is less than [`u32::MAX`].
    pub(crate) fn database(number: u32) -> Self {
        Self(number)
    }

    /// The database at a server whose settings have `own`.
    #[inline(always)]
    pub(crate) fn or(self, own: u32) -> u32 {
        match self {
            Self::NONE => own,
            Self(number) => number,
        }
    }
}

impl Lane {
    /// That of a client that has selected no database.
    pub(crate) fn of(version: Version) -> Self {
        Self {
            version,
            database: Selected::NONE,
        }
    }
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

impl<C> Facts<C> {
    /// The class by which it is measured.
    #[inline]
    pub(crate) fn class(&self) -> Class {
        match self.is_pure_read {
            true => Class::Read,
            false => Class::Write,
        }
    }
}

/// What must be known of a request, whatever its route is.
#[derive(Debug, Clone)]
pub(crate) struct Facts<C> {
    /// Whether its reply is wanted.
    pub(crate) reply: Reply,
    /// It changes no data, so that it may be retried, and its reply is one frame.
    pub(crate) is_pure_read: bool,
    /// The reply is small whatever the keys hold. Others count for the window of large replies.
    pub(crate) is_small: bool,
    /// A range of its text that is not sent to servers (`noreply`).
    pub(crate) left_out: Option<Range<usize>>,
    /// [`Decider::work`] tells something of it. Few requests have that, so that one test passes over all others.
    pub(crate) is_special: bool,
    /// The command, for further calls of the protocol.
    pub(crate) command: C,
}

/// Where a request goes. Every variant but [`Route::Key`] is carried out away from the common path.
#[derive(Debug)]
pub(crate) enum Route {
    /// Answered by the proxy with [`DecisionOutput::reply`], which may be empty.
    Local,
    /// The client says who it is: answered by [`Authenticating::log_in`](super::authenticating::Authenticating::log_in).
    Login,
    /// Answered by the proxy with [`Report::report`](super::report::Report::report).
    Report,
    /// To the server of the key in this range of the text.
    Key(Range<usize>),
    /// The same for a request that needs [`DecisionOutput::script`].
    Script(Range<usize>),
    /// To the server of [`DecisionOutput::decoded_key`].
    DecodedKey,
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
    /// To the server at this place in the plan, as [`DecisionOutput::request`] has it.
    Place { place: usize, join: JoinKind },
    /// Of a transaction.
    Transaction(TransactionStep),
    /// To the server of all of [`DecisionOutput::keys`], on a leased connection: it waits for other clients. Only when
    /// nothing of the session is outstanding.
    Wait,
    /// To every server to which the client has written, on leased connections: it waits for their replicas. Answered with
    /// [`DecisionOutput::reply`] if there is none. Only when nothing of the session is outstanding.
    Acknowledged { join: JoinKind },
    /// Administers servers. Only when nothing of the session is outstanding.
    Admin(AdminStep),
    /// Answered with what all workers contribute ([`Report::part`](super::report::Report::part)).
    Workers,
    /// Ends what the client with this number waits for; answered with [`DecisionOutput::reply`] if it does not wait.
    Unblock { client: u64, with_error: bool },
    /// Begins or ends the client's subscriptions to the channels that [`DecisionOutput::keys`] name; ends all of the kind
    /// if there are none. Nothing of the session is outstanding.
    Subscription { change: Change, kind: ChannelKind },
    /// Answered by the proxy with [`DecisionOutput::reply`]; all subscriptions of the client end, and it is not told. So
    /// does its transaction, if there is one.
    Reset,
    /// To be decided again when nothing of the session is outstanding (a barrier).
    WhenIdle,
    /// Changes the session's version to RESP3, if the servers support it.
    Upgrade,
    /// Answered by [`DecisionOutput::reply`], then the session ends.
    Quit,
}

/// A request that has connections of its own though it waits for no other client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AdminStep {
    /// To the only server: it may keep that busy for long, or end it.
    OnlyServer,
    /// To every server, whether it is in use or not: it ends what keeps one from hearing anything else.
    Interrupt {
        /// How their replies become one.
        join: JoinKind,
    },
}

/// A request of a transaction. The client's reply to all but [`TransactionStep::Execute`] is [`DecisionOutput::reply`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TransactionStep {
    /// It begins.
    Begin,
    /// The request is held until it is executed. Its keys are [`DecisionOutput::keys`]; the reply is that it is held.
    Hold {
        /// It uses further keys that only its server finds out, and that may belong to any.
        has_unknown_keys: bool,
        /// How it is split where its keys belong to several servers, if it can be.
        split: Option<JoinKind>,
    },
    /// The keys in [`DecisionOutput::keys`] are watched until the transaction.
    Watch,
    /// The transaction, if there is one, and what is watched ends; what is held is dropped.
    Unwatch,
    /// What is held is sent. [`DecisionOutput::reply`] is the client's if nothing is.
    Execute,
    /// It ends with an error, and so does what is watched; what is held is dropped.
    Drop,
}

/// Why the keys of a request are not all at one server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Apart {
    /// Its keys belong to several.
    Keys,
    /// The keys that only its server finds out may belong to others.
    UnknownKeys,
    /// They are not where those of the transaction's earlier requests are.
    Transaction,
}

/// One key of a request that may be split: where it is, and which argument it is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Key {
    pub(crate) start: u32,
    pub(crate) len: u32,
    pub(crate) arg: u32,
}

impl Key {
    /// The key in this range, of an argument that nobody asks for.
    pub(crate) fn of(range: Range<usize>) -> Self {
        Self {
            start: range.start as u32,
            len: range.len() as u32,
            arg: 0,
        }
    }

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
    /// The least of integers (MSETEX).
    Least,
    /// VALUE blocks (get).
    Values,
    /// STAT lines (stats).
    Stats(Statistics),
    /// The elements of all arrays, in any order (KEYS).
    Concat,
    /// One that is not null, if there is any (RANDOMKEY).
    Any,
    /// What all of them say, which must be the same (SCRIPT LOAD).
    Same,
    /// An array of numbers: 1 where all of them say 1, else 0 (SCRIPT EXISTS).
    All,
    /// An array of what its requests have returned, at whichever server (EXEC of a transaction that was split).
    Transaction,
    /// The elements that all arrays have, by the name that each begins with (FUNCTION LIST).
    Common,
    /// Of a server that runs a function, if one does (FUNCTION STATS).
    Running,
    /// Arrays of numbers: the least at each place (WAITAOF).
    LeastOfEach,
    /// Of a server that does not refuse it, if there is one (SCRIPT KILL).
    One,
    /// OK when all say so, and otherwise which server has not, and why (CONFIG SET).
    Done,
    /// What all servers have alike, of names and values (CONFIG GET). `exact`: it is an error if a name has other values.
    Alike {
        /// The names were given, not patterns of them.
        exact: bool,
    },
    /// Of one server at this place: its cursor is replaced by one that tells the place (SCAN).
    Scan(ScanPlace),
}

/// Where a scan over several servers is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ScanPlace {
    /// The server's place in the plan.
    pub(crate) place: u16,
    /// How many servers the plan has.
    pub(crate) places: u16,
    /// A short digest of their names.
    pub(crate) digest: u16,
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
            JoinKind::Sum
            | JoinKind::Ok
            | JoinKind::Least
            | JoinKind::LeastOfEach
            | JoinKind::Any
            | JoinKind::Done
            | JoinKind::Same
            | JoinKind::All => true,
            JoinKind::Array
            | JoinKind::Values
            | JoinKind::Stats(_)
            | JoinKind::Concat
            | JoinKind::Transaction
            | JoinKind::Common
            | JoinKind::Running
            | JoinKind::One
            | JoinKind::Alike { .. }
            | JoinKind::Scan(_) => false,
        }
    }

    /// Whether the joined reply has its parts in the order of the request's keys.
    pub(crate) fn is_ordered(self) -> bool {
        matches!(self, JoinKind::Array | JoinKind::Values)
    }

    /// Whether it must be known where each part of a fragment's reply ends.
    pub(crate) fn needs_marks(self) -> bool {
        use JoinKind::{All, Common, Concat, Scan};
        self.is_ordered() || matches!(self, Concat | All | Common | Scan(_))
    }

    /// Whether elements of a fragment's reply may be aggregates.
    pub(crate) fn may_nest(self) -> bool {
        use JoinKind::{Common, Running, Scan, Transaction};
        matches!(self, Common | Running | Scan(_) | Transaction)
    }

    /// Whether it is enough that the servers that are in use have answered: what an ejected one has forgotten by the
    /// time that it is back is asked for again.
    pub(crate) fn passes_over_ejected(self) -> bool {
        use JoinKind::{All, Common, One, Running, Same};
        matches!(self, Same | All | Common | Running | One)
    }
}

/// The parts of a decision that need buffers. They are kept in the engine, so that requests allocate nothing.
#[derive(Debug, Default)]
pub(crate) struct DecisionOutput {
    /// A reply of the proxy's own.
    pub(crate) reply: Vec<u8>,
    /// The keys of a request with several.
    pub(crate) keys: Vec<Key>,
    /// A request as its server gets it, where that is not what the client sent. Whoever sends it takes it.
    pub(crate) request: Vec<u8>,
    /// The key of a request that has it in another form. Valid with [`Route::DecodedKey`] only.
    pub(crate) decoded_key: Vec<u8>,
    /// A script that its server has to know before. Valid with every route that [`Route::Key`] is not.
    pub(crate) script: Option<Arc<Script>>,
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

    /// Frees what a large request, or a script, has needed.
    pub(crate) fn shrink(&mut self) {
        self.script = None;
        if self.keys.capacity() > KEEP_KEYS {
            self.keys = Vec::new();
        }
        if self.reply.capacity() > SEGMENT_BYTES {
            self.reply = Vec::new();
        }
    }
}
