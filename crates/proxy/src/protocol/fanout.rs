//! Requests to several servers: split into fragments, one for each server, whose replies are joined. And requests to
//! the failover pool: the TTL of what they write is capped.

use std::ops::Range;

use super::decision::{Decider, JoinKind, Key, Request};
use crate::cause::Cause;
use crate::flow::buffer::{Chunk, Rope};
use crate::id::ServerId;
use crate::limits::{SEGMENT_BYTES, SHARE_AT_LEAST};
use crate::process::Process;
use crate::time::Time;

/// Splits requests, joins replies, and caps TTLs.
pub(crate) trait FanOut: Decider {
    /// The most bytes of keys that one fragment may have.
    fn most_key_bytes(command: Self::Command) -> usize;

    /// Writes the part of a fragment before its keys. With `seconds`, an expiry time in it is capped.
    fn fragment_start(
        command: Self::Command,
        request: Request<'_, Self>,
        keys: usize,
        seconds: Option<u32>,
        out: &mut Rope,
    );

    /// Writes one key of a fragment, with its value if it has one; `body` is the value if it was collected elsewhere.
    fn fragment_key(
        command: Self::Command,
        parser: &Self::Parser,
        source: &Source<'_>,
        key: Key,
        out: &mut Rope,
        body: Option<&mut Rope>,
    );

    /// Writes the part of a fragment after its keys.
    fn fragment_end(out: &mut Rope);

    /// Joins the fragments' replies into one. Only called when every fragment has ended.
    fn join(
        &self,
        join: &mut PendingJoin<Self::Kind>,
        client: &Self::Client,
        about: &About<'_>,
        out: &mut Rope,
    ) -> JoinOutcome;

    /// Edits and follow-ups that cap the TTL of everything this request writes at `seconds`.
    fn cap_ttl(
        &self,
        command: Self::Command,
        request: Request<'_, Self>,
        seconds: u32,
        cap: &mut TtlCap,
    );

    /// Follow-ups that cap the TTL of one key of a fragment, which was begun with the same `seconds`.
    fn cap_key_ttl(
        &self,
        command: Self::Command,
        request: Request<'_, Self>,
        key: Key,
        seconds: u32,
        cap: &mut TtlCap,
    );
}

/// What a joined reply may tell that no server has said.
pub(crate) struct About<'a> {
    /// The names of servers.
    pub(crate) name_of: &'a dyn Fn(ServerId) -> Box<str>,
    /// The proxy's process.
    pub(crate) process: &'a Process,
    /// The time.
    pub(crate) now: Time,
}

/// Where a request's bytes are.
pub(crate) struct Source<'a> {
    /// The request's text.
    pub(crate) text: &'a [u8],
    /// The chunk that has it and where it starts there, so that large parts can be passed on by reference.
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

/// A large argument that was collected outside the text.
#[derive(Debug)]
pub(crate) struct Body {
    /// The position in the text at which it is inserted.
    pub(crate) at: usize,
    pub(crate) rope: Rope,
}

/// A split request whose fragments' replies are being collected. It waits in the request's slot.
#[derive(Debug)]
pub(crate) struct PendingJoin<K> {
    pub(crate) kind: JoinKind,
    /// The keys of an ejected server count as missing (`eject: miss`).
    pub(crate) ejected_is_miss: bool,
    pub(crate) fragments: Vec<Fragment<K>>,
    /// For joins in key order: the fragment of each key, in the order of the request.
    pub(crate) owners: Vec<u32>,
    /// Fragments that have not ended.
    pub(crate) waiting: usize,
}

/// One server's part of a split request.
#[derive(Debug)]
pub(crate) struct Fragment<K> {
    pub(crate) server: ServerId,
    /// What has arrived of its reply.
    pub(crate) reply: Rope,
    /// Where the elements of the reply end, for joins in key order.
    pub(crate) marks: Vec<u64>,
    /// The kind of its reply, or why there is none; `None` until it has ended.
    pub(crate) outcome: Option<Result<K, Cause>>,
}

impl<K> PendingJoin<K> {
    /// Bytes of memory.
    pub(crate) fn footprint(&self) -> usize {
        let fragment = |fragment: &Fragment<K>| {
            let marks = fragment.marks.capacity() * size_of::<u64>();
            size_of::<Fragment<K>>() + fragment.reply.footprint() + marks
        };
        let fragments: usize = self.fragments.iter().map(fragment).sum();
        size_of::<Self>() + fragments + self.owners.capacity() * size_of::<u32>()
    }

    /// Bytes of replies that are held.
    pub(crate) fn held(&self) -> usize {
        let held = |fragment: &Fragment<K>| fragment.reply.len();
        self.fragments.iter().map(held).sum()
    }

    /// Bytes to allocate for the joined reply; none if its elements are so large that they are passed on by
    /// reference.
    pub(crate) fn room(&self) -> usize {
        let held = self.held();
        let are_small = held / self.owners.len().max(1) < SHARE_AT_LEAST;
        if are_small { held } else { 0 }
    }
}

impl<K> Fragment<K> {
    /// A fragment whose reply is to come.
    pub(crate) fn new(server: ServerId) -> Self {
        Self {
            server,
            reply: Rope::new(),
            marks: Vec::new(),
            outcome: None,
        }
    }

    /// The elements of its reply, by its marks.
    pub(crate) fn parts(&mut self) -> ReplyParts<'_> {
        ReplyParts {
            reply: &mut self.reply,
            marks: self.marks.iter(),
            at: 0,
        }
    }
}

/// The elements of a fragment's reply, one after the other.
pub(crate) struct ReplyParts<'f> {
    reply: &'f mut Rope,
    /// Where the remaining ones end.
    marks: std::slice::Iter<'f, u64>,
    /// Where the next one begins.
    at: u64,
}

impl ReplyParts<'_> {
    /// Moves the next element to the end of `out`; false if there is none.
    #[inline]
    pub(crate) fn pass_on(&mut self, out: &mut Rope) -> bool {
        match self.next_len() {
            Some(len) => {
                out.take_from(self.reply, len);
                true
            }
            None => false,
        }
    }

    /// Drops the next element, if there is one.
    pub(crate) fn pass_over(&mut self) {
        if let Some(len) = self.next_len() {
            self.reply.consume(len);
        }
    }

    #[inline]
    fn next_len(&mut self) -> Option<usize> {
        let end = *self.marks.next()?;
        let start = std::mem::replace(&mut self.at, end);
        Some((end - start) as usize)
    }
}

/// How a join ended.
#[derive(Debug)]
pub(crate) enum JoinOutcome {
    /// The joined reply was written.
    Done,
    /// The request fails in the same way as the fragment with this index.
    Failed(usize),
    /// The fragments' replies do not fit together: a server did not answer as the command requires.
    Mismatch,
}

/// What caps the TTL of everything that a request writes: edits of its text, and requests that follow it.
#[derive(Debug, Default)]
pub(crate) struct TtlCap {
    /// Ranges of the request's text, and what replaces each.
    pub(crate) edits: Vec<(Range<usize>, Vec<u8>)>,
    /// Requests that are to follow it, one after the other.
    followers: Vec<u8>,
    /// Where each of them ends.
    ends: Vec<usize>,
}

impl TtlCap {
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

    /// Removes everything; memory that a large request has needed is freed.
    pub(crate) fn clear(&mut self) {
        if self.followers.capacity() > SEGMENT_BYTES {
            *self = Self::default();
        }
        self.edits.clear();
        self.followers.clear();
        self.ends.clear();
    }
}
