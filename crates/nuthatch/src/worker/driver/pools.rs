//! Pools come and go while the worker runs.

use std::sync::Arc;

use proxy::{Time, WorkerContext};

use super::state::Driver;
use crate::pool::{PoolId, PoolShare};
use crate::worker::link::Role;
use crate::worker::net::Net;
use crate::worker::pool::PoolPart;

impl<N: Net> Driver<N> {
    /// Serves one more pool.
    pub(in crate::worker) fn add_pool(&mut self, share: Arc<PoolShare>, context: WorkerContext) {
        let id = share.id();
        let mut part = PoolPart::new(share, context, self.now);
        part.core.set_log_level(self.log_level);
        self.pools.insert(part);
        self.touch(id);
        self.drain();
    }

    /// Removes a pool: its clients are answered what they have asked, and closed. The rest is closed at `end`.
    pub(in crate::worker) fn remove_pool(&mut self, id: PoolId, end: Time) {
        if self.pools.get(id).is_none() {
            return;
        }
        let now = self.now;
        self.part(id).core.begin_shutdown(now);
        self.leaving.push((id, end));
        self.touch(id);
        self.drain();
        self.remove_left_pools();
    }

    /// Whether the pool was removed and still has something to do.
    pub(super) fn is_leaving(&self, id: PoolId) -> bool {
        self.leaving.iter().any(|(leaving, _)| *leaving == id)
    }

    /// Drops removed pools that have nothing left to do, or whose time is up.
    pub(super) fn remove_left_pools(&mut self) {
        if self.leaving.is_empty() {
            return;
        }
        let leaving = std::mem::take(&mut self.leaving);
        for (id, end) in leaving {
            if end <= self.now || self.has_left(id) {
                self.links.retain(|_, link| link.pool != id);
                self.touched.retain(|touched| *touched != id);
                self.pools.remove(id);
            } else {
                self.leaving.push((id, end));
            }
        }
    }

    /// Whether no client of the pool is left, not even a lingering one.
    fn has_left(&self, id: PoolId) -> bool {
        let client = |role| matches!(role, Role::Session(_) | Role::Lingering(_));
        let mut links = self.links.iter();
        self.pools[id].core.is_drained()
            && !links.any(|(_, link)| link.pool == id && client(link.role))
    }
}
