//! The settings of a pool, as the core uses them. They are validated: every value of these types is usable.
//!
//! The binary `nuthatch` converts the configuration file into these types; the core sees nothing else of it.

use std::sync::Arc;
use std::time::Duration;

use hashkit::Placement;
use memcached_proto::Verb;
use redis_proto::command::{self, Arity, Command, Flags, Keys};

pub use crate::address::Address;
use crate::login::ServerLogins;
pub use crate::reads::{ReadFrom, ReadSettings, ReplicaSettings, Replication};
use crate::release::Release;
use crate::security::Security;
use crate::slot_map::SlotMap;
use crate::users::Users;

/// One pool: the servers behind one listening address, which share the keys.
#[derive(Debug, Clone)]
pub struct PoolSettings {
    /// The pool's name as in the file.
    pub name: String,
    /// The servers in index order: sorted by name, shorter first, then bytewise (as nutcracker 0.5.0 does).
    pub servers: Vec<ServerSettings>,
    /// How a key becomes a server index; without meaning where there are `slots`.
    pub placement: Placement,
    /// Where the servers are a Redis Cluster (Redis only): which of them has which hash slot, as far as it is known. Then keys
    /// stay with their servers, and what the servers say of slots that have moved is followed.
    pub slots: Option<Arc<SlotMap>>,
    /// Which servers reads go to; `None` is to those that take the writes (Redis only).
    pub reads: Option<Arc<ReadSettings>>,
    /// How long a request may wait for its reply after it was queued; `None` is for ever.
    pub timeout: Option<Duration>,
    /// Open the server connections at start rather than at the first request.
    pub preconnect: bool,
    /// Eject failing servers.
    pub auto_eject_hosts: bool,
    /// Connections to each server, per worker and protocol version (at least 1).
    pub server_connections: usize,
    /// Connections that may be leased to clients that wait, for each server and worker (at least 1).
    pub leased_connections: usize,
    /// How long a client may hold a leased connection while nothing of its own is outstanding there (WATCH); `None` is for
    /// ever.
    pub lease_idle_timeout: Option<Duration>,
    /// How long a server stays ejected.
    pub server_retry_timeout: Duration,
    /// Failures in a row that eject a server (0 counts as 1).
    pub server_failure_limit: u32,
    /// How long a request takes at least that is kept in the slow log when it is answered; `None` keeps none.
    pub slow_log: Option<Duration>,
    /// One in so many requests (at least 1) is counted by its keys; `None` counts none.
    pub hot_keys: Option<u32>,
    /// One in so many requests (at least 1) is told of by [`Pool::poll_access`](crate::Pool::poll_access); `None` tells of none.
    pub access_log: Option<u32>,
    /// Append the server and the cause to the proxy's own error lines.
    pub error_detail: bool,
    /// Let commands pass that destroy data on every server (FLUSHALL, FLUSHDB, flush_all).
    pub allow_flush: bool,
    /// How much a client may leave unread, and have waiting unparsed.
    pub clients: ClientLimits,
    /// What happens when servers or clients fail, beyond what nutcracker offers.
    pub failure: FailurePolicy,
    /// Who connections to the servers say that they are, if they do not give the password that clients have to give
    /// ([`RedisSettings::auth`]). Those of memcached have a user.
    pub server_logins: Option<Arc<ServerLogins>>,
    /// How connections to the servers are secured; `None` is not at all.
    pub server_security: Option<Security>,
    /// The users that clients may be; `None` where clients need not say who they are, or give the password of
    /// [`RedisSettings::auth`].
    pub users: Option<Arc<Users>>,
    /// What requests may not do, at most [`MAX_GUARDRAILS`](crate::limits::MAX_GUARDRAILS).
    pub guardrails: Vec<GuardrailSettings>,
    /// The pool's protocol, with its settings.
    pub protocol: ProtocolSettings,
}

impl PoolSettings {
    /// How many versions of the protocol clients may use: each has server connections of its own.
    pub fn versions(&self) -> usize {
        match &self.protocol {
            ProtocolSettings::Redis(redis) if redis.resp3 == Resp3::Auto => 2,
            ProtocolSettings::Redis(_) | ProtocolSettings::Memcached(_) => 1,
        }
    }

    /// How many more connections a worker may have to a server: for a probe, or a question, and for messages of channels.
    pub fn own_connections(&self) -> usize {
        match &self.protocol {
            ProtocolSettings::Redis(_) => 2,
            ProtocolSettings::Memcached(_) => 1,
        }
    }

    /// Whether requests are looked at one by one so that what a client reads and writes keeps its order.
    pub(crate) fn keep_order_of_reads(&self) -> bool {
        self.reads.as_ref().is_some_and(|reads| reads.keep_order())
    }

