//! The bound on connections to servers, as the shell sets it.

use super::Stage;

impl Stage {
    /// There may be so many connections that are not the first of a worker to a server.
    pub(crate) fn set_spare_connections(&mut self, spare: i64) {
        let place = self.share.place();
        place.process.connections.set_spare(spare);
        self.keep_budget();
    }

    /// Clients that connect are served by these workers.
    pub(crate) fn deal(&mut self, first: usize, workers: usize) {
        assert!(self.share.deal(first, workers), "it is different");
        self.keep_budget();
    }

    /// Workers close connections that are too many.
    pub(crate) fn keep_budget(&mut self) {
        let now = self.time();
        for worker in 0..self.workers.len() {
            self.workers[worker].pool.keep_budget(now);
            self.drain(worker);
        }
    }
}
