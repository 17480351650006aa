//! What the tests ask of the pool besides: its settings, and the end of the proxy.

use std::time::Duration;

use proxy::settings::PoolSettings;
use proxy::{ClientGroup, ClientInfo, Departure};

use super::Stage;

impl Stage {
    /// The settings in force.
    pub(crate) fn settings(&self) -> &PoolSettings {
        &self.settings
    }

    /// The clients of worker 0 that hold most memory, at most so many.
    pub(crate) fn listed(&self, most: usize) -> Vec<ClientInfo> {
        self.workers[0].pool.clients(most, self.time())
    }

    /// The clients by what they say of themselves.
    pub(crate) fn client_groups(&self) -> Vec<ClientGroup> {
        self.workers[0].pool.client_groups(self.time())
    }

    /// Closes those with this address; returns how many there were.
    pub(crate) fn kill(&mut self, address: &str) -> usize {
        let now = self.time();
        let killed = self.workers[0].pool.kill(address, now);
        self.drain(0);
        killed
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
