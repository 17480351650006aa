//! The listening sockets of the process itself: statistics, admin pages, and the control socket.

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, ToSocketAddrs};
use std::os::fd::OwnedFd;
use std::path::Path;

use super::RunOptions;
use crate::admin;
use crate::config::Config;
use crate::control;
use crate::failure::Failure;
use crate::net::{Inherited, Listener, SocketFile, StopSignal, error_text};

/// Length of the accept queues of the statistics port and the admin port.
const BACKLOG: u32 = 512;

/// A listening socket, and its file if it is a unix socket that this process made.
type Opened = (Listener, Option<SocketFile>);

/// Sockets that are open and that nobody serves yet. Dropping this closes them.
pub(super) struct OwnSockets {
    stats: Opened,
    admin: Option<Opened>,
    control: Option<Opened>,
}

/// Sockets that are served.
#[derive(Default)]
pub(super) struct OwnServers(Vec<OwnServer>);

struct OwnServer {
    purpose: &'static str,
    /// For another process that takes it over.
    copy: OwnedFd,
    file: Option<SocketFile>,
    stop: Stop,
}

/// What stops the thread that accepts.
pub(super) enum Stop {
    Signal(StopSignal),
    Admin(admin::Stopper),
}

impl OwnSockets {
    /// Opens what is to be served, or takes it from what the process was given.
    pub(super) fn open(
        options: &RunOptions,
        config: &Config,
        inherited: &mut Inherited,
    ) -> Result<Self, Failure> {
        let (addr, port) = (&options.stats_addr, options.stats_port);
        Ok(Self {
            stats: open_stats(addr, port, config, inherited)?,
            admin: open_admin(config, inherited)?,
            control: open_control(config, inherited)?,
        })
    }

    /// Has them served, each by a function that is given its socket.
    pub(super) fn serve(
        self,
        stats: impl FnOnce(Listener) -> Result<Stop, Failure>,
        admin: impl FnOnce(Listener) -> Result<Stop, Failure>,
        control: impl FnOnce(Listener) -> Result<Stop, Failure>,
    ) -> Result<OwnServers, Failure> {
        let mut servers = vec![OwnServer::start("statistics", self.stats, stats)?];
        if let Some(opened) = self.admin {
            servers.push(OwnServer::start("admin pages", opened, admin)?);
        }
        if let Some(opened) = self.control {
            servers.push(OwnServer::start("control socket", opened, control)?);
        }
        Ok(OwnServers(servers))
    }
}

impl OwnServer {
    fn start(
        purpose: &'static str,
        (listener, file): Opened,
        serve: impl FnOnce(Listener) -> Result<Stop, Failure>,
    ) -> Result<Self, Failure> {
        let copy = listener.try_clone();
        let copy = copy.map_err(|error| Failure::of("copying a socket", &error))?;
        let stop = serve(listener)?;
        Ok(Self {
            purpose,
            copy,
            file,
            stop,
        })
    }

    fn stop_accepting(&self) {
        match &self.stop {
            Stop::Signal(signal) => drop(signal.stop()),
            Stop::Admin(stopper) => stopper.stop(),
        }
    }
}

impl OwnServers {
    /// What was taken from another process is ours from now on.
    pub(super) fn own_files(&mut self) {
        self.0
            .iter_mut()
            .filter_map(|it| it.file.as_mut())
            .for_each(SocketFile::own);
    }

    /// What each is for, a further descriptor of it, and whether its file stays when a process ends.
    pub(super) fn copies(&self) -> io::Result<Vec<(&'static str, OwnedFd, bool)>> {
        let copy = |it: &OwnServer| Ok((it.purpose, it.copy.try_clone()?, it.file.is_none()));
        self.0.iter().map(copy).collect()
    }

    /// The files of all stay when they are closed: others have the sockets.
    pub(super) fn leave_files(&mut self) {
        for file in self.0.iter_mut().filter_map(|it| it.file.take()) {
            file.give_away();
        }
    }

    /// Stops accepting. The files of those for which `is_taken` says that another process has them, by their place among the
    /// [`copies`](Self::copies), are left; the others are removed.
    pub(super) fn close(self, is_taken: impl Fn(usize) -> bool) {
        for (at, server) in self.0.into_iter().enumerate() {
            server.stop_accepting();
            if let Some(file) = server.file.filter(|_| is_taken(at)) {
                file.give_away();
            }
        }
    }
}

/// Opens the statistics port.
///
/// It is shared only on purpose: readers would get the numbers of a random process.
fn open_stats(
    addr: &str,
    port: u16,
    config: &Config,
    inherited: &mut Inherited,
) -> Result<Opened, Failure> {
    // Starting a successor beside a running process requires sharing the statistics port as well.
    let shared = config.pools.iter().any(|pool| pool.reuseport);
    if addr.starts_with('/') {
        let path = Path::new(addr);
        let given = inherited.take_unix(path);
        return given
            .map_or_else(|| open_unix(path, None, shared), Ok)
            .map_err(|error| stats_failure(addr, shared, &error));
    }
    open_tcp(addr, port, shared, inherited)
        .map_err(|error| stats_failure(&format!("{addr}:{port}"), shared, &error))
}

/// Opens the admin port, if there is to be one. It is shared as that of the statistics is.
fn open_admin(config: &Config, inherited: &mut Inherited) -> Result<Option<Opened>, Failure> {
    let Some(admin) = &config.globals.admin else {
        return Ok(None);
    };
    let shared = config.pools.iter().any(|pool| pool.reuseport);
    let opened = open_tcp(&admin.host, admin.port, shared, inherited).map_err(|error| {
        let (address, text) = (&admin.text, error_text(&error));
        Failure::new(format!(
            "cannot listen on '{address}' for the admin pages: {text} (the setting `admin` or --admin sets the address)"
        ))
    })?;
    Ok(Some(opened))
}

/// Opens the control socket, if there is to be one.
fn open_control(config: &Config, inherited: &mut Inherited) -> Result<Option<Opened>, Failure> {
    let Some(path) = &config.globals.control else {
        return Ok(None);
    };
    if let Some(given) = inherited.take_unix(path) {
        return Ok(Some(given));
    }
    let (listener, file) = control::open(path).map_err(|error| {
        let (path, text) = (path.display(), error_text(&error));
        Failure::new(format!(
            "cannot listen on '{path}' for `nuthatch ctl`: {text}"
        ))
    })?;
    Ok(Some((listener, Some(file))))
}

fn open_unix(path: &Path, mode: Option<u32>, shared: bool) -> io::Result<Opened> {
    let (listener, file) = Listener::unix(path, mode, BACKLOG, shared)?;
    Ok((listener, Some(file)))
}

fn open_tcp(host: &str, port: u16, shared: bool, inherited: &mut Inherited) -> io::Result<Opened> {
    let address = resolve(host, port)?;
    let given = inherited.take_tcp(address).map(Ok);
    let listener = given.unwrap_or_else(|| Listener::tcp(address, BACKLOG, shared))?;
    Ok((listener, None))
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
