//! The requests of one client that wait for a reply, in order. Servers' replies arrive in any order and leave in this
//! one.
//!
//! A reply to the oldest request is passed on to the output as it arrives, piece by piece. Replies to later requests
//! are stashed in their slots. So the output always ends with a part of the oldest request's reply, or with the end
//! of the reply before it.
//!
//! ```text
//!   written ... │ output ... ◀── first (being passed on) │ stash │ stash, done │ nothing yet │ ... ◀── next
//! ```

mod extra;
mod pushing;

use std::ops::Range;

use crate::cause::Cause;
use crate::flow::buffer::{Chunk, Rope};
use crate::flow::stash::Stash;
use crate::id::ServerId;
use crate::limits::{BROADCAST_WINDOW, HOLD_BACK, LARGE_WINDOW, MAX_JOINED};
use crate::protocol::fanout::FanOut;
use crate::protocol::pending_join::PendingJoin;
pub(crate) use extra::Retry;
use extra::{Extra, Part};

/// Slots that a session's first request allocates room for: enough for clients that hardly pipeline.
const FIRST_SLOTS: usize = 4;

/// How many large replies a request to every server counts for, so that [`BROADCAST_WINDOW`] of them fill the window.
const BROADCAST_WEIGHT: u8 = LARGE_WINDOW.div_ceil(BROADCAST_WINDOW) as u8;

/// The queue of slots. Their numbers are never reused, and a slot's index in `slots` follows from its number, so that
/// finding one takes no search.
#[derive(Debug)]
pub(crate) struct Order<P: FanOut> {
    /// A ring buffer: its length is a power of two, or 0. Free slots have an empty stash and no extra.
    slots: Vec<Slot<P::Kind>>,
    /// Number of the oldest slot.
    first: u64,
    /// Number of the slot that is opened next.
    next: u64,
    /// How many slots may get a large reply; one of a request to every server counts as several.
    large: usize,
    /// Bytes of replies in slots, including those of fragments.
    stashed: usize,
    /// Recent size of large replies: grows at once, shrinks by an eighth with each smaller reply.
    estimate: usize,
}

/// A request that waits for a reply.
#[derive(Debug)]
struct Slot<K> {
    /// What has arrived of the reply while older ones are missing.
    stash: Stash,
    /// What only some requests need.
    extra: Option<Box<Extra<K>>>,
    /// Bytes of the server's reply so far; replies made by the proxy do not count.
    bytes: usize,
    /// For how many large replies it counts: none if the reply is small, by what is known of the command.
    weight: u8,
    /// The reply is complete.
    done: bool,
}

/// What kind of reply a request expects.
#[derive(Debug)]
pub(crate) enum Expected<K> {
    /// One reply; unless it may be large, it is small whatever the key holds.
    Reply { may_be_large: bool },
    /// The same, and the request may be retried.
    Retriable { may_be_large: bool, retry: Retry },
    /// The replies of fragments, to be joined.
    Fragments(PendingJoin<K>),
}

/// What a reply that broke off has left behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CutOff {
    /// The request is not open any more.
    NoSlot,
    /// Nothing of it has gone to the output: an error line can be given instead.
    NothingSent,
    /// Part of it has gone to the output: nothing may follow.
    PartlySent,
}

/// What a piece of a fragment's reply means for the join.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Joined {
    /// Nothing can be done yet, or the request does not wait any more.
    Nothing,
    /// More of the joined reply can be written, see [`Order::take_join`].
    Ready,
    /// The joined reply would be too large.
    TooLarge,
    /// It is no reply to that fragment, which has to fail: what follows on its connection cannot be trusted.
    Wrong,
}

impl<P: FanOut> Default for Order<P> {
    fn default() -> Self {
        Self {
            slots: Vec::new(),
            first: 0,
            next: 0,
            large: 0,
            stashed: 0,
            estimate: 0,
        }
    }
}

