//! Runs the proxy: does everything that can fail at start, in an order that leaves nothing behind on failure;
//! then waits for a signal; then shuts down.

mod failure;
mod options;
mod pools;
mod process;
mod server_names;
mod sockets;

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use proxy::WorkerContext;
use proxy::settings::{PoolSettings, ProtocolSettings};
use rustix::system::uname;

use crate::acceptor::{self, PoolListener};
use crate::clock::Clock;
use crate::config::{self, Config, PoolConfig};
use crate::connections::ConnectionCounts;
use crate::daemon::{Daemon, Role, daemonize};
use crate::descriptors::{Needs, raise_limit};
use crate::logger::{self, ALERT, ALWAYS, NOTICE, WARN, log};
use crate::memory_limit::half_of_memory;
use crate::net::{SocketFile, error_text};
use crate::pid_file::PidFile;
use crate::pool::PoolShare;
use crate::resolver::Resolver;
use crate::signals::{self, Stop};
use crate::stats::{self, Source};
use crate::usage;
use crate::worker::{self, WorkerSetup};
use failure::Failure;
use sockets::Sockets;

pub use options::RunOptions;

/// Time that workers get on top of `shutdown_timeout` to end on their own.
const GRACE: Duration = Duration::from_secs(1);

/// How often the shutdown checks whether the workers have ended.
const WATCH: Duration = Duration::from_millis(10);

/// Maximum time to write the last log lines.
const LOG_TIME_LIMIT: Duration = Duration::from_secs(1);

/// Stop requests that can be pending: the first one, and a second that ends the shutdown at once.
const STOPS: usize = 2;

/// Runs the proxy until it is told to stop.
///
/// The status is 0 after a clean shutdown, and 1 if it could not start or a second signal cut the shutdown
/// short. With `daemonize` the original process returns as soon as the daemon is ready or has failed.
pub fn run(options: RunOptions) -> ExitCode {
    let daemon = match options.daemonize.then(daemonize).transpose() {
        Ok(Some(Role::Parent(code))) => return code,
        Ok(Some(Role::Daemon(daemon))) => Some(daemon),
        Ok(None) => None,
        Err(error) => {
            let text = error_text(&error);
            let line = format!("running in the background failed: {text}");
            return fail(&options, &Failure::new(line));
        }
    };
    match start(&options, daemon) {
        Ok(running) => running.serve(),
        Err(failure) => fail(&options, &failure),
    }
}

/// Reports why the proxy did not start, on standard error and also in the log if that is elsewhere.
fn fail(options: &RunOptions, Failure { details, line }: &Failure) -> ExitCode {
    if options.log_file.is_some() {
        details.lines().for_each(|line| log!(ALERT, "{line}"));
        log!(ALERT, "{line}");
    }
    // So that the reason comes last when the log is standard error.
    logger::flush(LOG_TIME_LIMIT);
    let name = options.program.name();
    // A failure of standard error cannot be reported.
    let text = format!("{details}{name}: {line}\n");
    let _ = std::io::stderr().write_all(logger::escape::lines(&text).as_bytes());
    ExitCode::FAILURE
}

/// The running proxy. Dropping it removes the socket files and the pid file.
struct Running {
    acceptor: acceptor::Handle,
    workers: Vec<(worker::Handle, JoinHandle<()>)>,
    stops: Receiver<Stop>,
    shutdown_timeout: Duration,
    socket_files: Vec<SocketFile>,
    pid_file: Option<PidFile>,
}

