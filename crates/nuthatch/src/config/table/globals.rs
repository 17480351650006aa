//! The settings of the whole process, all of them ours.

use std::time::Duration;

use super::super::typed::{self, BOOL, MILLISECONDS, bytes, number};
use super::super::types::Workers;
use super::row::{Absent, AnyRow, Outside, Row, rows};

/// Maximum of `max_memory`: 1 PiB, more than any machine has.
const MEMORY_MAX: u64 = 1 << 50;

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
        "How many event loops serve the clients, each on its own thread; `auto` is one for every core. Every worker \
         has its own connections to the servers.",
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
            help: "set most memory that all buffers may take (k, m, g; 0: no cap)",
        },
        "How much memory the buffers of all clients and servers may take together; 0 is no cap. Without the setting \
         it is half of the memory that the process may use: of its cgroup's limit, or of the machine's. From seven \
         eighths of it on, clients that hold more than their share (that much, divided by the clients) are not read \
         until there is room; past it those that hold most are closed, one by one. A client that holds less than \
         its share is never touched. It does not count what the process needs besides, which is a few MB and under \
         1 KiB for each client.",
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
            help: "set most clients of all pools (0: as many as descriptors allow)",
        },
        "How many clients may be connected at a time, over all pools; 0 is as many as the limit of open descriptors \
         leaves room for, which holds in any case. One more is told `-ERR max number of clients reached` or `ERROR \
         Too many open connections`, and closed.",
    )
    .fills_globals(|globals, count| globals.max_clients = count);

    SHUTDOWN_TIMEOUT: Duration = Row::global(
        "shutdown_timeout",
        MILLISECONDS,
        Absent::Value("5000"),
        Outside {
            flag: "shutdown-timeout",
            env: "NUTHATCH_SHUTDOWN_TIMEOUT",
            argument: "N",
            help: "set longest wait for requests in flight at the end, in msec",
        },
        "How long SIGTERM and SIGINT wait for the requests that are in flight, before the rest is cut off.",
    )
    .fills_globals(|globals, time| globals.shutdown_timeout = time);

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
        "Whether the statistics document has Nuthatch's own counters, after nutcracker's in each pool and server. \
         `false` serves exactly nutcracker's keys: programs that read the document, such as exporters for \
         Prometheus, take any other key of a pool for a server and fail. `nuthatch -D --stats-extended=true` \
         describes all counters.",
    )
    .fills_globals(|globals, on| globals.stats_extended = on);
}
