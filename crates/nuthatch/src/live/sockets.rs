//! The listening sockets of the process. All are opened before anything is changed, or it fails with a reason that names
//! the one that failed.

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::path::Path;
use std::sync::Arc;

use crate::acceptor::{Change, Handle, ListenerId, PoolListener};
use crate::config::{Config, Listen, PoolConfig};
use crate::failure::Failure;
use crate::logger::{WARN, log};
use crate::net::{Listener, SocketFile, error_text};
use crate::pool::PoolShare;

/// Length of the accept queues of the statistics port and the admin port.
const STATS_BACKLOG: u32 = 512;

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
    file: Option<SocketFile>,
}

/// A socket that was opened and has no clients yet.
#[derive(Debug)]
struct NewSocket {
    id: ListenerId,
    listener: Listener,
    file: Option<SocketFile>,
}

/// For each pool of a configuration its socket, if that is a new one. Dropping this closes them.
#[derive(Debug)]
pub(super) struct Prepared(Vec<Option<NewSocket>>);

/// What the acceptor is to do.
#[derive(Debug, Default)]
pub(super) struct Changes {
    pub(super) opened: Vec<PoolListener>,
    pub(super) others: Vec<Change>,
}

impl Sockets {
    /// Opens the sockets that `config` needs and that are not open yet.
    pub(super) fn prepare(&mut self, config: &Config) -> Result<Prepared, Failure> {
        let mut new = Vec::with_capacity(config.pools.len());
        for (at, pool) in config.pools.iter().enumerate() {
            // Pools may share an address (`reuseport`): each needs a socket of its own.
            let is_like = |listen: &Listen| is_same(listen, &pool.listen);
            let earlier = config.pools[..at].iter().filter(|it| is_like(&it.listen));
            let open = self.open.iter().filter(|it| is_like(&it.listen));
            new.push(match earlier.count() < open.count() {
                true => None,
                false => Some(self.open(pool)?),
            });
        }
        Ok(Prepared(new))
    }

    fn position(&self, listen: &Listen) -> Option<usize> {
        self.open.iter().position(|it| is_same(&it.listen, listen))
    }

    fn open(&mut self, pool: &PoolConfig) -> Result<NewSocket, Failure> {
        let (listener, file) = open_pool(pool)?;
        self.opened += 1;
        let id = ListenerId::new(self.opened);
        Ok(NewSocket { id, listener, file })
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
        for ((settings, pool), new) in config.pools.iter().zip(pools).zip(prepared.0) {
            let known = self.position(&settings.listen);
            let (listen, pool) = (settings.listen.clone(), Arc::clone(pool));
            let backlog = settings.backlog;
            if let Some(NewSocket { id, listener, file }) = new {
                let listener = PoolListener {
                    id,
                    listener,
                    pool: Arc::clone(&pool),
                };
                changes.opened.push(listener);
                open.push(OpenSocket {
                    id,
                    listen,
                    backlog,
                    pool,
                    file,
                });
            } else if let Some(known) = known.map(|at| self.open.swap_remove(at)) {
                open.push(known.follow(listen, backlog, pool, &mut changes.others));
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
        pool: Arc<PoolShare>,
        changes: &mut Vec<Change>,
    ) -> Self {
        if !Arc::ptr_eq(&self.pool, &pool) {
            changes.push(Change::Assign(self.id, Arc::clone(&pool)));
        }
        if self.backlog != backlog {
            changes.push(Change::Backlog(self.id, backlog));
        }
        if self.listen != listen {
            self.set_mode(&listen);
        }
        (self.listen, self.backlog, self.pool) = (listen, backlog, pool);
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

fn open_pool(pool: &PoolConfig) -> Result<(Listener, Option<SocketFile>), Failure> {
    let opened = match &pool.listen {
        Listen::Tcp { addr, .. } => {
            Listener::tcp(*addr, pool.backlog, pool.reuseport).map(|listener| (listener, None))
        }
        Listen::Unix { path, mode, .. } => open_unix(path, *mode, pool.backlog, pool.reuseport),
    };
    opened.map_err(|error| {
        let (name, text) = (&pool.settings.name, error_text(&error));
        let address = pool.listen.text();
        Failure::new(format!(
            "pool '{name}' cannot listen on '{address}': {text}"
        ))
    })
}

/// Opens the admin port, if there is to be one. It is shared as that of the statistics is.
pub(crate) fn open_admin(config: &Config) -> Result<Option<TcpListener>, Failure> {
    let Some(admin) = &config.globals.admin else {
        return Ok(None);
    };
    let shared = config.pools.iter().any(|pool| pool.reuseport);
    let listener = resolve(&admin.host, admin.port)
        .and_then(|address| Listener::tcp(address, STATS_BACKLOG, shared))
        .and_then(Listener::into_std);
    let listener = listener.map_err(|error| {
        let (address, text) = (&admin.text, error_text(&error));
        Failure::new(format!(
            "cannot listen on '{address}' for the admin pages: {text} (the setting `admin` or --admin sets the address)"
        ))
    })?;
    Ok(Some(listener))
}

/// Opens the statistics port.
///
/// It is shared only on purpose: readers would get the numbers of a random process.
pub(crate) fn open_stats(
    addr: &str,
    port: u16,
    config: &Config,
) -> Result<(Listener, Option<SocketFile>), Failure> {
    // Starting a successor beside a running process requires sharing the statistics port as well.
    let shared = config.pools.iter().any(|pool| pool.reuseport);
    if addr.starts_with('/') {
        return open_unix(Path::new(addr), None, STATS_BACKLOG, shared)
            .map_err(|error| stats_failure(addr, shared, &error));
    }
    resolve(addr, port)
        .and_then(|address| Listener::tcp(address, STATS_BACKLOG, shared))
        .map(|listener| (listener, None))
        .map_err(|error| stats_failure(&format!("{addr}:{port}"), shared, &error))
}

fn open_unix(
    path: &Path,
    mode: Option<u32>,
    backlog: u32,
    reuseport: bool,
) -> io::Result<(Listener, Option<SocketFile>)> {
    let (listener, file) = Listener::unix(path, mode, backlog, reuseport)?;
    Ok((listener, Some(file)))
}

fn resolve(host: &str, port: u16) -> io::Result<SocketAddr> {
    let mut addresses = (host, port).to_socket_addrs()?;
    addresses
        .next()
        .ok_or_else(|| io::Error::other("the name has no address"))
}

fn stats_failure(address: &str, shared: bool, error: &io::Error) -> Failure {
    let text = error_text(error);
    let help = match (error.kind(), shared) {
        (ErrorKind::AddrInUse, false) => {
            "another process listens there, perhaps another nuthatch or nutcracker; -a and -s set \
             another address, and `reuseport: true` in a pool of both processes shares it"
        }
        (ErrorKind::AddrInUse, true) => {
            "another process listens there and does not share it, which it would with \
             `reuseport: true` in one of its pools; -a and -s set another address"
        }
        _ => "-a and -s set another address",
    };
    Failure::new(format!(
        "cannot listen on '{address}' for statistics: {text} ({help})"
    ))
}
