//! The servers, their relays, and the proxy in front of them.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::Value;
use testkit::{Proxy, Server, free_port};

use crate::faulty_server::FaultyServer;
use nuthatch_bench::faults::Fault;
use nuthatch_bench::load::Protocol;

/// Servers of each protocol. All pools of the protocol share them.
const SERVERS: usize = 3;

/// A pool under load.
#[derive(Debug)]
pub(crate) struct LoadedPool {
    pub(crate) name: &'static str,
    pub(crate) protocol: Protocol,
    /// Whether keys may be moved to another server temporarily, which may have old values of them.
    pub(crate) keys_move: bool,
    settings: &'static [&'static str],
}

/// Settings of every pool: timeouts far shorter than the clients' waiting time.
const COMMON: &str = "timeout: 300\n  preconnect: true\n  backlog: 1024";

/// What stands in the place of the timeouts where servers do not fail: there a request may be late only because
/// the proxy lost it, not because a busy machine let a thread wait for a third of a second.
const WITHOUT_FAULTS: [(&str, &str); 2] = [
    ("\n  timeout: 300\n", "\n  timeout: 8000\n"),
    ("\n  connect_timeout: 100\n", "\n  connect_timeout: 8000\n"),
];

const EJECT: &str =
    "auto_eject_hosts: true\n  server_failure_limit: 2\n  server_retry_timeout: 400";

/// Each policy with one of the protocols.
pub(crate) const POOLS: [LoadedPool; 8] = [
    LoadedPool {
        name: "redis_remap",
        protocol: Protocol::Redis,
        keys_move: true,
        settings: &[EJECT],
    },
    LoadedPool {
        name: "redis_stay",
        protocol: Protocol::Redis,
        keys_move: false,
        settings: &[
            "server_connections: 2",
            "connect_timeout: 100",
            "retry_reads: true",
        ],
    },
    LoadedPool {
        name: "redis_error",
        protocol: Protocol::Redis,
        keys_move: false,
        settings: &[EJECT, "eject_policy: error", "timeout_action: answer"],
    },
    LoadedPool {
        name: "memcached_remap",
        protocol: Protocol::Memcached,
        keys_move: true,
        settings: &[EJECT, "probe: false"],
    },
    LoadedPool {
        name: "memcached_stay",
        protocol: Protocol::Memcached,
        keys_move: false,
        settings: &["timeout_action: answer"],
    },
    LoadedPool {
        name: "memcached_miss",
        protocol: Protocol::Memcached,
        keys_move: false,
        settings: &[EJECT, "eject_policy: miss"],
    },
    LoadedPool {
        name: "redis_failover",
        protocol: Protocol::Redis,
        keys_move: true,
        settings: &[EJECT, "failover: redis_gutter"],
    },
    LoadedPool {
        name: "memcached_failover",
        protocol: Protocol::Memcached,
        keys_move: true,
        settings: &[EJECT, "failover: memcached_gutter"],
    },
];

/// Everything that runs. Dropping it stops everything.
#[derive(Debug)]
pub(crate) struct Setup {
    pub(crate) proxy: Proxy,
    /// The proxy's control socket.
    pub(crate) socket: PathBuf,
    /// Where the pools listen, in the order of [`POOLS`].
    pub(crate) addresses: Vec<SocketAddr>,
    redis: Vec<FaultyServer>,
    memcached: Vec<FaultyServer>,
    /// The servers of the failover pools, which do not fail: otherwise what a client sends before and after
    /// an ejection could reach one server over two connections, in either order.
    _gutters: [Server; 2],
    hits: Arc<AtomicU64>,
}

impl Setup {
    /// Starts servers, relays and the proxy `nuthatch` with two workers. Timeouts are short if servers are to fail.
    ///
    /// # Errors
    ///
    /// When redis-server or memcached is not installed.
    pub(crate) fn start(nuthatch: &Path, seed: u64, servers_fail: bool) -> Result<Self, String> {
        let hits = Arc::new(AtomicU64::new(0));
        let gather = |protocol| -> Option<Vec<FaultyServer>> {
            let faulty_server = |_| {
                let server = start_server(protocol)?;
                Some(FaultyServer::new(server, protocol, seed, &hits))
            };
            (0..SERVERS).map(faulty_server).collect()
        };
        let redis = gather(Protocol::Redis).ok_or("redis-server is not installed")?;
        let memcached = gather(Protocol::Memcached).ok_or("memcached is not installed")?;
        let gutters = [
            testkit::redis().ok_or("redis-server is not installed")?,
            testkit::memcached().ok_or("memcached is not installed")?,
        ];
        let ports: Vec<u16> = POOLS.iter().map(|_| free_port()).collect();
        let mut conf: String = POOLS
            .iter()
            .zip(&ports)
            .map(|(pool, &port)| match pool.protocol {
                Protocol::Redis => pool_conf(pool, port, &redis),
                Protocol::Memcached => pool_conf(pool, port, &memcached),
            })
            .chain(
                gutters
                    .iter()
                    .zip([Protocol::Redis, Protocol::Memcached])
                    .map(gutter_conf),
            )
            .collect();
        if !servers_fail {
            for (short, long) in WITHOUT_FAULTS {
                conf = conf.replace(short, long);
            }
        }
        let args = [
            "--workers",
            "2",
            "--stats-extended=true",
            "--control=control.sock",
            "--upgrade-drain=300",
        ];
        let proxy = testkit::nuthatch(nuthatch, &args, &conf);
        Ok(Self {
            // The proxy runs in that directory.
            socket: proxy.dir().join("control.sock"),
            proxy,
            addresses: ports
                .iter()
                .map(|&port| SocketAddr::from(([127, 0, 0, 1], port)))
                .collect(),
            redis,
            memcached,
            _gutters: gutters,
            hits,
        })
    }

