//! How much memory the buffers of the whole process hold, and how much they may hold (`max_memory`).
//!
//! Memory belongs to the process, not to a worker: all pools of all workers share one [`Memory`]. Each of them has a
//! [`MemoryPart`] and is its only writer: it publishes its total whenever it has counted (`engine/memory.rs`). The
//! sum of the parts is compared with these thresholds:
//!
//! ```text
//!  0 ───── three quarters ────────── seven eighths ─────────── limit ───── limit and an eighth
//!          clients held              clients above             the         each part closes its
//!          back go on                their share are           largest     own largest, whatever
//!                                    not read                  is closed   the others hold
//! ```
//!
//! Between the first two, clients above their share stay as they are: without that gap they would be held back and
//! released in quick turns.
//!
//! One part closes clients at a time, so that the next one sees what room was made (`Memory::turn_to_close`).
//!
//! The *share* of a client is seven eighths of the limit divided by the clients of the process. Whenever more than
//! seven eighths are held, some client holds more than its share; one that holds less is never held back or closed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use arc_swap::ArcSwap;

/// The memory of the process: the limit, the number of clients, and what each part has published.
#[derive(Debug)]
pub struct Memory {
    /// Bytes; 0 is no limit.
    limit: AtomicUsize,
    clients: AtomicUsize,
    parts: ArcSwap<Vec<Arc<Held>>>,
    /// Whether a part is closing clients.
    closing: AtomicBool,
}

/// What one pool of one worker has published.
#[derive(Debug, Default)]
struct Held {
    bytes: AtomicUsize,
    /// What its largest session holds.
    largest: AtomicUsize,
}

/// One pool of one worker as a part of the whole. It is removed when this is dropped.
#[derive(Debug)]
pub(crate) struct MemoryPart {
    memory: Arc<Memory>,
    own: Arc<Held>,
}

/// The memory held, compared with the limit; in the order of the drawing above.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Pressure {
    /// Whoever was held back may go on.
    None,
    /// Nobody new is held back; clients above their share that are held back stay so.
    Some,
    /// Clients above their share are not read.
    High,
    /// Past the limit: the largest is closed.
    Over,
    /// So far past it that every part closes its own largest at once.
    FarOver,
}

impl Memory {
    /// A record for a process that may hold `limit` bytes; 0 is no limit.
    pub fn new(limit: usize) -> Self {
        Self {
            limit: AtomicUsize::new(limit),
            clients: AtomicUsize::new(0),
            parts: ArcSwap::default(),
            closing: AtomicBool::new(false),
        }
    }

    /// From now on the process may hold `limit` bytes; 0 is no limit.
    pub fn set_limit(&self, limit: usize) {
        self.limit.store(limit, Ordering::Relaxed);
    }

    /// Bytes that all parts held when each was last counted.
    pub fn held(&self) -> usize {
        let held = |part: &Arc<Held>| part.bytes.load(Ordering::Relaxed);
        self.parts.load().iter().map(held).sum()
    }

    /// The limit, if there is one.
    pub fn limit(&self) -> Option<usize> {
        let limit = self.cap();
        (limit > 0).then_some(limit)
    }

    /// The share: what a session may hold before it is held back.
    pub fn share(&self) -> usize {
        match self.cap() {
            0 => usize::MAX,
            _ => self.high() / self.clients.load(Ordering::Relaxed).max(1),
        }
    }

    /// A client has come.
    pub(crate) fn add_client(&self) {
        self.clients.fetch_add(1, Ordering::Relaxed);
    }

    /// A client has left.
    pub(crate) fn remove_client(&self) {
        self.clients.fetch_sub(1, Ordering::Relaxed);
    }

    /// The right to close clients, unless another part has it. It is kept until its holder has published what it
    /// holds afterwards: two parts that see too much held at once would both close clients where one was enough.
    pub(crate) fn turn_to_close(&self) -> Option<Turn<'_>> {
        let taken = self.closing.swap(true, Ordering::Acquire);
        (!taken).then(|| Turn(&self.closing))
    }

    /// Whether a session of this size matters to the whole process.
    pub(crate) fn is_large(&self, size: usize) -> bool {
        self.limit().is_some_and(|limit| size > limit / 64)
    }

    pub(crate) fn pressure(&self) -> Pressure {
        let Some(limit) = self.limit() else {
            return Pressure::None;
        };
        let held = self.held();
        match held {
            _ if held > limit + limit / 8 => Pressure::FarOver,
            _ if held > limit => Pressure::Over,
            _ if held > self.high() => Pressure::High,
            _ if held > limit - limit / 4 => Pressure::Some,
            _ => Pressure::None,
        }
    }

    /// Bytes that a part may read before it counts again: a fraction of the room that is left, so that all parts
    /// together hardly exceed it, although what is read can take more memory here (a request of 14 bytes takes an
    /// entry in two queues). It has a lower bound, as counting at every read would be too slow.
    pub(crate) fn allowance(&self) -> usize {
        let room = self.high().saturating_sub(self.held());
        let fair = room / self.parts.load().len().saturating_mul(4).max(1);
        fair.max(self.cap() / 64).max(1 << 12)
    }

    fn high(&self) -> usize {
        let cap = self.cap();
        cap - cap / 8
    }

    fn cap(&self) -> usize {
        self.limit.load(Ordering::Relaxed)
    }

    /// Replaces the list of parts, which others may be reading or replacing.
    fn change_parts(&self, change: impl Fn(&mut Vec<Arc<Held>>)) {
        self.parts.rcu(|parts| {
            let mut parts = Vec::clone(parts);
            change(&mut parts);
            parts
        });
    }
}

