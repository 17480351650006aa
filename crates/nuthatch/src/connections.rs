//! Counts of connections that all threads share; guards keep them correct.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

use crate::pool::PoolShare;

/// The connections of the process, counted for limits, balancing and statistics.
///
/// The counts change only when connections come and go, never with requests, so shared counters are cheap
/// enough.
#[derive(Debug)]
pub(crate) struct ConnectionCounts {
    /// Connections ever made: listeners, clients and servers (counted like nutcracker 0.5.0's connection
    /// objects).
    total: AtomicI64,
    /// Those that exist now.
    current: AtomicI64,
    clients: AtomicUsize,
    clients_by_worker: Box<[AtomicUsize]>,
}

/// Counts one connection until it is dropped.
#[derive(Debug)]
pub(crate) struct Counted {
    counts: Arc<ConnectionCounts>,
    kind: Kind,
}

/// What a connection is.
#[derive(Debug, Clone)]
pub(crate) enum Kind {
    /// A listening socket.
    Listener,
    /// A client of a pool, given to a worker.
    Client {
        /// The pool, which counts it too.
        pool: Arc<PoolShare>,
        /// The worker's number; 32 bits because every idle client stores it.
        worker: u32,
    },
    /// A connection to a server.
    Server,
}

impl ConnectionCounts {
    /// No connections, for this many workers.
    pub(crate) fn new(workers: usize) -> Arc<Self> {
        Arc::new(Self {
            total: AtomicI64::new(0),
            current: AtomicI64::new(0),
            clients: AtomicUsize::new(0),
            clients_by_worker: (0..workers).map(|_| AtomicUsize::new(0)).collect(),
        })
    }

    /// Counts a connection.
    pub(crate) fn count(self: &Arc<Self>, kind: Kind) -> Counted {
        self.total.fetch_add(1, Ordering::Relaxed);
        self.current.fetch_add(1, Ordering::Relaxed);
        if let Kind::Client { pool, worker } = &kind {
            pool.add_client();
            self.clients.fetch_add(1, Ordering::Relaxed);
            self.clients_by_worker[*worker as usize].fetch_add(1, Ordering::Relaxed);
        }
        Counted {
            counts: Arc::clone(self),
            kind,
        }
    }

    /// Connections made since the start.
    pub(crate) fn total(&self) -> i64 {
        self.total.load(Ordering::Relaxed)
    }

    /// Connections that exist now.
    pub(crate) fn current(&self) -> i64 {
        self.current.load(Ordering::Relaxed)
    }

    /// Clients of the whole process.
    pub(crate) fn clients(&self) -> usize {
        self.clients.load(Ordering::Relaxed)
    }

    /// Clients of the worker with this number.
    pub(crate) fn clients_of_worker(&self, worker: usize) -> usize {
        self.clients_by_worker[worker].load(Ordering::Relaxed)
    }
}

impl Counted {
    /// The number of the client's worker.
    pub(crate) fn worker(&self) -> Option<usize> {
        match &self.kind {
            Kind::Client { worker, .. } => Some(*worker as usize),
            Kind::Listener | Kind::Server => None,
        }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let counts = &self.counts;
        counts.current.fetch_sub(1, Ordering::Relaxed);
        if let Kind::Client { pool, worker } = &self.kind {
            pool.remove_client();
            counts.clients.fetch_sub(1, Ordering::Relaxed);
            counts.clients_by_worker[*worker as usize].fetch_sub(1, Ordering::Relaxed);
        }
    }
}
