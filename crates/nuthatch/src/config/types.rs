//! The checked configuration, as data.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use proxy::acl::Digest;
use proxy::settings::{
    Address, GuardrailSettings, PoolSettings, ProtocolSettings, ReplicaSettings,
};

use super::address::{Listen, ServerLine};
use super::choice::Choice;
use super::hosts::{HostPort, NamedHost};
use super::report::Position;
use crate::logins::LoginFile;
use crate::net::Networks;
use crate::tls::Acceptance;

/// A checked configuration that the proxy can run on.
#[derive(Debug, Clone)]
pub struct Config {
    /// The pools, sorted by name as nutcracker 0.5.0 does: shorter first, then bytewise.
    pub pools: Vec<PoolConfig>,
    /// Settings of the whole process.
    pub globals: Globals,
    /// The same as JSON: every setting with its value or default, and no secrets.
    pub effective: serde_json::Value,
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

    /// The settings of each pool, with those of the pool that serves the keys of its ejected servers.
    pub fn with_failovers(&self) -> Vec<(&PoolSettings, Option<&PoolSettings>)> {
        let other = |pool| Some(&self.pools[self.failover_of(pool)?].settings);
        let pools = self.pools.iter();
        pools.map(|pool| (&pool.settings, other(pool))).collect()
    }
}

/// What a pool says of its servers.
#[derive(Debug, Clone)]
pub(super) enum Servers {
    /// They are listed, each at its position.
    Listed(Vec<(ServerLine, Position)>),
    /// They are found while the pool is served.
    Found(ServerSource),
}

/// The same text for equal ones.
impl fmt::Display for Servers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listed(servers) => {
                let line = |(server, _): &(ServerLine, Position)| {
                    format!("{} {}", server.pname, server.name)
                };
                f.write_str(&servers.iter().map(line).collect::<Vec<_>>().join(", "))
            }
            Self::Found(source) => source.fmt(f),
        }
    }
}

/// A user as it was written.
#[derive(Clone)]
pub(super) struct UserLine {
    /// Its name.
    pub(super) name: Box<str>,
    /// The digests of its passwords.
    pub(super) passwords: Vec<Digest>,
    /// Its rules.
    pub(super) rules: Box<str>,
    /// Where they stand, or else the user.
    pub(super) position: Position,
}

impl UserLine {
    /// As one text, the same for equal ones. It has the digests of passwords.
    pub(super) fn text(&self) -> String {
        let Self {
            name,
            passwords,
            rules,
            ..
        } = self;
        format!("{name} {passwords:?} {rules}")
    }
}

/// Without passwords, which may stand in the rules, too.
impl fmt::Debug for UserLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UserLine")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// A guardrail as it was written.
#[derive(Debug, Clone)]
pub(super) struct GuardrailLine {
    /// What it says.
    pub(super) settings: GuardrailSettings,
    /// Where each command stands that it denies.
    pub(super) positions: Vec<Position>,
}

impl GuardrailLine {
    /// As one text, the same for equal ones.
    pub(super) fn text(&self) -> String {
        let it = &self.settings;
        let words = [
            it.prefix.as_ref().map(|prefix| format!("prefix {prefix}")),
            (!it.deny.is_empty()).then(|| format!("deny {}", it.deny.join(" "))),
            it.max_value.map(|bytes| format!("max_value {bytes}")),
            it.max_rate.map(|rate| format!("max_rate {rate}")),
        ];
        words.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }
}

/// The replicas of a server, as they are written.
#[derive(Debug, Clone)]
pub(super) struct ReplicasOf {
    /// The name of the server.
    pub(super) server: String,
    /// Where that stands.
    pub(super) position: Position,
    /// They may include the server itself, with its zone.
    pub(super) replicas: Vec<ReplicaSettings>,
}

impl ReplicasOf {
    /// As one text, the same for equal ones.
    pub(super) fn text(&self) -> String {
        let words: Vec<String> = self.replicas.iter().map(shown_replica).collect();
        format!("{}: [{}]", self.server, words.join(", "))
    }
}

/// A replica as it is written.
pub(super) fn shown_replica(replica: &ReplicaSettings) -> String {
    match &replica.zone {
        Some(zone) => format!("{} {zone}", replica.address),
        None => replica.address.to_string(),
    }
}

