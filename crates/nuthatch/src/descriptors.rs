//! How many descriptors the process may open, and what that leaves for clients.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors for everything but listeners, clients and servers: the log, standard streams, the
/// stats port. As many as nutcracker 0.5.0 sets aside.
const RESERVED: u64 = 32;

/// Descriptors that a worker has for itself: its poll and what wakes it.
const PER_WORKER: u64 = 2;

/// Raises the soft limit of open descriptors to the hard one; returns what holds then.
pub(crate) fn raise_limit() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let wanted = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    let raised = setrlimit(Resource::Nofile, wanted).is_ok();
    let holds = if raised { limit.maximum } else { limit.current };
    // None is without limit.
    holds.unwrap_or(u64::MAX)
}

/// What the descriptors are needed for besides clients.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Needs {
    /// Listening sockets.
    pub(crate) listeners: u64,
    /// Event loops.
    pub(crate) workers: u64,
    /// Connections to servers, over all pools and workers.
    pub(crate) server_connections: u64,
}

impl Needs {
    /// How many clients `limit` descriptors leave room for; `None` when there is hardly any.
    pub(crate) fn clients(&self, limit: u64) -> Option<u64> {
        let needed = self
            .server_connections
            .saturating_add(self.listeners)
            .saturating_add(self.workers.saturating_mul(PER_WORKER))
            .saturating_add(RESERVED);
        limit.checked_sub(needed).filter(|&clients| clients > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_few_descriptors_are_noticed_rather_than_wrapped() {
        let needs = Needs {
            listeners: 2,
            workers: 1,
            server_connections: 10,
        };
        assert_eq!(needs.clients(1024), Some(1024 - 46));
        assert_eq!((needs.clients(46), needs.clients(10)), (None, None));
        let absurd = Needs {
            server_connections: u64::MAX,
            ..needs
        };
        assert_eq!(absurd.clients(u64::MAX), None);
    }
}
