//! Listening sockets that the supervisor opens before it starts the process (socket activation, sd_listen_fds(3)), and those
//! that it keeps while no process runs (sd_pid_notify_with_fds(3)), so that clients wait for the next one instead of being
//! refused.

use std::collections::BTreeSet;
use std::env;
use std::os::fd::{AsFd, OwnedFd};

use listenfd::ListenFd;
use sd_notify::NotifyState;

use crate::logger::{WARN, log};
use crate::net::BoundTo;

/// How the names begin of sockets that are kept for us. Names have no colons.
const KEPT: &str = "nuthatch ";

/// Longest name, in bytes: less than what systemd allows.
const LONGEST_NAME: usize = 200;

/// A socket that the supervisor has passed.
#[derive(Debug)]
pub(crate) struct Passed {
    /// The name that it gives to it.
    pub(crate) name: String,
    /// The socket, TCP or unix.
    pub(crate) socket: OwnedFd,
}

/// The sockets that the supervisor has passed; to be called once, before the process opens anything. What is no such socket
/// is left out.
pub(crate) fn passed() -> Vec<Passed> {
    let names = env::var("LISTEN_FDNAMES").unwrap_or_default();
    let mut names = names.split(':');
    let mut sockets = ListenFd::from_env();
    let count = sockets.len();
    let passed = |at| {
        let name = names.next().unwrap_or_default().to_owned();
        let tcp = sockets.take_tcp_listener(at).ok().flatten();
        let socket = tcp.map(OwnedFd::from).or_else(|| {
            let unix = sockets.take_unix_listener(at).ok().flatten();
            unix.map(OwnedFd::from)
        })?;
        Some(Passed { name, socket })
    };
    (0..count).filter_map(passed).collect()
}

/// The sockets that the supervisor keeps for the next process, if it keeps any: systemd does with `FileDescriptorStoreMax`,
/// and says so in $FDSTORE (since version 254).
#[derive(Debug, Default)]
pub(crate) struct Store {
    is_active: bool,
    /// For which configuration they were given.
    generation: Option<u64>,
    names: BTreeSet<String>,
}

impl Store {
    /// That of the supervisor of this process.
    pub(crate) fn of_supervisor() -> Self {
        let most = env::var("FDSTORE")
            .ok()
            .and_then(|it| it.parse::<u32>().ok());
        Self {
            is_active: most.is_some_and(|most| most > 0) && env::var_os("NOTIFY_SOCKET").is_some(),
            ..Self::default()
        }
    }

    /// Whether there is one.
    pub(crate) fn is_active(&self) -> bool {
        self.is_active
    }

    /// Notes a socket that was passed; returns whether it was kept from an earlier process.
    pub(crate) fn note_kept(&mut self, name: &str) -> bool {
        let is_kept = name.starts_with(KEPT);
        if is_kept {
            self.names.insert(name.to_owned());
        }
        is_kept
    }

    /// Whether the sockets of this generation of the configuration are to be kept and are not yet.
    pub(crate) fn is_outdated(&self, generation: u64) -> bool {
        self.is_active && self.generation != Some(generation)
    }

    /// Has these kept from now on, and no others.
    pub(crate) fn keep(&mut self, generation: u64, sockets: impl Iterator<Item = OwnedFd>) {
        self.generation = Some(generation);
        let mut names = BTreeSet::new();
        for socket in sockets {
            let name = free_name(&socket, &names);
            if !self.names.contains(&name) {
                self.put(&name, &socket);
            }
            names.insert(name);
        }
        for name in self.names.difference(&names) {
            tell(sd_notify::notify(&[
                NotifyState::FdStoreRemove,
                NotifyState::FdName(name),
            ]));
        }
        self.names = names;
    }

    fn put(&self, name: &str, socket: &OwnedFd) {
        let state = [NotifyState::FdStore, NotifyState::FdName(name)];
        tell(sd_notify::notify_with_fds(&state, &[socket.as_fd()]));
    }
}

fn tell(result: std::io::Result<()>) {
    if let Err(error) = result {
        log!(WARN, "the supervisor could not be given a socket: {error}");
    }
}

/// A name for a socket that none of `taken` has: two may have the same address.
fn free_name(socket: &OwnedFd, taken: &BTreeSet<String>) -> String {
    let address = BoundTo::of(socket).map_or_else(|_| String::new(), |it| it.to_string());
    let allowed = |it: char| {
        if it.is_ascii_graphic() && it != ':' {
            it
        } else {
            '_'
        }
    };
    let address: String = address.chars().map(allowed).take(LONGEST_NAME).collect();
    let numbered = (0_usize..).map(|number| match number {
        0 => format!("{KEPT}{address}"),
        _ => format!("{KEPT}{address} {number}"),
    });
    let mut free = numbered.filter(|name| !taken.contains(name));
    free.next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn names_have_no_colons_and_are_different() {
        let socket = OwnedFd::from(TcpListener::bind("127.0.0.1:0").unwrap());
        let address = BoundTo::of(&socket).unwrap().to_string().replace(':', "_");
        let first = free_name(&socket, &BTreeSet::new());
        assert_eq!(first, format!("nuthatch {address}"));
        let second = free_name(&socket, &BTreeSet::from([first]));
        assert_eq!(second, format!("nuthatch {address} 1"));
    }
}