/// Settings of the whole process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Globals {
    /// Number of event loops.
    pub workers: Workers,
    /// Maximum bytes in the buffers of all clients and servers; 0 means no limit, `None` half of the memory.
    pub max_memory: Option<u64>,
    /// Maximum clients of all pools; 0 means as many as descriptors allow.
    pub max_clients: u64,
    /// Maximum connections to servers that clients share, over all pools; 0 means no limit.
    pub server_connections_total: u64,
    /// How long a shutdown waits for requests in flight.
    pub shutdown_timeout: Duration,
    /// How long a drain takes to close the clients; with `None` SIGTERM does not drain.
    pub drain: Option<Duration>,
    /// From when a drain begins until clients are told.
    pub drain_wait: Duration,
    /// From then on until the listeners close.
    pub drain_grace: Duration,
    /// How long a process that was replaced may serve its clients.
    pub upgrade_drain: Duration,
    /// Whether the statistics document has counters that nutcracker does not have.
    pub stats_extended: bool,
    /// The unix socket for `nuthatch ctl`.
    pub control: Option<PathBuf>,
    /// Whether the configuration is reloaded when its files change.
    pub watch: bool,
    /// Whether signals do what they do under our own name though the program is called nutcracker.
    pub signals: bool,
    /// Where the admin pages are served, if anywhere.
    pub admin: Option<HostPort>,
    /// Further hosts by which they may be asked for.
    pub admin_hosts: Vec<NamedHost>,
    /// What asks for them has to know.
    pub admin_token: Option<String>,
    /// A file that holds the same.
    pub admin_token_file: Option<PathBuf>,
    /// When the process says that it is ready.
    pub admin_ready: ReadyWhen,
    /// The form of the lines of the log.
    pub log_format: LogFormat,
    /// The file of the access log.
    pub access_log_file: Option<PathBuf>,
}

impl Default for Globals {
    /// The defaults.
    fn default() -> Self {
        Self {
            workers: Workers::Count(1),
            max_memory: None,
            max_clients: 0,
            server_connections_total: 0,
            shutdown_timeout: Duration::from_secs(5),
            drain: None,
            drain_wait: Duration::from_secs(5),
            drain_grace: Duration::from_secs(5),
            upgrade_drain: Duration::from_secs(60),
            stats_extended: false,
            control: None,
            watch: false,
            signals: false,
            admin: None,
            admin_hosts: Vec::new(),
            admin_token: None,
            admin_token_file: None,
            admin_ready: ReadyWhen::default(),
            log_format: LogFormat::default(),
            access_log_file: None,
        }
    }
}

/// Where the servers of a pool are found, and what is made of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Discovery {
    /// Where.
    pub source: ServerSource,
    /// The databases of servers that are reached over TCP, and over a unix socket.
    pub databases: (u32, u32),
    /// What the weights of all servers may add up to.
    pub max_weights: u64,
    /// How many of the servers may disappear at once, in percent.
    pub max_removed: u8,
}

impl Discovery {
    /// The database on a server with this address.
    pub fn database_of(&self, address: &Address) -> u32 {
        match address {
            Address::Unix(_) => self.databases.1,
            Address::Tcp { .. } | Address::Unknown => self.databases.0,
        }
    }
}

/// Where servers are found that are not listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerSource {
    /// In a file with one server in each line.
    File(PathBuf),
    /// By Redis Sentinels.
    Sentinel(Arc<SentinelSource>),
    /// By name servers, which have this service (SRV).
    Srv(String),
    /// By name servers: at all addresses of this name, with this port.
    Dns(String, u16),
}

/// Masters that Redis Sentinels watch.
#[derive(Clone, PartialEq, Eq)]
pub struct SentinelSource {
    /// Sentinels, by which the others are found.
    pub seeds: Vec<Address>,
    /// The masters by name, each with its weight.
    pub shards: Vec<(String, u32)>,
    /// The user that the Sentinels know, if it is not the default one.
    pub user: Option<String>,
    /// The password of the Sentinels, if they have one.
    pub password: Option<String>,
}

/// Without passwords.
impl fmt::Debug for SentinelSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SentinelSource")
            .field("seeds", &self.seeds)
            .field("shards", &self.shards)
            .finish_non_exhaustive()
    }
}

/// The same text for equal ones, without secrets.
impl fmt::Display for ServerSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "file {}", path.display()),
            Self::Srv(name) => write!(f, "srv {name}"),
            Self::Dns(name, port) => write!(f, "dns {name}, port {port}"),
            Self::Sentinel(source) => {
                let seeds = source.seeds.iter().map(Address::to_string);
                let shards = source.shards.iter().map(|(name, weight)| match weight {
                    1 => name.clone(),
                    weight => format!("{name}:{weight}"),
                });
                let (seeds, shards): (Vec<String>, Vec<String>) =
                    (seeds.collect(), shards.collect());
                write!(
                    f,
                    "sentinels {}, shards {}",
                    seeds.join(" "),
                    shards.join(" ")
                )?;
                match &source.user {
                    Some(user) => write!(f, ", user {user}"),
                    None => Ok(()),
                }
            }
        }
    }
}