    /// The ports of the relays of a protocol.
    pub(crate) fn ports(&self, protocol: Protocol) -> Vec<u16> {
        let faulty_servers = match protocol {
            Protocol::Redis => &self.redis,
            Protocol::Memcached => &self.memcached,
        };
        faulty_servers.iter().map(FaultyServer::port).collect()
    }

    /// Makes server `number` of a protocol fail.
    pub(crate) fn break_server(&mut self, protocol: Protocol, number: usize, fault: Fault) {
        self.faulty_server(protocol, number).break_by(fault);
    }

    /// Ends its fault.
    pub(crate) fn heal_server(&mut self, protocol: Protocol, number: usize, fault: Fault) {
        self.faulty_server(protocol, number).heal(fault);
    }

    /// How often relays have affected a connection.
    pub(crate) fn hits(&self) -> u64 {
        self.hits.load(Ordering::Relaxed)
    }

    /// Ejections in each pool so far.
    ///
    /// # Errors
    ///
    /// When the statistics do not contain them.
    pub(crate) fn ejections(&self) -> Result<Vec<u64>, String> {
        let stats = self.stats()?;
        let of = |pool: &LoadedPool| stats[pool.name]["server_ejects"].as_u64();
        let totals: Option<Vec<u64>> = POOLS.iter().map(of).collect();
        totals.ok_or_else(|| format!("statistics without server_ejects: {stats}"))
    }

    /// Ejections and timeouts in each pool so far: either may make a key look missing or old although there
    /// was no fault.
    ///
    /// # Errors
    ///
    /// When the statistics do not contain them.
    pub(crate) fn mishaps(&self) -> Result<Vec<u64>, String> {
        let stats = self.stats()?;
        let timeouts = |pool: &LoadedPool| -> u64 {
            let servers = stats[pool.name].as_object().into_iter().flatten();
            servers
                .filter_map(|(_, server)| server["server_timedout"].as_u64())
                .sum()
        };
        let ejections = self.ejections()?.into_iter();
        Ok(ejections
            .zip(&POOLS)
            .map(|(ejections, pool)| ejections + timeouts(pool))
            .collect())
    }

    /// The sum of a metric over the pools that have it.
    ///
    /// # Errors
    ///
    /// When there are no statistics.
    pub(crate) fn sum_of(&self, metric: &str) -> Result<u64, String> {
        let stats = self.stats()?;
        let of = |pool: &LoadedPool| stats[pool.name][metric].as_u64();
        Ok(POOLS.iter().filter_map(of).sum())
    }

    fn stats(&self) -> Result<Value, String> {
        serde_json::from_str(&self.proxy.stats()).map_err(|error| format!("statistics: {error}"))
    }

    fn faulty_server(&mut self, protocol: Protocol, number: usize) -> &mut FaultyServer {
        let faulty_servers = match protocol {
            Protocol::Redis => &mut self.redis,
            Protocol::Memcached => &mut self.memcached,
        };
        let count = faulty_servers.len();
        &mut faulty_servers[number % count]
    }
}

fn start_server(protocol: Protocol) -> Option<Server> {
    match protocol {
        Protocol::Redis => testkit::redis(),
        Protocol::Memcached => testkit::memcached_with(&["-m", "512", "-I", "2m"]),
    }
}

fn pool_conf(pool: &LoadedPool, port: u16, faulty_servers: &[FaultyServer]) -> String {
    let name = pool.name;
    let redis = pool.protocol == Protocol::Redis;
    let mut conf = format!("{name}:\n  listen: 127.0.0.1:{port}\n  redis: {redis}\n  {COMMON}\n");
    for setting in pool.settings {
        conf += &format!("  {setting}\n");
    }
    conf += "  servers:\n";
    for (number, faulty_server) in faulty_servers.iter().enumerate() {
        conf += &format!("    - 127.0.0.1:{}:1 s{number}\n", faulty_server.port());
    }
    conf
}

/// A pool of one server that is used only for failover.
fn gutter_conf((server, protocol): (&Server, Protocol)) -> String {
    let redis = protocol == Protocol::Redis;
    let name = if redis {
        "redis_gutter"
    } else {
        "memcached_gutter"
    };
    format!(
        "{name}:\n  listen: 127.0.0.1:{}\n  redis: {redis}\n  {COMMON}\n  servers:\n    - 127.0.0.1:{}:1 gutter\n",
        free_port(),
        server.port(),
    )
}
