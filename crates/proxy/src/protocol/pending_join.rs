//! The replies to the fragments of a split request, while they are collected and joined.
//!
//! Where the joined reply has its elements in the order of the request's keys, it need not wait for the last fragment:
//! what is known of its beginning is passed on. So a client that reads gets a large reply as the servers give it, and
//! little of it is held here.

use std::ops::Range;

use crate::cause::Cause;
use crate::flow::buffer::Rope;
use crate::id::ServerId;
use crate::limits::{KEEP_KEYS, PASS_ON_AT_LEAST, SHARE_AT_LEAST, TURN_KEYS};
use crate::protocol::decision::JoinKind;

/// A split request whose fragments' replies are being collected. It waits in the request's slot.
#[derive(Debug)]
pub(crate) struct PendingJoin<K> {
    pub(crate) kind: JoinKind,
    /// It was sent to every server.
    pub(crate) is_broadcast: bool,
    /// The keys of an ejected server count as missing (`eject: miss`), or nothing is asked of it.
    pub(crate) ejected_is_miss: bool,
    pub(crate) fragments: Vec<Fragment<K>>,
    /// For joins in key order: the fragment of each key, in the order of the request.
    pub(crate) owners: Vec<u32>,
    /// For [`JoinKind::Transaction`]: what each element is made of.
    pub(crate) elements: Vec<Element>,
    /// Fragments that have not ended.
    pub(crate) waiting: usize,
    /// Keys whose elements were passed on; `None` until the joined reply has begun.
    passed: Option<usize>,
}

/// One server's part of a split request.
#[derive(Debug)]
pub(crate) struct Fragment<K> {
    pub(crate) server: ServerId,
    /// How many of the request's keys it has; 0 where the request has none.
    pub(crate) keys: usize,
    /// What has arrived of its reply and was not passed on.
    pub(crate) reply: Rope,
    /// Where the elements of the reply end, for joins in key order.
    pub(crate) marks: Vec<u64>,
    /// The kind of its reply, or why there is none; `None` until it has ended.
    pub(crate) outcome: Option<Result<K, Cause>>,
    /// How many of the marks have been passed on or over.
    taken: usize,
    /// How many more there were of those, which are forgotten.
    forgotten: usize,
    /// Where the next element begins.
    at: u64,
}

/// What an element of the joined reply to a transaction is made of.
#[derive(Debug)]
pub(crate) enum Element {
    /// The next element of this fragment's reply.
    Of(u32),
    /// The replies to the fragments of a request that was split: those of each fragment that has one of its keys.
    Split {
        kind: JoinKind,
        /// The fragment of each key.
        owners: Box<[u32]>,
    },
}

impl Element {
    fn owners(&self) -> usize {
        match self {
            Element::Of(_) => 0,
            Element::Split { owners, .. } => owners.len(),
        }
    }
}

/// What has become of a join.
#[derive(Debug)]
pub(crate) enum JoinOutcome {
    /// The joined reply has ended.
    Done,
    /// More of it can be written, but that is enough for one turn.
    More,
    /// The rest depends on replies that are still to come.
    Waiting,
    /// The request fails in the same way as the fragment with this index.
    Failed(usize),
    /// The fragments' replies do not fit together: a server did not answer as the command requires.
    Mismatch,
}

impl<K> PendingJoin<K> {
    /// A join of the replies to `fragments`. `owners` is needed for joins in key order only.
    pub(crate) fn new(
        kind: JoinKind,
        ejected_is_miss: bool,
        fragments: Vec<Fragment<K>>,
        owners: Vec<u32>,
    ) -> Self {
        Self {
            kind,
            is_broadcast: false,
            ejected_is_miss,
            waiting: fragments.len(),
            fragments,
            owners,
            elements: Vec::new(),
            passed: None,
        }
    }

    /// A join of the replies to a request that was sent to every server.
    pub(crate) fn of_all_servers(kind: JoinKind, fragments: Vec<Fragment<K>>) -> Self {
        Self {
            is_broadcast: true,
            ..Self::new(kind, kind.passes_over_ejected(), fragments, Vec::new())
        }
    }

    /// A join of the replies to the parts of a transaction: `fragments` tell how many commands each part has.
    pub(crate) fn of_transaction(fragments: Vec<Fragment<K>>, elements: Vec<Element>) -> Self {
        Self {
            elements,
            ..Self::new(JoinKind::Transaction, false, fragments, Vec::new())
        }
    }

    /// Whether the fragment's keys count as missing because their server is ejected.
    pub(crate) fn is_missing(&self, fragment: &Fragment<K>) -> bool {
        self.ejected_is_miss && matches!(&fragment.outcome, Some(Err(Cause::Ejected)))
    }

    /// Bytes of memory.
    pub(crate) fn footprint(&self) -> usize {
        let owners: usize = self.elements.iter().map(Element::owners).sum();
        let owners = (owners + self.owners.capacity()) * size_of::<u32>();
        let elements = self.elements.capacity() * size_of::<Element>();
        let fragment = |fragment: &Fragment<K>| {
            let marks = fragment.marks.capacity() * size_of::<u64>();
            size_of::<Fragment<K>>() + fragment.reply.footprint() + marks
        };
        let fragments: usize = self.fragments.iter().map(fragment).sum();
        size_of::<Self>() + fragments + owners + elements
    }

