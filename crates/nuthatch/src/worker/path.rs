//! What leads to a connection: the addresses that a server's name leads to, tried one after the other.

use std::net::SocketAddr;
use std::sync::Arc;

use proxy::Time;

use crate::resolver::Resolved;
use crate::tls::Secured;

/// What a link has only until it is a connection.
#[derive(Debug)]
pub(super) enum Opening {
    /// A client's name in log lines.
    Client(Box<str>),
    /// The way to a server.
    Server {
        /// How the connection is secured, if it is, and when it is given up if its handshake is not over.
        secured: Option<(Secured, Time)>,
        /// The addresses that its name leads to, once they are known.
        path: Option<Path>,
    },
}

impl Opening {
    /// How the connection to a server is secured, if it is.
    pub(super) fn secured(&self) -> Option<&Secured> {
        match self {
            Opening::Server { secured, .. } => secured.as_ref().map(|(secured, _)| secured),
            Opening::Client(_) => None,
        }
    }

    /// Whether the handshake with a server is given up at this time.
    pub(super) fn ends(&self, at: Time) -> bool {
        match self {
            Opening::Server { secured, .. } => secured.as_ref().is_some_and(|(_, end)| *end == at),
            Opening::Client(_) => false,
        }
    }

    /// The handshake with a server, if there is one, is given up at this time.
    pub(super) fn set_end(&mut self, at: Time) {
        if let Opening::Server {
            secured: Some((_, end)),
            ..
        } = self
        {
            *end = at;
        }
    }

    /// The addresses that a server's name leads to, if they are known.
    pub(super) fn path(&self) -> Option<&Path> {
        match self {
            Opening::Server { path, .. } => path.as_ref(),
            Opening::Client(_) => None,
        }
    }

    /// The next of these addresses, and what was tried with it.
    pub(super) fn take_next(&mut self) -> Option<(SocketAddr, String)> {
        let Opening::Server {
            path: Some(path), ..
        } = self
        else {
            return None;
        };
        let address = path.take_next()?;
        Some((address, path.describe()))
    }
}

/// The addresses of one name.
#[derive(Debug)]
pub(super) struct Path {
    resolved: Resolved,
    /// How many were tried.
    tried: usize,
}

/// The address that is being tried, where the name has several.
#[derive(Debug)]
pub(super) struct Attempt<'p> {
    pub(super) host: &'p Arc<str>,
    pub(super) address: SocketAddr,
    /// Whether it is the one that is used first.
    pub(super) is_first: bool,
}

impl Path {
    /// No address was tried yet.
    pub(super) fn new(resolved: Resolved) -> Self {
        Self { resolved, tried: 0 }
    }

    /// The next address, which counts as tried then.
    fn take_next(&mut self) -> Option<SocketAddr> {
        let next = self.resolved.addresses.get(self.tried).copied()?;
        self.tried += 1;
        Some(next)
    }

    /// The address that is being tried, if there are others beside it.
    pub(super) fn attempt(&self) -> Option<Attempt<'_>> {
        let Resolved { host, addresses } = &self.resolved;
        let current = self.tried.checked_sub(1)?;
        let address = addresses.get(current).filter(|_| addresses.len() > 1)?;
        Some(Attempt {
            host,
            address: *address,
            is_first: current == 0,
        })
    }

    /// What was tried, for log lines.
    fn describe(&self) -> String {
        let tried = &self.resolved.addresses[..self.tried];
        let tried: Vec<String> = tried.iter().map(SocketAddr::to_string).collect();
        tried.join(", then ")
    }
}
