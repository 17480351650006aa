//! From the configuration to what each thread needs of it.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::time::Instant;

use proxy::metrics::PoolMetrics;
use proxy::settings::{PoolSettings, ProtocolSettings};
use proxy::{Health, Memory, WorkerContext};

use crate::acceptor::{Door, Limits};
use crate::census::Census;
use crate::clock::Clock;
use crate::config::{Config, PoolConfig, ServerAddress};
use crate::net::Listener;
use crate::resolver::Resolver;
use crate::stats::{PoolStats, Source};
use crate::worker::{PoolPlan, Target, WorkerPlan};

/// What a client is told when there are too many: the words of Redis and of memcached.
const REDIS_REFUSAL: &[u8] = b"-ERR max number of clients reached\r\n";
const MEMCACHED_REFUSAL: &[u8] = b"ERROR Too many open connections\r\n";

/// Everything that threads share or are given.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) workers: usize,
    pub(super) census: Arc<Census>,
    memory: Arc<Memory>,
    pools: Vec<PoolShare>,
}

/// One pool, for all threads.
#[derive(Debug)]
struct PoolShare {
    settings: Arc<PoolSettings>,
    health: Arc<Health>,
    /// One for each worker.
    metrics: Vec<Arc<PoolMetrics>>,
    targets: Arc<[Target]>,
    keepalive: bool,
    max_clients: Option<usize>,
}

impl Plan {
    pub(super) fn new(config: &Config, workers: usize, census: Arc<Census>) -> Self {
        let share = |pool| PoolShare::new(pool, workers);
        let cap = usize::try_from(config.globals.max_memory).unwrap_or(usize::MAX);
        Self {
            workers,
            census,
            memory: Arc::new(Memory::new(cap, config.pools.len() * workers)),
            pools: config.pools.iter().map(share).collect(),
        }
    }

    /// What the worker with `index` starts with.
    pub(super) fn worker(&self, index: usize, clock: Clock, resolver: Resolver) -> WorkerPlan {
        let pools = self.pools.iter().enumerate();
        let pools = pools.map(|(number, pool)| PoolPlan {
            settings: Arc::clone(&pool.settings),
            health: Arc::clone(&pool.health),
            metrics: Arc::clone(&pool.metrics[index]),
            targets: Arc::clone(&pool.targets),
            keepalive: pool.keepalive,
            census: Arc::clone(&self.census),
            memory: Arc::clone(&self.memory),
            part: number * self.workers + index,
        });
        WorkerPlan {
            context: WorkerContext {
                worker: index,
                workers: self.workers,
                seed: RandomState::new().hash_one(index),
            },
            pools: pools.collect(),
            clock,
            resolver,
        }
    }

    /// What the acceptor needs, with the pools' listeners in their order.
    pub(super) fn doors(&self, listeners: Vec<Listener>) -> Vec<Door> {
        let pools = self.pools.iter().zip(listeners);
        let door = |(pool, listener): (&PoolShare, Listener)| Door {
            listener,
            pool: pool.settings.name.clone(),
            keepalive: pool.keepalive,
            refusal: match pool.settings.protocol {
                ProtocolSettings::Redis(_) => REDIS_REFUSAL.into(),
                ProtocolSettings::Memcached(_) => MEMCACHED_REFUSAL.into(),
            },
        };
        pools.map(door).collect()
    }

    /// How many clients may come in; `process` over all pools.
    pub(super) fn limits(&self, process: usize) -> Limits {
        Limits {
            process,
            pools: self.pools.iter().map(|pool| pool.max_clients).collect(),
        }
    }

    /// What the statistics are made of.
    pub(super) fn stats_source(
        &self,
        version: &'static str,
        hostname: String,
        started: Instant,
        clock: Clock,
    ) -> Source {
        let pools = self.pools.iter().map(|pool| PoolStats {
            name: pool.settings.name.clone(),
            servers: pool
                .settings
                .servers
                .iter()
                .map(|server| server.name.clone())
                .collect(),
            workers: pool.metrics.clone(),
        });
        Source {
            version,
            hostname,
            started,
            clock,
            census: Arc::clone(&self.census),
            pools: pools.collect(),
        }
    }
}

impl PoolShare {
    fn new(pool: &PoolConfig, workers: usize) -> Self {
        let servers = pool.servers.len();
        let limit = usize::try_from(pool.client_connections).unwrap_or(usize::MAX);
        Self {
            settings: Arc::new(pool.settings.clone()),
            health: Arc::new(Health::new(servers)),
            metrics: (0..workers)
                .map(|_| Arc::new(PoolMetrics::new(servers)))
                .collect(),
            targets: pool.servers.iter().map(target).collect(),
            keepalive: pool.tcpkeepalive,
            max_clients: (limit > 0).then_some(limit),
        }
    }
}

fn target(server: &ServerAddress) -> Target {
    match server {
        ServerAddress::Tcp { host, port } => Target::tcp(host, *port),
        ServerAddress::Unix(path) => Target::unix(path.clone()),
    }
}
