//! Settings of pools, all at their defaults, and how their servers are.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use hashkit::{Distribution, Placement};
use proxy::settings::{
    Address, MemcachedSettings, PoolSettings, ProtocolSettings, RedisSettings, ServerSettings,
};
use proxy::{Place, PlannedServer, PoolShare, Process, Usage};

/// The result of an attempt to connect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ConnectResult {
    Open,
    Refusing,
    /// No answer.
    Silent,
}

/// A Redis pool of `servers` servers, named `s0` and so on, with default settings.
pub(crate) fn redis_pool(servers: usize) -> PoolSettings {
    pool(servers, ProtocolSettings::Redis(RedisSettings::default()))
}

/// The same for memcached.
pub(crate) fn memcached_pool(servers: usize) -> PoolSettings {
    pool(
        servers,
        ProtocolSettings::Memcached(MemcachedSettings {
            admin_commands: true,
            ..MemcachedSettings::default()
        }),
    )
}

fn pool(servers: usize, protocol: ProtocolSettings) -> PoolSettings {
    let server = |index: usize| ServerSettings {
        name: format!("s{index}"),
        pname: format!("10.0.0.{index}:7000:1"),
        address: Address::tcp(&format!("10.0.0.{index}"), 7_000),
        weight: 1,
        db: 0,
        replication: Default::default(),
    };
    PoolSettings {
        placement: Placement {
            distribution: Distribution::Modula,
            ..Placement::default()
        },
        server_failure_limit: 1,
        allow_flush: true,
        ..PoolSettings::new("pool", (0..servers).map(server).collect(), protocol)
    }
}

pub(crate) fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// Where the pool is.
pub(crate) fn place() -> Place {
    let process = Process {
        pid: 7,
        run_id: "0123456789abcdef0123456789abcdef01234567".into(),
        os: "Linux".into(),
        executable: "/usr/bin/nuthatch".into(),
        config_file: "/etc/nuthatch.yml".into(),
        epoch_micros: 1_700_000_000_000_000,
        usage: Usage {
            memory: AtomicU64::new(2_048),
            memory_peak: AtomicU64::new(4_096),
            cpu_user: AtomicU64::new(1_500_000),
            cpu_system: AtomicU64::new(0),
        },
        connections: Arc::default(),
    };
    Place {
        process: Arc::new(process),
        listen: "127.0.0.1:22121".into(),
        port: 22_121,
        max_clients: 1_000,
    }
}

/// The servers of a pool, in their order, and behind them their replicas.
pub(crate) fn servers_of(pool: &PoolShare) -> impl Iterator<Item = PlannedServer> {
    let plan = pool.plan();
    let all: Vec<_> = plan.servers_and_replicas().cloned().collect();
    all.into_iter()
}
