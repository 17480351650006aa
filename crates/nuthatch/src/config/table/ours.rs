//! Our own settings of a pool.

use std::time::Duration;

use hashkit::CharSign;
use proxy::Release;
use proxy::settings::{
    CommandSettings, CrossShard, EjectPolicy, KeylessScripts, ProtocolSettings, Resp3,
    TimeoutAction, TransactionScope,
};

use super::super::address::ServerLine;
use super::super::choice::{Choice, choices};
use super::super::hosts::HostPort;
use super::super::report::Position;
use super::super::typed::{
    BOOL, COMMANDS as COMMAND_LIST, GUARDRAILS as GUARDRAIL_LIST, HOST_PORT, MILLISECONDS, NODES,
    RELEASE, TEXT, TIME_LIMIT, USERS as USER_LIST, bytes, integer,
};
use super::super::types::{GuardrailLine, UserLine};
use super::row::{Absent, AnyRow, Row, rows};

/// Maximum of `max_value` of a memcached pool, and of a guardrail: 16 GiB.
pub(crate) const VALUE_MAX: u64 = 16 << 30;

/// Maximum of `client_backlog` and `client_min_rate`: 1 TiB, more than anyone needs.
const BACKLOG_MAX: u64 = 1 << 40;

/// Maximum of `failover_ttl`, in seconds: memcached reads larger numbers as a point in time.
const FAILOVER_TTL_MAX: u64 = 30 * 24 * 60 * 60;

choices!(EjectPolicy, "eject_policy", "remap" => Remap, "error" => Error, "miss" => Miss);
choices!(TimeoutAction, "timeout_action", "close" => Close, "answer" => Answer);
choices!(CharSign, "hash_char", "signed" => Signed, "unsigned" => Unsigned);
choices!(KeylessScripts, "policy for scripts without keys", "refuse" => Refuse, "any" => Any);
choices!(CrossShard, "cross_shard policy", "auto" => Auto, "first_key" => FirstKey, "error" => Error);
choices!(TransactionScope, "transactions policy", "one_shard" => OneShard, "per_shard" => PerShard);
choices!(Resp3, "resp3 mode", "auto" => Auto, "off" => Off);

