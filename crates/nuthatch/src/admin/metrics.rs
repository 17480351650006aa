//! What `/metrics` shows: every row of the tables of metrics, what is known of servers besides, and the process.

use std::sync::atomic::Ordering;
use std::time::UNIX_EPOCH;

use proxy::PlannedServer;
use proxy::metrics::{Kind, POOL_ROWS, Row, SERVER_ROWS};

use super::aliases::{self, Alias};
use super::exposition::{Exposition, Labels, Type};
use super::view::{Shown, ShownPool, View};
use super::{latency, usage};
use crate::standing;
use crate::upgrade::OldProcess;

/// Rows whose names say too little where nutcracker's do not stand beside them.
const RENAMED: [(&str, &str); 2] = [
    ("client_total", "client_connections_opened"),
    ("server_total", "connections_opened"),
];

/// The name of a gauge, its description, and its value of a pool or server.
type Known<T, V> = (&'static str, &'static str, fn(&T) -> V);

/// The page, with the names of twemproxy's exporter too if they are wanted.
pub(super) fn page(view: &View, with_aliases: bool) -> String {
    let shown = view.shown();
    let labelled = Labelled::new(&shown);
    let mut page = Exposition::default();
    let writer = &mut Writer {
        view,
        page: &mut page,
        pools: &labelled,
    };
    writer.process();
    writer.connections(shown.left_out);
    writer.old_process();
    writer.reloads();
    writer.pools();
    writer.discovery();
    writer.servers();
    if with_aliases {
        writer.aliases();
    }
    page.finish()
}

/// A pool, and the labels of it and of its servers.
struct Labelled<'s> {
    pool: &'s ShownPool,
    labels: Labels,
    /// And of its replicas.
    servers: Vec<(Labels, &'s PlannedServer)>,
}

impl<'s> Labelled<'s> {
    fn new(shown: &'s Shown) -> Vec<Self> {
        let labelled = |pool: &'s ShownPool| {
            let name = pool.pool.name();
            let server = |server: &'s PlannedServer| {
                let labels = [("pool", name), ("server", server.share.name())];
                let labels = match server.endpoint.is_replica {
                    true => Labels::new(&[labels[0], labels[1], ("role", "replica")]),
                    false => Labels::new(&labels),
                };
                (labels, server)
            };
            Labelled {
                pool,
                labels: Labels::new(&[("pool", name)]),
                servers: pool.members().map(server).collect(),
            }
        };
        shown.pools.iter().map(labelled).collect()
    }
}

struct Writer<'w> {
    view: &'w View,
    page: &'w mut Exposition,
    pools: &'w [Labelled<'w>],
}