impl<P: FanOut> Order<P> {
    /// Requests that wait for a reply.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        (self.next - self.first) as usize
    }

    /// Whether no request waits for a reply.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.next == self.first
    }

    /// Whether the reply in the slot with this number leaves next.
    #[inline]
    pub(crate) fn is_next(&self, number: u64) -> bool {
        number == self.first && !self.is_empty()
    }

    /// Number of the slot that is opened next.
    #[inline]
    pub(crate) fn next(&self) -> u64 {
        self.next
    }

    /// How many of the replies may be large.
    #[inline]
    pub(crate) fn large(&self) -> usize {
        self.large
    }

    /// Bytes of replies that are stashed here.
    #[inline]
    pub(crate) fn stashed(&self) -> usize {
        self.stashed
    }

    /// Bytes of replies that are stashed here or are to come, estimated by the recent size of large ones.
    #[inline]
    pub(crate) fn expected(&self) -> usize {
        // No overflow: the estimate is the size of a reply that was received, and a window bounds the number.
        self.stashed + self.large * self.estimate
    }

    /// Opens the next slot; returns its number.
    #[inline(always)]
    pub(crate) fn open(&mut self, expected: Expected<P::Kind>) -> u64 {
        let (weight, extra) = match expected {
            Expected::Reply { may_be_large } => (u8::from(may_be_large), None),
            Expected::Retriable {
                may_be_large,
                retry,
            } => (
                u8::from(may_be_large),
                Some(Extra::boxed(Part::Retry(retry))),
            ),
            Expected::Fragments(join) => (weight_of(&join), Some(Extra::boxed(Part::Join(join)))),
        };
        let number = self.next;
        let slot = self.push();
        slot.weight = weight;
        slot.extra = extra;
        self.large += usize::from(weight);
        number
    }

    /// Opens a slot with a reply that is complete already.
    pub(crate) fn open_answered(&mut self, reply: &[u8]) {
        let slot = self.push();
        slot.done = true;
        slot.stash.extend(reply);
        self.stashed += reply.len();
    }

    /// A further slot, with nothing in it.
    #[inline]
    fn push(&mut self) -> &mut Slot<P::Kind> {
        if self.len() == self.slots.len() {
            self.grow();
        }
        let at = self.index(self.next);
        self.next += 1;
        let slot = &mut self.slots[at];
        slot.bytes = 0;
        slot.weight = 0;
        slot.done = false;
        slot
    }

    #[cold]
    fn grow(&mut self) {
        let room = (2 * self.slots.len()).max(FIRST_SLOTS);
        let mut slots: Vec<_> = std::iter::repeat_with(Slot::default).take(room).collect();
        for number in self.first..self.next {
            let from = self.index(number);
            std::mem::swap(
                &mut self.slots[from],
                &mut slots[number as usize & (room - 1)],
            );
        }
        self.slots = slots;
    }

    #[inline]
    fn index(&self, number: u64) -> usize {
        number as usize & (self.slots.len().wrapping_sub(1))
    }

    /// The slot with this number, if it is open.
    #[inline]
    fn get(&mut self, number: u64) -> Option<&mut Slot<P::Kind>> {
        if number.wrapping_sub(self.first) >= self.next - self.first {
            return None;
        }
        let at = self.index(number);
        self.slots.get_mut(at)
    }

    /// Whether the slot with this number is open, that is, its request still waits.
    pub(crate) fn is_open(&self, number: u64) -> bool {
        (self.first..self.next).contains(&number)
    }

    /// Adds a piece of the reply in a slot, the last one if `last`; directly to `output` if the slot is the oldest.
    /// Returns whether the output grew or a request was completed.
    #[inline(always)]
    pub(crate) fn deliver(
        &mut self,
        number: u64,
        chunk: &Chunk,
        range: Range<usize>,
        last: bool,
        output: &mut Rope,
    ) -> bool {
        let is_first = number == self.first;
        let Some(slot) = self.get(number) else {
            return false;
        };
        slot.bytes += range.len();
        slot.done = last;
        // The first piece of a reply waits until it has a whole line: if the connection ends here, the client can
        // still be given an error line and need not be closed.
        let begun = !last
            && slot.bytes <= HOLD_BACK
            && slot.bytes == slot.stash.len() + range.len()
            && !P::has_first_line(&chunk[range.clone()]);
        if !is_first || begun {
            let len = range.len();
            slot.stash.push(chunk, range);
            self.stashed += len;
            return false;
        }
        if !slot.stash.is_empty() {
            let waited = slot.stash.len();
            slot.stash.drain_to(output);
            self.stashed -= waited;
        }
        output.push(chunk, range);
        if last {
            self.close_first(output);
            if self.may_advance() {
                self.advance(output);
            }
        }
        true
    }

    /// Completes a slot with a reply made by the proxy; see [`Order::deliver`]. It does not change the estimate of
    /// the size of servers' replies.
    pub(crate) fn fill(&mut self, number: u64, reply: &[u8], output: &mut Rope) -> bool {
        let is_first = number == self.first;
        let Some(slot) = self.get(number) else {
            return false;
        };
        slot.bytes = 0;
        slot.done = true;
        slot.stash.extend(reply);
        self.stashed += reply.len();
        is_first && self.advance(output)
    }

    /// Whether [`Order::advance`] has anything to do.
    #[inline]
    fn may_advance(&self) -> bool {
        if self.is_empty() {
            return self.slots.len() > LARGE_WINDOW;
        }
        let head = &self.slots[self.index(self.first)];
        head.done || !head.stash.is_empty()
    }

    /// Moves what is stashed for the oldest request to the output, and goes on with the next one while requests are
    /// complete. Returns whether anything moved or a request was completed.
    fn advance(&mut self, output: &mut Rope) -> bool {
        let mut moved = false;
        while !self.is_empty() {
            let at = self.index(self.first);
            let head = &mut self.slots[at];
            let waited = head.stash.len();
            if !head.done && waited == 0 {
                break;
            }
            moved = true;
            if waited > 0 {
                head.stash.drain_to(output);
                self.stashed -= waited;
            }
            if !self.slots[at].done {
                break;
            }
            self.close_first(output);
        }
        if self.is_empty() && self.slots.len() > LARGE_WINDOW {
            self.slots = Vec::new();
        }
        moved
    }

    /// Frees the oldest slot, whose reply is complete in the output.
    #[inline]
    fn close_first(&mut self, output: &mut Rope) {
        let at = self.index(self.first);
        if self.slots[at].extra.is_some() {
            self.close_extra(at, output);
        }
        let slot = &mut self.slots[at];
        let (bytes, weight) = (slot.bytes, slot.weight);
        self.first += 1;
        if weight > 0 {
            self.large -= usize::from(weight);
            if bytes > 0 {
                // It grows at once and shrinks slowly: expecting too little costs memory, too much only some
                // batching.
                self.estimate = bytes.max(self.estimate - self.estimate / 8);
            }
        }
    }

    #[cold]
    fn close_extra(&mut self, at: usize, output: &mut Rope) {
        if let Some(mut extra) = self.slots[at].extra.take() {
            self.stashed -= extra.behind.len();
            output.append(&mut extra.behind);
        }
    }

    /// Takes the bytes for a retry of the request in a slot, if nothing of its reply has arrived.
    pub(crate) fn take_retry(&mut self, number: u64) -> Option<Retry> {
        let slot = self.get(number)?;
        let part = &mut slot.extra.as_deref_mut()?.part;
        let Part::Retry(_) = part else {
            return None;
        };
        match std::mem::replace(part, Part::None) {
            Part::Retry(retry) if slot.bytes == 0 => Some(retry),
            _ => None,
        }
    }

    /// The reply in a slot has broken off.
    pub(crate) fn cut_off(&mut self, number: u64) -> CutOff {
        let is_first = number == self.first;
        let Some(slot) = self.get(number) else {
            return CutOff::NoSlot;
        };
        let waits = slot.stash.len();
        if is_first && slot.bytes != waits {
            return CutOff::PartlySent;
        }
        slot.stash.clear();
        self.stashed -= waits;
        CutOff::NothingSent
    }

    /// Drops all slots: nothing more is answered.
    pub(crate) fn clear(&mut self) {
        self.slots = Vec::new();
        self.first = self.next;
        self.large = 0;
        self.stashed = 0;
    }

    /// Bytes of memory.
    pub(crate) fn footprint(&self) -> usize {
        let slots =
            (self.first..self.next).map(|number| self.slots[self.index(number)].footprint());
        slots.sum::<usize>() + self.slots.capacity() * size_of::<Slot<P::Kind>>()
    }
}

