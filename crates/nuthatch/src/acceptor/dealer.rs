//! Which worker gets a client.

use std::sync::Arc;

use crate::census::{Census, Occupant};
use crate::net::Stream;
use crate::worker::{Handle, Message};

/// Deals clients to workers.
#[derive(Debug)]
pub(super) struct Dealer {
    workers: Vec<Handle>,
    census: Arc<Census>,
    /// Where the search for the emptiest worker begins, so that ties go round.
    next: usize,
    /// A client whose worker's inbox was full.
    held: Option<Message>,
}

impl Dealer {
    pub(super) fn new(workers: Vec<Handle>, census: Arc<Census>) -> Self {
        Self {
            workers,
            census,
            next: 0,
            held: None,
        }
    }

    /// Gives a client of the pool with index `pool` to the worker with the fewest.
    pub(super) fn deal(&mut self, pool: usize, stream: Stream, name: Box<str>) {
        let worker = self.emptiest();
        self.next = (worker + 1) % self.workers.len();
        let seat = self.census.seat(Occupant::Client {
            pool: pool as u32,
            worker: worker as u32,
        });
        let client = Message::Client {
            pool: pool as u32,
            stream,
            name,
            seat,
        };
        self.held = self.workers[worker].send(client).err();
    }

    /// Whether a client can be dealt. One that could not be given away keeps the next ones waiting.
    pub(super) fn has_room(&mut self) -> bool {
        let Some(client) = self.held.take() else {
            return true;
        };
        let worker = match &client {
            Message::Client { seat, .. } => seat.worker().unwrap_or(0),
            Message::Resolved { .. } | Message::Shutdown(_) => 0,
        };
        self.held = self.workers[worker].send(client).err();
        self.held.is_none()
    }

    fn emptiest(&self) -> usize {
        let count = self.workers.len();
        (0..count)
            .map(|step| (self.next + step) % count)
            .min_by_key(|&worker| self.census.clients_of_worker(worker))
            .unwrap_or(0)
    }
}