    /// Whether reads may be retried or go to replicas, so that it matters what their clients change.
    pub(crate) fn follows_reads(&self) -> bool {
        self.failure.retry_reads || self.reads.is_some()
    }

    /// Whether clients have to give a password.
    pub(crate) fn has_password(&self) -> bool {
        let has_password = match &self.protocol {
            ProtocolSettings::Redis(redis) => redis.auth.is_some(),
            ProtocolSettings::Memcached(_) => false,
        };
        has_password || self.users.is_some()
    }

    /// A pool with default settings: nutcracker's, where it has them.
    pub fn new(
        name: impl Into<String>,
        servers: Vec<ServerSettings>,
        protocol: ProtocolSettings,
    ) -> Self {
        Self {
            name: name.into(),
            servers,
            placement: Placement::default(),
            slots: None,
            reads: None,
            timeout: None,
            preconnect: false,
            auto_eject_hosts: false,
            server_connections: 1,
            leased_connections: 1_024,
            lease_idle_timeout: Some(Duration::from_secs(60)),
            slow_log: None,
            hot_keys: None,
            access_log: None,
            server_retry_timeout: Duration::from_secs(30),
            server_failure_limit: 2,
            error_detail: false,
            allow_flush: false,
            clients: ClientLimits::default(),
            failure: FailurePolicy::default(),
            server_logins: None,
            server_security: None,
            users: None,
            guardrails: Vec::new(),
            protocol,
        }
    }
}

/// One server of a pool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerSettings {
    /// Identifies it on the ring and in the statistics.
    pub name: String,
    /// `host:port:weight` (or `path:weight`) as written, for log lines.
    pub pname: String,
    /// Where it is.
    pub address: Address,
    /// Share of the keys, relative to the others.
    pub weight: u32,
    /// Database selected on every connection to this server (Redis only); 0 selects nothing.
    ///
    /// It belongs to the server because nutcracker 0.5.0 never selects one over a unix socket, so that
    /// one pool can have its data in different databases.
    pub db: u32,
    /// Its replicas, and where it is itself.
    pub replication: Replication,
}

impl ServerSettings {
    /// A replica as a server, whose data is in that database.
    pub(crate) fn of_replica(replica: &ReplicaSettings, db: u32) -> Self {
        Self {
            name: replica.name.clone(),
            pname: format!("{}:1", replica.address),
            address: replica.address.clone(),
            weight: 1,
            db,
            replication: Replication::default(),
        }
    }
}

/// Limits for clients that send much or read slowly.
#[derive(Debug, Clone)]
pub struct ClientLimits {
    /// Bytes of further requests that are read from a client whose window is full, so that one that writes everything
    /// before it reads can finish writing. Beyond that it is not read.
    pub backlog: usize,
    /// Bytes per second that a client must take of its replies (or send) while more than
    /// [`WINDOW_BYTES`](crate::limits::WINDOW_BYTES) of them are unread; 0 sets no limit.
    pub min_rate: u64,
    /// For how long it may be slower, on average, before it is closed; `None` is for ever.
    pub stall_timeout: Option<Duration>,
}

impl ClientLimits {
    /// The period over which a client with too many unread replies is measured, and the bytes that it must move in
    /// it; `None` if slow readers are never closed.
    pub(crate) fn patience(&self) -> Option<(Duration, usize)> {
        let time = self.stall_timeout.filter(|_| self.min_rate > 0)?;
        let least = time.as_secs_f64() * self.min_rate as f64;
        Some((time, least as usize))
    }
}

impl Default for ClientLimits {
    fn default() -> Self {
        Self {
            backlog: 64 << 20,
            min_rate: 64 << 10,
            stall_timeout: Some(Duration::from_secs(60)),
        }
    }
}

/// What happens when servers or clients fail. The default differs from nutcracker 0.5.0 in one thing:
/// an ejected server is probed before it gets requests again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailurePolicy {
    /// What becomes of the keys of an ejected server.
    pub eject: EjectPolicy,
    /// Whether an ejected server must answer a probe before it is used again.
    pub probe: bool,
    /// How long a connection to a server may take to be ready; `None` leaves it to the kernel.
    pub connect_timeout: Option<Duration>,
    /// What happens when a request has waited for `timeout`.
    pub timeout_action: TimeoutAction,
    /// How long a client may be idle, with nothing outstanding, before it is closed.
    pub client_idle_timeout: Option<Duration>,
    /// How long a client may take to send one request.
    pub client_request_timeout: Option<Duration>,
    /// Whether a pure read is retried if its connection ends before the reply.
    pub retry_reads: bool,
    /// The pool that serves the keys of ejected servers. Keys then stay with their servers; if the other pool's
    /// server is not available either, requests are answered as `eject` says, with `Remap` as `Error`.
    pub failover: Option<FailoverSettings>,
}

