//! The configuration in force, and how the first one comes into force.

use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use proxy::{Departure, Process};

use super::clusters::Clusters;
use super::directory::Directory;
use super::discoveries::Discoveries;
use super::pools::{Bounds, Pools};
use super::reloads::Reloads;
use super::sockets::{Prepared, Sockets};

use crate::acceptor::{self, Change, ListenerId};
use crate::config::{self, Config, Overrides};
use crate::connections::ConnectionCounts;
use crate::discovery::ServerNames;
use crate::failure::Failure;
use crate::logger::{WARN, log};
use crate::net::Inherited;
use crate::pool::PoolShare;
use crate::resolver::Resolver;
use crate::upgrade::{HandOver, Socket};
use crate::worker::{self, Grouped, Listed, Message};

/// Where the configuration comes from.
#[derive(Debug, Clone)]
pub(crate) struct Files {
    /// The configuration file.
    pub(crate) conf: PathBuf,
    /// The overlay: a second file with settings.
    pub(crate) overlay: Option<PathBuf>,
    /// Global settings from the command line and the environment.
    pub(crate) overrides: Overrides,
}

impl Files {
    /// Reads and checks the files. Warnings are logged.
    pub(crate) fn load(&self) -> Result<Config, Failure> {
        let (conf, overlay) = (self.conf.as_path(), self.overlay.as_deref());
        let config = config::load(conf, overlay, &self.overrides);
        let config = config.map_err(|report| Failure {
            details: report.to_string(),
            line: report.verdict(conf, overlay),
        })?;
        for warning in &config.warnings {
            log!(WARN, "{warning}");
        }
        Ok(config)
    }
}

/// A configuration whose sockets are open and which nothing runs on yet.
pub(crate) struct Draft {
    files: Files,
    config: Config,
    sockets: Sockets,
    prepared: Prepared,
    pools: Pools,
}

/// How long workers may take to answer a question: they are never busy for long.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// The configuration in force.
pub(crate) struct Live {
    pub(super) files: Files,
    pub(super) config: Config,
    pub(super) pools: Pools,
    pub(super) sockets: Sockets,
    pub(super) names: ServerNames,
    pub(super) discoveries: Discoveries,
    pub(super) clusters: Clusters,
    pub(super) workers: Vec<worker::Handle>,
    pub(super) acceptor: acceptor::Handle,
    pub(super) directory: Arc<Directory>,
    /// How many clients there may be with a configuration and so many workers.
    pub(super) max_clients: fn(&Config, usize) -> usize,
    pub(super) reloads: Reloads,
    /// Whether another process is being started in place of this one.
    is_upgrading: bool,
}

impl Draft {
    /// Opens the sockets of `config`, which was read from `files`, or takes them from those that the process was given.
    pub(crate) fn open(
        files: Files,
        config: Config,
        inherited: &mut Inherited,
    ) -> Result<Self, Failure> {
        let mut sockets = Sockets::default();
        let prepared = sockets.prepare(&config, inherited)?;
        let workers = config.globals.workers.count();
        let pools = Pools::new(workers, &Arc::default());
        Ok(Self {
            files,
            config,
            sockets,
            prepared,
            pools,
        })
    }

    /// The configuration.
    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    /// Where servers are found, goes on with those that the process knew which this one replaces.
    pub(crate) fn go_on_from(&mut self, hand_over: &HandOver) {
        for pool in &mut self.config.pools {
            let Some(discovery) = &pool.discovery else {
                continue;
            };
            let source = discovery.source.to_string();
            let servers = hand_over.servers_of(&pool.settings.name, &source, discovery);
            if !servers.is_empty() {
                pool.settings.servers = servers;
            }
        }
    }

    /// Makes the pools, in a process that may have so many clients.
    pub(crate) fn make_pools(
        &mut self,
        process: &Arc<Process>,
        max_clients: usize,
    ) -> Vec<Arc<PoolShare>> {
        self.pools = Pools::new(self.config.globals.workers.count(), process);
        let bounds = Bounds::of(&self.config, max_clients);
        self.pools.replace(&self.config, bounds, &|_| true);
        self.pools
            .deal(self.config.globals.server_connections_total);
        self.pools.current().to_vec()
    }

    /// Puts the configuration in force: `workers` serve its pools already, and clients are accepted once
    /// [`Live::begin`] is called.
    pub(crate) fn start(
        mut self,
        workers: Vec<worker::Handle>,
        counts: &Arc<ConnectionCounts>,
        resolver: &Resolver,
        max_clients: fn(&Config, usize) -> usize,
    ) -> Result<Live, Failure> {
        let names = ServerNames::new(resolver);
        let mut discoveries = Discoveries::new(&names, resolver);
        let turn = discoveries.turn();
        let turn = turn.take();
        names.watch(&self.config, self.pools.current(), &workers);
        discoveries.follow(&turn, &self.config, self.pools.current(), &workers);
        let pools = self.pools.current().to_vec();
        let mut clusters = Clusters::new(resolver, &discoveries.turn());
        clusters.follow(&turn, &self.config, &pools, &workers);
        drop(turn);
        clusters.wait();
        let changes = self.sockets.replace(&self.config, &pools, self.prepared);
        let most = max_clients(&self.config, workers.len());
        let acceptor = acceptor::start(changes.opened, workers.clone(), Arc::clone(counts), most)
            .map_err(|error| Failure::of("accepting clients", &error))?;
        let directory = Arc::new(Directory::new(pools, &self.config));
        Ok(Live {
            files: self.files,
            config: self.config,
            pools: self.pools,
            sockets: self.sockets,
            names,
            discoveries,
            clusters,
            workers,
            acceptor,
            directory,
            max_clients,
            reloads: Reloads::default(),
            is_upgrading: false,
        })
    }
}

