//! The addresses that a server's name leads to, tried one after the other.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::resolver::Resolved;

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
    pub(super) fn take_next(&mut self) -> Option<SocketAddr> {
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
    pub(super) fn describe(&self) -> String {
        let tried = &self.resolved.addresses[..self.tried];
        let tried: Vec<String> = tried.iter().map(SocketAddr::to_string).collect();
        tried.join(", then ")
    }
}
