//! Watches the names of servers: notices when one leads elsewhere, and has it followed where that is wanted.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use proxy::ServerShare;
use proxy::settings::Address;

use crate::config::{Config, PoolConfig};
use crate::pool::PoolShare;
use crate::resolver::{Resolver, Watch};
use crate::worker::{Handle, Message};

/// Has the names of all servers watched.
pub(super) fn watch(
    config: &Config,
    pools: &[Arc<PoolShare>],
    workers: &[Handle],
    resolver: &Resolver,
) {
    for (settings, pool) in config.pools.iter().zip(pools) {
        for planned in &pool.core().plan().servers {
            if let Some(host) = name_of(&planned.endpoint.address) {
                let watch = NamedServer::new(settings, pool, &planned.share, workers);
                resolver.watch(Arc::clone(host), Box::new(watch));
            }
        }
    }
}

/// The host, if it has to be looked up.
fn name_of(address: &Address) -> Option<&Arc<str>> {
    match address {
        Address::Tcp { host, .. } if host.parse::<IpAddr>().is_err() => Some(host),
        Address::Tcp { .. } | Address::Unix(_) => None,
    }
}

/// A server that has a name.
struct NamedServer {
    label: String,
    pool: Arc<PoolShare>,
    server: Arc<ServerShare>,
    refresh: Option<Duration>,
    follows: bool,
    /// Who is told to follow.
    workers: Vec<Handle>,
}

impl NamedServer {
    fn new(
        settings: &PoolConfig,
        pool: &Arc<PoolShare>,
        server: &Arc<ServerShare>,
        workers: &[Handle],
    ) -> Self {
        Self {
            label: format!("server '{}' of pool '{}'", server.name(), pool.name()),
            pool: Arc::clone(pool),
            server: Arc::clone(server),
            refresh: settings.dns_refresh,
            follows: settings.dns_follow,
            workers: workers.to_vec(),
        }
    }
}

impl Watch for NamedServer {
    fn label(&self) -> &str {
        &self.label
    }

    fn refresh(&self) -> Option<Duration> {
        self.refresh
    }

    fn follows(&self) -> bool {
        self.follows
    }

    fn count_failure(&self) {
        self.server.note_name_failure();
    }

    fn count_change(&self) {
        self.server.note_name_change();
    }

    fn follow(&self) {
        self.pool.core().move_server(&self.server);
        for worker in &self.workers {
            // One whose inbox is full is busy, and notices with its next request.
            let _ = worker.send(Message::Planned);
        }
    }
}
