//! What only some of the requests that wait for a reply need.

use std::ops::Range;

use crate::flow::buffer::Rope;
use crate::protocol::grammar::Mark;
use crate::protocol::pending_join::PendingJoin;

/// What only some requests need.
#[derive(Debug)]
pub(super) struct Extra<K> {
    pub(super) part: Part<K>,
    /// What follows the reply and answers no request.
    pub(super) behind: Rope,
}

/// What becomes of a request besides waiting for one reply.
#[derive(Debug)]
pub(super) enum Part<K> {
    /// Nothing, or no more.
    None,
    /// The replies of its fragments are joined.
    Join(PendingJoin<K>),
    /// It may be sent once more: its bytes.
    Retry(Retry),
}

/// A request as it was sent, where its key is, and what is special about its reply.
#[derive(Debug)]
pub(crate) struct Retry {
    pub(crate) request: Box<[u8]>,
    pub(crate) key: Range<usize>,
    pub(crate) mark: Mark,
}

impl<K> Extra<K> {
    pub(super) fn boxed(part: Part<K>) -> Box<Self> {
        let behind = Rope::new();
        Box::new(Self { part, behind })
    }

    /// Bytes of memory.
    pub(super) fn footprint(&self) -> usize {
        let part = match &self.part {
            Part::None => 0,
            Part::Join(join) => join.footprint(),
            Part::Retry(retry) => size_of::<Retry>() + retry.request.len(),
        };
        part + self.behind.footprint()
    }
}

impl<K> Default for Extra<K> {
    fn default() -> Self {
        Self {
            part: Part::None,
            behind: Rope::new(),
        }
    }
}
