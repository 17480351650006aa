//! Requests to several servers: split into fragments, one for each server, whose replies are joined. And requests to
//! the failover pool: the TTL of what they write is capped.

use std::ops::Range;

use super::decision::{Decider, JoinKind, Key, Request};
use super::pending_join::{Fragment, JoinOutcome, PendingJoin};
use crate::flow::buffer::{Chunk, Rope};
use crate::id::ServerId;
use crate::limits::SEGMENT_BYTES;
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
    fn fragment_end(command: Self::Command, request: Request<'_, Self>, out: &mut Rope);

    /// Whether what has arrived of a fragment's reply can be the beginning of one to its part of the request.
    /// `is_nested`: it breaks off within an aggregate that is an element of another.
    fn fits(kind: JoinKind, fragment: &Fragment<Self::Kind>, is_nested: bool) -> bool;

    /// Appends the error line for a request whose joined reply would be too large.
    fn too_large(out: &mut Vec<u8>);

    /// Joins the fragments' replies into one: writes what is known of it and was not written before, at most
    /// [`TURN_KEYS`](crate::limits::TURN_KEYS) elements.
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
