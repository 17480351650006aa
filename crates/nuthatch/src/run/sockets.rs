//! Opens all listening sockets of the process, or fails with a reason that names the one that failed.

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::Path;

use super::failure::Failure;
use crate::config::{Config, Listen, PoolConfig};
use crate::net::{Listener, SocketFile, error_text};

/// Length of the accept queue of the statistics port.
const STATS_BACKLOG: u32 = 512;

/// Listening sockets.
#[derive(Debug)]
pub(super) struct Sockets {
    /// The pools', in pool order.
    pub(super) pools: Vec<Listener>,
    /// The statistics'.
    pub(super) stats: Listener,
    /// Files of the unix sockets.
    pub(super) files: Vec<SocketFile>,
}

impl Sockets {
    /// Opens the sockets of every pool and of the statistics port.
    pub(super) fn open(
        config: &Config,
        stats_addr: &str,
        stats_port: u16,
    ) -> Result<Self, Failure> {
        let mut files = Vec::new();
        // Starting a successor beside a running process requires sharing the statistics port as well.
        let shared = config.pools.iter().any(|pool| pool.reuseport);
        let stats = open_stats(stats_addr, stats_port, shared, &mut files)?;
        let open = |pool| open_pool(pool, &mut files);
        let pools = config.pools.iter().map(open).collect::<Result<_, _>>()?;
        Ok(Self {
            pools,
            stats,
            files,
        })
    }
}

fn open_pool(pool: &PoolConfig, files: &mut Vec<SocketFile>) -> Result<Listener, Failure> {
    let listener = match &pool.listen {
        Listen::Tcp { addr, .. } => Listener::tcp(*addr, pool.backlog, pool.reuseport),
        Listen::Unix { path, mode, .. } => {
            open_unix(path, *mode, pool.backlog, pool.reuseport, files)
        }
    };
    listener.map_err(|error| {
        let (name, text) = (&pool.settings.name, error_text(&error));
        let address = pool.listen.text();
        Failure::new(format!(
            "pool '{name}' cannot listen on '{address}': {text}"
        ))
    })
}

/// The port is `shared` only on purpose: readers would get the numbers of a random process.
fn open_stats(
    addr: &str,
    port: u16,
    shared: bool,
    files: &mut Vec<SocketFile>,
) -> Result<Listener, Failure> {
    if addr.starts_with('/') {
        return open_unix(Path::new(addr), None, STATS_BACKLOG, shared, files)
            .map_err(|error| stats_failure(addr, shared, &error));
    }
    resolve(addr, port)
        .and_then(|address| Listener::tcp(address, STATS_BACKLOG, shared))
        .map_err(|error| stats_failure(&format!("{addr}:{port}"), shared, &error))
}

fn open_unix(
    path: &Path,
    mode: Option<u32>,
    backlog: u32,
    reuseport: bool,
    files: &mut Vec<SocketFile>,
) -> io::Result<Listener> {
    let (listener, file) = Listener::unix(path, mode, backlog, reuseport)?;
    files.push(file);
    Ok(listener)
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