/// Does everything that can fail, and only then lets a daemon's parent exit.
fn start(options: &RunOptions, daemon: Option<Daemon>) -> Result<Running, Failure> {
    let clock = Clock::start();
    let started = Instant::now();
    logger::start(options.log_file.clone(), options.verbosity)
        .map_err(|error| cannot_open("log", options.log_file.as_deref(), &error))?;
    logger::log_panics();
    let (sender, stops) = sync_channel(STOPS);
    signals::start(sender).map_err(|error| Failure::of("handling signals", &error))?;
    announce(options);
    let config = load(options)?;
    let limit = raise_limit();
    let sockets = Sockets::open(&config, &options.stats_addr, options.stats_port)?;
    let pid_file = options.pid_file.as_deref().map(PidFile::create).transpose();
    let pid_file =
        pid_file.map_err(|error| cannot_open("pid", options.pid_file.as_deref(), &error))?;

    let workers = config.globals.workers.count();
    let max_memory = config.globals.max_memory.unwrap_or_else(half_of_memory);
    let counts = ConnectionCounts::new(workers);
    let max_clients = max_clients(&config, workers, limit);
    let process = process::describe(options, clock);
    let pools = pools::build(&config, workers, max_memory, &process, max_clients);
    match max_memory {
        0 => log!(NOTICE, "buffers may hold any number of bytes"),
        most => log!(NOTICE, "buffers may hold up to {most} bytes"),
    }
    let socket_files = sockets.files;
    let (stats_listener, listeners) = (sockets.stats, sockets.pools);
    let resolver = Resolver::start().map_err(|error| Failure::of("starting a thread", &error))?;
    let workers = start_workers(workers, &pools, &counts, clock, &resolver)?;
    let handles: Vec<_> = workers.iter().map(|(handle, _)| handle.clone()).collect();
    server_names::watch(&config, &pools, &handles, &resolver);
    let listeners = listeners.into_iter().zip(&pools);
    let listeners = listeners.map(|(listener, pool)| PoolListener {
        listener,
        pool: Arc::clone(pool),
    });
    let listeners = listeners.collect();
    let acceptor = acceptor::start(listeners, handles, Arc::clone(&counts), max_clients)
        .map_err(|error| Failure::of("accepting clients", &error))?;
    let source = Source {
        version: options.program.version(),
        hostname: hostname(),
        started,
        clock,
        counts,
        extended: config.globals.stats_extended,
        pools,
    };
    usage::start(process, source.pools.clone())
        .map_err(|error| Failure::of("starting a thread", &error))?;
    stats::start(stats_listener, source)
        .map_err(|error| Failure::of("serving statistics", &error))?;
    if let Some(daemon) = daemon {
        daemon
            .report_ready()
            .map_err(|error| Failure::of("leaving the terminal", &error))?;
    }
    Ok(Running {
        acceptor,
        workers,
        stops,
        shutdown_timeout: config.globals.shutdown_timeout,
        socket_files,
        pid_file,
    })
}

impl Running {
    /// Waits for a stop request, then shuts down.
    fn serve(self) -> ExitCode {
        // The signals' thread never ends, so this only returns on a stop request.
        let _ = self.stops.recv();
        self.end()
    }

    /// Closes the listeners, answers what is in flight, and cleans up.
    fn end(self) -> ExitCode {
        self.acceptor.stop();
        drop(self.socket_files);
        for (worker, _) in &self.workers {
            worker.shut_down(self.shutdown_timeout);
        }
        let deadline = Instant::now() + self.shutdown_timeout + GRACE;
        let working = || self.workers.iter().any(|(_, thread)| !thread.is_finished());
        let mut hurried = false;
        while working() && Instant::now() < deadline && !hurried {
            hurried = self.stops.recv_timeout(WATCH) != Err(RecvTimeoutError::Timeout);
        }
        drop(self.pid_file);
        // What was left out of the log until now comes before its last line.
        logger::flush(LOG_TIME_LIMIT);
        log!(ALWAYS, "done");
        logger::flush(LOG_TIME_LIMIT);
        match hurried {
            true => ExitCode::FAILURE,
            false => ExitCode::SUCCESS,
        }
    }
}

fn announce(options: &RunOptions) {
    let (program, version) = (options.program.name(), options.program.version());
    let (system, pid) = (process::system(), std::process::id());
    log!(
        ALWAYS,
        "{program}-{version} built for {system} started on pid {pid}"
    );
}

fn hostname() -> String {
    uname().nodename().to_string_lossy().into_owned()
}

