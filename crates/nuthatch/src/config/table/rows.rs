//! The rows of the table of settings, in the order of the manual.

use hashkit::{Distribution, HashKind};

use super::super::kind::Kind;
use super::super::number::NUMBER_MAX;
use super::{Absent, Outside, Setting};

/// Largest value that a memcached pool can be told to take: 16 GiB.
const VALUE_MAX: u64 = 16 << 30;

/// Most that a client may be told to leave waiting, or to read in a second: 1 TiB, far beyond any use.
const BACKLOG_MAX: u64 = 1 << 40;

/// Most that `max_memory` can be: 1 PiB, far beyond any machine.
const MEMORY_MAX: u64 = 1 << 50;

/// Longest life in a failover pool, in seconds: what is more is a point in time for memcached.
const FAILOVER_TTL_MAX: u64 = 30 * 24 * 60 * 60;

const NUMBER: Kind = number("");
const MILLISECONDS: Kind = number("milliseconds");

const fn number(unit: &'static str) -> Kind {
    Kind::Integer {
        min: 0,
        max: NUMBER_MAX,
        unit,
    }
}

/// Every setting there is.
pub static SETTINGS: &[Setting] = &[
    Setting::theirs(
        "listen",
        Kind::Listen,
        Absent::Required,
        "Where clients connect: `host:port`, or the path of a unix socket, optionally followed by a blank and \
         its octal mode (`/run/cache.sock 0660`; without a mode the umask decides). The host is resolved at \
         start and its first address taken. IPv6 addresses need no brackets (`::1:22121`).",
    ),
    Setting::theirs(
        "servers",
        Kind::Servers,
        Absent::Required,
        "The servers, one per line: `host:port:weight` or `/path/of/socket:weight`, optionally followed by a \
         blank and a name. The name is the server's identity on the ring and in the statistics: keep it, and \
         the server may change its address without moving a key. Without one, the name is `host:port`, or \
         the host alone for port 11211, or the path and a colon for a unix socket. The order of the lines \
         does not matter: servers are sorted by name, shorter names first. Hosts are resolved whenever a \
         connection is made.",
    ),
    Setting::theirs(
        "redis",
        Kind::Bool,
        Absent::Value("false"),
        "Whether the pool speaks the Redis protocol (for Redis and Valkey) instead of memcached's.",
    ),
    Setting::theirs(
        "hash",
        Kind::Choice {
            noun: "hash",
            names: || HashKind::ALL.iter().map(|kind| kind.name()).collect(),
        },
        Absent::Value("fnv1a_64"),
        "The function that hashes the keys. `crc32` keeps 15 bits only and, with `ketama`, puts practically \
         every key on one server; it is there for pools that have their data so.",
    ),
    Setting::theirs(
        "hash_tag",
        Kind::HashTag,
        Absent::Nothing,
        "Two characters, such as `\"{}\"` (quote them). When a key holds the first and later the second with \
         something in between, only what is in between is hashed, so that related keys share a server.",
    ),
    Setting::theirs(
        "distribution",
        Kind::Choice {
            noun: "distribution",
            names: || Distribution::ALL.iter().map(|kind| kind.name()).collect(),
        },
        Absent::Value("ketama"),
        "How hashes are shared among the servers: `ketama` (consistent hashing), `modula` (the remainder, by \
         weight) or `random` (any server at each request, regardless of key and weight).",
    ),
    Setting::theirs(
        "timeout",
        MILLISECONDS,
        Absent::Nothing,
        "How long a request may wait for its server, from the moment it is queued, before the client gets an \
         error and the server connection is closed (see `timeout_action`). 0, like no setting, waits for ever.",
    ),
    Setting::theirs(
        "backlog",
        NUMBER,
        Absent::Value("512"),
        "Length of the queue of connections that the kernel holds until they are accepted.",
    ),
    Setting::theirs(
        "client_connections",
        NUMBER,
        Absent::Value("0"),
        "Most clients that may be connected to the pool at a time; 0 sets no limit. nutcracker reads this \
         setting and ignores it; here it is enforced, and a line at start says so.",
    ),
    Setting::theirs(
        "tcpkeepalive",
        Kind::Bool,
        Absent::Value("false"),
        "Whether TCP keepalive probes are sent to clients and servers that are silent. nutcracker sends them \
         to clients only.",
    ),
    Setting::theirs(
        "reuseport",
        Kind::Bool,
        Absent::Value("false"),
        "Whether the listening socket gets SO_REUSEPORT, so that several processes can share the address, as during \
         a rolling restart. The statistics port is shared too when any pool has it.",
    ),
    Setting::theirs(
        "redis_auth",
        Kind::Text,
        Absent::Nothing,
        "The password that clients must give with AUTH, and that is given to the servers.",
    )
    .redis(),
    // Not confined to Redis: nutcracker accepts and ignores it in a memcached pool, and so must we.
    Setting::theirs(
        "redis_db",
        NUMBER,
        Absent::Value("0"),
        "The database that is selected on the servers. nutcracker fails to select it when `redis_auth` is \
         set or the server is reached over a unix socket, so that the data of such pools is in database 0. \
         To find it, the same is done here, with a warning at start, unless `redis_db_fixed` is set. \
         Without effect in a memcached pool.",
    ),
    Setting::theirs(
        "preconnect",
        Kind::Bool,
        Absent::Value("false"),
        "Whether the connections to the servers are made at start instead of at the first request.",
    ),
    Setting::theirs(
        "auto_eject_hosts",
        Kind::Bool,
        Absent::Value("false"),
        "Whether a server that fails `server_failure_limit` times in a row is ejected for \
         `server_retry_timeout`. Its keys belong to the other servers in the meantime, unless `eject_policy` \
         says otherwise.",
    ),
    Setting::theirs(
        "server_connections",
        Kind::Integer {
            min: 1,
            max: 65_535,
            unit: "",
        },
        Absent::Value("1"),
        "Connections to each server, per worker and per protocol version in use. One client's requests to a \
         server keep to one connection while any of them is outstanding, so more connections do not reorder them.",
    ),
    Setting::theirs(
        "server_retry_timeout",
        MILLISECONDS,
        Absent::Value("30000"),
        "How long a server that was ejected rests before it is probed (see `probe`), and the longest pause \
         between two probes.",
    ),
    Setting::theirs(
        "server_failure_limit",
        NUMBER,
        Absent::Value("2"),
        "How many failures in a row eject a server; 0 counts as 1. Only with `auto_eject_hosts`.",
    ),
    Setting::ours(
        "eject_policy",
        Kind::Choice {
            noun: "eject_policy",
            names: || vec!["remap", "error", "miss"],
        },
        "remap",
        "What becomes of the keys of an ejected server. `remap` gives them to the servers that are left, as \
         nutcracker does; when the server returns, it has their old values. With `error` and `miss` keys \
         never move: `error` answers their requests with an error that names the server; `miss` answers reads as if \
         the key did not exist, so that a cache is asked elsewhere, and everything else with that error. Only with \
         `auto_eject_hosts`; not with `distribution: random`, where keys have no server of their own.",
    ),
    Setting {
        absent: Absent::Nothing,
        ..Setting::ours(
            "failover",
            Kind::Text,
            "",
            "The name of another pool that serves the keys of ejected servers: by its own placement, and with its own settings for servers (but for `tcpkeepalive` and `resp3`). Keys never move within this pool then. Its servers should be others than this pool's: what a client sends before and after an ejection would meet at one server on two connections, in any order. Where that pool has ejected its server too (set `auto_eject_hosts` there as well), `eject_policy` of this pool says what is answered, \
             `remap` counting as `error`. Connections to it are made when they are needed (`server_connections` of that pool, per worker) and closed 10 s after all servers are back. Needs `auto_eject_hosts: true`; both speak the same protocol, neither has `distribution: random`, and the other has no `failover`. Redis servers there must be of version 7.0 or \
             later, or Valkey, and speak RESP3 if clients do.",
        )
    },
    Setting::ours(
        "failover_ttl",
        Kind::Integer {
            min: 1,
            max: FAILOVER_TTL_MAX,
            unit: "seconds",
        },
        "60",
        "How long what is written to the pool named by `failover` lives at most. Times that clients give are made less, never more. memcached: exptimes beyond it, 0 and points in time become it. Redis: SET, SETEX, PSETEX, GETEX, EXPIRE and PEXPIRE are rewritten where they give more or none, any other write is followed by `PEXPIRE key N LT` for each key that it may have written.",
    ),
    Setting::ours(
        "probe",
        Kind::Bool,
        "true",
        "Whether an ejected server must answer a probe before it gets requests again: PING (or `version`) over \
         a connection of its own, when `server_retry_timeout` is over and then after pauses of 1 s, 2 s, 4 s and so \
         on until they reach `server_retry_timeout`, each up to a quarter longer by chance. `false` takes it back when its time is over, as nutcracker does, so \
         that requests of clients find out whether it is well.",
    ),
    Setting::ours(
        "connect_timeout",
        MILLISECONDS,
        "0",
        "How long a connection to a server may take until requests can be sent: connecting, and AUTH, HELLO and \
         SELECT. 0 sets no limit but the system's; `timeout` holds for the requests that wait for it either way.",
    ),
    Setting::ours(
        "timeout_action",
        Kind::Choice {
            noun: "timeout_action",
            names: || vec!["close", "answer"],
        },
        "close",
        "What happens when a request has waited for `timeout`. `close` closes the server connection, as \
         nutcracker does: everything on it fails, also requests of other clients. `answer` fails that \
         request alone and drops its reply if it comes after all; the connection is closed when \
         the server says nothing for four times `timeout` (at least 1 s).",
    ),
    Setting::ours(
        "client_idle_timeout",
        MILLISECONDS,
        "0",
        "How long a client may do nothing, with no request of it unanswered, before it is closed; this is noticed up to \
         a quarter of that time later. 0 sets no limit.",
    ),
    Setting::ours(
        "client_request_timeout",
        MILLISECONDS,
        "0",
        "How long a client may take from the first byte of a request to its last, before it is closed; \
         this is noticed up to a quarter of that time later. 0 sets no limit.",
    ),
    Setting::ours(
        "client_backlog",
        Kind::Bytes {
            min: 0,
            max: BACKLOG_MAX,
        },
        "64m",
        "How many bytes of further requests are taken from a client that has enough of them under way, so that \
         one that writes all of its requests before it reads a reply can finish writing. Beyond, it is not \
         read until some of them have been dealt with.",
    ),
    Setting::ours(
        "client_min_rate",
        Kind::Bytes {
            min: 0,
            max: BACKLOG_MAX,
        },
        "64k",
        "How many bytes a client must move in a second, of replies that it reads or of requests that are taken from it, on \
         average over `client_stall_timeout`, while 8 MiB or more of replies wait for it. A slower one is \
         closed. 0 closes nobody.",
    ),
    Setting::ours(
        "client_stall_timeout",
        MILLISECONDS,
        "60000",
        "The time over which `client_min_rate` is judged. 0 closes nobody.",
    ),
    Setting::ours(
        "retry_reads",
        Kind::Bool,
        "false",
        "Whether a pure read that was lost with its server connection, nothing of its reply seen, is sent once more \
         before the client gets an error. Not if the same client has sent anything but reads since: a read never \
         finds what a later request has written. Retries are at most a tenth of the requests. A read that is late while its \
         connection stays (`timeout_action: answer`) is not sent again.",
    ),
    Setting::ours(
        "hash_char",
        Kind::Choice {
            noun: "hash_char",
            names: || vec!["signed", "unsigned"],
        },
        "signed",
        "How some hashes read bytes of 0x80 and above. nutcracker took them as signed on x86 and as unsigned \
         on ARM; `unsigned` is for pools that were filled by nutcracker on ARM. Pure ASCII keys do not differ.",
    ),
    Setting::ours(
        "cross_shard",
        Kind::Choice {
            noun: "cross_shard policy",
            names: || vec!["first_key", "error"],
        },
        "first_key",
        "What becomes of a command whose keys belong to several servers and that cannot be split (SUNION, \
         RPOPLPUSH and the like). `first_key` sends it to the server of its first key, as nutcracker does, \
         where the other keys may be missing; `error` refuses it. Commands that nutcracker does not know are always refused.",
    )
    .redis(),
    Setting::ours(
        "allow_flush",
        Kind::Bool,
        "false",
        "Whether clients may use the commands that destroy the data of every server: FLUSHALL, FLUSHDB and \
         flush_all.",
    ),
    Setting::ours(
        "error_detail",
        Kind::Bool,
        "false",
        "Whether the proxy's own error lines name the server and the cause. Off, they are nutcracker's to \
         the byte, because clients match them.",
    ),
    Setting::ours(
        "redis_db_fixed",
        Kind::Bool,
        "false",
        "Whether `redis_db` is selected even where nutcracker failed to (see there). Move the data, or accept \
         a cold cache, before this is set.",
    )
    .redis(),
    Setting::ours(
        "resp3",
        Kind::Choice {
            noun: "resp3 mode",
            names: || vec!["auto", "off"],
        },
        "auto",
        "Whether clients may speak RESP3: `auto` grants HELLO 3 where the servers accept it, `off` always \
         answers -NOPROTO.",
    )
    .redis(),
    Setting::ours(
        "max_value",
        Kind::Bytes {
            min: 1,
            max: VALUE_MAX,
        },
        "1g",
        "The largest value that a client may announce. A larger one is refused when its header is read.",
    )
    .memcached(),
    Setting::global(
        "workers",
        Kind::Workers,
        "1",
        Outside {
            flag: "workers",
            env: "NUTHATCH_WORKERS",
            argument: "N",
            help: "set number of workers, or auto for one per core",
        },
        "How many event loops serve the clients, each on its own thread; `auto` is one for every core. Every \
         worker has its own connections to the servers.",
    ),
    Setting {
        absent: Absent::Computed("half of the memory"),
        ..Setting::global(
        "max_memory",
        Kind::Bytes {
            min: 0,
            max: MEMORY_MAX,
        },
        "",
        Outside {
            flag: "max-memory",
            env: "NUTHATCH_MAX_MEMORY",
            argument: "BYTES",
            help: "set most memory that all buffers may take (k, m, g; 0: no cap)",
        },
        "How much memory the buffers of all clients and servers may take together; 0 is no cap. Without the \
         setting it is half of the memory that the process may use: of its cgroup's limit, or of the machine's. From seven \
         eighths of it on, clients that hold more than their share (that much, divided by the clients) are \
         not read until there is room; past it those that hold most are closed, one by one. A client that \
         holds less than its share is never touched. It does not count what the process needs besides, which \
         is a few MB and under 1 KiB for each client.",
    )
    },
    Setting::global(
        "max_clients",
        number("clients"),
        "0",
        Outside {
            flag: "max-clients",
            env: "NUTHATCH_MAX_CLIENTS",
            argument: "N",
            help: "set most clients of all pools (0: as many as descriptors allow)",
        },
        "How many clients may be connected at a time, over all pools; 0 is as many as the limit of open \
         descriptors leaves room for, which holds in any case. One more is told \
         `-ERR max number of clients reached` or `ERROR Too many open connections`, and closed.",
    ),
    Setting::global(
        "shutdown_timeout",
        MILLISECONDS,
        "5000",
        Outside {
            flag: "shutdown-timeout",
            env: "NUTHATCH_SHUTDOWN_TIMEOUT",
            argument: "N",
            help: "set longest wait for requests in flight at the end, in msec",
        },
        "How long SIGTERM and SIGINT wait for the requests that are in flight, before the rest is cut off.",
    ),
    Setting::global(
        "stats_extended",
        Kind::Bool,
        "false",
        Outside {
            flag: "stats-extended",
            env: "NUTHATCH_STATS_EXTENDED",
            argument: "BOOL",
            help: "set whether the statistics have counters beyond twemproxy's",
        },
        "Whether the statistics document has Nuthatch's own counters, after nutcracker's in each pool and server. \
         `false` serves exactly nutcracker's keys: programs that read the document, such as exporters for \
         Prometheus, take any other key of a pool for a server and fail. \
         `nuthatch -D --stats-extended=true` describes all counters.",
    ),
];
