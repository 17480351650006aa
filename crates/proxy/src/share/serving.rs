//! The workers that serve the clients of a pool.

use super::PoolShare;

impl PoolShare {
    /// From now on clients that connect are served by so many workers, of which the first has this number; the others follow
    /// it. Returns whether it was different.
    pub fn deal(&self, first: usize, workers: usize) -> bool {
        self.dealing.set(first, workers.min(self.workers()))
    }

    /// Whether clients that connect may be served by the worker with this number.
    pub fn deals_to(&self, worker: usize) -> bool {
        self.dealing.includes(worker, self.workers())
    }

    /// How many workers serve clients that connect.
    pub fn serving_workers(&self) -> usize {
        let workers = (0..self.workers()).filter(|worker| self.deals_to(*worker));
        workers.count()
    }
}
