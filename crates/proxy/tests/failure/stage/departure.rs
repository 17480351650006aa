//! What the tests ask of the pool besides: its settings, and the end of the proxy.

use std::time::Duration;

use proxy::Departure;
use proxy::settings::PoolSettings;

use super::Stage;

impl Stage {
    /// The settings in force.
    pub(crate) fn settings(&self) -> &PoolSettings {
        &self.settings
    }

    /// Clients that want to know are told that the proxy leaves; returns how many.
    pub(crate) fn announce(&mut self, departure: Departure) -> usize {
        let now = self.time();
        let mut told = 0;
        for worker in 0..self.workers.len() {
            told += self.workers[worker].pool.announce(departure, now);
            self.drain(worker);
        }
        told
    }

    /// Clients are closed one after the other within this time.
    pub(crate) fn begin_leaving(&mut self, within: Duration) {
        let now = self.time();
        for worker in 0..self.workers.len() {
            self.workers[worker].pool.begin_leaving(now, within);
            self.drain(worker);
        }
    }
}
