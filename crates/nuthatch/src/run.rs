//! Runs the proxy: does everything that can fail at start, in an order that leaves nothing behind on failure;
//! then waits for a signal; then shuts down.

mod draining;
mod options;
mod origin;
mod own_sockets;
mod process;
mod replacing;
mod serving;
mod watch;

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use proxy::settings::ProtocolSettings;
use proxy::{Process, WorkerContext};

use crate::access_log;
use crate::admin;
use crate::clock::Clock;
use crate::config::{Config, PoolConfig};
use crate::connections::ConnectionCounts;
use crate::control;
use crate::controller::{Call, Controller, UpgradeAnswer};
use crate::daemon::{Daemon, Role, daemonize};
use crate::descriptors::{self, Needs, descriptor_limit, raise_limit};
use crate::failure::Failure;
use crate::live::{Directory, Draft, Files, Live};
use crate::logger::{self, ALERT, ALWAYS, NOTICE, WARN, log};
use crate::memory_limit::half_of_memory;
use crate::net::error_text;
use crate::pid_file::PidFile;
use crate::pool::PoolShare;
use crate::program::Program;
use crate::resolver::Resolver;
use crate::secret_files;
use crate::signals;
use crate::supervisor::{self, Store};
use crate::upgrade::{HandOver, Successor};
use crate::worker::{self, Message, Peers, WorkerSetup};

use draining::Drain;
pub use options::RunOptions;
use origin::Origin;
use own_sockets::{OwnServers, OwnSockets};
use replacing::Upgrades;
use serving::serve_own;
use watch::Watched;

/// Time that workers get on top of `shutdown_timeout` to end on their own.
const GRACE: Duration = Duration::from_secs(1);

