//! Runs the proxy: does everything that can fail at start, in an order that leaves nothing behind on failure;
//! then waits for a signal; then shuts down.

mod draining;
mod options;
mod process;
mod watch;

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::io::Write;
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use proxy::settings::ProtocolSettings;
use proxy::{Process, WorkerContext};
use rustix::system::uname;

use crate::admin;
use crate::clock::Clock;
use crate::config::{Config, Globals, PoolConfig};
use crate::connections::ConnectionCounts;
use crate::control;
use crate::controller::{Call, Controller};
use crate::daemon::{Daemon, Role, daemonize};
use crate::descriptors::{self, Needs, descriptor_limit, raise_limit};
use crate::failure::Failure;
use crate::live::{Draft, Files, Live, open_admin, open_stats};
use crate::logger::{self, ALERT, ALWAYS, NOTICE, WARN, log};
use crate::memory_limit::half_of_memory;
use crate::net::{Listener, SocketFile, error_text};
use crate::pid_file::PidFile;
use crate::pool::PoolShare;
use crate::program::Program;
use crate::resolver::Resolver;
use crate::signals;
use crate::stats::{self, Source};
use crate::supervisor;
use crate::usage;
use crate::worker::{self, Message, WorkerSetup};

use draining::Drain;
pub use options::RunOptions;
use watch::Watched;

/// Time that workers get on top of `shutdown_timeout` to end on their own.
const GRACE: Duration = Duration::from_secs(1);

/// How often the shutdown checks whether the workers have ended.
const WATCH: Duration = Duration::from_millis(10);

/// Maximum time to write the last log lines.
const LOG_TIME_LIMIT: Duration = Duration::from_secs(1);

/// Calls that can be pending: more than connections of the control socket, which make one at a time.
const CALLS: usize = 64;

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

/// Reports why the proxy did not start, on standard error and also in the log if that is elsewhere. If the log is standard
/// error and has lines of JSON, nothing else is written there.
fn fail(options: &RunOptions, Failure { details, line }: &Failure) -> ExitCode {
    let is_json = logger::is_json();
    if options.log_file.is_some() || is_json {
        details.lines().for_each(|line| log!(ALERT, "{line}"));
        log!(ALERT, "{line}");
    }
    // So that the reason comes last when the log is standard error.
    logger::flush(LOG_TIME_LIMIT);
    if is_json && options.log_file.is_none() {
        return ExitCode::FAILURE;
    }
    let name = options.program.name();
    // A failure of standard error cannot be reported.
    let text = format!("{details}{name}: {line}\n");
    let _ = std::io::stderr().write_all(logger::escape::lines(&text).as_bytes());
    ExitCode::FAILURE
}

/// The running proxy. Dropping it removes the socket files and the pid file.
struct Running {
    live: Live,
    workers: Vec<(worker::Handle, JoinHandle<()>)>,
    calls: Receiver<Call>,
    /// Whether SIGUSR1 reloads whatever the configuration says.
    reloads_by_signal: bool,
    socket_files: [Option<SocketFile>; 2],
    pid_file: Option<PidFile>,
    view: Arc<admin::View>,
}