fn load(options: &RunOptions) -> Result<Config, Failure> {
    let path = options.conf_file.as_path();
    let config = config::load(path, options.overlay.as_deref(), &options.overrides);
    let config = config.map_err(|report| Failure {
        details: report.to_string(),
        line: report.verdict(path, options.overlay.as_deref()),
    })?;
    for warning in &config.warnings {
        log!(WARN, "{warning}");
    }
    announce_cross_shard(&config);
    Ok(config)
}

/// Says what becomes of commands with keys of several servers, where the files leave that open.
fn announce_cross_shard(config: &Config) {
    let is_open = |pool: &&PoolConfig| {
        let is_redis = matches!(pool.settings.protocol, ProtocolSettings::Redis(_));
        is_redis && pool.settings.servers.len() > 1 && !pool.has_cross_shard
    };
    for pool in config.pools.iter().filter(is_open) {
        let name = &pool.settings.name;
        log!(
            NOTICE,
            "pool '{name}': a command with keys of several servers goes to the first key's server, as with twemproxy, \
             but clients that begin with HELLO, CLIENT, SELECT, INFO or a subcommand of COMMAND get an error instead; \
             `cross_shard: first_key` keeps twemproxy's way for all"
        );
    }
}

fn start_workers(
    count: usize,
    pools: &[Arc<PoolShare>],
    counts: &Arc<ConnectionCounts>,
    clock: Clock,
    resolver: &Resolver,
) -> Result<Vec<(worker::Handle, JoinHandle<()>)>, Failure> {
    let setup = |number| WorkerSetup {
        context: WorkerContext {
            worker: number,
            seed: RandomState::new().hash_one(number),
        },
        pools: pools.to_vec(),
        counts: Arc::clone(counts),
        clock,
        resolver: resolver.clone(),
    };
    let started: std::io::Result<Vec<_>> = (0..count).map(setup).map(worker::start).collect();
    started.map_err(|error| Failure::of("starting a worker", &error))
}

/// The number of clients that descriptors allow, or the wanted number if that is smaller; logs it with the
/// other uses of descriptors.
fn max_clients(config: &Config, workers: usize, limit: u64) -> usize {
    // As many as `per_server` says for the servers of each pool and of its failover pool, in each worker.
    let sum = |per_server: fn(&PoolSettings) -> usize| {
        config.pools.iter().fold(0u64, |sum, pool| {
            let of = |pool: &PoolConfig| {
                let servers = pool.settings.servers.len();
                per_server(&pool.settings).saturating_mul(servers)
            };
            let other = config.failover_of(pool).map(|other| &config.pools[other]);
            let per_worker = of(pool).saturating_add(other.map_or(0, of));
            sum.saturating_add(per_worker.saturating_mul(workers) as u64)
        })
    };
    let server_connections = sum(|pool| pool.server_connections);
    let needs = Needs {
        listeners: config.pools.len() as u64,
        workers: workers as u64,
        server_connections: sum(|pool| {
            let of_versions = pool.server_connections.saturating_mul(pool.versions());
            of_versions.saturating_add(1)
        }),
    };
    let clients = needs.clients(limit).unwrap_or_else(|| {
        let half = limit / 2;
        log!(
            WARN,
            "{limit} descriptors are too few for {server_connections} server connections and any \
             clients; up to {half} clients are let in, and some servers may not be reached"
        );
        half
    });
    let clients = match config.globals.max_clients {
        0 => clients,
        wanted => clients.min(wanted),
    };
    log!(
        NOTICE,
        "up to {server_connections} server connections ({workers} workers), up to {clients} clients \
         ({limit} descriptors)"
    );
    usize::try_from(clients).unwrap_or(usize::MAX)
}

fn cannot_open(what: &str, path: Option<&std::path::Path>, error: &std::io::Error) -> Failure {
    let name = path.unwrap_or_else(|| "".as_ref()).display();
    Failure::of(&format!("opening {what} file '{name}'"), error)
}
