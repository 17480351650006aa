//! What the one who makes the faults and the crews that load the pools tell each other.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::fault::Fault;
use crate::ledger::Epoch;
use nuthatch_bench::load::Protocol;

/// No fault has been made yet.
const NONE: usize = usize::MAX;

/// Shared by all threads of a run.
#[derive(Debug)]
pub(crate) struct Board {
    epoch: AtomicU64,
    /// The latest fault, or the present one: of Redis servers and of memcacheds.
    faults: [AtomicUsize; 2],
    is_over: AtomicBool,
    /// Replies that are wrong unless keys were moved in this calm: by pool, how many and the first.
    doubts: Vec<Mutex<(u64, Option<String>)>>,
    replies: AtomicU64,
}

impl Board {
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

    /// From calm to fault, or from its traces to calm.
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

    /// Nothing more is to be sent.
    pub(crate) fn end(&self) {
        self.is_over.store(true, Ordering::Release);
    }

    pub(crate) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Acquire)
    }

    pub(crate) fn note_replies(&self, count: u64) {
        self.replies.fetch_add(count, Ordering::Relaxed);
    }

    /// Replies so far.
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

    /// The doubts about a pool, which are forgotten with that.
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