impl MemoryPart {
    /// A further part of `memory`.
    pub(crate) fn new(memory: &Arc<Memory>) -> Self {
        let own = Arc::new(Held::default());
        memory.change_parts(|parts| parts.push(Arc::clone(&own)));
        Self {
            memory: Arc::clone(memory),
            own,
        }
    }

    /// The whole.
    pub(crate) fn memory(&self) -> &Memory {
        &self.memory
    }

    /// Publishes that the part holds `held` bytes, its largest session `largest` of them.
    pub(crate) fn publish(&self, held: usize, largest: usize) {
        self.own.bytes.store(held, Ordering::Relaxed);
        self.own.largest.store(largest, Ordering::Relaxed);
    }

    /// A session has left that held so many bytes. Some of them may not have been counted yet; the next count puts
    /// that right. Returns how many were taken off.
    pub(crate) fn note_gone(&self, bytes: usize) -> usize {
        let held = self.held();
        let gone = bytes.min(held);
        self.own.bytes.store(held - gone, Ordering::Relaxed);
        gone
    }

    /// Bytes that were held by the last count, without those of sessions that have left since.
    pub(crate) fn held(&self) -> usize {
        self.own.bytes.load(Ordering::Relaxed)
    }

    /// Whether no session of another part is larger than `size`, by what they have published.
    pub(crate) fn is_largest(&self, size: usize) -> bool {
        let larger = |known: &Arc<Held>| {
            !Arc::ptr_eq(known, &self.own) && known.largest.load(Ordering::Relaxed) > size
        };
        !self.memory.parts.load().iter().any(larger)
    }
}

impl Drop for MemoryPart {
    fn drop(&mut self) {
        self.memory
            .change_parts(|parts| parts.retain(|part| !Arc::ptr_eq(part, &self.own)));
    }
}

/// See [`Memory::turn_to_close`]. It ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Turn<'a>(&'a AtomicBool);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory(limit: usize) -> Arc<Memory> {
        Arc::new(Memory::new(limit))
    }

    #[test]
    fn the_steps_lie_where_they_are_drawn() {
        let memory = memory(800);
        let (first, second) = (MemoryPart::new(&memory), MemoryPart::new(&memory));
        for (held, pressure) in [
            (0, Pressure::None),
            (600, Pressure::None),
            (601, Pressure::Some),
            (700, Pressure::Some),
            (701, Pressure::High),
            (800, Pressure::High),
            (801, Pressure::Over),
            (900, Pressure::Over),
            (901, Pressure::FarOver),
        ] {
            first.publish(held / 2, 0);
            second.publish(held - held / 2, 0);
            assert_eq!(memory.pressure(), pressure, "{held}");
        }
        drop(first);
        assert_eq!(memory.held(), 451, "a part that is gone holds nothing");
        assert_eq!(Memory::new(0).pressure(), Pressure::None);
        assert_eq!((Memory::new(0).limit(), memory.limit()), (None, Some(800)));
    }

    #[test]
    fn where_more_is_held_than_may_be_somebody_holds_more_than_the_share() {
        let memory = memory(8_000);
        for clients in 1..=50 {
            memory.add_client();
            assert!(memory.share() * clients <= 7_000);
        }
        assert_eq!(memory.share(), 140);
        memory.remove_client();
        assert_eq!(memory.share(), 7_000 / 49);
        assert_eq!(Memory::new(0).share(), usize::MAX);
    }

    #[test]
    fn what_may_be_read_shrinks_with_the_room_to_a_least() {
        let memory = memory(64 << 20);
        let (first, second) = (MemoryPart::new(&memory), MemoryPart::new(&memory));
        assert_eq!(memory.allowance(), 7 << 20, "an eighth of the room");
        first.publish(40 << 20, 0);
        assert_eq!(memory.allowance(), 2 << 20);
        second.publish(20 << 20, 0);
        assert_eq!(memory.allowance(), 1 << 20);
        let small = Arc::new(Memory::new(64 << 10));
        let only = MemoryPart::new(&small);
        only.publish(64 << 10, 0);
        assert_eq!(small.allowance(), 4 << 10);
    }

    #[test]
    fn a_large_session_is_more_than_a_part_of_the_limit() {
        let memory = memory(6_400);
        assert!(!memory.is_large(100) && memory.is_large(101));
        assert!(!Memory::new(0).is_large(usize::MAX));
    }

    #[test]
    fn one_part_closes_at_a_time() {
        let memory = memory(800);
        let turn = memory.turn_to_close().expect("nobody closes yet");
        assert!(memory.turn_to_close().is_none());
        assert!(memory.turn_to_close().is_none(), "nor by asking twice");
        drop(turn);
        assert!(memory.turn_to_close().is_some());
    }

    #[test]
    fn the_largest_is_sought_among_all_parts() {
        let memory = memory(100);
        let [first, _second, third] = [(); 3].map(|()| MemoryPart::new(&memory));
        first.publish(50, 30);
        third.publish(50, 40);
        assert!(!first.is_largest(30) && third.is_largest(40));
        assert!(first.is_largest(40), "equals do not wait for each other");
    }
}
