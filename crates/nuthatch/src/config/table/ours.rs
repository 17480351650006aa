//! Our own settings of a pool.

use std::time::Duration;

use hashkit::CharSign;
use proxy::settings::{CrossShard, EjectPolicy, Resp3, TimeoutAction};

use super::super::choice::{Choice, choices};
use super::super::typed::{BOOL, TEXT, TIME_LIMIT, bytes, integer};
use super::row::{Absent, AnyRow, Row, rows};

/// Maximum of `max_value` of a memcached pool: 16 GiB.
const VALUE_MAX: u64 = 16 << 30;

/// Maximum of `client_backlog` and `client_min_rate`: 1 TiB, more than anyone needs.
const BACKLOG_MAX: u64 = 1 << 40;

/// Maximum of `failover_ttl`, in seconds: memcached reads larger numbers as a point in time.
const FAILOVER_TTL_MAX: u64 = 30 * 24 * 60 * 60;

choices!(EjectPolicy, "eject_policy", "remap" => Remap, "error" => Error, "miss" => Miss);
choices!(TimeoutAction, "timeout_action", "close" => Close, "answer" => Answer);
choices!(CharSign, "hash_char", "signed" => Signed, "unsigned" => Unsigned);
choices!(CrossShard, "cross_shard policy", "first_key" => FirstKey, "error" => Error);
choices!(Resp3, "resp3 mode", "auto" => Auto, "off" => Off);

