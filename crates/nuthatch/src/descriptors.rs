//! How many descriptors the process may open, and how many of them are left for clients.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors for everything but listeners, clients and servers: the log, standard streams, the statistics
/// port, look-ups of names (14 in all), and connections that linger, be it refused clients or readers of the
/// statistics (8 each). As many as nutcracker 0.5.0 reserves.
const RESERVED: u64 = 32;

/// Descriptors of each worker: its poll and its waker.
const PER_WORKER: u64 = 2;

/// Raises the soft limit of open descriptors to the hard limit; returns the resulting limit.
pub(crate) fn raise_limit() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let wanted = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    let raised = setrlimit(Resource::Nofile, wanted).is_ok();
    let holds = if raised { limit.maximum } else { limit.current };
    // `None` means unlimited.
    holds.unwrap_or(u64::MAX)
}

/// Descriptors that are needed for other things than clients.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Needs {
    /// Listening sockets.
    pub(crate) listeners: u64,
    /// Event loops.
    pub(crate) workers: u64,
    /// Connections to servers, over all pools and workers: those of each version of the protocol, and one per
    /// server for a probe or a question.
    pub(crate) server_connections: u64,
}

impl Needs {
    /// How many clients `limit` descriptors leave room for; `None` if there is hardly any room.
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
