//! nutcracker's settings of a pool.

use std::sync::Arc;
use std::time::Duration;

use hashkit::{Distribution, HashKind, HashTag};

use super::super::address::ListenLine;
use super::super::choice::Choice;
use super::super::typed::{self, BOOL, MILLISECONDS, TEXT, TIME_LIMIT, integer, number};
use super::super::types::Servers;
use super::row::{Absent, AnyRow, Row, rows};

impl Choice for HashKind {
    const NOUN: &'static str = "hash";
    const ALL: &'static [Self] = &HashKind::ALL;

    fn name(self) -> &'static str {
        HashKind::name(self)
    }
}

impl Choice for Distribution {
    const NOUN: &'static str = "distribution";
    const ALL: &'static [Self] = &Distribution::ALL;

    fn name(self) -> &'static str {
        Distribution::name(self)
    }

    fn about(self) -> &'static str {
        Distribution::about(self)
    }
}

rows! {
    LISTEN: ListenLine = Row::theirs(
        "listen",
        typed::LISTEN,
        Absent::Required,
        "Where clients connect: `host:port`, or the path of a unix socket, optionally followed by a blank and its \
         octal mode (`/run/cache.sock 0660`). Without a mode the umask decides, and with `-d` there is none, as with nutcracker: \
         every user may connect (0777). The host is resolved at start and \
         its first address taken. IPv6 addresses need no brackets (`::1:22121`).",
    );

    SERVERS: Servers = Row::theirs(
        "servers",
        typed::SERVERS,
        Absent::Required,
        "The servers, one per line: `host:port:weight` or `/path/of/socket:weight`, optionally followed by a blank \
         and a name. The name is the server's identity on the ring and in the statistics: keep it, and the server \
         may change its address without moving a key. Without one, the name is `host:port`, or the host alone for \
         port 11211, or the path and a colon for a unix socket. The order of the lines does not matter: servers are \
         sorted by name, shorter names first. Hosts are resolved whenever a connection is made. In place of the list, \
         `servers: {file: PATH}` names a file that has one server in each line, in the same form; it is watched, and what \
         changes there takes effect at once. `servers: {sentinel: [\"10.0.0.1:26379\"], shards: [a, b]}` has Redis Sentinels asked for the \
         masters `a` and `b`, which are the names of the servers then. `servers: {srv: NAME}` and `servers: {dns: NAME, port: PORT}` have \
         name servers asked (see [Finding servers](discovery.md)).",
    );

    REDIS: bool = Row::theirs(
        "redis",
        BOOL,
        Absent::Value("false"),
        "Whether the pool speaks the Redis protocol (for Redis and Valkey) instead of memcached's.",
    );

    HASH: HashKind = Row::their_choice(
        "hash",
        "The function that hashes the keys. `crc32` keeps only 15 bits and, with `ketama`, puts practically \
         every key on one server; it exists for pools whose data is already placed that way.",
    )
    .fills(|pool, hash| pool.settings.placement.hash = hash);

    HASH_TAG: HashTag = Row::theirs(
        "hash_tag",
        typed::HASH_TAG,
        Absent::Nothing,
        "Two characters, such as `\"{}\"` (quote them). If a key contains the first and later the second with \
         something in between, only the part in between is hashed, so that related keys share a server.",
    )
    .fills(|pool, tag| pool.settings.placement.tag = Some(tag));

    DISTRIBUTION: Distribution = Row::their_choice(
        "distribution",
        "How hashes are mapped to servers.",
    )
    .fills(|pool, distribution| pool.settings.placement.distribution = distribution);

    TIMEOUT: Option<Duration> = Row::theirs(
        "timeout",
        TIME_LIMIT,
        Absent::Nothing,
        "How long a request may wait for its server, from the moment it is queued, before the client gets an \
         error and the server connection is closed (see `timeout_action`). Without it, or with 0, it waits \
         without limit.",
    )
    .fills(|pool, timeout| pool.settings.timeout = timeout);

    BACKLOG: u32 = Row::theirs(
        "backlog",
        number(""),
        Absent::Value("512"),
        "Length of the kernel's queue of connections that wait to be accepted.",
    )
    .fills(|pool, length| pool.backlog = length);

    CLIENT_CONNECTIONS: u32 = Row::theirs(
        "client_connections",
        number(""),
        Absent::Value("0"),
        "Maximum number of clients connected to the pool at a time; 0 means no limit. nutcracker reads this \
         setting and ignores it; here it is enforced, and a line at start says so.",
    )
    .fills(|pool, count| pool.client_connections = count);

    TCPKEEPALIVE: bool = Row::theirs(
        "tcpkeepalive",
        BOOL,
        Absent::Value("false"),
        "Whether TCP keepalive probes are sent on idle connections to clients and servers. nutcracker sends \
         them to clients only.",
    )
    .fills(|pool, on| pool.tcpkeepalive = on);

    REUSEPORT: bool = Row::theirs(
        "reuseport",
        BOOL,
        Absent::Value("false"),
        "Whether the listening socket gets SO_REUSEPORT, so that several processes can share the address, as during \
         a rolling restart. The statistics port is shared too when any pool has it.",
    )
    .fills(|pool, on| pool.reuseport = on);

    REDIS_AUTH: String = Row::theirs(
        "redis_auth",
        TEXT,
        Absent::Nothing,
        "The password that clients must send with AUTH, and that is sent to the servers.",
    )
    .fills_redis(|redis, password| redis.auth = Some(Arc::from(password.as_bytes())));

    // Not limited to Redis: nutcracker accepts and ignores it in a memcached pool, so this must too.
    REDIS_DB: u32 = Row::theirs(
        "redis_db",
        number(""),
        Absent::Value("0"),
        "The database that is selected on the servers. nutcracker fails to select it when `redis_auth` is set \
         or the server is reached over a unix socket, so the data of such pools is in database 0. To find it, \
         Nuthatch uses database 0 in these cases too, with a warning at start, unless `redis_db_fixed` is set. \
         No effect in a memcached pool.",
    );

    PRECONNECT: bool = Row::theirs(
        "preconnect",
        BOOL,
        Absent::Value("false"),
        "Whether connections to the servers are made at start instead of at the first request.",
    )
    .fills(|pool, on| pool.settings.preconnect = on);

    AUTO_EJECT_HOSTS: bool = Row::theirs(
        "auto_eject_hosts",
        BOOL,
        Absent::Value("false"),
        "Whether a server that fails `server_failure_limit` times in a row is ejected for \
         `server_retry_timeout`. Meanwhile its keys move to the other servers, unless `eject_policy` says \
         otherwise.",
    )
    .fills(|pool, on| pool.settings.auto_eject_hosts = on);

    SERVER_CONNECTIONS: usize = Row::theirs(
        "server_connections",
        integer(1, 65_535, ""),
        Absent::Value("1"),
        "Connections to each server, per worker and per protocol version in use. A client's requests to a \
         server use one connection while any of them is outstanding, so more connections do not reorder them.",
    )
    .fills(|pool, count| pool.settings.server_connections = count);

    SERVER_RETRY_TIMEOUT: Duration = Row::theirs(
        "server_retry_timeout",
        MILLISECONDS,
        Absent::Value("30000"),
        "How long an ejected server gets no requests before it is probed (see `probe`), and the longest pause \
         between two probes.",
    )
    .fills(|pool, time| pool.settings.server_retry_timeout = time);

    SERVER_FAILURE_LIMIT: u32 = Row::theirs(
        "server_failure_limit",
        number(""),
        Absent::Value("2"),
        "Number of failures in a row that eject a server; 0 counts as 1. Only with `auto_eject_hosts`.",
    )
    .fills(|pool, count| pool.settings.server_failure_limit = count);
}