/// Does everything that can fail, and only then lets a daemon's parent exit.
fn start(options: &RunOptions, daemon: Option<Daemon>) -> Result<Running, Failure> {
    let clock = Clock::start();
    let started = Instant::now();
    start_log(options)?;
    let (sender, calls) = sync_channel(CALLS);
    let controller = Controller::new(sender);
    let handled = signals::start(controller.clone());
    handled.map_err(|error| Failure::of("handling signals", &error))?;
    announce(options);
    let files = files(options);
    let watched = Watched::new(&files);
    let config = read_config(&files)?;
    raise_limit();
    let (stats_listener, stats_file) =
        open_stats(&options.stats_addr, options.stats_port, &config)?;
    let admin_listener = open_admin(&config)?;
    let mut draft = Draft::open(files, config)?;
    let control = draft.config().globals.control.as_deref();
    let control = control.map(open_control).transpose()?;
    let pid_file = create_pid_file(options)?;

    let workers = draft.config().globals.workers.count();
    let counts = ConnectionCounts::new(workers);
    let process = process::describe(options, clock);
    announce_limits(draft.config(), workers);
    let pools = draft.make_pools(&process, most_clients(draft.config(), workers));
    let resolver = Resolver::start().map_err(|error| Failure::of("starting a thread", &error))?;
    let workers = start_workers(workers, &pools, &counts, clock, &resolver)?;
    let handles = workers.iter().map(|(handle, _)| handle.clone()).collect();
    let live = draft.start(handles, &counts, &resolver, most_clients)?;
    let source = Arc::new(Source {
        version: options.program.version(),
        hostname: hostname(),
        started,
        clock,
        counts: Arc::clone(&counts),
        directory: Arc::clone(live.directory()),
    });
    let view = start_admin(admin_listener, &live.config().globals, &source, &process)?;
    start_statistics(process, stats_listener, &source)?;
    let facts = control::Facts {
        version: env!("CARGO_PKG_VERSION"),
        started,
        counts,
        stats: source,
        view: Arc::clone(&view),
        conf_file: options.conf_file.clone(),
    };
    let serve = |control| start_control(control, controller.clone(), facts);
    let control_file = control.map(serve).transpose()?;
    if live.config().globals.watch {
        watched
            .start(controller)
            .map_err(|error| Failure::of("starting a thread", &error))?;
    }
    if let Some(daemon) = daemon {
        daemon
            .report_ready()
            .map_err(|error| Failure::of("leaving the terminal", &error))?;
    }
    Ok(Running {
        live,
        workers,
        calls,
        reloads_by_signal: options.program == Program::Nuthatch,
        socket_files: [stats_file, control_file],
        pid_file,
        view,
    })
}

impl Running {
    /// Does what it is told until it is told to stop, then shuts down.
    fn serve(mut self) -> ExitCode {
        supervisor::ready();
        // The signals' thread never ends, so there is always another call.
        let drains = loop {
            match self.calls.recv() {
                Ok(Call::Stop) | Err(_) => break false,
                Ok(Call::Terminate) => break self.live.config().globals.drain.is_some(),
                Ok(Call::Drain) => break true,
                Ok(Call::ReloadBySignal) => self.reload_by_signal(),
                Ok(Call::Do(work)) => work(&mut self.live),
            }
        };
        self.view.note_stopping();
        supervisor::stopping(if drains { "draining" } else { "ending" });
        let mut drain = drains.then(|| Drain::of(&self.live.config().globals));
        if drain.is_some_and(|drain| drain.lead_away(&mut self.live, &self.calls)) {
            drain = None;
        }
        self.end(drain)
    }

    fn reload_by_signal(&mut self) {
        if self.reloads_by_signal || self.live.config().globals.signals {
            // What became of it is in the log.
            let _ = self.live.reload();
        }
    }

