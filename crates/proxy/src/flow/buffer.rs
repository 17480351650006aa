//! Ropes: queues of bytes that are still to be written.
//!
//! Small pieces are copied into owned segments; large ones keep a reference to the chunk they
//! arrived in, so that a value of a megabyte crosses the proxy without being copied.

mod last;

use std::collections::VecDeque;
use std::ops::Range;

use crate::flow::segment::Segment;
use crate::flow::spares::Spares;
use crate::limits::{KEPT_MAX_WASTE, SEGMENT_BYTES, SHARE_AT_LEAST, SHARE_MAX_WASTE, SPARE_BYTES};

pub use crate::flow::chunk::Chunk;

/// Smallest allocation of an owned segment: one small reply or request and its neighbours.
const FIRST_CAPACITY: usize = 256;

/// Factor by which a full segment grows. Each growth copies the segment, so it should happen rarely.
const GROWTH: usize = 4;

/// A queue of bytes: appended at the end, taken from the front, read as slices.
///
/// The first owned segment is held inline, so that the common case (little unsent output) costs one
/// allocation, and none when empty.
#[derive(Debug, Default)]
pub struct Rope {
    first: Vec<u8>,
    /// Bytes of the front segment that were consumed already. The front segment is `first`, or the first one of
    /// `more` when `first` is empty.
    taken: usize,
    /// The segments after `first`. If there are any, everything further is appended here, to keep the order.
    #[expect(
        clippy::box_collection,
        reason = "a rope is in every session, and most never need this"
    )]
    more: Option<Box<VecDeque<Segment>>>,
    len: usize,
    /// Bytes that were held when it was last emptied, a segment at most. The next allocation is of this size, as a
    /// session's replies tend to be of similar size.
    usual: u32,
}

impl Rope {
    /// An empty rope; allocates nothing.
    pub const fn new() -> Self {
        Self {
            first: Vec::new(),
            taken: 0,
            more: None,
            len: 0,
            usual: 0,
        }
    }

    /// An empty rope with room for `bytes`, at most one segment.
    pub(crate) fn with_room(bytes: usize) -> Self {
        Self {
            first: Vec::with_capacity(bytes.min(SEGMENT_BYTES)),
            ..Self::new()
        }
    }

    /// Bytes held.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing is held.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes of memory that it occupies: whole segments, and the whole of shared chunks.
    pub(crate) fn footprint(&self) -> usize {
        let more = self.more.iter().flat_map(|more| more.iter());
        self.first.capacity() + more.map(Segment::footprint).sum::<usize>()
    }

    /// The bytes held, in order, as few slices.
    pub fn slices(&self) -> impl Iterator<Item = &[u8]> {
        let mut skip = self.taken;
        std::iter::once(self.first.as_slice())
            .chain(
                self.more
                    .iter()
                    .flat_map(|more| more.iter().map(Segment::bytes)),
            )
            .filter(|slice| !slice.is_empty())
            .map(move |slice| {
                let taken = std::mem::take(&mut skip);
                &slice[taken..]
            })
    }

    /// Appends a copy of `bytes`.
    #[inline]
    pub fn extend(&mut self, bytes: &[u8]) {
        let room = self.first.capacity() - self.first.len();
        if self.more.is_none() && bytes.len() <= room {
            self.first.extend_from_slice(bytes);
            self.len += bytes.len();
        } else if !bytes.is_empty() {
            self.extend_tail(bytes);
        }
    }

    #[inline(never)]
    fn extend_tail(&mut self, bytes: &[u8]) {
        self.tail(bytes.len()).extend_from_slice(bytes);
        self.len += bytes.len();
    }

    /// Lets `write` append to the last segment, and counts what it added.
    pub fn extend_with<T>(&mut self, write: impl FnOnce(&mut Vec<u8>) -> T) -> T {
        let tail = self.tail(0);
        let before = tail.len();
        let result = write(tail);
        let added = tail.len() - before;
        self.len += added;
        result
    }

    /// Appends `range` of `chunk`: by reference if it is large and a large part of the chunk, which stays allocated
    /// for it; as a copy otherwise.
    #[inline]
    pub fn push(&mut self, chunk: &Chunk, range: Range<usize>) {
        match range.len() < SHARE_AT_LEAST {
            true => self.extend(&chunk[range]),
            false => self.push_large(chunk, range),
        }
    }

