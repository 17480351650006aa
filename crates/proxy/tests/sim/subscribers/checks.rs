//! What must hold when everything that was under way has arrived.

use std::collections::BTreeMap;

use proxy::metrics::PoolMetric;

use super::client::Client;
use super::server::Link;
use super::{Play, SPARE};

impl Play {
    /// What clients were to get and did not is explained by a gap that their worker has counted.
    pub(super) fn check_nothing_is_missing(&mut self) {
        for client in 0..self.clients.len() {
            let missing = self.clients[client].take_missing();
            if self.clients[client].is_gone || missing == 0 {
                continue;
            }
            self.counts.missed += missing;
            let worker = self.clients[client].worker;
            let gaps = self.gaps(worker);
            // Whoever subscribes while a server is ejected is not promised what comes from there.
            let ejected = self.ejections();
            assert!(
                self.is_stormy && (gaps > 0 || ejected > 0),
                "client {client} has missed {missing} messages, and {gaps} gaps are counted"
            );
        }
    }

    /// With all servers well, nobody waits and nothing is missing.
    pub(super) fn check_all_is_there(&mut self) {
        for (number, client) in self.clients.iter_mut().enumerate() {
            if client.is_gone {
                continue;
            }
            assert!(client.is_answered(), "client {number} waits: {client:?}");
            assert_eq!(client.take_missing(), 0, "client {number}: {client:?}");
        }
        let subscribed: usize = self.clients.iter().map(Client::subscriptions).sum();
        let counted = |worker| self.share.counters(worker).get(PoolMetric::Subscriptions);
        let counted: i64 = (0..self.pools.len()).map(counted).sum();
        assert_eq!(counted, subscribed as i64);
    }

    /// When all clients have left, nothing is subscribed to and no memory is held.
    pub(super) fn leave_all(&mut self) {
        for client in 0..self.clients.len() {
            if !self.clients[client].is_gone {
                self.end_client(client);
            }
        }
        self.settle(20_000_000);
        for (worker, pool) in self.pools.iter().enumerate() {
            let held = pool.held();
            assert!(held <= SPARE, "worker {worker} holds {held} bytes");
        }
        assert!(self.links.iter().all(|link| !link.has_subscriptions()));
        let by_server = |links: &[Link]| {
            let mut counts = BTreeMap::new();
            for link in links.iter().filter(|link| link.was_subscribed) {
                *counts.entry((link.worker, link.server)).or_insert(0) += 1;
            }
            counts
        };
        assert!(
            by_server(&self.links).is_empty(),
            "they are closed after a while"
        );
    }
}