    /// How many parts of a transaction were not executed, where `is_error` tells it from the kind of the reply; 0 for any
    /// other join.
    pub(crate) fn failed_parts(&self, is_error: impl Fn(K) -> bool) -> usize
    where
        K: Copy,
    {
        if self.kind != JoinKind::Transaction {
            return 0;
        }
        let failed = |part: &&Fragment<K>| match part.outcome {
            Some(Ok(kind)) => is_error(kind),
            Some(Err(_)) => true,
            None => false,
        };
        self.fragments.iter().filter(failed).count()
    }

    /// Bytes of replies that are held.
    pub(crate) fn held(&self) -> usize {
        let held = |fragment: &Fragment<K>| fragment.reply.len();
        self.fragments.iter().map(held).sum()
    }

    /// Bytes to allocate for the joined reply; none if its elements are so large that they are passed on by
    /// reference, or if it is written in several steps.
    pub(crate) fn room(&self) -> usize {
        let held = self.held();
        let are_small = held / self.owners.len().max(1) < SHARE_AT_LEAST;
        let is_one_step = self.waiting == 0 && !self.has_begun() && self.owners.len() <= TURN_KEYS;
        if are_small && is_one_step { held } else { 0 }
    }

    /// Whether what is known of the joined reply is to be passed on before the last fragment has ended: only of a
    /// large one, as a fragment that fails later can only be told by closing the client.
    pub(crate) fn is_to_be_passed_on(&self) -> bool {
        self.kind.is_ordered() && (self.has_begun() || self.held() >= PASS_ON_AT_LEAST)
    }

    /// Whether the beginning of the joined reply was written.
    pub(crate) fn has_begun(&self) -> bool {
        self.passed.is_some()
    }

    /// Its beginning was written: elements follow.
    pub(crate) fn begin(&mut self) {
        self.passed = Some(0);
    }

    /// Moves the next elements, in the order of the keys, to the end of `out`, as far as they have arrived, but at most
    /// [`TURN_KEYS`]. `absent` writes what stands for one that will not come. The reply must have begun.
    pub(crate) fn pass_on(&mut self, out: &mut Rope, absent: impl FnMut(&mut Rope)) -> JoinOutcome {
        let start = self.passed.unwrap_or(0);
        let end = self.owners.len().min(start + TURN_KEYS);
        let passed = self.pass_on_range(start..end, out, absent);
        self.passed = Some(passed);
        self.fragments.iter_mut().for_each(Fragment::shrink);
        if passed == self.owners.len() && self.waiting == 0 {
            JoinOutcome::Done
        } else if passed == end && end < self.owners.len() {
            JoinOutcome::More
        } else {
            // Nothing may follow the reply to a fragment that has not ended.
            JoinOutcome::Waiting
        }
    }

    /// Passes on the elements of these keys; returns the first for which it must wait.
    fn pass_on_range(
        &mut self,
        keys: Range<usize>,
        out: &mut Rope,
        mut absent: impl FnMut(&mut Rope),
    ) -> usize {
        let fragments = &mut self.fragments[..];
        for (at, owner) in self.owners[keys.clone()].iter().enumerate() {
            let fragment = &mut fragments[*owner as usize];
            if !fragment.pass_on(out) {
                if fragment.outcome.is_none() {
                    return keys.start + at;
                }
                absent(out);
            }
        }
        keys.end
    }
}

impl<K> Fragment<K> {
    /// A fragment with so many keys, whose reply is to come.
    pub(crate) fn new(server: ServerId, keys: usize) -> Self {
        Self {
            server,
            keys,
            reply: Rope::new(),
            marks: Vec::new(),
            outcome: None,
            taken: 0,
            forgotten: 0,
            at: 0,
        }
    }

    /// Whether its reply has ended and is of this kind.
    pub(crate) fn is(&self, kind: K) -> bool
    where
        K: PartialEq,
    {
        matches!(&self.outcome, Some(Ok(found)) if *found == kind)
    }

    /// Drops what is held of its reply: no element follows.
    pub(crate) fn drop_rest(&mut self) {
        self.reply.clear();
        self.forgotten += self.taken;
        self.marks = Vec::new();
        self.taken = 0;
    }

    /// Elements of its reply that have arrived; the header of an aggregate is one, too.
    pub(crate) fn elements(&self) -> usize {
        self.forgotten + self.marks.len()
    }

    /// Whether anything of its reply was passed on or over.
    pub(crate) fn is_begun(&self) -> bool {
        self.at > 0
    }

    /// Forgets where the elements end that were passed on, if there are many.
    fn shrink(&mut self) {
        if self.taken > KEEP_KEYS {
            self.marks.drain(..self.taken);
            self.forgotten += std::mem::take(&mut self.taken);
        }
    }

    /// Moves the next element to the end of `out`; false if it has not arrived.
    #[inline]
    pub(crate) fn pass_on(&mut self, out: &mut Rope) -> bool {
        match self.next_len() {
            Some(len) => {
                out.take_from(&mut self.reply, len);
                true
            }
            None => false,
        }
    }

    /// Drops the next element, if it has arrived.
    pub(crate) fn pass_over(&mut self) {
        if let Some(len) = self.next_len() {
            self.reply.consume(len);
        }
    }

    #[inline]
    fn next_len(&mut self) -> Option<usize> {
        let end = *self.marks.get(self.taken)?;
        self.taken += 1;
        let start = std::mem::replace(&mut self.at, end);
        Some((end - start) as usize)
    }
}
