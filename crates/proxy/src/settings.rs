//! What the core needs to know of a pool, checked: nothing here can be nonsense any more.
//!
//! The binary turns configuration as written into these types; the core sees only them.

use std::sync::Arc;
use std::time::Duration;

use hashkit::Placement;

/// One pool: a listener's worth of servers that share keys.
#[derive(Debug, Clone)]
pub struct PoolSettings {
    /// The pool's name as in the file.
    pub name: String,
    /// The servers in index order: sorted by name, shorter first, then bytewise (as nutcracker 0.5.0 does).
    pub servers: Vec<ServerSettings>,
    /// How a key becomes a server index.
    pub placement: Placement,
    /// How long a request may wait for its reply, from the moment it is queued; `None` waits for ever.
    pub timeout: Option<Duration>,
    /// Open the server connections at start rather than at the first request.
    pub preconnect: bool,
    /// Take failing servers off the ring.
    pub auto_eject_hosts: bool,
    /// Connections to each server, per worker and protocol version (at least 1).
    pub server_connections: usize,
    /// How long an ejected server rests.
    pub server_retry_timeout: Duration,
    /// Failures in a row that eject a server (0 counts as 1).
    pub server_failure_limit: u32,
    /// Append server and cause to the error lines that the proxy makes.
    pub error_detail: bool,
    /// Let commands pass that destroy data on every server (FLUSHALL, FLUSHDB, flush_all).
    pub allow_flush: bool,
    /// What the pool speaks, with the settings of that protocol.
    pub protocol: ProtocolSettings,
}

/// One server of a pool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerSettings {
    /// Identity on the ring and in the statistics.
    pub name: String,
    /// `host:port:weight` (or `path:weight`) as written, for log lines.
    pub pname: String,
    /// Share of the keys, relative to the others.
    pub weight: u32,
    /// Database selected on every connection to this server (Redis only); 0 selects nothing.
    ///
    /// It belongs to the server because nutcracker 0.5.0 never selects one over a unix socket, so that
    /// one pool can have its data in different databases.
    pub db: u32,
}

/// The protocol of a pool and what only that protocol has.
#[derive(Debug, Clone)]
pub enum ProtocolSettings {
    /// `redis: true`.
    Redis(RedisSettings),
    /// `redis: false`, the default.
    Memcached(MemcachedSettings),
}

/// Settings of Redis pools.
#[derive(Debug, Clone, Default)]
pub struct RedisSettings {
    /// Password asked of clients and given to servers (`redis_auth`).
    pub auth: Option<Arc<[u8]>>,
    /// Whether HELLO 3 is granted.
    pub resp3: Resp3,
    /// What happens to a command whose keys belong to several servers and that cannot be split.
    pub cross_shard: CrossShard,
}

/// Whether clients may speak RESP3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Resp3 {
    /// Granted where the servers accept it.
    #[default]
    Auto,
    /// Always refused with -NOPROTO.
    Off,
}

/// Policy for a command that cannot be split and whose keys belong to several servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CrossShard {
    /// Commands that nutcracker knows go to the first key's server, as there; others are refused.
    #[default]
    FirstKey,
    /// Every such command is refused.
    Error,
}

/// Settings of memcached pools.
#[derive(Debug, Clone)]
pub struct MemcachedSettings {
    /// Largest value a client may announce, in bytes.
    pub max_value: u64,
}

impl Default for MemcachedSettings {
    fn default() -> Self {
        Self { max_value: 1 << 30 }
    }
}
