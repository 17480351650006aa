//! One pool of the process: what the acceptor, the workers and the statistics share. Created once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A pool's number: small and dense, so that it can index a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PoolId(u32);

impl PoolId {
    pub(crate) fn new(number: usize) -> Self {
        Self(u32::try_from(number).expect("fewer than 2^32 pools fit into a file"))
    }

    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }
}

/// A pool, shared by all threads.
#[derive(Debug)]
pub(crate) struct PoolShare {
    id: PoolId,
    core: Arc<proxy::PoolShare>,
    /// Whether TCP connections, to clients and to servers, send keepalive probes.
    keepalive: bool,
    /// Maximum clients at a time.
    max_clients: usize,
    clients: AtomicUsize,
}

impl PoolShare {
    /// A pool without clients that admits at most `max_clients`.
    pub(crate) fn new(
        id: PoolId,
        core: Arc<proxy::PoolShare>,
        keepalive: bool,
        max_clients: usize,
    ) -> Self {
        Self {
            id,
            core,
            keepalive,
            max_clients,
            clients: AtomicUsize::new(0),
        }
    }

    pub(crate) fn id(&self) -> PoolId {
        self.id
    }

    pub(crate) fn name(&self) -> &str {
        self.core.name()
    }

    /// The core's part.
    pub(crate) fn core(&self) -> &Arc<proxy::PoolShare> {
        &self.core
    }

    pub(crate) fn keepalive(&self) -> bool {
        self.keepalive
    }

    /// Current clients.
    pub(crate) fn clients(&self) -> usize {
        self.clients.load(Ordering::Relaxed)
    }

    /// Whether one more client may be admitted. Only one thread admits clients, so the answer is still true
    /// when the client is counted.
    pub(crate) fn has_room(&self) -> bool {
        self.clients() < self.max_clients
    }

    pub(crate) fn add_client(&self) {
        self.clients.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn remove_client(&self) {
        self.clients.fetch_sub(1, Ordering::Relaxed);
    }
}
