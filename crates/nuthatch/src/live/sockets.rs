//! The listening sockets of the process. All are opened before anything is changed, or it fails with a reason that names
//! the one that failed.

use std::io;
use std::sync::Arc;

use crate::acceptor::{Change, Handle, ListenerId, PoolListener};
use crate::config::{Config, Listen, PoolConfig};
use crate::failure::Failure;
use crate::logger::{WARN, log};
use crate::net::{Inherited, Listener, SocketFile, error_text};
use crate::pool::PoolShare;

/// The sockets that clients of pools connect to.
#[derive(Debug, Default)]
pub(super) struct Sockets {
    open: Vec<OpenSocket>,
    /// How many were ever opened.
    opened: usize,
}

/// A socket that the acceptor has.
#[derive(Debug)]
struct OpenSocket {
    id: ListenerId,
    listen: Listen,
    backlog: u32,
    /// Whose clients connect to it.
    pool: Arc<PoolShare>,
    /// Whether they speak TLS.
    is_secured: bool,
    file: Option<SocketFile>,
    is_inherited: bool,
}

/// A socket that was opened, or given to the process, and has no clients of it yet.
#[derive(Debug)]
struct NewSocket {
    id: ListenerId,
    listener: Listener,
    file: Option<SocketFile>,
    is_inherited: bool,
}

/// For each entrance of each pool of a configuration its socket, if that is a new one. Dropping this closes them.
#[derive(Debug)]
pub(super) struct Prepared(Vec<Option<NewSocket>>);

/// What the acceptor is to do.
#[derive(Debug, Default)]
pub(super) struct Changes {
    pub(super) opened: Vec<PoolListener>,
    pub(super) others: Vec<Change>,
}

impl Sockets {
    /// Opens the sockets that `config` needs and that are not open yet, or takes them from those that the process was given.
    pub(super) fn prepare(
        &mut self,
        config: &Config,
        inherited: &mut Inherited,
    ) -> Result<Prepared, Failure> {
        let entrances: Vec<(&PoolConfig, &Listen)> = entrances(config)
            .map(|(at, listen, _)| (&config.pools[at], listen))
            .collect();
        let mut new = Vec::with_capacity(entrances.len());
        for (at, (pool, listen)) in entrances.iter().enumerate() {
            // Pools may share an address (`reuseport`): each needs a socket of its own.
            let earlier = entrances[..at].iter().filter(|(_, it)| is_same(it, listen));
            let open = self.open.iter().filter(|it| is_same(&it.listen, listen));
            new.push(match earlier.count() < open.count() {
                true => None,
                false => Some(self.open(pool, listen, inherited)?),
            });
        }
        Ok(Prepared(new))
    }

    fn position(&self, listen: &Listen) -> Option<usize> {
        self.open.iter().position(|it| is_same(&it.listen, listen))
    }

    fn open(
        &mut self,
        pool: &PoolConfig,
        listen: &Listen,
        inherited: &mut Inherited,
    ) -> Result<NewSocket, Failure> {
        let given = take(listen, inherited);
        let is_inherited = given.is_some();
        let (listener, file) = given.map_or_else(|| open_entrance(pool, listen), Ok)?;
        self.opened += 1;
        Ok(NewSocket {
            id: ListenerId::new(self.opened),
            listener,
            file,
            is_inherited,
        })
    }

    /// What was taken from another process is ours from now on. Returns what the acceptor is to do: such a socket has the
    /// settings of that process still.
    pub(super) fn own(&mut self) -> Vec<Change> {
        let mut changes = Vec::new();
        for socket in self.open.iter_mut().filter(|it| it.is_inherited) {
            if let Some(file) = &mut socket.file {
                file.own();
            }
            socket.set_mode(&socket.listen);
            changes.push(Change::Backlog(socket.id, socket.backlog));
        }
        changes
    }

    /// The socket with this id, for another process: what it is for, and whether its file stays when a process ends.
    pub(super) fn about(&self, id: ListenerId) -> Option<(String, bool)> {
        let socket = self.open.iter().find(|it| it.id == id)?;
        let purpose = format!("pool '{}'", socket.pool.name());
        Some((purpose, socket.file.is_none()))
    }

    /// Another process has those sockets for which `is_taken` says so by their place in the order of their ids. Returns how
    /// many sockets there are.
    pub(super) fn give_away(&mut self, is_taken: impl Fn(usize) -> bool) -> usize {
        self.open.sort_by_key(|it| it.id);
        for (at, socket) in self.open.iter_mut().enumerate() {
            if let Some(file) = socket.file.take_if(|_| is_taken(at)) {
                file.give_away();
            }
        }
        self.open.len()
    }

