//! Settings of pools, all at their defaults.

use std::time::Duration;

use hashkit::{Distribution, Placement};
use proxy::settings::{
    Address, MemcachedSettings, PoolSettings, ProtocolSettings, RedisSettings, ServerSettings,
};

/// A Redis pool of `servers` servers, named `s0` and so on, with default settings.
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
        address: Address::tcp(&format!("10.0.0.{index}"), 7_000),
        weight: 1,
        db: 0,
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