/// Another pool for the keys of ejected servers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailoverSettings {
    /// Its name. It speaks the same protocol.
    pub pool: String,
    /// The cap of the TTL of what is written there, in seconds: at least 1; with memcached at most 30 days.
    pub seconds: u32,
}

impl Default for FailurePolicy {
    fn default() -> Self {
        Self {
            eject: EjectPolicy::default(),
            probe: true,
            connect_timeout: None,
            timeout_action: TimeoutAction::default(),
            client_idle_timeout: None,
            client_request_timeout: None,
            retry_reads: false,
            failover: None,
        }
    }
}

/// What happens to the keys of an ejected server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum EjectPolicy {
    /// They move to the servers that are left, as with nutcracker.
    #[default]
    Remap,
    /// Requests for them are answered by an error that names the server.
    Error,
    /// Reads of them are answered as if the key did not exist, writes by an error.
    Miss,
}

/// What happens when a request has waited for `timeout`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TimeoutAction {
    /// The server connection is closed and all its requests fail, as with nutcracker.
    #[default]
    Close,
    /// Only the request fails; if its reply still comes, it is dropped. If the server stays silent, the connection is
    /// closed.
    Answer,
}

/// What the requests of a pool may not do, or those for keys with a prefix.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GuardrailSettings {
    /// Requests with at least one key that begins so, of at most [`MAX_PREFIX`](crate::limits::MAX_PREFIX) bytes; `None` is all
    /// requests, with or without keys.
    pub prefix: Option<Box<str>>,
    /// Commands that are refused, at most [`MAX_DENIED`](crate::limits::MAX_DENIED): in lower case, one of a container as
    /// `container|subcommand`; each is [`Deniable::Yes`].
    pub deny: Vec<Box<str>>,
    /// Bytes that a value may have at most.
    pub max_value: Option<u64>,
    /// Requests per second, of all clients and workers together: from 1 to [`MAX_RATE`](crate::limits::MAX_RATE).
    pub max_rate: Option<u32>,
}

/// Whether guardrails may deny a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deniable {
    /// They may.
    Yes,
    /// It ends a transaction, or the connection, so that it is never refused.
    Never,
    /// The protocol has no such command.
    Unknown,
}

impl Deniable {
    /// That of a command in lower case, `container|subcommand` for one of a container, in pools of Redis or of memcached.
    pub fn of(command: &str, is_redis: bool) -> Self {
        let is_end = match is_redis {
            true => find_command(command).map(Command::is_end),
            false => Verb::from_word(command.as_bytes()).map(Verb::is_end),
        };
        match is_end {
            Some(false) => Self::Yes,
            Some(true) => Self::Never,
            None => Self::Unknown,
        }
    }
}

/// The row of a command in lower case, `container|subcommand` for one of a container.
fn find_command(name: &str) -> Option<&'static Command> {
    let container = name.split('|').next()?;
    let row = command::lookup(container.as_bytes())?;
    let mut rows = [row].into_iter().chain(row.subs);
    rows.find(|row| row.name == name)
}

/// The protocol of a pool, with the settings that only it has.
#[derive(Debug, Clone)]
pub enum ProtocolSettings {
    /// `redis: true`.
    Redis(RedisSettings),
    /// `redis: false`, the default.
    Memcached(MemcachedSettings),
}

/// Settings of Redis pools.
#[derive(Debug, Clone)]
pub struct RedisSettings {
    /// Password asked of clients and given to servers (`redis_auth`).
    pub auth: Option<Arc<[u8]>>,
    /// Let clients run scripts and functions (EVAL, EVALSHA, FCALL), which may do anything at their server.
    pub allow_scripts: bool,
    /// Let clients use the commands that administer the servers (FUNCTION FLUSH and RESTORE).
    pub admin_commands: bool,
    /// What happens to a script or function that is to run without keys.
    pub keyless_scripts: KeylessScripts,
    /// Further commands, at most [`MAX_COMMANDS`](crate::limits::MAX_COMMANDS).
    pub commands: Vec<CommandSettings>,
    /// Whether HELLO 3 is granted.
    pub resp3: Resp3,
    /// What happens to a command whose keys belong to several servers and that cannot be split.
    pub cross_shard: CrossShard,
    /// How many databases clients may select (`databases`); with 0 or 1 the one of each server's settings is all there is.
    pub databases: u32,
    /// What becomes of a transaction whose keys belong to several servers.
    pub transactions: TransactionScope,
    /// How much a transaction may hold until EXEC.
    pub transaction_limits: TransactionLimits,
    /// The release that clients are told until one of a server is known (`redis_version`).
    pub release: Release,
    /// Where clients are told to connect to when the proxy leaves (`drain_to`), as `host:port`.
    pub drain_to: Option<Box<str>>,
    /// Whether the servers are asked for their releases (`ask_version`), over connections of their own.
    pub ask_release: bool,
}