    /// From now on the sockets are those of `config`, whose pools are `pools`. Returns what the acceptor is to do; the
    /// files of sockets that are closed are removed at once.
    pub(super) fn replace(
        &mut self,
        config: &Config,
        pools: &[Arc<PoolShare>],
        prepared: Prepared,
    ) -> Changes {
        let mut changes = Changes::default();
        let mut open = Vec::with_capacity(pools.len());
        for ((at, listen, is_secured), new) in entrances(config).zip(prepared.0) {
            let known = self.position(listen);
            let (listen, pool) = (listen.clone(), Arc::clone(&pools[at]));
            let backlog = config.pools[at].backlog;
            if let Some(new) = new {
                let NewSocket {
                    id,
                    listener,
                    file,
                    is_inherited,
                } = new;
                let listener = PoolListener {
                    id,
                    listener,
                    pool: Arc::clone(&pool),
                    is_secured,
                };
                changes.opened.push(listener);
                open.push(OpenSocket {
                    id,
                    listen,
                    backlog,
                    pool,
                    is_secured,
                    file,
                    is_inherited,
                });
            } else if let Some(known) = known.map(|at| self.open.swap_remove(at)) {
                let clients = (pool, is_secured);
                open.push(known.follow(listen, backlog, clients, &mut changes.others));
            }
        }
        let closed = self.open.iter().map(|it| Change::Close(it.id));
        changes.others.extend(closed);
        self.open = open;
        changes
    }
}

impl OpenSocket {
    /// The same socket with other settings, or for another pool.
    fn follow(
        mut self,
        listen: Listen,
        backlog: u32,
        (pool, is_secured): (Arc<PoolShare>, bool),
        changes: &mut Vec<Change>,
    ) -> Self {
        if !Arc::ptr_eq(&self.pool, &pool) || self.is_secured != is_secured {
            changes.push(Change::Assign(self.id, Arc::clone(&pool), is_secured));
        }
        if self.backlog != backlog {
            changes.push(Change::Backlog(self.id, backlog));
        }
        if self.listen != listen {
            self.set_mode(&listen);
        }
        (self.listen, self.backlog) = (listen, backlog);
        (self.pool, self.is_secured) = (pool, is_secured);
        self
    }

    fn set_mode(&self, listen: &Listen) {
        let (
            Some(file),
            Listen::Unix {
                mode: Some(mode), ..
            },
        ) = (&self.file, listen)
        else {
            return;
        };
        if let Err(error) = file.set_mode(*mode) {
            let (address, text) = (listen.text(), error_text(&error));
            log!(WARN, "the mode of '{address}' stays as it is: {text}");
        }
    }
}

impl Prepared {
    /// Has the acceptor's poll know the new sockets: the last thing that can fail.
    pub(super) fn register(&mut self, acceptor: &Handle) -> io::Result<()> {
        for NewSocket { id, listener, .. } in self.0.iter_mut().flatten() {
            acceptor.register(*id, listener)?;
        }
        Ok(())
    }
}

/// Whether both are the same address.
fn is_same(one: &Listen, other: &Listen) -> bool {
    match (one, other) {
        (Listen::Tcp { addr: one, .. }, Listen::Tcp { addr: other, .. }) => one == other,
        (Listen::Unix { path: one, .. }, Listen::Unix { path: other, .. }) => one == other,
        _ => false,
    }
}

/// The socket for this address, if the process was given one.
fn take(listen: &Listen, inherited: &mut Inherited) -> Option<(Listener, Option<SocketFile>)> {
    match listen {
        Listen::Tcp { addr, .. } => Some((inherited.take_tcp(*addr)?, None)),
        Listen::Unix { path, .. } => inherited.take_unix(path),
    }
}

/// Every address of every pool in order: the index of the pool, the address, and whether clients speak TLS there.
fn entrances(config: &Config) -> impl Iterator<Item = (usize, &Listen, bool)> {
    let pools = config.pools.iter().enumerate();
    pools.flat_map(|(at, pool)| {
        let entrances = pool.entrances();
        entrances.map(move |(listen, is_secured)| (at, listen, is_secured))
    })
}

fn open_entrance(
    pool: &PoolConfig,
    listen: &Listen,
) -> Result<(Listener, Option<SocketFile>), Failure> {
    let opened = match listen {
        Listen::Tcp { addr, .. } => {
            Listener::tcp(*addr, pool.backlog, pool.reuseport).map(|listener| (listener, None))
        }
        Listen::Unix { path, mode, .. } => {
            Listener::unix(path, *mode, pool.backlog, pool.reuseport)
                .map(|(listener, file)| (listener, Some(file)))
        }
    };
    opened.map_err(|error| {
        let (name, text) = (&pool.settings.name, error_text(&error));
        let address = listen.text();
        Failure::new(format!(
            "pool '{name}' cannot listen on '{address}': {text}"
        ))
    })
}