impl Live {
    /// The configuration in force.
    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    /// The workers.
    pub(crate) fn workers(&self) -> &[worker::Handle] {
        &self.workers
    }

    /// Its pools, for others to look at.
    pub(crate) fn directory(&self) -> &Arc<Directory> {
        &self.directory
    }

    /// Waits until the servers of all pools that are to be found have been looked for, within this time.
    pub(crate) fn wait_for_servers(&self, time_limit: Duration) {
        self.discoveries.wait(Instant::now() + time_limit);
    }

    /// Clients are accepted from now on; what was taken from another process is ours.
    pub(crate) fn begin(&mut self) {
        let mut changes = self.sockets.own();
        changes.push(Change::Begin);
        self.acceptor.change(changes);
    }

    /// Another process is being started in place of this one, or is no more. What has been handed over must not change
    /// meanwhile.
    pub(crate) fn set_upgrading(&mut self, is_upgrading: bool) {
        self.is_upgrading = is_upgrading;
    }

    /// Whether that is so.
    pub(crate) fn is_upgrading(&self) -> bool {
        self.is_upgrading
    }

    /// A further descriptor of each socket that clients connect to, for another process.
    ///
    /// # Errors
    ///
    /// When the process has no descriptor left.
    pub(crate) fn copy_sockets(&self) -> io::Result<Vec<Socket>> {
        let mut copies = Vec::new();
        for (id, copy) in self.copies() {
            if let Some((purpose, keeps_file)) = self.sockets.about(id) {
                copies.push(Socket {
                    purpose,
                    socket: copy?,
                    keeps_file,
                });
            }
        }
        Ok(copies)
    }

    /// In the order of their ids, so that it is the same each time.
    fn copies(&self) -> Vec<(ListenerId, io::Result<OwnedFd>)> {
        let mut copies = self.acceptor.copies();
        copies.sort_by_key(|(id, _)| *id);
        copies
    }

    /// Another process has those sockets for which `is_taken` says so by their place among the
    /// [copies](Self::copy_sockets): their files are its own now. Returns how many copies there were.
    pub(crate) fn give_away(&mut self, is_taken: impl Fn(usize) -> bool) -> usize {
        self.sockets.give_away(is_taken)
    }

    /// What became of reloads.
    pub(crate) fn reloads(&self) -> &Reloads {
        &self.reloads
    }

    /// Has all workers look at their pools: something was changed behind their backs. Returns whether they have done so
    /// within this time.
    pub(crate) fn tell_workers(&self, time_limit: Duration) -> bool {
        self.tell(|| Message::Planned);
        self.wait_for_workers(Instant::now() + time_limit)
    }

    /// The clients of all workers that hold most memory, of each pool and worker at most so many.
    pub(crate) fn list_clients(&self, most: usize) -> Listed {
        let (sender, listed) = channel();
        self.tell(|| Message::Clients(most, sender.clone()));
        drop(sender);
        answers(&listed).flatten().collect()
    }

    /// The clients of all workers by what they say of themselves; each worker's by themselves.
    pub(crate) fn group_clients(&self) -> Grouped {
        let (sender, grouped) = channel();
        self.tell(|| Message::Groups(sender.clone()));
        drop(sender);
        answers(&grouped).flatten().collect()
    }

    /// Closes the clients with this address; returns how many there were.
    pub(crate) fn kill_clients(&self, address: &str) -> usize {
        let (sender, killed) = channel();
        let address: Arc<str> = address.into();
        self.tell(|| Message::Kill(Arc::clone(&address), sender.clone()));
        drop(sender);
        answers(&killed).sum()
    }

    /// Has the clients told that want to know that the process is about to leave; returns how many were.
    pub(crate) fn announce(&self, departure: Departure) -> usize {
        let (sender, told) = channel();
        self.tell(|| Message::Announce(departure, sender.clone()));
        drop(sender);
        answers(&told).sum()
    }

    /// Sends all workers a message.
    pub(super) fn tell(&self, message: impl Fn() -> Message) {
        for worker in &self.workers {
            worker.insist(message());
        }
    }

    /// Waits until all workers have handled what they were sent; false if that takes too long.
    pub(super) fn wait_for_workers(&self, until: Instant) -> bool {
        let (sender, handled) = channel();
        self.tell(|| Message::Handled(sender.clone()));
        drop(sender);
        let left = until.saturating_duration_since(Instant::now());
        handled.recv_timeout(left) == Err(RecvTimeoutError::Disconnected)
    }

    /// Closes the listening sockets, and removes their files; returns when that is done.
    pub(crate) fn stop_accepting(self) {
        self.acceptor.stop();
    }
}

/// What the workers answer, as far as they do within [`ANSWER_WITHIN`].
fn answers<T>(receiver: &Receiver<T>) -> impl Iterator<Item = T> {
    let until = Instant::now() + ANSWER_WITHIN;
    std::iter::from_fn(move || {
        let left = until.saturating_duration_since(Instant::now());
        receiver.recv_timeout(left).ok()
    })
}
