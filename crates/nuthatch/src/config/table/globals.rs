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
        "How long SIGTERM and SIGINT wait for requests in flight before the remaining connections are closed.",
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
        "Whether the statistics document has Nuthatch's own counters, after nutcracker's in each pool and \
         server. With `false` it has exactly nutcracker's keys: programs that read the document, such as \
         exporters for Prometheus, treat any other key of a pool as a server and fail. `nuthatch -D \
         --stats-extended=true` describes all counters.",
    )
    .fills_globals(|globals, on| globals.stats_extended = on);
}