/// Replies to the fragments of a split request.
impl<P: FanOut> Order<P> {
    fn pending_join(&mut self, number: u64) -> Option<&mut PendingJoin<P::Kind>> {
        match &mut self.get(number)?.extra.as_deref_mut()?.part {
            Part::Join(join) => Some(join),
            Part::None | Part::Retry(_) => None,
        }
    }

    /// The reply in an open slot, of which nothing has come, is to be joined of several.
    pub(crate) fn expect_join(&mut self, number: u64, join: PendingJoin<P::Kind>) {
        if let Some(slot) = self.get(number) {
            slot.extra.get_or_insert_default().part = Part::Join(join);
        }
    }

    /// Whether a fragment of an open request went to this server, answered or not.
    pub(crate) fn has_fragment_at(&self, server: ServerId) -> bool {
        let slots = (self.first..self.next).map(|number| &self.slots[self.index(number)]);
        let mut joins = slots.filter_map(|slot| match &slot.extra.as_deref()?.part {
            Part::Join(join) => Some(join),
            Part::None | Part::Retry(_) => None,
        });
        joins.any(|join| join.fragments.iter().any(|part| part.server == server))
    }

    /// Adds a piece of a fragment's reply, the last one if it has a kind.
    pub(crate) fn deliver_fragment(
        &mut self,
        (number, fragment): (u64, u32),
        (chunk, range): (&Chunk, Range<usize>),
        kind: Option<P::Kind>,
        marks: &mut Vec<u64>,
        is_nested: bool,
    ) -> Joined {
        let len = range.len();
        let Some(join) = self.pending_join(number) else {
            return Joined::Nothing;
        };
        let part = &mut join.fragments[fragment as usize];
        part.reply.push(chunk, range);
        if join.kind.needs_marks() {
            part.marks.append(marks);
        }
        let fits = P::fits(join.kind, part, is_nested);
        if fits && let Some(kind) = kind {
            part.outcome = Some(Ok(kind));
            join.waiting -= 1;
        }
        let goes_on = join.waiting == 0 || join.is_to_be_passed_on();
        let is_too_large = !join.kind.is_ordered() && join.held() > MAX_JOINED;
        self.stashed += len;
        match goes_on {
            _ if !fits => Joined::Wrong,
            _ if is_too_large => Joined::TooLarge,
            true => Joined::Ready,
            false => Joined::Nothing,
        }
    }

