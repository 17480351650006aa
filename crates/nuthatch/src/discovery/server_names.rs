//! Watches the names of servers: notices when one leads elsewhere, and has it followed where that is wanted.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use proxy::settings::Address;
use proxy::{PoolPlan, ServerShare};

use crate::config::{Config, PoolConfig};
use crate::pool::PoolShare;
use crate::resolver::{Resolver, Watch};
use crate::worker::{Handle, Message};

/// The names of all servers of the configuration in force.
#[derive(Debug, Clone)]
pub(crate) struct ServerNames {
    resolver: Resolver,
    /// Counts the configurations.
    generation: Arc<AtomicU64>,
}

impl ServerNames {
    /// No names.
    pub(crate) fn new(resolver: &Resolver) -> Self {
        Self {
            resolver: resolver.clone(),
            generation: Arc::default(),
        }
    }

    /// Has the names of all servers of `pools` watched, and no others.
    pub(crate) fn watch(&self, config: &Config, pools: &[Arc<PoolShare>], workers: &[Handle]) {
        self.generation.fetch_add(1, Ordering::AcqRel);
        for (settings, pool) in config.pools.iter().zip(pools) {
            let terms = Terms::of(settings);
            for (server, host) in named(&pool.core().plan()) {
                self.watch_one(terms, pool, (server, host), workers);
            }
        }
        self.resolver.forget();
    }

    /// Other servers of `pool` were found: has the names of those watched that are not in the plan `before`.
    pub(super) fn watch_found(
        &self,
        terms: Terms,
        pool: &Arc<PoolShare>,
        before: &PoolPlan,
        workers: &[Handle],
    ) {
        for (server, host) in named(&pool.core().plan()) {
            if !has(before, server, host) {
                self.watch_one(terms, pool, (server, host), workers);
            }
        }
        self.resolver.forget();
    }

    fn watch_one(
        &self,
        terms: Terms,
        pool: &Arc<PoolShare>,
        (server, host): (&Arc<ServerShare>, &Arc<str>),
        workers: &[Handle],
    ) {
        let watch = NamedServer {
            label: format!("server '{}' of pool '{}'", server.name(), pool.name()),
            pool: Arc::clone(pool),
            server: Arc::clone(server),
            host: Arc::clone(host),
            terms,
            workers: workers.to_vec(),
            born: self.generation.load(Ordering::Acquire),
            generation: Arc::clone(&self.generation),
        };
        self.resolver.watch(Arc::clone(host), Box::new(watch));
    }
}

/// How the names of a pool's servers are watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Terms {
    refresh: Option<Duration>,
    follows: bool,
}

impl Terms {
    /// By the settings of a pool.
    pub(crate) fn of(settings: &PoolConfig) -> Self {
        Self {
            refresh: settings.dns_refresh,
            follows: settings.dns_follow,
        }
    }
}

/// The servers of a plan that have a name, each with it.
fn named(plan: &PoolPlan) -> impl Iterator<Item = (&Arc<ServerShare>, &Arc<str>)> {
    let servers = plan.servers_and_replicas();
    servers.filter_map(|planned| Some((&planned.share, name_of(&planned.endpoint.address)?)))
}

/// Whether a plan has that server under that name.
fn has(plan: &PoolPlan, server: &Arc<ServerShare>, host: &str) -> bool {
    let mut named = named(plan);
    named.any(|(it, name)| Arc::ptr_eq(it, server) && **name == *host)
}

/// The host, if it has to be looked up.
fn name_of(address: &Address) -> Option<&Arc<str>> {
    match address {
        Address::Tcp { host, .. } if host.parse::<IpAddr>().is_err() => Some(host),
        Address::Tcp { .. } | Address::Unix(_) | Address::Unknown => None,
    }
}

/// A server that has a name.
struct NamedServer {
    label: String,
    pool: Arc<PoolShare>,
    server: Arc<ServerShare>,
    host: Arc<str>,
    terms: Terms,
    /// Who is told to follow.
    workers: Vec<Handle>,
    /// The configuration that it is part of, and the one in force.
    born: u64,
    generation: Arc<AtomicU64>,
}

impl Watch for NamedServer {
    fn label(&self) -> &str {
        &self.label
    }

    fn is_over(&self) -> bool {
        self.born != self.generation.load(Ordering::Acquire)
            || !has(&self.pool.core().plan(), &self.server, &self.host)
    }

    fn refresh(&self) -> Option<Duration> {
        self.terms.refresh
    }

    fn follows(&self) -> bool {
        self.terms.follows
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
