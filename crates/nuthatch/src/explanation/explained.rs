//! Everything that decides where a key goes.

use std::sync::Arc;

use hashkit::Ring;
use proxy::{KeyRoute, Time, key_route};

use super::placed::{Placed, ring};
use crate::clock::Clock;
use crate::recent::RecentLatency;

/// Everything that decides about one key in one pool.
#[derive(Debug)]
pub(crate) struct Explanation {
    pub(super) key: Vec<u8>,
    /// That of all servers.
    pub(super) ring: Ring,
    pub(super) route: KeyRoute,
    /// What time it is for the pool, if it is served.
    pub(super) running: Option<Running>,
}

/// The process that serves the pool.
#[derive(Debug, Clone)]
pub(super) struct Running {
    pub(super) clock: Clock,
    pub(super) now: Time,
    pub(super) recent: Arc<RecentLatency>,
}

impl Explanation {
    /// About a pool that nobody serves: its servers are as good as live.
    pub(crate) fn of_idle(pool: &Arc<proxy::PoolShare>, key: &[u8]) -> Self {
        Self::new(pool, key, Time::ZERO, None)
    }

    /// About a pool that is served by a process with this clock and this latency.
    pub(crate) fn of_served(
        pool: &Arc<proxy::PoolShare>,
        key: &[u8],
        clock: Clock,
        recent: &Arc<RecentLatency>,
    ) -> Self {
        let now = clock.now();
        let recent = Arc::clone(recent);
        Self::new(pool, key, now, Some(Running { clock, now, recent }))
    }

    fn new(pool: &Arc<proxy::PoolShare>, key: &[u8], now: Time, running: Option<Running>) -> Self {
        let route = key_route(pool, key, now);
        Self {
            key: key.to_owned(),
            ring: ring(&route.plan.settings),
            route,
            running,
        }
    }

    /// Where the key belongs.
    pub(super) fn placed(&self) -> Placed<'_> {
        Placed::of(&self.route.plan.settings, &self.ring, &self.key)
    }
}
