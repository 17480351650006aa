//! Chooses the worker for each client.

use std::sync::Arc;

use crate::connections::{ConnectionCounts, Kind};
use crate::net::Stream;
use crate::pool::PoolShare;
use crate::worker::{Handle, Message};

/// Spreads clients evenly over workers.
#[derive(Debug)]
pub(super) struct Balancer {
    workers: Vec<Handle>,
    counts: Arc<ConnectionCounts>,
    /// Where the search for the least loaded worker begins, so that ties rotate.
    next: usize,
    /// A client that could not be handed over because its worker's inbox was full.
    held: Option<Message>,
}

impl Balancer {
    pub(super) fn new(workers: Vec<Handle>, counts: Arc<ConnectionCounts>) -> Self {
        Self {
            workers,
            counts,
            next: 0,
            held: None,
        }
    }

    /// Hands a client of `pool` to the worker with the fewest clients, among those that serve the pool.
    pub(super) fn give(&mut self, pool: &Arc<PoolShare>, stream: Stream, name: Box<str>) {
        let worker = self.least_loaded(pool);
        self.next = (worker + 1) % self.workers.len();
        let counted = self.counts.count(Kind::Client {
            pool: Arc::clone(pool),
            worker: worker as u32,
        });
        let client = Message::Client {
            pool: pool.id(),
            stream,
            name,
            counted,
        };
        self.held = self.workers[worker].send(client).err();
    }

    /// Whether a client can be handed over. While one is pending, the next ones are not accepted.
    pub(super) fn has_room(&mut self) -> bool {
        let Some(client) = self.held.take() else {
            return true;
        };
        let worker = match &client {
            Message::Client { counted, .. } => counted.worker().unwrap_or(0),
            _ => 0,
        };
        self.held = self.workers[worker].send(client).err();
        self.held.is_none()
    }

    fn least_loaded(&self, pool: &PoolShare) -> usize {
        let count = self.workers.len();
        (0..count)
            .map(|step| (self.next + step) % count)
            .filter(|worker| pool.core().deals_to(*worker))
            .min_by_key(|&worker| self.counts.clients_of_worker(worker))
            .unwrap_or(0)
    }
}
