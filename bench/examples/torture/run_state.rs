//! State of a run that the fault schedule and the clients share.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::expected::Epoch;
use nuthatch_bench::faults::Fault;
use nuthatch_bench::load::Protocol;

/// No fault has happened yet.
const NONE: usize = usize::MAX;

/// Shared by all threads of a run.
#[derive(Debug)]
pub(crate) struct RunState {
    epoch: AtomicU64,
    /// The current fault, or else the latest one: of the Redis servers and of the memcached servers.
    faults: [AtomicUsize; 2],
    is_over: AtomicBool,
    /// Doubtful replies of this calm, which are wrong unless keys were moved in it: per pool, their number
    /// and the first one.
    doubts: Vec<Mutex<(u64, Option<String>)>>,
    replies: AtomicU64,
}

impl RunState {
    pub(crate) fn new(pools: usize) -> Self {
        Self {
            epoch: AtomicU64::new(0),
            faults: [AtomicUsize::new(NONE), AtomicUsize::new(NONE)],
            is_over: AtomicBool::new(false),
            doubts: (0..pools).map(|_| Mutex::default()).collect(),
            replies: AtomicU64::new(0),
        }
    }

    pub(crate) fn epoch(&self) -> Epoch {
        self.epoch.load(Ordering::Acquire)
    }

    /// From calm to fault, or from the settling after a fault to calm.
    pub(crate) fn turn(&self) {
        self.epoch.fetch_add(1, Ordering::AcqRel);
    }

    pub(crate) fn fault(&self, protocol: Protocol) -> Option<Fault> {
        let place = self.faults[index(protocol)].load(Ordering::Acquire);
        Fault::ALL.get(place).copied()
    }

    pub(crate) fn set_fault(&self, protocol: Protocol, fault: Fault) {
        let place = Fault::ALL.iter().position(|&other| other == fault);
        self.faults[index(protocol)].store(place.unwrap_or(NONE), Ordering::Release);
    }

    /// Tells the clients to send nothing more.
    pub(crate) fn end(&self) {
        self.is_over.store(true, Ordering::Release);
    }

    pub(crate) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Acquire)
    }

    pub(crate) fn note_replies(&self, count: u64) {
        self.replies.fetch_add(count, Ordering::Relaxed);
    }

    /// Number of replies so far.
    pub(crate) fn replies(&self) -> u64 {
        self.replies.load(Ordering::Relaxed)
    }

    pub(crate) fn doubt(&self, pool: usize, describe: impl FnOnce() -> String) {
        let mut doubts = self.doubts[pool]
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        doubts.0 += 1;
        doubts.1.get_or_insert_with(describe);
    }

    /// Returns the doubtful replies of a pool and resets them.
    pub(crate) fn take_doubts(&self, pool: usize) -> (u64, Option<String>) {
        let mut doubts = self.doubts[pool]
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *doubts)
    }
}

fn index(protocol: Protocol) -> usize {
    match protocol {
        Protocol::Redis => 0,
        Protocol::Memcached => 1,
    }
}
