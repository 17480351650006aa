//! Settings of pools, with nothing set.

use std::time::Duration;

use hashkit::{Distribution, Placement};
use proxy::settings::{
    ClientLimits, FailurePolicy, MemcachedSettings, PoolSettings, ProtocolSettings, RedisSettings,
    ServerSettings,
};

/// A Redis pool of `servers` servers, named `s0` and so on, with nothing set.
pub(crate) fn redis_pool(servers: usize) -> PoolSettings {
    pool(servers, ProtocolSettings::Redis(RedisSettings::default()))
}

/// The same for memcached.
pub(crate) fn memcached_pool(servers: usize) -> PoolSettings {
    pool(
        servers,
        ProtocolSettings::Memcached(MemcachedSettings::default()),
    )
}

fn pool(servers: usize, protocol: ProtocolSettings) -> PoolSettings {
    let server = |index: usize| ServerSettings {
        name: format!("s{index}"),
        pname: format!("10.0.0.{index}:7000:1"),
        weight: 1,
        db: 0,
    };
    PoolSettings {
        name: "pool".into(),
        servers: (0..servers).map(server).collect(),
        placement: Placement {
            distribution: Distribution::Modula,
            ..Placement::default()
        },
        timeout: None,
        preconnect: false,
        auto_eject_hosts: false,
        server_connections: 1,
        server_retry_timeout: millis(30_000),
        server_failure_limit: 1,
        error_detail: false,
        allow_flush: true,
        clients: ClientLimits::default(),
        failure: FailurePolicy::default(),
        protocol,
    }
}

pub(crate) fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}
