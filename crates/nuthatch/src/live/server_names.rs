//! Watches the names of servers: notices when one leads elsewhere, and has it followed where that is wanted.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use proxy::ServerShare;
use proxy::settings::Address;

use crate::config::{Config, PoolConfig};
use crate::pool::PoolShare;
use crate::resolver::{Resolver, Watch};
use crate::worker::{Handle, Message};

/// The names of all servers of the configuration in force.
#[derive(Debug)]
pub(super) struct ServerNames {
    resolver: Resolver,
    /// Counts the configurations.
    generation: Arc<AtomicU64>,
}

impl ServerNames {
    /// No names.
    pub(super) fn new(resolver: &Resolver) -> Self {
        Self {
            resolver: resolver.clone(),
            generation: Arc::default(),
        }
    }

    /// Has the names of all servers of `pools` watched, and no others.
    pub(super) fn watch(&self, config: &Config, pools: &[Arc<PoolShare>], workers: &[Handle]) {
        self.generation.fetch_add(1, Ordering::AcqRel);
        for (settings, pool) in config.pools.iter().zip(pools) {
            for planned in &pool.core().plan().servers {
                if let Some(host) = name_of(&planned.endpoint.address) {
                    let watch = NamedServer::new(settings, pool, &planned.share, workers);
                    let watch = watch.of(&self.generation);
                    self.resolver.watch(Arc::clone(host), Box::new(watch));
                }
            }
        }
        self.resolver.forget();
    }
}

/// The host, if it has to be looked up.
fn name_of(address: &Address) -> Option<&Arc<str>> {
    match address {
        Address::Tcp { host, .. } if host.parse::<IpAddr>().is_err() => Some(host),
        Address::Tcp { .. } | Address::Unix(_) => None,
    }
}

/// A server that has a name.
struct NamedServer {
    label: String,
    pool: Arc<PoolShare>,
    server: Arc<ServerShare>,
    refresh: Option<Duration>,
    follows: bool,
    /// Who is told to follow.
    workers: Vec<Handle>,
    /// The configuration that it is part of, and the one in force.
    generation: (u64, Arc<AtomicU64>),
}

impl NamedServer {
    fn new(
        settings: &PoolConfig,
        pool: &Arc<PoolShare>,
        server: &Arc<ServerShare>,
        workers: &[Handle],
    ) -> Self {
        Self {
            label: format!("server '{}' of pool '{}'", server.name(), pool.name()),
            pool: Arc::clone(pool),
            server: Arc::clone(server),
            refresh: settings.dns_refresh,
            follows: settings.dns_follow,
            workers: workers.to_vec(),
            generation: (0, Arc::default()),
        }
    }

    /// The same, of the configuration that is in force now.
    fn of(mut self, generation: &Arc<AtomicU64>) -> Self {
        self.generation = (generation.load(Ordering::Acquire), Arc::clone(generation));
        self
    }
}

impl Watch for NamedServer {
    fn label(&self) -> &str {
        &self.label
    }

    fn is_over(&self) -> bool {
        self.generation.0 != self.generation.1.load(Ordering::Acquire)
    }

    fn refresh(&self) -> Option<Duration> {
        self.refresh
    }

    fn follows(&self) -> bool {
        self.follows
    }

    fn count_failure(&self) {
        self.server.note_name_failure();
    }

    fn count_change(&self) {
        self.server.note_name_change();
    }

    fn follow(&self) {
        self.pool.core().move_server(&self.server);
        for worker in &self.workers {
            // One whose inbox is full is busy, and notices with its next request.
            let _ = worker.send(Message::Planned);
        }
    }
}