impl Writer<'_> {
    /// The process under the names that Prometheus' own libraries use, and what it was built from.
    fn process(&mut self) {
        let process = self.view.process();
        let usage = &process.usage;
        let memory = usage.memory.load(Ordering::Relaxed);
        let micros = [&usage.cpu_user, &usage.cpu_system].map(|it| it.load(Ordering::Relaxed));
        let page = &mut *self.page;
        page.family(
            "nuthatch_build_info",
            Type::Gauge,
            "The version, always with the value 1.",
        );
        page.sample(&Labels::new(&[("version", env!("CARGO_PKG_VERSION"))]), 1);
        page.single(
            "process_start_time_seconds",
            Type::Gauge,
            "Start time of the process since the Unix epoch in seconds.",
            seconds(process.epoch_micros),
        );
        page.single(
            "process_cpu_seconds_total",
            Type::Counter,
            "Processor time that the process has used, in seconds.",
            seconds(micros.into_iter().sum()),
        );
        page.single(
            "process_resident_memory_bytes",
            Type::Gauge,
            "Resident memory of the process in bytes.",
            memory,
        );
        for (name, help, value) in [
            (
                "process_open_fds",
                "Open descriptors.",
                usage::open_descriptors().map(|open| open as u64),
            ),
            (
                "process_max_fds",
                "How many descriptors may be open.",
                usage::max_descriptors(),
            ),
        ] {
            if let Some(value) = value {
                page.single(name, Type::Gauge, help, value);
            }
        }
    }

    /// What the process has that this one has replaced; nothing once it has ended.
    fn old_process(&mut self) {
        let old = self.view.old_process();
        for (name, help, value) in [
            (
                "nuthatch_old_process_clients",
                "Clients that the process before the upgrade still has.",
                old.map(OldProcess::clients),
            ),
            (
                "nuthatch_old_process_server_connections",
                "Connections to servers that the process before the upgrade still has.",
                old.map(OldProcess::server_connections),
            ),
        ] {
            let value = value.unwrap_or(0);
            self.page.single(name, Type::Gauge, help, value);
        }
    }

    fn connections(&mut self, left_out: usize) {
        let counts = &self.view.source().counts;
        let page = &mut *self.page;
        page.single(
            "nuthatch_connections",
            Type::Gauge,
            "Listeners, and connections to clients and servers.",
            counts.current(),
        );
        page.single(
            "nuthatch_connections_opened_total",
            Type::Counter,
            "Listeners, and connections to clients and servers, that were ever opened.",
            counts.total(),
        );
        page.single(
            "nuthatch_server_connections_limit",
            Type::Gauge,
            "Most connections to servers that clients may share (server_connections_total); 0 means no limit.",
            self.view.source().directory.in_force().server_connections_total,
        );
        page.single(
            "nuthatch_left_out",
            Type::Gauge,
            "Pools and servers that are not on this page because there are too many.",
            left_out,
        );
    }

    fn reloads(&mut self) {
        let directory = &self.view.source().directory;
        let (done, refused) = directory.reloads();
        let since = directory.in_force().since;
        let since = since
            .duration_since(UNIX_EPOCH)
            .map_or(0.0, |at| at.as_secs_f64());
        let page = &mut *self.page;
        page.single(
            "nuthatch_config_reloads_total",
            Type::Counter,
            "Configurations that were put in force after the first.",
            done,
        );
        page.single(
            "nuthatch_config_reloads_refused_total",
            Type::Counter,
            "Configurations that were refused.",
            refused,
        );
        page.single(
            "nuthatch_config_loaded_timestamp_seconds",
            Type::Gauge,
            "Since when the configuration is in force, since the Unix epoch in seconds.",
            since,
        );
    }

    fn pools(&mut self) {
        let gauges: [Known<ShownPool, usize>; 4] = [
            (
                "nuthatch_pool_ready",
                "Whether a server is live, of the pool or of its failover pool.",
                |pool| usize::from(pool.is_served()),
            ),
            ("nuthatch_pool_servers", "Servers of the pool.", |pool| {
                pool.plan.servers.len()
            }),
            (
                "nuthatch_pool_workers",
                "Workers that serve clients which connect; fewer than there are if server_connections_total says so.",
                |pool| pool.pool.core().serving_workers(),
            ),
            (
                "nuthatch_pool_servers_live",
                "Servers of the pool that are neither ejected nor drained.",
                ShownPool::live,
            ),
        ];
        for (name, help, value) in gauges {
            self.page.family(name, Type::Gauge, help);
            for pool in self.pools {
                self.page.sample(&pool.labels, value(pool.pool));
            }
        }
        self.page.family(
            "nuthatch_pool_ring_info",
            Type::Gauge,
            "A digest of where the keys of the pool are, always with the value 1: proxies with the same one send every key to \
             the same server.",
        );
        for pool in self.pools {
            let digest = format!("{:08x}", pool.pool.plan.settings.ring_digest());
            let labels = [("pool", pool.pool.pool.name()), ("digest", &digest)];
            self.page.sample(&Labels::new(&labels), 1);
        }
        let handshakes: [Known<ShownPool, u64>; 2] = [
            (
                "nuthatch_pool_handshakes_total",
                "Handshakes with clients that were completed: TLS, and headers of load balancers.",
                |pool| pool.pool.handshakes().0,
            ),
            (
                "nuthatch_pool_handshakes_failed_total",
                "Handshakes with clients that were not completed, except those of clients that left without a word.",
                |pool| pool.pool.handshakes().1,
            ),
        ];
        for (name, help, value) in handshakes {
            self.page.family(name, Type::Counter, help);
            for pool in self.pools {
                self.page.sample(&pool.labels, value(pool.pool));
            }
        }
        for (index, row) in POOL_ROWS.iter().enumerate() {
            let name = format!("nuthatch_pool_{}", ending(row));
            self.page.family(&name, kind(row), &help(row));
            for pool in self.pools {
                let value = self.view.pool_value(pool.pool, index);
                self.sample(&pool.labels, row, value);
            }
        }
    }

    /// How the search for servers stands, of the pools whose servers are found.
    fn discovery(&mut self) {
        let pools = self.pools.iter();
        let found: Vec<_> = pools
            .filter_map(|pool| Some((&pool.labels, pool.pool.pool.standing()?.known())))
            .collect();
        let gauges: [Known<standing::Known, u64>; 3] = [
            (
                "nuthatch_pool_discovery_servers",
                "Servers that were found the last time.",
                |known| known.found as u64,
            ),
            (
                "nuthatch_pool_discovery_last_success_timestamp_seconds",
                "When servers were last found and in force, since the Unix epoch in seconds, 0 if never.",
                |known| known.last_success.unwrap_or(0),
            ),
            (
                "nuthatch_pool_discovery_held_back",
                "Whether what was found last is not in force because too many servers are missing in it.",
                |known| u64::from(known.held_back.is_some()),
            ),
        ];
        for (name, help, value) in gauges {
            self.page.family(name, Type::Gauge, help);
            for (labels, known) in &found {
                self.page.sample(labels, value(known));
            }
        }
        self.page.family(
            "nuthatch_pool_discovery_failures_total",
            Type::Counter,
            "Searches for servers that failed.",
        );
        for (labels, known) in &found {
            self.page.sample(labels, known.failures);
        }
    }

    fn servers(&mut self) {
        let gauges: [Known<PlannedServer, u32>; 3] = [
            (
                "nuthatch_server_live",
                "Whether the server is in use, that is, neither ejected nor drained.",
                |server| u32::from(server.is_live()),
            ),
            (
                "nuthatch_server_drained",
                "Whether an operator has taken the server out of use.",
                |server| u32::from(server.is_held()),
            ),
            ("nuthatch_server_weight", "The configured weight.", |it| {
                it.weight
            }),
        ];
        for (name, help, value) in gauges {
            self.page.family(name, Type::Gauge, help);
            for (labels, server) in self.pools.iter().flat_map(|pool| &pool.servers) {
                self.page.sample(labels, value(server));
            }
        }
        self.page.family(
            "nuthatch_server_key_share_ratio",
            Type::Gauge,
            "The part of the keys that the server has now.",
        );
        for pool in self.pools {
            let shares = self.view.key_shares(pool.pool);
            // Replicas, which have no keys of their own, are behind those that have.
            let servers = pool.servers.iter().take(pool.pool.servers().len());
            for ((labels, _), share) in servers.zip(&*shares) {
                self.page.sample(labels, share);
            }
        }
        let labelled: Vec<_> = (self.pools.iter().flat_map(|pool| &pool.servers))
            .map(|(labels, server)| (labels, *server))
            .collect();
        latency::expose(self.page, &labelled);
        for (index, row) in SERVER_ROWS.iter().enumerate() {
            let name = format!("nuthatch_server_{}", ending(row));
            self.page.family(&name, kind(row), &help(row));
            for (labels, server) in self.pools.iter().flat_map(|pool| &pool.servers) {
                let value = self.view.server_value(server, index);
                self.sample(labels, row, value);
            }
        }
    }

    fn aliases(&mut self) {
        let counts = &self.view.source().counts;
        let page = &mut *self.page;
        page.single(aliases::UP, Type::Gauge, "Always 1.", 1);
        page.single(
            aliases::CONNECTIONS_TOTAL,
            Type::Counter,
            "See nuthatch_connections_opened_total.",
            counts.total(),
        );
        page.single(
            aliases::CURRENT_CONNECTIONS,
            Type::Gauge,
            "See nuthatch_connections.",
            counts.current(),
        );
        for alias in aliases::OF_POOLS {
            let index = alias.metric as usize;
            self.alias(&alias, "pool", &POOL_ROWS[index]);
            for pool in self.pools {
                let value = self.view.pool_value(pool.pool, index);
                self.page.sample(&pool.labels, value);
            }
        }
        for alias in aliases::OF_SERVERS {
            let index = alias.metric as usize;
            self.alias(&alias, "server", &SERVER_ROWS[index]);
            for (labels, server) in self.pools.iter().flat_map(|pool| &pool.servers) {
                let value = self.view.server_value(server, index);
                self.page.sample(labels, value);
            }
        }
    }

    fn alias<M>(&mut self, alias: &Alias<M>, of: &str, row: &Row) {
        let name = format!("{}{}", aliases::PREFIX, alias.name);
        let help = format!("See nuthatch_{of}_{}.", ending(row));
        self.page.family(&name, alias.kind, &help);
    }

    fn sample(&mut self, labels: &Labels, row: &Row, value: i64) {
        match row.kind {
            Kind::Counter | Kind::Gauge => self.page.sample(labels, value),
            Kind::Timestamp => {
                let micros = u64::try_from(value).unwrap_or(0);
                self.page.sample(labels, seconds(micros));
            }
        }
    }
}

