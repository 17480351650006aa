//! One pool of the process: what the acceptor, the workers and the statistics share of it. It is made once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Which pool: a small number, dense, fit to index a table.
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

/// A pool, for all threads.
#[derive(Debug)]
pub(crate) struct PoolShare {
    id: PoolId,
    core: Arc<proxy::PoolShare>,
    /// Whether TCP connections, to clients and to servers, send keepalive probes.
    keepalive: bool,
    /// Most clients at a time.
    max_clients: usize,
    clients: AtomicUsize,
}

impl PoolShare {
    /// A pool without clients, where at most `max_clients` may come in.
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

    /// What the core shares of it.
    pub(crate) fn core(&self) -> &Arc<proxy::PoolShare> {
        &self.core
    }

    pub(crate) fn keepalive(&self) -> bool {
        self.keepalive
    }

    /// Clients at present.
    pub(crate) fn clients(&self) -> usize {
        self.clients.load(Ordering::Relaxed)
    }

    /// Whether one more client may come in. Only one thread lets them in, so that nobody comes between this and
    /// the count that follows it.
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