    #[inline(never)]
    fn push_large(&mut self, chunk: &Chunk, range: Range<usize>) {
        if !is_worth_sharing(chunk, &range) {
            return self.extend(&chunk[range]);
        }
        self.len += range.len();
        self.push_segment(Segment::Shared(chunk.clone(), range));
    }

    /// The same for bytes that are kept until many others have come (an argument that arrives in pieces): by reference
    /// only if they are most of the chunk.
    pub fn push_to_keep(&mut self, chunk: &Chunk, range: Range<usize>) {
        let is_most =
            range.len().saturating_mul(KEPT_MAX_WASTE.1) >= chunk.len() * KEPT_MAX_WASTE.0;
        match is_most {
            true => self.push(chunk, range),
            false => self.extend(&chunk[range]),
        }
    }

    /// Moves everything `other` holds to the end of this rope. An empty rope without memory takes over the other's,
    /// if that is at least half of what it usually holds; otherwise it would soon have to grow.
    pub fn append(&mut self, other: &mut Rope) {
        let has_nothing = self.first.capacity() == 0 && self.more.is_none();
        if has_nothing && other.len > self.usual as usize / 2 {
            let usual = self.usual;
            *self = std::mem::take(other);
            self.usual = usual;
            return;
        }
        let len = other.len;
        self.take_from(other, len);
    }

    /// Moves the first `count` bytes of `other` (at most all) to the end of this rope.
    #[inline]
    pub fn take_from(&mut self, other: &mut Rope, count: usize) {
        let (start, end) = (other.taken, other.taken.saturating_add(count));
        // More of the first segment stays, as when elements of a reply are moved one by one.
        if end < other.first.len() {
            self.extend(&other.first[start..end]);
            other.taken = end;
            other.len -= count;
        } else {
            self.take_from_segments(other, count);
        }
    }

    /// The same if it is not a part of `other.first`.
    #[inline(never)]
    fn take_from_segments(&mut self, other: &mut Rope, count: usize) {
        let (start, end) = (other.taken, other.taken.saturating_add(count));
        if other.first.is_empty() && count < SHARE_AT_LEAST && end < other.front_of_more().len() {
            self.extend(&other.front_of_more()[start..end]);
            other.taken = end;
            other.len -= count;
        } else {
            self.take_segments(other, count);
        }
    }

    /// The first segment behind `first`; nothing if there is none.
    fn front_of_more(&self) -> &[u8] {
        let front = self.more.as_ref().and_then(|more| more.front());
        front.map_or(&[], Segment::bytes)
    }

    /// The same if more than a small part of the first segment is moved.
    fn take_segments(&mut self, other: &mut Rope, count: usize) {
        let mut left = count.min(other.len);
        while left > 0 {
            let moved = self.take_segment(other, left);
            other.consume(moved);
            left -= moved;
        }
    }

    /// Takes the first segment: a reference to its chunk, or a copy of owned bytes; `None` when nothing is held.
    pub(crate) fn take_front(&mut self) -> Option<(Chunk, Range<usize>)> {
        let skip = self.taken;
        let owned = |bytes: &[u8]| {
            let chunk: Chunk = bytes[skip..].into();
            let all = 0..chunk.len();
            (chunk, all)
        };
        let front = match &self.first[..] {
            [] => match self.more.as_ref()?.front()? {
                Segment::Owned(bytes) => owned(bytes),
                Segment::Shared(chunk, range) => (chunk.clone(), range.start + skip..range.end),
            },
            first => owned(first),
        };
        self.consume(front.1.len());
        Some(front)
    }

    /// Drops the first `count` bytes (at most all), as after a write. An emptied rope gives its memory back.
    pub fn consume(&mut self, count: usize) {
        let mut left = count.min(self.len);
        if left == self.len {
            self.clear();
            self.usual = left.min(SEGMENT_BYTES) as u32;
            return;
        }
        self.len -= left;
        while left > 0 {
            let available = self.front_len() - self.taken;
            if left < available {
                self.taken += left;
                return;
            }
            left -= available;
            self.drop_front();
        }
    }