    /// A fragment has failed. Returns whether the join may go on.
    pub(crate) fn fail_fragment(&mut self, number: u64, fragment: u32, cause: &Cause) -> bool {
        let Some(join) = self.pending_join(number) else {
            return false;
        };
        let part = &mut join.fragments[fragment as usize];
        let held = part.reply.len();
        part.drop_rest();
        part.outcome = Some(Err(cause.clone()));
        join.waiting -= 1;
        let goes_on = join.waiting == 0 || join.has_begun();
        self.stashed -= held;
        goes_on
    }

    /// Takes what is collected for a split request, to join it as far as that is possible. Either
    /// [`Order::put_joined`] or [`Order::fill`] follows.
    pub(crate) fn take_join(&mut self, number: u64) -> Option<PendingJoin<P::Kind>> {
        let slot = self.get(number)?;
        let part = &mut slot.extra.as_deref_mut()?.part;
        let Part::Join(_) = part else {
            return None;
        };
        match std::mem::replace(part, Part::None) {
            Part::Join(join) => {
                self.stashed -= join.held();
                Some(join)
            }
            Part::None | Part::Retry(_) => None,
        }
    }

    /// Adds a piece of a joined reply; it is complete unless there is a `rest`. See [`Order::deliver`].
    pub(crate) fn put_joined(
        &mut self,
        number: u64,
        piece: Rope,
        rest: Option<PendingJoin<P::Kind>>,
        output: &mut Rope,
    ) -> bool {
        let Some(slot) = self.get(number) else {
            return false;
        };
        slot.bytes += piece.len();
        slot.done = rest.is_none();
        let held = rest.as_ref().map_or(0, PendingJoin::held);
        if let Some(rest) = rest {
            slot.extra.get_or_insert_default().part = Part::Join(rest);
        }
        self.stashed += held;
        self.put(number, piece, output)
    }

    /// Completes a split request, of whose reply nothing was passed on, with the error in `line`. It does not count for
    /// the estimate of the size of replies. See [`Order::deliver`].
    pub(crate) fn put_failed(&mut self, number: u64, line: Rope, output: &mut Rope) -> bool {
        let Some(slot) = self.get(number) else {
            return false;
        };
        slot.bytes = 0;
        slot.done = true;
        self.put(number, line, output)
    }

    /// Appends to the reply in an open slot.
    fn put(&mut self, number: u64, mut piece: Rope, output: &mut Rope) -> bool {
        let is_first = number == self.first;
        let (len, at) = (piece.len(), self.index(number));
        let slot = &mut self.slots[at];
        if is_first && slot.stash.is_empty() {
            output.append(&mut piece);
            return self.advance(output) || len > 0;
        }
        slot.stash.append(piece);
        self.stashed += len;
        is_first && self.advance(output)
    }
}

/// For how many large replies a request counts that is split or goes to every server.
fn weight_of<K>(join: &PendingJoin<K>) -> u8 {
    match join.is_broadcast {
        true => BROADCAST_WEIGHT,
        false => u8::from(!join.kind.is_small()),
    }
}

impl<K> Default for Slot<K> {
    fn default() -> Self {
        Self {
            stash: Stash::new(),
            extra: None,
            bytes: 0,
            weight: 0,
            done: false,
        }
    }
}

impl<K> Slot<K> {
    /// Bytes of memory besides the slot itself.
    fn footprint(&self) -> usize {
        let extra = self.extra.as_deref().map_or(0, Extra::footprint);
        self.stash.footprint() + extra
    }
}
