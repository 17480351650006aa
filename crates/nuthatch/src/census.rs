//! Who is connected: counts that every thread sees, kept right by guards.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

/// The process's connections, by what limits, balances or reports them.
///
/// They change when connections come and go, never with requests, so shared counters are cheap enough.
#[derive(Debug)]
pub(crate) struct Census {
    /// Connection objects ever made: listeners, clients and servers (as nutcracker 0.5.0 counts them).
    total: AtomicI64,
    /// Those that exist.
    current: AtomicI64,
    clients: AtomicUsize,
    clients_by_pool: Box<[AtomicUsize]>,
    clients_by_worker: Box<[AtomicUsize]>,
}

/// One who is counted, until the guard is dropped.
#[derive(Debug)]
pub(crate) struct Seat {
    census: Arc<Census>,
    occupant: Occupant,
}

/// What a seat is taken by. Indices are 32 bits wide because every idle client holds them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Occupant {
    /// A listening socket.
    Listener,
    /// A client of a pool, dealt to a worker.
    Client {
        /// Index of the pool.
        pool: u32,
        /// Index of the worker.
        worker: u32,
    },
    /// A connection to a server.
    Server,
}

impl Census {
    /// Nobody yet, in `pools` pools and `workers` workers.
    pub(crate) fn new(pools: usize, workers: usize) -> Arc<Self> {
        Arc::new(Self {
            total: AtomicI64::new(0),
            current: AtomicI64::new(0),
            clients: AtomicUsize::new(0),
            clients_by_pool: zeroes(pools),
            clients_by_worker: zeroes(workers),
        })
    }

    /// Counts `occupant` in.
    pub(crate) fn seat(self: &Arc<Self>, occupant: Occupant) -> Seat {
        self.total.fetch_add(1, Ordering::Relaxed);
        self.current.fetch_add(1, Ordering::Relaxed);
        if let Occupant::Client { pool, worker } = occupant {
            self.clients.fetch_add(1, Ordering::Relaxed);
            self.clients_by_pool[pool as usize].fetch_add(1, Ordering::Relaxed);
            self.clients_by_worker[worker as usize].fetch_add(1, Ordering::Relaxed);
        }
        Seat {
            census: Arc::clone(self),
            occupant,
        }
    }

    /// Connection objects made since the start.
    pub(crate) fn total(&self) -> i64 {
        self.total.load(Ordering::Relaxed)
    }

    /// Connection objects that exist.
    pub(crate) fn current(&self) -> i64 {
        self.current.load(Ordering::Relaxed)
    }

    /// Clients of the whole process.
    pub(crate) fn clients(&self) -> usize {
        self.clients.load(Ordering::Relaxed)
    }

    /// Clients of the pool with index `pool`.
    pub(crate) fn clients_of_pool(&self, pool: usize) -> usize {
        self.clients_by_pool[pool].load(Ordering::Relaxed)
    }

    /// Clients of the worker with index `worker`.
    pub(crate) fn clients_of_worker(&self, worker: usize) -> usize {
        self.clients_by_worker[worker].load(Ordering::Relaxed)
    }
}

impl Seat {
    /// The index of the worker that a client was dealt to.
    pub(crate) fn worker(&self) -> Option<usize> {
        match self.occupant {
            Occupant::Client { worker, .. } => Some(worker as usize),
            Occupant::Listener | Occupant::Server => None,
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let census = &self.census;
        census.current.fetch_sub(1, Ordering::Relaxed);
        if let Occupant::Client { pool, worker } = self.occupant {
            census.clients.fetch_sub(1, Ordering::Relaxed);
            census.clients_by_pool[pool as usize].fetch_sub(1, Ordering::Relaxed);
            census.clients_by_worker[worker as usize].fetch_sub(1, Ordering::Relaxed);
        }
    }
}

fn zeroes(count: usize) -> Box<[AtomicUsize]> {
    (0..count).map(|_| AtomicUsize::new(0)).collect()
}