/// How long the start waits for servers that have to be found. The pools are served without them then.
const SERVERS_WITHIN: Duration = Duration::from_secs(3);

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
    let mut origin = match Origin::find(&options) {
        Ok(origin) => origin,
        Err(failure) => return fail(&options, &failure),
    };
    // Who takes the place of a process in the background is there already.
    let daemonizes = options.daemonize && origin.predecessor.is_none();
    let daemon = match daemonizes.then(daemonize).transpose() {
        Ok(Some(Role::Parent(code))) => return code,
        Ok(Some(Role::Daemon(daemon))) => Some(daemon),
        Ok(None) => None,
        Err(error) => {
            let text = error_text(&error);
            let line = format!("running in the background failed: {text}");
            return fail(&options, &Failure::new(line));
        }
    };
    match start(&options, daemon, &mut origin) {
        Ok(running) => running.serve(),
        Err(failure) => {
            if let Some(predecessor) = origin.predecessor {
                predecessor.tell_failure(&failure);
            }
            fail(&options, &failure)
        }
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

/// A worker and its thread.
type Worker = (worker::Handle, JoinHandle<()>);

/// The running proxy. Dropping it removes the socket files and the pid file.
struct Running {
    live: Live,
    workers: Vec<Worker>,
    calls: Receiver<Call>,
    /// Whether signals reload and upgrade whatever the configuration says.
    reloads_by_signal: bool,
    own_servers: OwnServers,
    pid_file: Option<PidFile>,
    view: Arc<admin::View>,
    upgrades: Upgrades,
    /// What the supervisor keeps for the next process.
    store: Store,
}

/// What has the process end.
enum End {
    /// It ends.
    Shutdown {
        /// Whether it drains first.
        drains: bool,
    },
    /// Another process serves in its place.
    Replaced(Box<Successor>),
}

/// Does everything that can fail, and only then lets a daemon's parent exit.
fn start(
    options: &RunOptions,
    daemon: Option<Daemon>,
    origin: &mut Origin,
) -> Result<Running, Failure> {
    let clock = Clock::start();
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
    let own_sockets = OwnSockets::open(options, &config, &mut origin.inherited)?;
    let draft = Draft::open(files, config, &mut origin.inherited)?;
    // That of the process that this one replaces is its own until then.
    let pid_file = match origin.predecessor.is_none() {
        true => create_pid_file(options)?,
        false => None,
    };
    let process = process::describe(options, clock);
    let counts = ConnectionCounts::new(draft.config().globals.workers.count());
    let (live, workers) = start_pools(draft, &process, &counts, origin, clock)?;
    let (own_servers, view) = serve_own(
        own_sockets,
        options,
        &live,
        (process, clock),
        &counts,
        &controller,
    )?;
    if live.config().globals.watch {
        watched
            .start(controller.clone())
            .map_err(|error| Failure::of("starting a thread", &error))?;
    }
    secret_files::watch(Arc::clone(live.directory()))
        .map_err(|error| Failure::of("starting a thread", &error))?;
    if let Some(daemon) = daemon {
        daemon
            .report_ready()
            .map_err(|error| Failure::of("leaving the terminal", &error))?;
    }
    let mut running = Running {
        live,
        workers,
        calls,
        reloads_by_signal: options.program == Program::Nuthatch,
        own_servers,
        pid_file,
        view,
        upgrades: Upgrades {
            started_as: origin.started_as.clone(),
            old_process: None,
            controller,
            clock,
            counts,
        },
        store: std::mem::take(&mut origin.store),
    };
    running.begin(options, origin)?;
    Ok(running)
}

/// Starts the workers with the pools of a configuration. Nobody is accepted yet.
fn start_pools(
    mut draft: Draft,
    process: &Arc<Process>,
    counts: &Arc<ConnectionCounts>,
    origin: &Origin,
    clock: Clock,
) -> Result<(Live, Vec<Worker>), Failure> {
    let workers = draft.config().globals.workers.count();
    announce_limits(draft.config(), workers);
    if let Some(predecessor) = &origin.predecessor {
        draft.go_on_from(predecessor.hand_over());
    }
    let pools = draft.make_pools(process, most_clients(draft.config(), workers));
    if let Some(predecessor) = &origin.predecessor {
        go_on_from(predecessor.hand_over(), &pools, clock);
    }
    let resolver = Resolver::start().map_err(|error| Failure::of("starting a thread", &error))?;
    let workers = start_workers(workers, &pools, counts, clock, &resolver)?;
    let handles = workers.iter().map(|(handle, _)| handle.clone()).collect();
    let live = draft.start(handles, counts, &resolver, most_clients)?;
    live.wait_for_servers(SERVERS_WITHIN);
    Ok((live, workers))
}

/// Goes on from what the process knew that this one replaces.
fn go_on_from(hand_over: &HandOver, pools: &[Arc<PoolShare>], clock: Clock) {
    if let Some(level) = hand_over.log_level {
        logger::set_level(level);
    }
    for pool in pools {
        let records = hand_over.health_of(pool.name());
        pool.core().restore_health(&records, clock.now());
    }
}

impl Running {
    /// Accepts clients from now on, in place of another process if there is one.
    fn begin(&mut self, options: &RunOptions, origin: &mut Origin) -> Result<(), Failure> {
        if let Some(predecessor) = origin.predecessor.take() {
            let old = predecessor.take_over(origin.inherited.taken().collect())?;
            self.view.note_old_process(Arc::clone(&old));
            self.upgrades.old_process = Some(old);
            // It is too late to refuse.
            self.pid_file = create_pid_file(options).unwrap_or_else(|Failure { line, .. }| {
                log!(ALERT, "{line}");
                None
            });
        }
        let inherited = std::mem::take(&mut origin.inherited);
        for address in inherited.left() {
            log!(
                WARN,
                "nothing here listens on {address}, whose socket this process was given; it is closed"
            );
        }
        self.live.begin();
        self.own_servers.own_files();
        self.keep_sockets();
        Ok(())
    }

    /// Does what it is told until it is told to stop, then shuts down.
    fn serve(mut self) -> ExitCode {
        supervisor::ready();
        match self.follow_calls() {
            End::Shutdown { drains } => self.shut_down(drains),
            End::Replaced(successor) => self.leave(*successor),
        }
    }

    fn follow_calls(&mut self) -> End {
        loop {
            let drains = match self.calls.recv() {
                // The signals' thread never ends, so there is always another call.
                Ok(Call::Stop) | Err(_) => false,
                Ok(Call::Terminate) => self.live.config().globals.drain.is_some(),
                Ok(Call::Drain) => true,
                Ok(call) => match self.follow(call) {
                    Some(successor) => return End::Replaced(Box::new(successor)),
                    None => continue,
                },
            };
            return End::Shutdown { drains };
        }
    }

    /// Does what does not end the process; returns the one that serves in its place if one does.
    fn follow(&mut self, call: Call) -> Option<Successor> {
        match call {
            Call::ReloadBySignal => {
                self.reload_by_signal();
                self.keep_sockets();
            }
            Call::UpgradeBySignal if self.obeys_signals() => self.begin_upgrade(None),
            Call::Upgrade(answer) => self.begin_upgrade(Some(answer)),
            Call::Started(started, answer) => {
                return self.upgrades.let_go(&mut self.live, *started, answer);
            }
            Call::Do(work) => {
                work(&mut self.live);
                self.keep_sockets();
            }
            Call::UpgradeBySignal | Call::Stop | Call::Terminate | Call::Drain => {}
        }
        None
    }

    /// Has the supervisor keep the listening sockets of now, if it keeps any.
    fn keep_sockets(&mut self) {
        let generation = self.live.directory().reloads().0;
        if !self.store.is_outdated(generation) {
            return;
        }
        let pools = self.live.copy_sockets();
        let own = self.own_servers.copies();
        match pools.and_then(|pools| Ok((pools, own?))) {
            Ok((pools, own)) => {
                let pools = pools.into_iter().map(|it| it.socket);
                let own = own.into_iter().map(|(_, socket, _)| socket);
                self.store.keep(generation, pools.chain(own));
            }
            Err(error) => log!(
                WARN,
                "the supervisor is given no sockets: {}",
                error_text(&error)
            ),
        }
    }

    fn begin_upgrade(&mut self, answer: Option<SyncSender<UpgradeAnswer>>) {
        let upgrades = &self.upgrades;
        upgrades.begin(&mut self.live, &self.own_servers, answer);
    }

    /// Serves the clients on until they are closed, and ends.
    fn leave(mut self, successor: Successor) -> ExitCode {
        let own_servers = std::mem::take(&mut self.own_servers);
        let pid_file = self.pid_file.take();
        let upgrades = &self.upgrades;
        let drain = upgrades.give_away(successor, &mut self.live, own_servers, pid_file);
        self.end(Some(drain))
    }

    fn shut_down(mut self, drains: bool) -> ExitCode {
        self.view.note_stopping();
        supervisor::stopping(if drains { "draining" } else { "ending" });
        let mut drain = drains.then(|| Drain::of(&self.live.config().globals));
        if drain.is_some_and(|drain| drain.lead_away(&mut self.live, &self.calls)) {
            drain = None;
        }
        self.end(drain)
    }

    fn reload_by_signal(&mut self) {
        if self.obeys_signals() {
            // What became of it is in the log.
            let _ = self.live.reload();
        }
    }

    /// Whether SIGUSR1 and SIGUSR2 have an effect.
    fn obeys_signals(&self) -> bool {
        self.reloads_by_signal || self.live.config().globals.signals
    }

    /// Closes the listeners, then the clients one after the other if it drains; answers what is in flight, and cleans up.
    fn end(mut self, drain: Option<Drain>) -> ExitCode {
        let shutdown_timeout = self.live.config().globals.shutdown_timeout;
        let directory = Arc::clone(self.live.directory());
        if self.store.is_active() {
            self.live.give_away(|_| true);
            self.own_servers.leave_files();
        }
        self.live.stop_accepting();
        // They are served until the process ends; only their files go.
        drop(self.own_servers);
        if let Some(drain) = drain {
            close_clients(drain, &self.workers, &directory, &self.calls);
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
        access_log::flush(LOG_TIME_LIMIT);
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

/// Closes the clients one after the other. A call that stops the process cuts it short.
fn close_clients(drain: Drain, workers: &[Worker], directory: &Directory, calls: &Receiver<Call>) {
    if Drain::wait_for_clients(drain.pause(), directory, calls) {
        return;
    }
    let (clients, within) = (draining::clients(directory), drain.within());
    log!(
        NOTICE,
        "draining: closing {clients} clients within {} ms",
        within.as_millis()
    );
    for (worker, _) in workers {
        worker.insist(Message::Leave(within));
    }
    Drain::wait_for_clients(within, directory, calls);
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

fn start_access_log(config: &Config) -> Result<(), Failure> {
    let path = config.globals.access_log_file.as_deref();
    let prepared = access_log::prepare(path);
    access_log::follow(prepared.map_err(|error| cannot_open("access log", path, &error))?);
    Ok(())
}

fn files(options: &RunOptions) -> Files {
    Files {
        conf: options.conf_file.clone(),
        overlay: options.overlay.clone(),
        overrides: options.overrides.clone(),
    }
}

/// Reads the configuration; from now on the log has the form that it asks for, and there is an access log if it asks for that.
fn read_config(files: &Files) -> Result<Config, Failure> {
    let config = files.load()?;
    logger::set_format(config.globals.log_format);
    start_access_log(&config)?;
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

/// Says what becomes of commands with keys of several servers, where the files leave that open.
fn announce_cross_shard(config: &Config) {
    let is_open = |pool: &&PoolConfig| {
        let is_redis = matches!(pool.settings.protocol, ProtocolSettings::Redis(_));
        let is_ring = pool.cluster.is_none() && pool.settings.servers.len() > 1;
        is_redis && is_ring && !pool.has_cross_shard
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
) -> Result<Vec<Worker>, Failure> {
    let peers = Peers::default();
    let setup = |number| WorkerSetup {
        context: WorkerContext {
            worker: number,
            seed: RandomState::new().hash_one(number),
        },
        pools: pools.to_vec(),
        counts: Arc::clone(counts),
        clock,
        resolver: resolver.clone(),
        peers: peers.clone(),
    };
    let started: std::io::Result<Vec<_>> = (0..count).map(setup).map(worker::start).collect();
    let started = started.map_err(|error| Failure::of("starting a worker", &error))?;
    peers.introduce(started.iter().map(|(handle, _)| handle.clone()));
    Ok(started)
}

/// Logs how much the process may use.
fn announce_limits(config: &Config, workers: usize) {
    let all = config.with_failovers();
    let (limit, clients) = (descriptor_limit(), most_clients(config, workers));
    let total = config.globals.server_connections_total;
    let server_connections =
        descriptors::shared(&all, workers, total, |pool| pool.server_connections);
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
    let mut needs = Needs::of(
        &config.with_failovers(),
        workers,
        config.globals.server_connections_total,
    );
    needs.listeners += admin::descriptors(&config.globals) + control::descriptors(&config.globals);
    needs
}

fn cannot_open(what: &str, path: Option<&std::path::Path>, error: &std::io::Error) -> Failure {
    let name = path.unwrap_or_else(|| "".as_ref()).display();
    Failure::of(&format!("opening {what} file '{name}'"), error)
}
