//! One client with subscriptions.

use std::collections::BTreeSet;
use std::rc::Rc;

use crate::id::{ServerId, SessionId};
use crate::limits::{MAX_CHANNEL_BYTES, MAX_CHANNELS};
use crate::protocol::channel::{ChannelKind, Counts};
use crate::protocol::grammar::Reply;

/// The name of a channel, which all that have to do with it share.
pub(crate) type Name = Rc<[u8]>;

/// The subscriptions of one client.
#[derive(Debug, Default)]
pub(super) struct Member {
    names: [BTreeSet<Name>; 3],
    /// Bytes of those names.
    bytes: usize,
    pending: Option<Pending>,
}

/// A request for subscriptions. It is answered as a whole, when all of them are confirmed or one is not.
#[derive(Debug)]
pub(crate) struct Wish {
    pub(crate) client: SessionId,
    /// Its slot.
    pub(crate) slot: u64,
    /// Whether an error is wanted. A confirmation is, in any case.
    pub(crate) reply: Reply,
    pub(crate) kind: ChannelKind,
    /// In the order of the request; one may be named more than once.
    pub(crate) names: Vec<Name>,
}

/// The request that a client waits for.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) wish: Wish,
    /// How many of its channels are not confirmed.
    pub(super) open: usize,
}

/// Why a client's subscriptions cannot begin.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    pub(crate) cause: crate::cause::Cause,
    /// The server that it is about, if it is about one.
    pub(crate) server: Option<ServerId>,
}

impl Member {
    pub(super) fn has(&self, kind: ChannelKind, name: &[u8]) -> bool {
        self.names[kind.index()].contains(name)
    }

    pub(super) fn counts(&self) -> Counts {
        Counts::new([0, 1, 2].map(|kind| self.names[kind].len()))
    }

    /// Whether it may have so many more channels, with so many bytes of names.
    pub(super) fn has_room(&self, channels: usize, bytes: usize) -> bool {
        let known: usize = self.names.iter().map(BTreeSet::len).sum();
        known + channels <= MAX_CHANNELS && self.bytes + bytes <= MAX_CHANNEL_BYTES
    }

    /// Adds a subscription; returns whether it is new.
    pub(super) fn add(&mut self, kind: ChannelKind, name: &Name) -> bool {
        let is_new = self.names[kind.index()].insert(Rc::clone(name));
        self.bytes += if is_new { name.len() } else { 0 };
        is_new
    }

    /// Removes one; returns whether there was one.
    pub(super) fn remove(&mut self, kind: ChannelKind, name: &[u8]) -> bool {
        let was_there = self.names[kind.index()].remove(name);
        self.bytes -= if was_there { name.len() } else { 0 };
        was_there
    }

    /// The names of a kind.
    pub(super) fn names(&self, kind: ChannelKind) -> impl Iterator<Item = &Name> {
        self.names[kind.index()].iter()
    }

    pub(super) fn wait(&mut self, pending: Pending) {
        self.pending = Some(pending);
    }

    pub(super) fn pending_mut(&mut self) -> Option<&mut Pending> {
        self.pending.as_mut()
    }

    pub(super) fn take_pending(&mut self) -> Option<Pending> {
        self.pending.take()
    }

    /// Whether nothing is left of it.
    pub(super) fn is_over(&self) -> bool {
        self.pending.is_none() && !self.counts().is_any()
    }
}