    /// Gives an empty rope spare memory, if there is some that fits what it usually holds and `range` of `chunk`,
    /// which will be pushed next.
    #[inline]
    pub(crate) fn start_with_spare(
        &mut self,
        spares: &mut Spares,
        chunk: &Chunk,
        range: &Range<usize>,
    ) {
        if self.len > 0 {
            return;
        }
        let room = range.len().max(self.usual as usize).max(FIRST_CAPACITY);
        if room <= SPARE_BYTES {
            if self.first.capacity() == 0
                && let Some(buffer) = spares.take(room)
            {
                self.first = buffer;
            }
        } else {
            self.start_with_spare_queue(spares, chunk, range);
        }
    }

    #[cold]
    fn start_with_spare_queue(&mut self, spares: &mut Spares, chunk: &Chunk, range: &Range<usize>) {
        if self.more.is_none() && is_worth_sharing(chunk, range) {
            self.more = spares.take_queue();
        }
    }

    /// Like [`Rope::consume`], but the memory of an emptied rope goes to `spares`.
    #[inline]
    pub(crate) fn consume_and_recycle(&mut self, count: usize, spares: &mut Spares) {
        if count < self.len {
            return self.consume(count);
        }
        let usual = self.len.min(SEGMENT_BYTES) as u32;
        spares.give(std::mem::take(&mut self.first));
        if let Some(queue) = self.more.take() {
            spares.give_queue(queue);
        }
        self.taken = 0;
        self.len = 0;
        self.usual = usual;
    }

    /// Drops everything and gives the memory back.
    pub fn clear(&mut self) {
        *self = Rope::new();
    }

    /// Like [`Rope::consume`], but an emptied rope keeps up to `keep` bytes of capacity for what
    /// comes next. For the few long-lived server connections.
    pub fn consume_keeping(&mut self, count: usize, keep: usize) {
        if count >= self.len && self.more.is_none() && self.first.capacity() <= keep {
            self.first.clear();
            self.taken = 0;
            self.len = 0;
            return;
        }
        self.consume(count);
    }

    /// Copies the first bytes into `out`, as many as fit; returns how many.
    pub fn peek(&self, out: &mut [u8]) -> usize {
        let mut filled = 0;
        for slice in self.slices() {
            let count = slice.len().min(out.len() - filled);
            out[filled..filled + count].copy_from_slice(&slice[..count]);
            filled += count;
            if filled == out.len() {
                break;
            }
        }
        filled
    }

    /// The owned segment at the end, with room for `extra` bytes; a new one if the last is full or shared.
    fn tail(&mut self, extra: usize) -> &mut Vec<u8> {
        let Some(more) = &mut self.more else {
            if self.first.is_empty() || self.first.len() + extra <= SEGMENT_BYTES {
                let usual = self.usual as usize;
                make_room(&mut self.first, extra, usual.max(FIRST_CAPACITY));
                return &mut self.first;
            }
            self.more = Some(Box::new(VecDeque::from([next_segment(extra)])));
            return self.tail_of_more(extra);
        };
        match more.back() {
            Some(Segment::Owned(tail)) if tail.len() + extra <= SEGMENT_BYTES => {}
            Some(Segment::Owned(_)) => more.push_back(next_segment(extra)),
            _ => more.push_back(Segment::Owned(Vec::new())),
        }
        self.tail_of_more(extra)
    }

    fn tail_of_more(&mut self, extra: usize) -> &mut Vec<u8> {
        match self.more.as_mut().and_then(|more| more.back_mut()) {
            Some(Segment::Owned(tail)) => {
                make_room(tail, extra, FIRST_CAPACITY);
                tail
            }
            _ => unreachable!("the caller has just pushed an owned segment"),
        }
    }

    fn push_segment(&mut self, segment: Segment) {
        self.more.get_or_insert_default().push_back(segment);
    }

    fn front_len(&self) -> usize {
        match &self.first[..] {
            [] => self.front_of_more().len(),
            first => first.len(),
        }
    }

    fn drop_front(&mut self) {
        self.taken = 0;
        if !self.first.is_empty() {
            self.first = Vec::new();
        } else if let Some(more) = &mut self.more {
            more.pop_front();
        }
    }

