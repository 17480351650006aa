//! The checked configuration, as data.

use std::time::Duration;

use proxy::settings::PoolSettings;

use super::address::Listen;

/// A checked configuration that the proxy can run on.
#[derive(Debug, Clone)]
pub struct Config {
    /// The pools, sorted by name as nutcracker 0.5.0 does: shorter first, then bytewise.
    pub pools: Vec<PoolConfig>,
    /// Settings of the whole process.
    pub globals: Globals,
    /// Warnings to log at start and to print with `-t`, each beginning with its position.
    pub warnings: Vec<String>,
}

impl Config {
    /// The index of the pool that serves the keys of `pool`'s ejected servers.
    pub fn failover_of(&self, pool: &PoolConfig) -> Option<usize> {
        let failover = pool.settings.failure.failover.as_ref()?;
        let is_it = |other: &PoolConfig| other.settings.name == failover.pool;
        self.pools.iter().position(is_it)
    }
}

/// Settings of the whole process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Globals {
    /// Number of event loops.
    pub workers: Workers,
    /// Maximum bytes in the buffers of all clients and servers; 0 means no limit, `None` half of the memory.
    pub max_memory: Option<u64>,
    /// Maximum clients of all pools; 0 means as many as descriptors allow.
    pub max_clients: u64,
    /// How long a shutdown waits for requests in flight.
    pub shutdown_timeout: Duration,
    /// Whether the statistics document has counters that nutcracker does not have.
    pub stats_extended: bool,
}

impl Default for Globals {
    /// The defaults.
    fn default() -> Self {
        Self {
            workers: Workers::Count(1),
            max_memory: None,
            max_clients: 0,
            shutdown_timeout: Duration::from_secs(5),
            stats_extended: false,
        }
    }
}

/// A pool, checked.
#[derive(Debug, Clone)]
pub struct PoolConfig {
    /// What the core needs to know.
    pub settings: PoolSettings,
    /// Where clients connect.
    pub listen: Listen,
    /// Length of the queue of connections not yet accepted.
    pub backlog: u32,
    /// Maximum clients at a time; 0 means no limit.
    pub client_connections: u32,
    /// Whether TCP connections, to clients and to servers, send keepalive probes.
    pub tcpkeepalive: bool,
    /// Whether the listening socket gets SO_REUSEPORT.
    pub reuseport: bool,
    /// How often the names of servers are looked up that connections lead to.
    pub dns_refresh: Option<Duration>,
    /// Whether connections go where those names lead then; otherwise it is only told.
    pub dns_follow: bool,
    /// Whether `cross_shard` is written down. If not, a line at start tells of it.
    pub has_cross_shard: bool,
}

impl PoolConfig {
    /// A pool with default settings.
    pub(super) fn new(settings: PoolSettings, listen: Listen) -> Self {
        Self {
            settings,
            listen,
            backlog: 512,
            client_connections: 0,
            tcpkeepalive: false,
            reuseport: false,
            dns_refresh: Some(Duration::from_secs(30)),
            dns_follow: false,
            has_cross_shard: false,
        }
    }
}

/// The number of event loops, as configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Workers {
    /// One for every core that the process may use.
    Auto,
    /// This many, at least 1.
    Count(usize),
}

impl Workers {
    /// The number of event loops on this machine.
    pub fn count(self) -> usize {
        match self {
            Self::Auto => std::thread::available_parallelism().map_or(1, usize::from),
            Self::Count(count) => count,
        }
    }
}
