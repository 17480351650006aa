//! From the configuration to what each thread needs of it.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::time::Instant;

use proxy::metrics::PoolMetrics;
use proxy::settings::{PoolSettings, ProtocolSettings};
use proxy::{FailoverPool, Health, Memory, WorkerContext};

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
    stats_extended: bool,
    pools: Vec<PoolShare>,
}

/// One pool, for all threads.
#[derive(Debug)]
struct PoolShare {
    settings: Arc<PoolSettings>,
    health: Arc<Health>,
    /// One for each worker.
    metrics: Vec<Arc<PoolMetrics>>,
    /// Its own servers, and behind them those of its failover pool.
    targets: Arc<[Target]>,
    failover: Option<FailoverPool>,
    keepalive: bool,
    max_clients: Option<usize>,
}

impl Plan {
    /// What `config` asks for, where all buffers may hold `max_memory` bytes (0 is no cap).
    pub(super) fn new(
        config: &Config,
        workers: usize,
        max_memory: u64,
        census: Arc<Census>,
    ) -> Self {
        let cap = usize::try_from(max_memory).unwrap_or(usize::MAX);
        let share = |pool| PoolShare::new(pool, workers);
        let mut pools: Vec<PoolShare> = config.pools.iter().map(share).collect();
        for (index, pool) in config.pools.iter().enumerate() {
            if let (Some(other), Some(failover)) =
                (config.failover_of(pool), &pool.settings.failure.failover)
            {
                // The other one has no failover itself, so what is taken of it is complete.
                let lent = pools[other].lent(failover.seconds);
                pools[index].borrow(lent);
            }
        }
        Self {
            workers,
            census,
            memory: Arc::new(Memory::new(cap, config.pools.len() * workers)),
            stats_extended: config.globals.stats_extended,
            pools,
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
            failover: pool.failover.clone(),
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
            extended: self.stats_extended,
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
            failover: None,
            keepalive: pool.tcpkeepalive,
            max_clients: (limit > 0).then_some(limit),
        }
    }
}

/// What a pool takes of another that serves the keys of its ejected servers.
struct Lent {
    pool: FailoverPool,
    metrics: Vec<Arc<PoolMetrics>>,
    targets: Arc<[Target]>,
}

impl PoolShare {
    fn lent(&self, seconds: u32) -> Lent {
        Lent {
            pool: FailoverPool {
                settings: Arc::clone(&self.settings),
                health: Arc::clone(&self.health),
                seconds,
            },
            metrics: self.metrics.clone(),
            targets: Arc::clone(&self.targets),
        }
    }

    /// Makes another pool the failover of this one, which nobody uses yet.
    fn borrow(&mut self, lent: Lent) {
        let servers = self.settings.servers.len();
        let with = |metrics| Arc::new(PoolMetrics::with_failover(servers, metrics));
        self.metrics = lent.metrics.into_iter().map(with).collect();
        let targets = self.targets.iter().chain(lent.targets.iter());
        self.targets = targets.cloned().collect();
        self.failover = Some(lent.pool);
    }
}

fn target(server: &ServerAddress) -> Target {
    match server {
        ServerAddress::Tcp { host, port } => Target::tcp(host, *port),
        ServerAddress::Unix(path) => Target::unix(path.clone()),
    }
}