    /// Appends up to `most` bytes of `other`'s front segment; returns how many. The caller consumes them.
    fn take_segment(&mut self, other: &Rope, most: usize) -> usize {
        let skip = other.taken;
        if !other.first.is_empty() {
            let bytes = &other.first[skip..];
            let count = bytes.len().min(most);
            self.extend(&bytes[..count]);
            return count;
        }
        let Some(front) = other.more.as_ref().and_then(|more| more.front()) else {
            return 0;
        };
        let count = (front.bytes().len() - skip).min(most);
        match front {
            Segment::Owned(bytes) => self.extend(&bytes[skip..skip + count]),
            Segment::Shared(chunk, range) => {
                let start = range.start + skip;
                self.push(chunk, start..start + count);
            }
        }
        count
    }
}

fn is_worth_sharing(chunk: &Chunk, range: &Range<usize>) -> bool {
    range.len() >= SHARE_AT_LEAST && chunk.len() <= range.len().saturating_mul(SHARE_MAX_WASTE)
}

/// The segment after a full one. It gets its full size at once, as much is being appended.
fn next_segment(extra: usize) -> Segment {
    Segment::Owned(Vec::with_capacity(extra.max(SEGMENT_BYTES)))
}

/// Makes room in `vec` for `extra` more bytes, and for at least `first` in all. It grows in large steps, as each one
/// copies what it holds, but not beyond the size of a segment unless `extra` needs it.
fn make_room(vec: &mut Vec<u8>, extra: usize, first: usize) {
    let needed = vec.len() + extra;
    if needed <= vec.capacity() && vec.capacity() > 0 {
        return;
    }
    let wished = first.max(vec.capacity() * GROWTH).min(SEGMENT_BYTES);
    vec.reserve_exact(needed.max(wished) - vec.len());
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all(rope: &Rope) -> Vec<u8> {
        rope.slices().flatten().copied().collect()
    }

    #[derive(Debug, Clone)]
    enum Step {
        Extend(usize),
        Push(usize, usize),
        Consume(usize),
        Take(usize),
        Append,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (0usize..70_000).prop_map(Step::Extend),
            (0usize..40_000, 0usize..40_000).prop_map(|(at, len)| Step::Push(at, len)),
            (0usize..90_000).prop_map(Step::Consume),
            (0usize..50_000).prop_map(Step::Take),
            Just(Step::Append),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        /// A rope behaves like a plain vector of bytes, whatever is done to it.
        #[test]
        fn a_rope_is_a_byte_queue(steps in proptest::collection::vec(step(), 1..30)) {
            let chunk: Chunk = (0..80_000usize).map(|i| (i * 7 % 251) as u8).collect();
            let (mut rope, mut model) = (Rope::new(), Vec::new());
            let (mut other, mut other_model) = (Rope::new(), Vec::new());
            for step in steps {
                match step {
                    Step::Extend(n) => { rope.extend(&chunk[..n]); model.extend_from_slice(&chunk[..n]); }
                    Step::Push(at, n) => { other.push(&chunk, at..at + n); other_model.extend_from_slice(&chunk[at..at + n]); }
                    Step::Consume(n) => { rope.consume(n); model.drain(..n.min(model.len())); }
                    Step::Take(n) => {
                        rope.take_from(&mut other, n);
                        model.extend(other_model.drain(..n.min(other_model.len())));
                    }
                    Step::Append => { rope.append(&mut other); model.append(&mut other_model); }
                }
                prop_assert_eq!(rope.len(), model.len());
                prop_assert!(all(&rope) == model);
                prop_assert!(all(&other) == other_model);
            }
        }
    }

    #[test]
    fn large_slices_are_shared_and_small_ones_copied() {
        let chunk: Chunk = Chunk::from(vec![1u8; 64 << 10]);
        let mut rope = Rope::new();
        rope.push(&chunk, 0..100);
        assert!(!chunk.is_shared());
        rope.push(&chunk, 0..32 << 10);
        assert!(chunk.is_shared());
        rope.consume(100 + (32 << 10));
        assert!(!chunk.is_shared());
    }

    #[test]
    fn what_is_shared_depends_on_its_size_and_on_how_much_it_pins() {
        let shares = |chunk: usize, len: usize| {
            let chunk: Chunk = Chunk::from(vec![1u8; chunk]);
            let mut rope = Rope::new();
            rope.push(&chunk, 0..len);
            chunk.is_shared()
        };
        assert!(shares(SHARE_AT_LEAST, SHARE_AT_LEAST));
        assert!(!shares(SHARE_AT_LEAST, SHARE_AT_LEAST - 1));
        let most = SHARE_AT_LEAST * SHARE_MAX_WASTE;
        assert!(shares(most, SHARE_AT_LEAST));
        assert!(!shares(most + 1, SHARE_AT_LEAST));
    }

    #[test]
    fn pieces_that_are_kept_take_little_more_than_their_size() {
        let chunk: Chunk = vec![7; 64 << 10].into();
        for (piece, is_shared) in [
            (64 << 10, true),
            (48 << 10, true),
            (47 << 10, false),
            (16 << 10, false),
        ] {
            let mut rope = Rope::new();
            for _ in 0..64 {
                rope.push_to_keep(&chunk, 0..piece);
            }
            let taken = rope.footprint() as f64 / rope.len() as f64;
            assert!(taken < 1.4, "{piece} bytes: {taken} times");
            let has_shared = rope.slices().any(|slice| slice.as_ptr() == chunk.as_ptr());
            assert_eq!(has_shared, is_shared, "{piece} bytes");
        }
    }

    #[test]
    fn a_rope_grows_in_few_steps_and_no_further_than_its_segments() {
        let mut rope = Rope::new();
        let mut capacities = Vec::new();
        for _ in 0..200 {
            rope.extend(&[7; 1_000]);
            capacities.push(rope.first.capacity());
        }
        capacities.dedup();
        assert_eq!(capacities, [1_000, 4_000, 16_000, 64_000, SEGMENT_BYTES]);
        let sizes: Vec<usize> = rope.slices().map(<[u8]>::len).collect();
        assert_eq!(sizes, [65_000, 65_000, 65_000, 5_000]);
        let segments = 4 * (SEGMENT_BYTES + size_of::<Segment>());
        assert!(rope.footprint() <= segments, "{}", rope.footprint());
    }

    #[test]
    fn a_rope_begins_with_the_size_it_had_last() {
        let mut rope = Rope::new();
        for round in 0..3 {
            rope.extend(&[7; 1_000]);
            let capacity = rope.first.capacity();
            assert_eq!(capacity, if round == 0 { 1_000 } else { 20_000 });
            rope.extend(&[7; 19_000]);
            rope.consume(20_000);
        }
        rope.extend(&[7; 300_000]);
        rope.consume(300_000);
        rope.extend(&[7]);
        assert_eq!(rope.first.capacity(), SEGMENT_BYTES);
    }

    #[test]
    fn parts_can_be_taken_and_the_rest_stays_cheap() {
        let chunk: Chunk = Chunk::from(vec![1u8; 64 << 10]);
        let (mut from, mut to) = (Rope::new(), Rope::new());
        from.push(&chunk, 0..64 << 10);
        to.take_from(&mut from, 0);
        assert!(to.is_empty());
        to.take_from(&mut from, 40 << 10);
        assert_eq!((to.len(), from.len()), (40 << 10, 24 << 10));
        assert_eq!(chunk.holders(), 3, "neither was copied");
        from.consume(24 << 10);
        assert!(chunk.is_shared());
    }

    #[test]
    fn a_rope_without_memory_takes_over_what_is_appended() {
        let where_of = |rope: &Rope| rope.slices().next().map(<[u8]>::as_ptr);
        let (mut rope, mut other) = (Rope::new(), Rope::with_room(9_000));
        other.extend(&[7; 9_000]);
        let begins = where_of(&other);
        rope.append(&mut other);
        assert_eq!((where_of(&rope), rope.len()), (begins, 9_000));
        assert!(other.is_empty() && other.first.capacity() == 0);
        rope.consume(9_000);
        other.extend(&[7; 100]);
        rope.append(&mut other);
        assert_eq!(
            rope.first.capacity(),
            9_000,
            "it will be given as much again"
        );
    }

    #[test]
    fn an_emptied_rope_owns_nothing() {
        let mut rope = Rope::new();
        rope.extend(b"hello");
        rope.consume(5);
        assert_eq!(rope.first.capacity(), 0);
        rope.extend(b"hello");
        rope.consume_keeping(5, 1 << 10);
        assert!(rope.first.capacity() > 0 && rope.is_empty());
    }
}