rows! {
    EJECT_POLICY: EjectPolicy = Row::our_choice(
        "eject_policy",
        "What becomes of the keys of an ejected server. `remap` gives them to the servers that are left, as \
         nutcracker does; when the server returns, it has their old values. With `error` and `miss` keys never \
         move: `error` answers their requests with an error that names the server; `miss` answers reads as if the \
         key did not exist, so that a cache is asked elsewhere, and everything else with that error. Only with \
         `auto_eject_hosts`; not with `distribution: random`, where keys have no server of their own.",
    )
    .fills(|pool, policy| pool.settings.failure.eject = policy);

    FAILOVER: String = Row::ours(
        "failover",
        TEXT,
        Absent::Nothing,
        "The name of another pool that serves the keys of ejected servers: by its own placement, and with its own \
         settings for servers (but for `tcpkeepalive` and `resp3`). Keys never move within this pool then. Its \
         servers should be others than this pool's: what a client sends before and after an ejection would meet at \
         one server on two connections, in any order. Where that pool has ejected its server too (set \
         `auto_eject_hosts` there as well), `eject_policy` of this pool says what is answered, `remap` counting as \
         `error`. Connections to it are made when they are needed (`server_connections` of that pool, per worker) \
         and closed 10 s after all servers are back. Needs `auto_eject_hosts: true`; both speak the same protocol, \
         neither has `distribution: random`, and the other has no `failover`. Redis servers there must be of \
         version 7.0 or later, or Valkey, and speak RESP3 if clients do.",
    );

    FAILOVER_TTL: u32 = Row::ours(
        "failover_ttl",
        integer(1, FAILOVER_TTL_MAX, "seconds"),
        Absent::Value("60"),
        "How long what is written to the pool named by `failover` lives at most. Times that clients give are made \
         less, never more. memcached: exptimes beyond it, 0 and points in time become it. Redis: SET, SETEX, \
         PSETEX, GETEX, EXPIRE and PEXPIRE are rewritten where they give more or none, any other write is followed \
         by `PEXPIRE key N LT` for each key that it may have written.",
    );

    PROBE: bool = Row::ours(
        "probe",
        BOOL,
        Absent::Value("true"),
        "Whether an ejected server must answer a probe before it gets requests again: PING (or `version`) over a \
         connection of its own, when `server_retry_timeout` is over and then after pauses of 1 s, 2 s, 4 s and so \
         on until they reach `server_retry_timeout`, each up to a quarter longer by chance. `false` takes it back \
         when its time is over, as nutcracker does, so that requests of clients find out whether it is well.",
    )
    .fills(|pool, on| pool.settings.failure.probe = on);

    CONNECT_TIMEOUT: Option<Duration> = Row::ours(
        "connect_timeout",
        TIME_LIMIT,
        Absent::Value("0"),
        "How long a connection to a server may take until requests can be sent: connecting, and AUTH, HELLO and \
         SELECT. 0 sets no limit but the system's; `timeout` holds for the requests that wait for it either way.",
    )
    .fills(|pool, time| pool.settings.failure.connect_timeout = time);

    TIMEOUT_ACTION: TimeoutAction = Row::our_choice(
        "timeout_action",
        "What happens when a request has waited for `timeout`. `close` closes the server connection, as nutcracker \
         does: everything on it fails, also requests of other clients. `answer` fails that request alone and drops \
         its reply if it comes after all; the connection is closed when the server says nothing for four times \
         `timeout` (at least 1 s).",
    )
    .fills(|pool, action| pool.settings.failure.timeout_action = action);

    CLIENT_IDLE_TIMEOUT: Option<Duration> = Row::ours(
        "client_idle_timeout",
        TIME_LIMIT,
        Absent::Value("0"),
        "How long a client may do nothing, with no request of it unanswered, before it is closed; this is noticed \
         up to a quarter of that time later. 0 sets no limit.",
    )
    .fills(|pool, time| pool.settings.failure.client_idle_timeout = time);

    CLIENT_REQUEST_TIMEOUT: Option<Duration> = Row::ours(
        "client_request_timeout",
        TIME_LIMIT,
        Absent::Value("0"),
        "How long a client may take from the first byte of a request to its last, before it is closed; this is \
         noticed up to a quarter of that time later. 0 sets no limit.",
    )
    .fills(|pool, time| pool.settings.failure.client_request_timeout = time);

    CLIENT_BACKLOG: u64 = Row::ours(
        "client_backlog",
        bytes(0, BACKLOG_MAX),
        Absent::Value("64m"),
        "How many bytes of further requests are taken from a client that has enough of them under way, so that one \
         that writes all of its requests before it reads a reply can finish writing. Beyond, it is not read until \
         some of them have been dealt with.",
    )
    .fills(|pool, bytes| {
        pool.settings.clients.backlog = usize::try_from(bytes).unwrap_or(usize::MAX);
    });

    CLIENT_MIN_RATE: u64 = Row::ours(
        "client_min_rate",
        bytes(0, BACKLOG_MAX),
        Absent::Value("64k"),
        "How many bytes a client must move in a second, of replies that it reads or of requests that are taken from \
         it, on average over `client_stall_timeout`, while 8 MiB or more of replies wait for it. A slower one is \
         closed. 0 closes nobody.",
    )
    .fills(|pool, bytes| pool.settings.clients.min_rate = bytes);

    CLIENT_STALL_TIMEOUT: Option<Duration> = Row::ours(
        "client_stall_timeout",
        TIME_LIMIT,
        Absent::Value("60000"),
        "The time over which `client_min_rate` is judged. 0 closes nobody.",
    )
    .fills(|pool, time| pool.settings.clients.stall_timeout = time);

    RETRY_READS: bool = Row::ours(
        "retry_reads",
        BOOL,
        Absent::Value("false"),
        "Whether a pure read that was lost with its server connection, nothing of its reply seen, is sent once more \
         before the client gets an error. Not if the same client has sent anything but reads since: a read never \
         finds what a later request has written. Retries are at most a tenth of the requests. A read that is late \
         while its connection stays (`timeout_action: answer`) is not sent again.",
    )
    .fills(|pool, on| pool.settings.failure.retry_reads = on);

    HASH_CHAR: CharSign = Row::our_choice(
        "hash_char",
        "How some hashes read bytes of 0x80 and above. nutcracker took them as signed on x86 and as unsigned on \
         ARM; `unsigned` is for pools that were filled by nutcracker on ARM. Pure ASCII keys do not differ.",
    )
    .fills(|pool, sign| pool.settings.placement.sign = sign);

    CROSS_SHARD: CrossShard = Row::our_choice(
        "cross_shard",
        "What becomes of a command whose keys belong to several servers and that cannot be split (SUNION, RPOPLPUSH \
         and the like). `first_key` sends it to the server of its first key, as nutcracker does, where the other \
         keys may be missing; `error` refuses it. Commands that nutcracker does not know are always refused.",
    )
    .fills_redis(|redis, policy| redis.cross_shard = policy);

    ALLOW_FLUSH: bool = Row::ours(
        "allow_flush",
        BOOL,
        Absent::Value("false"),
        "Whether clients may use the commands that destroy the data of every server: FLUSHALL, FLUSHDB and \
         flush_all.",
    )
    .fills(|pool, on| pool.settings.allow_flush = on);

    ERROR_DETAIL: bool = Row::ours(
        "error_detail",
        BOOL,
        Absent::Value("false"),
        "Whether the proxy's own error lines name the server and the cause. Off, they are nutcracker's to the byte, \
         because clients match them.",
    )
    .fills(|pool, on| pool.settings.error_detail = on);

    REDIS_DB_FIXED: bool = Row::ours(
        "redis_db_fixed",
        BOOL,
        Absent::Value("false"),
        "Whether `redis_db` is selected even where nutcracker failed to (see there). Move the data, or accept a \
         cold cache, before this is set.",
    )
    .only_redis();

    RESP3: Resp3 = Row::our_choice(
        "resp3",
        "Whether clients may speak RESP3: `auto` grants HELLO 3 where the servers accept it, `off` always answers \
         -NOPROTO.",
    )
    .fills_redis(|redis, mode| redis.resp3 = mode);

    MAX_VALUE: u64 = Row::ours(
        "max_value",
        bytes(1, VALUE_MAX),
        Absent::Value("1g"),
        "The largest value that a client may announce. A larger one is refused when its header is read.",
    )
    .fills_memcached(|memcached, bytes| memcached.max_value = bytes);
}