impl Default for RedisSettings {
    fn default() -> Self {
        Self {
            auth: None,
            allow_scripts: true,
            admin_commands: false,
            keyless_scripts: KeylessScripts::default(),
            commands: Vec::new(),
            resp3: Resp3::default(),
            cross_shard: CrossShard::default(),
            databases: 1,
            transactions: TransactionScope::default(),
            transaction_limits: TransactionLimits::default(),
            release: Release::default(),
            drain_to: None,
            ask_release: false,
        }
    }
}

/// How much a transaction may hold until EXEC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TransactionLimits {
    /// Commands, at most [`MOST_TRANSACTION_COMMANDS`](crate::limits::MOST_TRANSACTION_COMMANDS). All of them are executed
    /// at once, and nobody else's request meanwhile.
    pub commands: usize,
    /// Bytes of them, and of what is remembered of their keys.
    pub bytes: usize,
}

impl Default for TransactionLimits {
    fn default() -> Self {
        Self {
            commands: 16_384,
            bytes: 16 << 20,
        }
    }
}

/// What happens to a script or function that is to run without keys in a pool of several servers, where no key tells at
/// which.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum KeylessScripts {
    /// It is refused.
    #[default]
    Refuse,
    /// It runs at one server, always the same one.
    Any,
}

/// A command that is not in the table, such as one of a server's module: it is forwarded to the server of its keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandSettings {
    /// In lower case, of at most [`LONGEST_COMMAND`] bytes; one for which [`is_known_command`] is false.
    pub name: String,
    /// How many arguments it takes, its name included; if negative, at least so many.
    pub arity: i16,
    /// Index of the first key, below the least number of arguments.
    pub first: u8,
    /// Index of the last key; a negative one counts from the end.
    pub last: i8,
    /// Distance between keys.
    pub step: u8,
    /// It changes nothing.
    pub is_read: bool,
}

/// The longest name that a command can have, in bytes.
pub const LONGEST_COMMAND: usize = command::LONGEST_NAME;

/// Whether a Redis pool knows a command of that name, served or not, or closes a connection on it, as HTTP clients send it.
pub fn is_known_command(name: &str) -> bool {
    let name = name.as_bytes();
    command::lookup(name).is_some() || command::is_cross_protocol(name)
}

impl CommandSettings {
    /// Its row, whose name lives as long as the process.
    pub(crate) fn row(&self) -> Command {
        let name = Box::leak(self.name.clone().into_boxed_str());
        Command::forwarded(name, self.arity(), self.keys(), self.is_read)
    }

    /// Whether this is the row.
    pub(crate) fn describes(&self, row: &Command) -> bool {
        let is_read = row.flags.contains(Flags::READONLY);
        row.name == self.name
            && row.arity == self.arity()
            && row.keys == self.keys()
            && is_read == self.is_read
    }

    fn arity(&self) -> Arity {
        let least = u8::try_from(self.arity.unsigned_abs()).unwrap_or(u8::MAX);
        match self.arity < 0 {
            true => Arity::AtLeast(least),
            false => Arity::Exact(least),
        }
    }

    fn keys(&self) -> Keys {
        Keys::Range {
            first: self.first,
            last: self.last,
            step: self.step,
        }
    }
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

/// What happens to a command that cannot be split and whose keys belong to several servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CrossShard {
    /// As `FirstKey` for a client that begins as one of nutcracker's does, as `Error` for one that begins with a
    /// command on which nutcracker would have closed its connection.
    #[default]
    Auto,
    /// Commands that nutcracker knows go to the first key's server, as there; others are refused.
    FirstKey,
    /// Every such command is refused.
    Error,
}

/// What becomes of a transaction whose keys belong to several servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TransactionScope {
    /// It is refused.
    #[default]
    OneShard,
    /// Each server executes the part with its keys as a transaction of its own.
    PerShard,
}

/// Settings of memcached pools.
#[derive(Debug, Clone)]
pub struct MemcachedSettings {
    /// Largest value a client may announce, in bytes.
    pub max_value: u64,
    /// Let clients use the commands that administer the servers (`verbosity 2`, `stats detail`, `stats reset`).
    pub admin_commands: bool,
}

impl Default for MemcachedSettings {
    fn default() -> Self {
        Self {
            max_value: 1 << 30,
            admin_commands: false,
        }
    }
}