/// The end of a row's name, by Prometheus' rules: units are seconds, and counters end in `_total`.
fn ending(row: &Row) -> String {
    let renamed = RENAMED.iter().find(|(name, _)| *name == row.name);
    let name = renamed.map_or(row.name, |(_, name)| name);
    // A server's name has that already, and a pool's `server_ejects` must not lose it.
    let is_server = SERVER_ROWS.iter().any(|it| std::ptr::eq(it, row));
    let name = match is_server {
        true => name.strip_prefix("server_").unwrap_or(name),
        false => name,
    };
    match row.kind {
        Kind::Counter => format!("{name}_total"),
        Kind::Gauge => name.to_owned(),
        Kind::Timestamp => {
            let name = name.strip_suffix("_at").unwrap_or(name);
            format!("{name}_timestamp_seconds")
        }
    }
}

fn kind(row: &Row) -> Type {
    match row.kind {
        Kind::Counter => Type::Counter,
        Kind::Gauge | Kind::Timestamp => Type::Gauge,
    }
}

/// The description of a row, which counts with a `#` in `-D`.
fn help(row: &Row) -> String {
    let help = match row.kind {
        // nutcracker's own words name the unit, which is another here.
        Kind::Timestamp => row.help.replace("in usec", "in seconds, 0 if never,"),
        Kind::Counter | Kind::Gauge => row.help.into(),
    };
    match help.strip_prefix("# ") {
        Some(counted) => format!("Number of {counted}."),
        None => help + ".",
    }
}

fn seconds(micros: u64) -> f64 {
    micros as f64 / 1e6
}
