//! How many descriptors the process may open, and how many of them are left for clients.

use proxy::settings::{PoolSettings, ProtocolSettings};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// A pool, and its failover pool if it has one.
pub(crate) type WithFailover<'c> = (&'c PoolSettings, Option<&'c PoolSettings>);

/// Descriptors for everything but listeners, clients and servers: the log, standard streams, the statistics
/// port, look-ups of names (14 in all), and connections that linger, be it refused clients or readers of the
/// statistics (8 each). As many as nutcracker 0.5.0 reserves.
const RESERVED: u64 = 32;

/// Descriptors of each worker: its poll and its waker.
const PER_WORKER: u64 = 2;

/// The limit that [`raise_limit`] will reach.
pub(crate) fn highest_limit() -> u64 {
    // `None` means unlimited.
    getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX)
}

/// Raises the soft limit of open descriptors to the hard limit, if that is allowed.
pub(crate) fn raise_limit() {
    let maximum = getrlimit(Resource::Nofile).maximum;
    let wanted = Rlimit {
        current: maximum,
        maximum,
    };
    let _ = setrlimit(Resource::Nofile, wanted);
}

/// How many descriptors the process may have open.
pub(crate) fn descriptor_limit() -> u64 {
    // `None` means unlimited.
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// Descriptors that are needed for other things than clients.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Needs {
    /// Listening sockets, and what the admin port needs.
    pub(crate) listeners: u64,
    /// Event loops.
    pub(crate) workers: u64,
    /// Connections to servers, over all pools and workers: those of each version of the protocol, and one per
    /// server for a probe or a question.
    pub(crate) server_connections: u64,
}

impl Needs {
    /// What pools need with so many workers, and with so many connections to servers at most (0: no limit).
    ///
    /// Leased connections are not counted (see [`leased`](Self::leased)): `leased_connections` is a limit that hardly any
    /// pool comes near, and a thousand per server would leave no room for clients under the usual limits.
    pub(crate) fn of(pools: &[WithFailover<'_>], workers: usize, total: u64) -> Self {
        let of_versions =
            |pool: &PoolSettings| pool.server_connections.saturating_mul(pool.versions());
        let own = sum(pools, workers, PoolSettings::own_connections);
        Self {
            listeners: pools.len() as u64,
            workers: workers as u64,
            server_connections: shared(pools, workers, total, of_versions).saturating_add(own),
        }
    }

    /// How many connections can be leased at most. Each is leased to a client, so that there are hardly more of them than
    /// clients: a client that waits or watches at one server has one.
    pub(crate) fn leased(pools: &[WithFailover<'_>], workers: usize) -> u64 {
        sum(pools, workers, |pool| match &pool.protocol {
            ProtocolSettings::Redis(_) => pool.leased_connections,
            ProtocolSettings::Memcached(_) => 0,
        })
    }

    /// Descriptors that are needed before there is any client.
    pub(crate) fn total(&self) -> u64 {
        self.server_connections
            .saturating_add(self.listeners)
            .saturating_add(self.workers.saturating_mul(PER_WORKER))
            .saturating_add(RESERVED)
    }

    /// How many clients `limit` descriptors leave room for; `None` if there is hardly any room.
    pub(crate) fn clients(&self, limit: u64) -> Option<u64> {
        let left = limit.checked_sub(self.total());
        left.filter(|&clients| clients > 0)
    }
}

/// The connections that clients share, of which each worker has as many as `per_server` says: no more than `total`, if each
/// pool can be served within that (0: no limit).
pub(crate) fn shared(
    pools: &[WithFailover<'_>],
    workers: usize,
    total: u64,
    per_server: fn(&PoolSettings) -> usize,
) -> u64 {
    let least = sum(pools, 1, PoolSettings::versions);
    bounded(sum(pools, workers, per_server), least, total)
}

/// How many connections to servers there may be with these settings, of all workers: so many as `all` of them, or as
/// `server_connections_total` says where each pool can be served within that.
fn bounded(all: u64, least: u64, total: u64) -> u64 {
    match total {
        0 => all,
        total => all.min(total.max(least)),
    }
}

/// As many as `per_server` says for the servers of each pool and of its failover pool, in each worker.
pub(crate) fn sum(
    pools: &[WithFailover<'_>],
    workers: usize,
    per_server: fn(&PoolSettings) -> usize,
) -> u64 {
    let of = |pool: &PoolSettings| per_server(pool).saturating_mul(servers(pool));
    pools.iter().fold(0u64, |sum, (pool, failover)| {
        let per_worker = of(pool).saturating_add(failover.map_or(0, of));
        sum.saturating_add(per_worker.saturating_mul(workers) as u64)
    })
}

/// The servers of a pool, and their replicas if they are read.
pub(crate) fn servers(pool: &PoolSettings) -> usize {
    let replicas = pool.servers.iter().map(|it| it.replication.replicas.len());
    let replicas = match pool.reads {
        Some(_) => replicas.sum(),
        None => 0,
    };
    pool.servers.len() + replicas
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

    #[test]
    fn the_bound_of_the_process_bounds_what_is_expected() {
        assert_eq!(bounded(100, 10, 0), 100);
        assert_eq!(bounded(100, 10, 50), 50);
        assert_eq!(bounded(100, 10, 5), 10);
        assert_eq!(bounded(40, 10, 50), 40);
    }
}