/// A pool, checked.
#[derive(Debug, Clone)]
pub struct PoolConfig {
    /// What the core needs to know.
    pub settings: PoolSettings,
    /// How its servers are found, if they are not listed. Those of the settings are the ones that were known when the
    /// configuration was read.
    pub discovery: Option<Discovery>,
    /// How many servers may disappear at once, in percent, when they are found.
    pub max_removed: u8,
    /// Where clients connect.
    pub listen: Listen,
    /// How the connections of clients are secured, if they are.
    pub(crate) acceptance: Option<Acceptance>,
    /// Where clients connect whose connections are secured, if not to `listen`.
    pub(crate) listen_tls: Option<Listen>,
    /// The file with the logins of the servers.
    pub(crate) login_file: Option<LoginFile>,
    /// Clients from there begin with a header of the PROXY protocol.
    pub(crate) balancers: Option<Networks>,
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
    /// The Redis Cluster that its servers are, if they are one.
    pub cluster: Option<ClusterConfig>,
    /// Whether `cross_shard` is written down. If not, a line at start tells of it.
    pub has_cross_shard: bool,
    /// The settings that are written down, to compare one configuration with another.
    pub written: BTreeMap<&'static str, Written>,
}

/// Which servers reads go to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum ReadPolicy {
    /// Those that get the writes.
    #[default]
    Master,
    /// Replicas.
    Replica,
    /// Replicas, if there are any.
    PreferReplica,
    /// Those in the zone of the proxy.
    Zone,
    /// Those that have answered fastest.
    Fastest,
}

/// A Redis Cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterConfig {
    /// Nodes to be asked first.
    pub seeds: Vec<Address>,
    /// How often a node is asked for the map of slots though nothing seems to have changed.
    pub refresh: Duration,
}

impl fmt::Display for ClusterConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the cluster of ")?;
        for (number, seed) in self.seeds.iter().enumerate() {
            let comma = if number > 0 { ", " } else { "" };
            write!(f, "{comma}{seed}")?;
        }
        Ok(())
    }
}

/// A setting as it is written down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    text: String,
    is_secret: bool,
}

impl Written {
    /// A value, which is never shown if it is secret.
    pub(super) fn new(text: String, is_secret: bool) -> Self {
        Self { text, is_secret }
    }

    /// The value as it may be shown.
    pub fn shown(&self) -> &str {
        match self.is_secret {
            true => "(hidden)",
            false => &self.text,
        }
    }
}

impl PoolConfig {
    /// The name of its protocol.
    pub fn protocol(&self) -> &'static str {
        match self.settings.protocol {
            ProtocolSettings::Redis(_) => "redis",
            ProtocolSettings::Memcached(_) => "memcached",
        }
    }

    /// The addresses that clients connect to, and whether their connections are secured there.
    pub(crate) fn entrances(&self) -> impl Iterator<Item = (&Listen, bool)> {
        let is_only = self.acceptance.is_some() && self.listen_tls.is_none();
        let further = self.listen_tls.iter().map(|listen| (listen, true));
        std::iter::once((&self.listen, is_only)).chain(further)
    }

    /// A pool with default settings.
    pub(super) fn new(settings: PoolSettings, listen: Listen) -> Self {
        Self {
            settings,
            discovery: None,
            max_removed: 50,
            listen,
            acceptance: None,
            listen_tls: None,
            login_file: None,
            balancers: None,
            backlog: 512,
            client_connections: 0,
            tcpkeepalive: false,
            reuseport: false,
            dns_refresh: Some(Duration::from_secs(30)),
            dns_follow: false,
            cluster: None,
            has_cross_shard: false,
            written: BTreeMap::new(),
        }
    }
}

/// When `/readyz` says that the process is ready.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ReadyWhen {
    /// When every pool has a live server.
    #[default]
    AllPools,
    /// When at least one pool has.
    AnyPool,
}

/// The form of the lines of the log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// nutcracker's: a time and a text.
    #[default]
    Text,
    /// An object of JSON.
    Json,
}

impl LogFormat {
    /// Its name in a configuration.
    pub fn name(self) -> &'static str {
        Choice::name(self)
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
