//! What is known of the keys of one client.
//!
//! A request that failed may have been carried out, may be carried out later, or not at all: its effect floats
//! until all servers have worked for a while. Everything else is known exactly, as long as the key stays on
//! one server and that server keeps its data.

mod counter;
mod journal;
mod register;

pub(crate) use counter::Counter;
pub(crate) use journal::{Journal, TOKEN_LEN};
pub(crate) use register::Register;

/// Most servers that a scenario has, those of the failover pool included.
pub(crate) const MAX_SERVERS: usize = 8;

/// How often each server was killed.
pub(crate) type Kills = [u32; MAX_SERVERS];

/// What must have happened for a reply to be right; looked up in the statistics at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Excuse {
    /// Nothing: it is right in this pool.
    None,
    /// A server was ejected.
    Ejected,
    /// A connection to any server has ended, or a request was late.
    AnyServer,
    /// A connection to this server has ended, or a request was late.
    Server(usize),
    /// Memory was short.
    Shed,
}

/// The result of checking a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Right,
    Wrong(&'static str),
    /// Wrong, unless there is an excuse.
    Doubtful(Excuse, &'static str),
}

impl Verdict {
    /// Right if `is_right`.
    pub(crate) fn when(is_right: bool, what: &'static str) -> Self {
        match is_right {
            true => Verdict::Right,
            false => Verdict::Wrong(what),
        }
    }

    /// The same, or a doubt if keys may have moved.
    pub(crate) fn unless_moved(self, place: &Place) -> Self {
        match (self, place.moved) {
            (Verdict::Wrong(what), Some(excuse)) => Verdict::Doubtful(excuse, what),
            (verdict, _) => verdict,
        }
    }

    /// The worse of both.
    pub(crate) fn and(self, other: Self) -> Self {
        match (self, other) {
            (Verdict::Wrong(_), _) | (Verdict::Doubtful(..), Verdict::Right) => self,
            _ => other,
        }
    }
}

/// Where a key is.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Place {
    /// Its server, if keys have one.
    pub(crate) server: Option<usize>,
    /// If it may be on other servers at times: what must have happened for that.
    pub(crate) moved: Option<Excuse>,
}

impl Place {
    /// Whether a server that may have the key has lost its data between two moments.
    pub(crate) fn is_lost(&self, since: &Kills, until: &Kills) -> bool {
        match self.server {
            Some(server) => since[server] != until[server],
            None => since != until,
        }
    }
}

/// The moments that bound when a request was carried out.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Span {
    /// When it was sent.
    pub(crate) sent: Kills,
    /// When its reply was read.
    pub(crate) read: Kills,
}
