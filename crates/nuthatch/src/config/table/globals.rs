//! The settings of the whole process, all of them ours.

use std::time::Duration;

use super::super::choice::{Choice, choices};
use super::super::hosts::{HostPort, NamedHost};
use super::super::typed::{
    self, BOOL, HOST_PORT, HOSTS, MILLISECONDS, TEXT, bytes, choice, number,
};
use super::super::types::{LogFormat, ReadyWhen, Workers};
use super::row::{Absent, AnyRow, Outside, Row, rows};

/// Maximum of `max_memory`: 1 PiB, more than any machine has.
const MEMORY_MAX: u64 = 1 << 50;

choices!(ReadyWhen, "condition",
    "all_pools" => AllPools,
    "any_pool" => AnyPool,
);

choices!(LogFormat, "form",
    "text" => Text,
    "json" => Json,
);

rows! {
    WORKERS: Workers = Row::global(
        "workers",
        typed::WORKERS,
        Absent::Value("1"),
        Outside {
            flag: "workers",
            env: "NUTHATCH_WORKERS",
            argument: "N",
            help: "set number of workers, or auto for one per core",
        },
        "Number of event loops that serve the clients, each on its own thread; `auto` means one per core. \
         Every worker has its own connections to the servers.",
    )
    .fills_globals(|globals, workers| globals.workers = workers);

    MAX_MEMORY: u64 = Row::global(
        "max_memory",
        bytes(0, MEMORY_MAX),
        Absent::Computed("half of the memory"),
        Outside {
            flag: "max-memory",
            env: "NUTHATCH_MAX_MEMORY",
            argument: "BYTES",
            help: "set maximum memory of all buffers (k, m, g; 0: no limit)",
        },
        "Maximum memory for the buffers of all clients and servers together; 0 means no limit. The default is \
         half of the memory that the process may use: of its cgroup's limit, or of the machine's memory. From \
         seven eighths of it on, clients that hold more than their share (that much, divided by the number of \
         clients) are not read until there is room; above it, the clients that hold most are closed, one by \
         one. A client that holds less than its share is never affected. What a client can hold: \
         [performance.md](performance.md#what-a-slow-client-costs). It does not include the process's other memory, which \
         is a few MB and less than 1 KiB per client.",
    )
    .fills_globals(|globals, bytes| globals.max_memory = Some(bytes));

    MAX_CLIENTS: u64 = Row::global(
        "max_clients",
        number("clients"),
        Absent::Value("0"),
        Outside {
            flag: "max-clients",
            env: "NUTHATCH_MAX_CLIENTS",
            argument: "N",
            help: "set maximum clients of all pools (0: as many as descriptors allow)",
        },
        "Maximum number of clients connected at a time, over all pools; 0 means as many as the limit of open \
         descriptors allows, which always applies. A further client gets `-ERR max number of clients reached` \
         or `ERROR Too many open connections`, and is closed.",
    )
    .fills_globals(|globals, count| globals.max_clients = count);

    SERVER_CONNECTIONS_TOTAL: u64 = Row::global(
        "server_connections_total",
        number("connections"),
        Absent::Value("0"),
        Outside {
            flag: "server-connections-total",
            env: "NUTHATCH_SERVER_CONNECTIONS_TOTAL",
            argument: "N",
            help: "set maximum connections to servers that clients share (0: no limit)",
        },
        "Maximum number of connections to servers, over all pools and workers; 0 means no limit but those of `workers` and \
         `server_connections`. A worker that serves a pool needs one to each of its servers (two with `resp3: auto`, for \
         clients of RESP2 and of RESP3), and as many to those of its failover pool and to replicas that are read. Where these would be too many, clients of the \
         pools that need most are given to fewer workers; what is left is for further connections by `server_connections` and for \
         further databases. Each pool is served by one worker at least, also if that takes more; then the log and `nuthatch \
         check` tell of it. Servers that are found count as well. On top of it come connections that belong to one client \
         (`leased_connections`), and for each worker and server one for messages of channels and one for a moment to test or ask \
         the server. During an upgrade there are two processes.",
    )
    .fills_globals(|globals, count| globals.server_connections_total = count);

    SHUTDOWN_TIMEOUT: Duration = Row::global(
        "shutdown_timeout",
        MILLISECONDS,
        Absent::Value("5000"),
        Outside {
            flag: "shutdown-timeout",
            env: "NUTHATCH_SHUTDOWN_TIMEOUT",
            argument: "N",
            help: "set maximum wait for requests in flight at shutdown, in msec",
        },
        "How long SIGTERM and SIGINT wait for requests in flight, and for clients that keep sending to read their replies, before \
         the remaining connections are closed.",
    )
    .fills_globals(|globals, time| globals.shutdown_timeout = time);

    DRAIN: Duration = Row::global(
        "drain",
        MILLISECONDS,
        Absent::Nothing,
        Outside {
            flag: "drain",
            env: "NUTHATCH_DRAIN",
            argument: "N",
            help: "drain on SIGTERM, and close the clients within this time, in msec",
        },
        "If set, SIGTERM drains the proxy before it ends, so that clients notice nothing: `/readyz` answers 503 at once; after \
         `drain_wait`, clients that have asked for it (CLIENT MAINT_NOTIFICATIONS ON) are told to connect elsewhere; after \
         `drain_grace`, the listeners close; then the clients that are left are closed evenly over this time, each between two \
         requests. Who is still busy at the end is closed as without a drain. SIGINT and a second SIGTERM end the drain. \
         `nuthatch ctl shutdown --drain` does the same whether this is set or not (30 s if not).",
    )
    .fills_globals(|globals, time| globals.drain = Some(time));

    DRAIN_WAIT: Duration = Row::global(
        "drain_wait",
        MILLISECONDS,
        Absent::Value("5000"),
        Outside {
            flag: "drain-wait",
            env: "NUTHATCH_DRAIN_WAIT",
            argument: "N",
            help: "set how long after /readyz turns red clients are told, in msec",
        },
        "How long a drain waits from when `/readyz` answers 503 until clients are told: as long as a load balancer takes to \
         send nobody here any more (interval of its health check, times the failures that it waits for).",
    )
    .fills_globals(|globals, time| globals.drain_wait = time);

    DRAIN_GRACE: Duration = Row::global(
        "drain_grace",
        MILLISECONDS,
        Absent::Value("5000"),
        Outside {
            flag: "drain-grace",
            env: "NUTHATCH_DRAIN_GRACE",
            argument: "N",
            help: "set how long clients are accepted after they were told, in msec",
        },
        "How long a drain goes on accepting clients after those that wanted to know were told.",
    )
    .fills_globals(|globals, time| globals.drain_grace = time);

    UPGRADE_DRAIN: Duration = Row::global(
        "upgrade_drain",
        MILLISECONDS,
        Absent::Value("60000"),
        Outside {
            flag: "upgrade-drain",
            env: "NUTHATCH_UPGRADE_DRAIN",
            argument: "N",
            help: "set how long a replaced process may serve its clients, in msec",
        },
        "How long the old process of an upgrade (`nuthatch ctl upgrade`, SIGUSR2) may serve its clients. They are closed evenly \
         over this time, each between two requests; if some have asked for it (CLIENT MAINT_NOTIFICATIONS ON), all of them in the \
         second half, as those are told to connect again in the first. Until it has ended there can be no further upgrade, and \
         servers may have twice as many connections.",
    )
    .fills_globals(|globals, time| globals.upgrade_drain = time);

    STATS_EXTENDED: bool = Row::global(
        "stats_extended",
        BOOL,
        Absent::Value("false"),
        Outside {
            flag: "stats-extended",
            env: "NUTHATCH_STATS_EXTENDED",
            argument: "BOOL",
            help: "set whether the statistics have counters beyond twemproxy's",
        },
        "Whether the statistics document has Nuthatch's own counters, after nutcracker's in each pool and \
         server. With `false` it has exactly nutcracker's keys: programs that read the document, such as \
         exporters for Prometheus, treat any other key of a pool as a server and fail. `nuthatch -D \
         --stats-extended=true` describes all counters.",
    )
    .fills_globals(|globals, on| globals.stats_extended = on);

    CONTROL: String = Row::global(
        "control",
        TEXT,
        Absent::Nothing,
        Outside {
            flag: "control",
            env: "NUTHATCH_CONTROL",
            argument: "FILE",
            help: "set path of the unix socket for nuthatch ctl",
        },
        "The path of a unix socket on which the running proxy takes the commands of `nuthatch ctl`: reload, status, drain and \
         others. Only the user that runs the proxy may connect (mode 0600). Without it there is no such socket. It is \
         opened at start; a reload does not change it.",
    )
    .fills_globals(|globals, path| globals.control = Some(path.into()));

    WATCH: bool = Row::global(
        "watch",
        BOOL,
        Absent::Value("false"),
        Outside {
            flag: "watch",
            env: "NUTHATCH_WATCH",
            argument: "BOOL",
            help: "set whether the configuration is reloaded when its files change",
        },
        "Whether the configuration is reloaded when the configuration file or the overlay changes. They are looked at every \
         second, and read once they have not changed for another second. A file with errors changes nothing, and the log \
         says what is wrong with it. A reload does not change this setting.",
    )
    .fills_globals(|globals, on| globals.watch = on);

    SIGNALS: bool = Row::global(
        "signals",
        BOOL,
        Absent::Value("false"),
        Outside {
            flag: "signals",
            env: "NUTHATCH_SIGNALS",
            argument: "BOOL",
            help: "set whether SIGUSR1 reloads and SIGUSR2 upgrades when called as nutcracker",
        },
        "Whether SIGUSR1 reloads the configuration, and SIGUSR2 replaces the process (`nuthatch ctl upgrade`), even when the \
         program is called as `nutcracker`, which logs and ignores these signals. Called as `nuthatch`, it always does.",
    )
    .fills_globals(|globals, on| globals.signals = on);

    LOG_FORMAT: LogFormat = Row::global(
        "log_format",
        choice(),
        Absent::Choice(|| LogFormat::default().name()),
        Outside {
            flag: "log-format",
            env: "NUTHATCH_LOG_FORMAT",
            argument: "FORM",
            help: "set the form of the lines of the log: text or json",
        },
        "The form of the lines of the log: `text` is nutcracker's, `json` an object for each line, whose fields are told in \
         [operations.md](operations.md#the-log). A reload does not change it.",
    )
    .fills_globals(|globals, format| globals.log_format = format);

    ACCESS_LOG_FILE: String = Row::global(
        "access_log_file",
        TEXT,
        Absent::Nothing,
        Outside {
            flag: "access-log-file",
            env: "NUTHATCH_ACCESS_LOG_FILE",
            argument: "FILE",
            help: "set file of the access log of the pools that have one",
        },
        "The file of the access log, which has a line of JSON for one in so many requests of the pools that have `access_log`: \
         [operations.md](operations.md#the-access-log). It is appended to, created if it is not there (mode 0644), and \
         reopened on SIGHUP. A reload changes it.",
    )
    .fills_globals(|globals, path| globals.access_log_file = Some(path.into()));

    ADMIN: HostPort = Row::global(
        "admin",
        HOST_PORT,
        Absent::Nothing,
        Outside {
            flag: "admin",
            env: "NUTHATCH_ADMIN",
            argument: "HOST:PORT",
            help: "serve the dashboard, metrics and health checks there",
        },
        "Where the admin pages are served over HTTP: a dashboard (`/`), metrics for Prometheus (`/metrics`), health checks \
         (`/healthz`, `/readyz`) and JSON (`/servers`, `/hotkeys`, `/clients`, `/explain`, `/config`, `/stats`). They only show, and change nothing. Nothing is served \
         unless this is set; when called as `nutcracker`, only a file can set it. The pages are not encrypted. What \
         each shows: [operations.md](operations.md#seeing).",
    )
    .fills_globals(|globals, address| globals.admin = Some(address));

    ADMIN_HOSTS: Vec<NamedHost> = Row::global(
        "admin_hosts",
        HOSTS,
        Absent::Nothing,
        Outside {
            flag: "admin-hosts",
            env: "NUTHATCH_ADMIN_HOSTS",
            argument: "HOSTS",
            help: "set further names by which those pages may be asked for",
        },
        "Further names by which the admin pages may be asked for, with blanks or commas between them: `cache1.example \
         proxy.example:8443`. A name without a port holds for every port. A request whose `Host` is none of these, nor `localhost` \
         or an address of the admin port, is refused: otherwise a web page could read the admin pages through the browser \
         of somebody who can reach them, by giving its own name their address.",
    )
    .fills_globals(|globals, hosts| globals.admin_hosts = hosts);

    ADMIN_TOKEN: String = Row::global_in_files(
        "admin_token",
        TEXT,
        Absent::Nothing,
        "What has to be known to see the admin pages, all but `/healthz` and `/readyz`: as `Authorization: Bearer TOKEN`, or in a \
         browser as the password of the user `admin`. It is not shown anywhere.",
    )
    .fills_globals(|globals, token| globals.admin_token = Some(token));

    ADMIN_TOKEN_FILE: String = Row::global(
        "admin_token_file",
        TEXT,
        Absent::Nothing,
        Outside {
            flag: "admin-token-file",
            env: "NUTHATCH_ADMIN_TOKEN_FILE",
            argument: "FILE",
            help: "require the token in this file for those pages",
        },
        "A file that holds the token, instead of `admin_token`. Blanks and line ends around it do not count. It is read \
         at start.",
    )
    .fills_globals(|globals, path| globals.admin_token_file = Some(path.into()));

    ADMIN_READY: ReadyWhen = Row::global(
        "admin_ready",
        choice(),
        Absent::Choice(|| ReadyWhen::default().name()),
        Outside {
            flag: "admin-ready",
            env: "NUTHATCH_ADMIN_READY",
            argument: "WHEN",
            help: "set when /readyz says ready: all_pools or any_pool",
        },
        "When `/readyz` answers with 200 instead of 503: when every pool has a live server, or when any pool has. \
         A server is live unless it is ejected (`auto_eject_hosts`); a pool with `failover` is also ready while \
         the other pool has a live server.",
    )
    .fills_globals(|globals, when| globals.admin_ready = when);
}