rows! {
    EJECT_POLICY: EjectPolicy = Row::our_choice(
        "eject_policy",
        "What happens to the keys of an ejected server. `remap` moves them to the remaining servers, as \
         nutcracker does; when the server returns, it has their old values. With `error` and `miss` keys never \
         move: `error` answers requests for them with an error that names the server; `miss` answers reads as \
         if the key did not exist, so that the application falls back to its source of data, and all other \
         requests with that error. Only with `auto_eject_hosts`; not with `distribution: random`, where keys \
         have no server of their own.",
    )
    .fills(|pool, policy| pool.settings.failure.eject = policy);

    CLUSTER: Vec<(ServerLine, Position)> = Row::ours(
        "cluster",
        NODES,
        Absent::Nothing,
        "In place of `servers`: some nodes of a Redis or Valkey Cluster, `host:port` each. The others, and which of them has \
         which keys, are found out from those, and followed when nodes fail and slots move; no client hears of it. Clients \
         need not know of the cluster. `hash`, `distribution` and `hash_tag` have no meaning then, and nodes are not ejected. \
         What clients notice, and what is asked of the cluster: see [cluster.md](cluster.md).",
    )
    .only_redis();

    CLUSTER_REFRESH: Duration = Row::ours(
        "cluster_refresh",
        MILLISECONDS,
        Absent::Value("10000"),
        "How often a node of the cluster is asked which node has which keys, though nothing seems to have changed: at least \
         100. It is asked at once, but no more than some twenty times a second, whenever a node sends a request elsewhere or \
         is lost.",
    )
    .only_redis();

    FAILOVER: String = Row::ours(
        "failover",
        TEXT,
        Absent::Nothing,
        "The name of another pool that serves the keys of ejected servers, with its own placement and its own \
         settings for servers (except `tcpkeepalive` and `resp3`). Keys then never move within this pool. The \
         other pool should have different servers: otherwise what a client sends before and after an ejection \
         could reach one server over two connections, in any order. If that pool has ejected its server too \
         (set `auto_eject_hosts` there as well), `eject_policy` of this pool decides, with `remap` counting as \
         `error`. Connections to it are made when needed (`server_connections` of that pool, per worker) and \
         closed 10 s after all servers are back. Requires `auto_eject_hosts: true`; both pools must use the \
         same protocol, neither may have `distribution: random`, and the other pool must have no `failover`. \
         Redis servers there must be version 7.0 or later, or Valkey, and support RESP3 if clients use it.",
    );

    FAILOVER_TTL: u32 = Row::ours(
        "failover_ttl",
        integer(1, FAILOVER_TTL_MAX, "seconds"),
        Absent::Value("60"),
        "Maximum time to live of what is written to the pool named by `failover`. Times that clients give are \
         reduced, never extended. memcached: longer exptimes, 0 and points in time are replaced by it. Redis: \
         SET, SETEX, PSETEX, GETEX, EXPIRE and PEXPIRE are rewritten if they give more or none; any other \
         write is followed by `PEXPIRE key N LT` for each key that it may have written.",
    );

    DISCOVERY_MAX_REMOVED: u8 = Row::ours(
        "discovery_max_removed",
        integer(0, 100, "percent"),
        Absent::Value("50"),
        "How many of a pool's servers may disappear at once when they are found (see [Finding servers](discovery.md)). A list without more of \
         them is not put in force, as it rather tells of an accident than of servers that are gone, and their keys would move; \
         it is logged and shown by `nuthatch ctl status`, and `nuthatch ctl accept-servers` puts it in force. 100 sets no limit.",
    )
    .fills(|pool, percent| pool.max_removed = percent);

    PROBE: bool = Row::ours(
        "probe",
        BOOL,
        Absent::Value("true"),
        "Whether an ejected server must answer a probe before it gets requests again: PING (or `version`) over \
         a separate connection, when `server_retry_timeout` is over and then after pauses of 1 s, 2 s, 4 s and \
         so on up to `server_retry_timeout`, each extended by a random quarter at most. With `false` it is \
         used again when its time is over, as nutcracker does, and clients' requests fail if it is still down.",
    )
    .fills(|pool, on| pool.settings.failure.probe = on);

    CONNECT_TIMEOUT: Option<Duration> = Row::ours(
        "connect_timeout",
        TIME_LIMIT,
        Absent::Value("0"),
        "How long it may take until a server connection can be used: connecting, and AUTH, HELLO and SELECT. 0 \
         means no limit except the system's; in either case `timeout` applies to the requests that wait for \
         it.",
    )
    .fills(|pool, time| pool.settings.failure.connect_timeout = time);

    LEASED_CONNECTIONS: usize = Row::ours(
        "leased_connections",
        integer(1, 65_535, ""),
        Absent::Value("1024"),
        "Connections to each server, per worker, for clients that need one to themselves: those whose command waits for \
         other clients (BLPOP, XREAD with BLOCK, WAIT and similar) have one for as long as they wait. They come in \
         addition to `server_connections`. Where all of them are in use, such a command is answered with an error at once. \
         One that is not used for 60 s is closed.",
    )
    .fills(|pool, count| pool.settings.leased_connections = count)
    .only_redis();

    LEASE_IDLE_TIMEOUT: Option<Duration> = Row::ours(
        "lease_idle_timeout",
        TIME_LIMIT,
        Absent::Value("60000"),
        "How long a client may keep such a connection while none of its requests is outstanding there, as between WATCH and \
         EXEC. Then the connection is closed, and EXEC answered with null, as if a watched key had changed. 0 means no \
         limit.",
    )
    .fills(|pool, time| pool.settings.lease_idle_timeout = time)
    .only_redis();

    SLOW_LOG: Duration = Row::ours(
        "slow_log",
        MILLISECONDS,
        Absent::Nothing,
        "How long a request must have taken to be kept in the slow log when it is answered: from when it was parsed until the \
         last byte of its reply was read. The latest 128 of the pool are kept, with the command, the beginning of the first key, the \
         server, the client, and how long it waited in the proxy and at the server; `nuthatch ctl slowlog`, the admin pages and, in \
         Redis pools, SLOWLOG and COMMANDLOG show them. 0 keeps every request. Requests that may wait for other clients are not \
         kept. Without this setting there is no slow log; it can be switched on by a reload. While it is on, 64 bytes are kept \
         for each request that waits for its reply.",
    )
    .fills(|pool, time| pool.settings.slow_log = Some(time));

    HOT_KEYS: u32 = Row::ours(
        "hot_keys",
        integer(1, 1_000_000, "requests"),
        Absent::Nothing,
        "Counts the keys of one in so many requests, to tell which have most requests, most bytes (of requests and replies) and \
         the largest values: of the last minute and of what is under way of the next. `nuthatch ctl hot-keys`, the admin pages \
         and, in Redis pools, HOTKEYS GET show them, by the first 128 bytes of each key. With 100 a request costs the \
         core a tenth more instructions, and a key with a thousand requests per second is counted within some 4 %. How far counts may be off: \
         [operations.md](operations.md#hot-keys). Without this setting nothing is counted, unless a client begins a session \
         (HOTKEYS START, with `admin_commands`); it can be switched on by a reload.",
    )
    .fills(|pool, count| pool.settings.hot_keys = Some(count));

    ACCESS_LOG: u32 = Row::ours(
        "access_log",
        integer(1, 1_000_000, "requests"),
        Absent::Nothing,
        "Writes a line to the access log (`access_log_file`, which has to be set) for one in so many requests of this pool that \
         were sent to a server, when they end: time, server, client, command, the first 32 bytes of the key, sizes, how long they \
         waited in the proxy and at the server, and what became of them. Without it there is none; it can be switched on by a \
         reload.",
    )
    .fills(|pool, count| pool.settings.access_log = Some(count));

    DNS_REFRESH: Option<Duration> = Row::ours(
        "dns_refresh",
        TIME_LIMIT,
        Absent::Value("30000"),
        "How often the names of servers are looked up beside the look-ups for each new connection, to notice one \
         that leads elsewhere while its old host lives. That is counted (`name_changes`) and logged; see \
         `dns_follow`. Only names that a connection was made to are looked up. 0 never looks.",
    )
    .fills(|pool, time| pool.dns_refresh = time);

    DNS_FOLLOW: bool = Row::ours(
        "dns_follow",
        BOOL,
        Absent::Value("false"),
        "What happens when a server's name leads elsewhere. `false` leaves connections where they are until they \
         end, as nutcracker does; the next one is made to where the name leads then. `true` makes new connections at \
         once: the old ones are closed when they have answered what they have, a client that has requests there \
         waits for them first, and what was known of the server's health is forgotten. An address is kept for as \
         long as the answers contain it.",
    )
    .fills(|pool, on| pool.dns_follow = on);

    TIMEOUT_ACTION: TimeoutAction = Row::our_choice(
        "timeout_action",
        "What happens when a request has waited for `timeout`. `close` closes the server connection, as \
         nutcracker does: everything on it fails, including requests of other clients. `answer` fails only \
         that request and drops its reply if it still arrives; the connection is closed when the server sends \
         nothing for four times `timeout` (at least 1 s). A write that was late may still be executed when the server \
         goes on: with `close` perhaps after later writes that were answered, with `answer` before them, as long as the \
         connection is kept: [failure.md](failure.md#writes-that-time-out).",
    )
    .fills(|pool, action| pool.settings.failure.timeout_action = action);

    CLIENT_IDLE_TIMEOUT: Option<Duration> = Row::ours(
        "client_idle_timeout",
        TIME_LIMIT,
        Absent::Value("0"),
        "How long a client may be idle, with none of its requests unanswered, before it is closed; it may be \
         closed up to a quarter of that time later. A client that has replies to read and reads nothing is closed, \
         too, up to half of that time later. 0 means no limit.",
    )
    .fills(|pool, time| pool.settings.failure.client_idle_timeout = time);

    CLIENT_REQUEST_TIMEOUT: Option<Duration> = Row::ours(
        "client_request_timeout",
        TIME_LIMIT,
        Absent::Value("0"),
        "How long a client may take from the first byte of a request to its last, before it is closed; it may \
         be closed up to a quarter of that time later. 0 means no limit. A request is held in memory until it is \
         whole, and only then sent to its server: without a limit, a client that stops in the middle of a large \
         one keeps that memory until it leaves or `max_memory` is exceeded.",
    )
    .fills(|pool, time| pool.settings.failure.client_request_timeout = time);

    CLIENT_BACKLOG: u64 = Row::ours(
        "client_backlog",
        bytes(0, BACKLOG_MAX),
        Absent::Value("64m"),
        "How many bytes of further requests are accepted from a client that already has the maximum number in \
         flight, so that a client that writes all of its requests before it reads a reply can finish writing. \
         Beyond that it is not read until some of them have been processed.",
    )
    .fills(|pool, bytes| {
        pool.settings.clients.backlog = usize::try_from(bytes).unwrap_or(usize::MAX);
    });

    CLIENT_MIN_RATE: u64 = Row::ours(
        "client_min_rate",
        bytes(0, BACKLOG_MAX),
        Absent::Value("64k"),
        "How many bytes per second a client must move (replies that it reads, or requests that are accepted \
         from it) on average over `client_stall_timeout`, while it has 8 MiB or more of unread replies. A \
         slower client is closed. 0 means no limit.",
    )
    .fills(|pool, bytes| pool.settings.clients.min_rate = bytes);

    CLIENT_STALL_TIMEOUT: Option<Duration> = Row::ours(
        "client_stall_timeout",
        TIME_LIMIT,
        Absent::Value("60000"),
        "The time over which `client_min_rate` is measured. 0 means no limit.",
    )
    .fills(|pool, time| pool.settings.clients.stall_timeout = time);

    RETRY_READS: bool = Row::ours(
        "retry_reads",
        BOOL,
        Absent::Value("false"),
        "Whether a pure read that was lost with its server connection before any of its reply arrived is \
         retried once before the client gets an error. Not if the same client has sent anything but reads \
         since: a read never sees what a later request has written. Retries are limited to a tenth of the \
         requests. A read that is late on a connection that stays open (`timeout_action: answer`) is not \
         retried.",
    )
    .fills(|pool, on| pool.settings.failure.retry_reads = on);

    HASH_CHAR: CharSign = Row::our_choice(
        "hash_char",
        "How some hashes interpret bytes of 0x80 and above. nutcracker treats them as signed on x86 and as \
         unsigned on ARM; `unsigned` is for pools that were filled by nutcracker on ARM. It makes no \
         difference for ASCII keys.",
    )
    .fills(|pool, sign| pool.settings.placement.sign = sign);

    CROSS_SHARD: CrossShard = Row::our_choice(
        "cross_shard",
        "What happens to a command that cannot be split (SUNION, RPOPLPUSH, EVAL and similar) and whose keys are \
         on several servers. `first_key` sends it to the server of its first key, as nutcracker does, where the \
         other keys may be missing, and what a script writes to them is not found again; `error` refuses it with \
         `-CROSSSLOT`. `auto` decides once for each connection, at its first command with a key that is not refused: \
         `error` if the client has sent HELLO, CLIENT, SELECT, INFO or a subcommand of COMMAND before (current \
         libraries do, and nutcracker closed their connections, so that none of them relies on it), else `first_key`. \
         Only RESET makes it undecided again. CLIENT LIST shows it (`cross-shard`). SORT and SORT_RO are such commands, \
         too, if a pattern of BY or GET contains `*`, in a pool of several servers: it may name keys of any server, \
         unless the key's hash tag (`hash_tag`) stands before the `*`. Commands that nutcracker does not know, such as \
         SORT_RO, are always refused where their keys are on several servers. The statistics count both kinds \
         (`cross_shard`, `cross_shard_refused`).",
    )
    .fills_redis(|redis, policy| redis.cross_shard = policy);

    TRANSACTIONS: TransactionScope = Row::our_choice(
        "transactions",
        "What becomes of a transaction (MULTI ... EXEC) whose keys are on several servers. `one_shard` refuses the command \
         with which it is, with `-CROSSSLOT`, and EXEC with `-EXECABORT`. `per_shard` is for clients that send a \
         transaction where a pipeline would do, as many libraries' pipelines are by default: each server executes the \
         part with its keys as a transaction of its own, and EXEC is answered as if all were one. Nothing is sent if a \
         server is known to be ejected or refuses transactions; but if one is lost meanwhile, or aborts its part, what \
         the others have done stays done, and the elements of that part are errors. The statistics count those \
         (`transactions_in_part`), and the log tells of them.",
    )
    .fills_redis(|redis, scope| redis.transactions = scope);

    TRANSACTION_COMMANDS: usize = Row::ours(
        "transaction_commands",
        integer(1, 65_000, ""),
        Absent::Value("16384"),
        "How many commands one transaction may have. They are held until EXEC, and then executed at once, with nobody else's \
         request in between. With one more the command is refused, and EXEC answered with `-EXECABORT`.",
    )
    .fills_redis(|redis, count| redis.transaction_limits.commands = count);

    TRANSACTION_BYTES: u64 = Row::ours(
        "transaction_bytes",
        bytes(1, 1 << 30),
        Absent::Value("16m"),
        "How many bytes the commands of one transaction may have together. They count for `max_memory`.",
    )
    .fills_redis(|redis, bytes| redis.transaction_limits.bytes = bytes as usize);

    ALLOW_FLUSH: bool = Row::ours(
        "allow_flush",
        BOOL,
        Absent::Value("false"),
        "Whether clients may use the commands that delete the data of every server: FLUSHALL, FLUSHDB and \
         flush_all; and memcached's `stats reset`, which sets its counters to 0. Scripts are not looked into: one \
         that calls FLUSHALL deletes the data of its server, unless `allow_scripts` is `false`.",
    )
    .fills(|pool, on| pool.settings.allow_flush = on);

    ALLOW_SCRIPTS: bool = Row::ours(
        "allow_scripts",
        BOOL,
        Absent::Value("true"),
        "Whether clients may run scripts and functions: EVAL, EVALSHA, FCALL, their `_RO` forms, SCRIPT LOAD and FUNCTION \
         LOAD. They may do at their server whatever the proxy refuses to its clients (FLUSHALL, SWAPDB, keys of other \
         servers). With `false` they are refused; `true` is as with nutcracker.",
    )
    .fills_redis(|redis, on| redis.allow_scripts = on);

    KEYLESS_SCRIPTS: KeylessScripts = Row::our_choice(
        "keyless_scripts",
        "What happens in a pool of several servers to a script or function that is to run without keys (`EVAL script 0`), \
         which nutcracker closes the connection on. `refuse` answers with an error: no key tells at which server it is \
         to run, and what it reads or writes is at one of them only. `any` runs it at one server, always the same one \
         while the servers are the same, as is right for scripts that use no data (`TIME`) or keep all of it there. In a \
         pool of one server it always runs.",
    )
    .fills_redis(|redis, policy| redis.keyless_scripts = policy);

    COMMANDS: Vec<CommandSettings> = Row::ours(
        "commands",
        COMMAND_LIST,
        Absent::Nothing,
        "Commands that are unknown to Nuthatch, such as those of a server's module or of a newer server: they are \
         forwarded to the server of their keys. Each has a `name`, an `arity` (its number of arguments with the name, or \
         minus the least number, as in the reply to COMMAND), the index of its `first` key (1 if absent), of its `last` \
         key (that of the first if absent; a negative one counts from the end, -1 being the last argument) and the `step` \
         between keys (1 if absent), and an `access` of `read` if it changes nothing (with `retry_reads` it may be sent \
         twice then), else `write`, the default. At most 256. A command that is known cannot be changed, and an added one \
         cannot be in a transaction.\n\n```yaml\n  commands:\n    - {name: mymodule.get, arity: 2, access: read}\n    - \
         {name: mymodule.copy, arity: -3, first: 1, last: 2}\n```",
    )
    .fills_redis(|redis, commands| redis.commands = commands);

    GUARDRAILS: Vec<GuardrailLine> = Row::ours(
        "guardrails",
        GUARDRAIL_LIST,
        Absent::Nothing,
        "What clients may not do. Each guardrail concerns the requests with at least one key that begins with its `prefix`; one \
         without a `prefix` concerns all requests of the pool, with or without keys. It has one or more of: `deny`, a list of commands \
         (`config` is all of CONFIG, `config|set` one of it); `max_value`, the most bytes of a value (memcached: of the data block; \
         Redis: of any argument but the command and its keys); `max_rate`, the most requests per second, \
         of all clients and workers of the process together, of which a second's worth may come at once. A request that several \
         guardrails concern must keep to each of them, and counts once for the rate of each, however many keys it has. \
         What is refused is refused as a whole, before anything is sent: also a request of many keys of which one is concerned, and \
         within MULTI, where EXEC is answered with `-EXECABORT` then. After a MULTI that is refused nothing is executed up to EXEC or DISCARD. \
         Errors begin with `-NOPERM` and `-ERR`, those of \
         memcached with `CLIENT_ERROR` and `SERVER_ERROR`; the statistics count them (`guard_denied`, `guard_value`, `guard_rate`), and the log \
         tells of them every ten seconds at most. EXEC, DISCARD, QUIT and RESET, and `mn` and `quit`, are never refused. Keys that only servers find \
         out (in scripts, or by the patterns of SORT) and patterns of KEYS and SCAN are not compared. What `failover` sends to another \
         pool has to keep to those of its own pool. At most 16, and no two with the same \
         `prefix`. A pool without guardrails pays nothing for them. See \
         [operations.md](operations.md#guardrails).\n\n```yaml\n  guardrails:\n    - {deny: [keys, flushall, config], \
         max_rate: 50000}\n    - {prefix: \"session:\", max_value: 64k, max_rate: 5000}\n```",
    )
    .fills(|pool, lines| {
        pool.settings.guardrails = lines.into_iter().map(|it| it.settings).collect();
    });

    USERS: Vec<UserLine> = Row::ours(
        "users",
        USER_LIST,
        Absent::Nothing,
        "Who clients may be, and what each user may do. A user has a `name`; `password_sha256`, the SHA-256 digest of its \
         password in hexadecimal, or a list of up to 8; and `acl`, its rules in the syntax of Redis's ACL: commands \
         (`+get`, `-config|set`, `+@read`, `-@dangerous`), patterns of keys (`~cart:*`, `%R~PATTERN` to read, `%W~PATTERN` to write) and \
         of channels (`&news:*`), `allkeys`, `allchannels`, `allcommands`, `nopass`, `off`. A user without rules may do \
         nothing. Clients of Redis pools give AUTH or HELLO a name and a password; those of memcached pools begin with a `set` of any key whose \
         data is name and password, as with memcached's `-Y`. Until then they are the user `default`, which has to be \
         listed and to have `nopass` for that. memcached's commands are in the categories `@read`, `@write` and `@admin`, and it has no \
         channels. Not together with `redis_auth`: what servers are given is in `server_login`. \
         After 10 wrong passwords from one address its attempts are refused for a time, which doubles \
         up to 30 seconds. A reload makes other rules hold for clients that are connected, and closes those whose user is gone. A pool \
         without users pays nothing for them. See [users.md](users.md).\n\n```yaml\n  users:\n    - {name: app, password_sha256: \
         2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b, acl: \"~cart:* +@read +@write\"}\n```",
    );

    ERROR_DETAIL: bool = Row::ours(
        "error_detail",
        BOOL,
        Absent::Value("false"),
        "Whether the proxy's own error lines name the server and the cause. If not, they are identical to \
         nutcracker's, because clients match them.",
    )
    .fills(|pool, on| pool.settings.error_detail = on);

    DATABASES: u32 = Row::ours(
        "databases",
        integer(1, 1_024, ""),
        Absent::Value("1"),
        "How many databases clients may SELECT, from 0 on; each server must have as many. With more than one, a pool has \
         connections to each server for each database that clients use, as many as `server_connections` says per \
         worker and version of the protocol, and a client's requests wait at SELECT until the earlier ones are answered. \
         Keys have their place on the ring whatever the database is. Not together with `redis_db`.",
    )
    .fills_redis(|redis, count| redis.databases = count);

    REDIS_DB_FIXED: bool = Row::ours(
        "redis_db_fixed",
        BOOL,
        Absent::Value("false"),
        "Whether `redis_db` is selected even where nutcracker fails to (see there). Move the data, or accept a \
         cold cache, before setting this.",
    )
    .only_redis();

    RESP3: Resp3 = Row::our_choice(
        "resp3",
        "Whether clients may use RESP3: `auto` grants HELLO 3 if the servers accept it, `off` always answers \
         -NOPROTO.",
    )
    .fills_redis(|redis, mode| redis.resp3 = mode);

    REDIS_VERSION: Release = Row::ours(
        "redis_version",
        RELEASE,
        Absent::Value("7.0.0"),
        "The version of Redis that INFO and HELLO tell clients, until that of a server is known: client \
         libraries choose by it which commands they use. Afterwards they are told the lowest version of all \
         servers known so far; see `ask_version`.",
    )
    .fills_redis(|redis, release| redis.release = release);

    ASK_VERSION: bool = Row::ours(
        "ask_version",
        BOOL,
        Absent::Value("true"),
        "Whether each server is asked for its version (`INFO server`) after a connection to it was made, at most \
         once a second and over a connection of its own. A server that refuses is left out. With `false` clients \
         are always told `redis_version`.",
    )
    .fills_redis(|redis, on| redis.ask_release = on);

    DRAIN_TO: HostPort = Row::ours(
        "drain_to",
        HOST_PORT,
        Absent::Nothing,
        "The address (`host:port`) to which clients are told to connect when the proxy drains, see `drain`: that of a load \
         balancer, or of another proxy with the same pool. Clients that ask for notifications with an endpoint (what libraries do \
         by default) are only granted them where this is set; clients that ask for none connect again to where they have connected \
         before.",
    )
    .fills_redis(|redis, address| redis.drain_to = Some(address.text.into()));

    MAX_VALUE: u64 = Row::ours(
        "max_value",
        bytes(1, VALUE_MAX),
        Absent::Value("1g"),
        "Maximum size of a value. A larger one is refused when its header is read, and skipped.",
    )
    .fills_memcached(|memcached, bytes| memcached.max_value = bytes);

    ADMIN_COMMANDS: bool = Row::ours(
        "admin_commands",
        BOOL,
        Absent::Value("false"),
        "Whether clients may use the commands that administer the servers. With Redis, every server gets CONFIG SET, \
         RESETSTAT and REWRITE (an error names a server that has not done it, and how many have), FUNCTION FLUSH and \
         FUNCTION RESTORE, which remove the functions of all clients, and CONFIG GET, which is otherwise about the \
         proxy: the reply has what all servers have alike, and a name (not a pattern) whose values differ is an error \
         that tells two of them. In a pool of one server, SAVE, BGSAVE, BGREWRITEAOF, LASTSAVE, SHUTDOWN, REPLICAOF, \
         SLAVEOF, MEMORY PURGE and MALLOC-STATS, and DEBUG (but for DEBUG PROTOCOL) go there, over a connection of their \
         own; a SHUTDOWN that succeeds is answered with the error for a lost server. CLIENT KILL closes clients of the \
         pool, and CLIENT PAUSE has their requests wait, or those that may change data, until CLIENT UNPAUSE or for 10 minutes at \
         most. With memcached: each server gets \
         `verbosity` above 1, which makes it log every request; `stats detail`, which makes it count by prefix; \
         `stats sizes`; `stats cachedump`, which shows keys; `stats conns`, which shows addresses; and `stats \
         reset` (which `allow_flush` allows too). `stats` alone and with `items`, `slabs`, `settings`, `extstore` \
         or `servers`, `version`, and `verbosity` 0 and 1 are always served.",
    )
    .fills(|pool, on| match &mut pool.settings.protocol {
        ProtocolSettings::Redis(redis) => redis.admin_commands = on,
        ProtocolSettings::Memcached(memcached) => memcached.admin_commands = on,
    });
}