    /// Closes the listeners, then the clients one after the other if it drains; answers what is in flight, and cleans up.
    fn end(self, drain: Option<Drain>) -> ExitCode {
        let shutdown_timeout = self.live.config().globals.shutdown_timeout;
        let directory = Arc::clone(self.live.directory());
        self.live.stop_accepting();
        drop(self.socket_files);
        if let Some(drain) = drain {
            for (worker, _) in &self.workers {
                worker.insist(Message::Leave(drain.within()));
            }
            drain.wait_for_clients(&directory, &self.calls);
        }
        for (worker, _) in &self.workers {
            worker.shut_down(shutdown_timeout);
        }
        let deadline = Instant::now() + shutdown_timeout + GRACE;
        let working = || self.workers.iter().any(|(_, thread)| !thread.is_finished());
        let mut hurried = false;
        while working() && Instant::now() < deadline && !hurried {
            hurried = match self.calls.recv_timeout(WATCH) {
                Ok(Call::Stop | Call::Terminate) | Err(RecvTimeoutError::Disconnected) => true,
                // It is too late for anything else.
                Ok(_) | Err(RecvTimeoutError::Timeout) => false,
            };
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

fn create_pid_file(options: &RunOptions) -> Result<Option<PidFile>, Failure> {
    let path = options.pid_file.as_deref();
    let created = path.map(PidFile::create).transpose();
    created.map_err(|error| cannot_open("pid", path, &error))
}

fn start_log(options: &RunOptions) -> Result<(), Failure> {
    let format = options.overrides.log_format();
    logger::start(options.log_file.clone(), options.verbosity, format)
        .map_err(|error| cannot_open("log", options.log_file.as_deref(), &error))?;
    logger::log_panics();
    Ok(())
}

fn start_statistics(
    process: Arc<Process>,
    listener: Listener,
    source: &Arc<Source>,
) -> Result<(), Failure> {
    usage::start(process, Arc::clone(&source.directory))
        .map_err(|error| Failure::of("starting a thread", &error))?;
    stats::start(listener, Arc::clone(source))
        .map_err(|error| Failure::of("serving statistics", &error))
}

fn start_control(
    (listener, file): (UnixListener, SocketFile),
    controller: Controller,
    facts: control::Facts,
) -> Result<SocketFile, Failure> {
    control::start(listener, controller, facts)
        .map_err(|error| Failure::of("starting a thread", &error))?;
    Ok(file)
}

fn open_control(path: &std::path::Path) -> Result<(UnixListener, SocketFile), Failure> {
    control::open(path).map_err(|error| {
        let (path, text) = (path.display(), error_text(&error));
        Failure::new(format!(
            "cannot listen on '{path}' for `nuthatch ctl`: {text}"
        ))
    })
}

fn files(options: &RunOptions) -> Files {
    Files {
        conf: options.conf_file.clone(),
        overlay: options.overlay.clone(),
        overrides: options.overrides.clone(),
    }
}

/// Reads the configuration; from now on the log has the form that it asks for.
fn read_config(files: &Files) -> Result<Config, Failure> {
    let config = files.load()?;
    logger::set_format(config.globals.log_format);
    announce_cross_shard(&config);
    Ok(config)
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
            { pool: &**name },
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

/// Serves the admin pages, if they are to be. Returns what they see, which is told on the control socket, too.
fn start_admin(
    listener: Option<TcpListener>,
    globals: &Globals,
    source: &Arc<Source>,
    process: &Arc<Process>,
) -> Result<Arc<admin::View>, Failure> {
    let view = admin::View::new(Arc::clone(source), Arc::clone(process));
    if let Some(listener) = listener {
        admin::start(listener, globals, Arc::clone(&view))
            .map_err(|error| Failure::of("serving the admin pages", &error))?;
    }
    Ok(view)
}

/// Logs how much the process may use.
fn announce_limits(config: &Config, workers: usize) {
    let all = config.with_failovers();
    let (limit, clients) = (descriptor_limit(), most_clients(config, workers));
    let server_connections = descriptors::sum(&all, workers, |pool| pool.server_connections);
    if needs(config, workers).clients(limit).is_none() {
        log!(
            WARN,
            "{limit} descriptors are too few for {server_connections} server connections and any \
             clients; up to {clients} clients are let in, and some servers may not be reached"
        );
    }
    log!(
        NOTICE,
        "up to {server_connections} server connections ({workers} workers), up to {clients} clients \
         ({limit} descriptors)"
    );
    match config.globals.max_memory.unwrap_or_else(half_of_memory) {
        0 => log!(NOTICE, "buffers may hold any number of bytes"),
        most => log!(NOTICE, "buffers may hold up to {most} bytes"),
    }
}

/// The number of clients that descriptors allow, or the wanted number if that is smaller.
fn most_clients(config: &Config, workers: usize) -> usize {
    let limit = descriptor_limit();
    let needs = needs(config, workers);
    let clients = needs.clients(limit).unwrap_or(limit / 2);
    let clients = match config.globals.max_clients {
        0 => clients,
        wanted => clients.min(wanted),
    };
    usize::try_from(clients).unwrap_or(usize::MAX)
}

/// What needs descriptors besides clients.
fn needs(config: &Config, workers: usize) -> Needs {
    let mut needs = Needs::of(&config.with_failovers(), workers);
    needs.listeners += admin::descriptors(&config.globals) + control::descriptors(&config.globals);
    needs
}

fn cannot_open(what: &str, path: Option<&std::path::Path>, error: &std::io::Error) -> Failure {
    let name = path.unwrap_or_else(|| "".as_ref()).display();
    Failure::of(&format!("opening {what} file '{name}'"), error)
}
