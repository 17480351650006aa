//! Replies that tell of the pool and of its clients, for which the engine hands over what it knows.

use std::collections::HashSet;

use super::channel::ChannelKind;
use super::decision::{Decider, Request};
use crate::share::{PoolPlan, PoolShare};
use crate::time::Time;

/// Answers requests about the pool.
pub(crate) trait Report: Decider {
    /// Writes the reply to a request that was planned as [`Route::Report`](super::decision::Route::Report).
    fn report(
        &self,
        request: Request<'_, Self>,
        pool: &PoolView<'_, Self::Client>,
        out: &mut Vec<u8>,
    );

    /// Writes a request that was planned as [`Route::Workers`](super::decision::Route::Workers) as the other workers are to
    /// read it.
    fn question(request: Request<'_, Self>, out: &mut Vec<u8>) {
        let _ = (request, out);
    }

    /// What a worker contributes to the answer to such a request of the client with the number `asker`, which may be one of
    /// another worker: appended to `out`, and what is to be done.
    fn part(
        &self,
        request: Request<'_, Self>,
        asker: u64,
        worker: &mut WorkerView<'_, Self::Client>,
        out: &mut Vec<u8>,
    ) -> Deed {
        let _ = (request, asker, worker, out);
        Deed::None
    }

    /// Writes the reply, of what the workers have contributed. A worker that does not have the pool contributes nothing.
    fn joined(
        &self,
        request: Request<'_, Self>,
        asker: &Self::Client,
        parts: &[Vec<u8>],
        out: &mut Vec<u8>,
    ) {
        let _ = (request, asker, parts, out);
    }

    /// Whether the request waits while clients are paused, or those of their requests that may change data.
    fn waits_for_pause(
        &self,
        request: Request<'_, Self>,
        client: &Self::Client,
        writes_only: bool,
    ) -> bool {
        let _ = (request, client, writes_only);
        false
    }
}

/// What a worker does for a request that all workers are asked.
#[derive(Debug)]
pub(crate) enum Deed {
    /// Nothing besides what it tells.
    None,
    /// Close the clients with these numbers.
    Close(HashSet<u64>),
    /// End what the client with this number waits for; whether it waits is appended as one byte.
    Unblock { client: u64, with_error: bool },
    /// Begin a pause, or end it.
    Pause(Option<Pause>),
}

/// Requests of clients are not accepted for a while, and wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pause {
    pub(crate) until: Time,
    /// Only those that may change data.
    pub(crate) writes_only: bool,
}

/// A pool as one of its workers sees it.
pub(crate) struct PoolView<'a, C> {
    pub(crate) now: Time,
    pub(crate) share: &'a PoolShare,
    pub(crate) plan: &'a PoolPlan,
    /// How many different channels of a kind clients of this worker are subscribed to.
    pub(crate) channels: &'a dyn Fn(ChannelKind) -> usize,
    /// The client that asks.
    pub(crate) asking: ClientView<'a, C>,
}

/// Calls back with the name of each channel of a kind.
pub(crate) type EachChannel<'a> = dyn Fn(ChannelKind, &mut dyn FnMut(&[u8])) + 'a;

/// The clients of a pool that one of its workers has.
pub(crate) struct WorkerView<'a, C> {
    pub(crate) now: Time,
    pub(crate) share: &'a PoolShare,
    /// How many of them are subscribed to a channel.
    pub(crate) subscribers: &'a dyn Fn(ChannelKind, &[u8]) -> usize,
    /// Calls back with each channel of a kind that any of them is subscribed to.
    pub(crate) channels: &'a EachChannel<'a>,
    /// All of them.
    pub(crate) clients: &'a mut dyn Iterator<Item = ClientView<'a, C>>,
}

/// A client as its session knows it.
pub(crate) struct ClientView<'a, C> {
    /// Its address.
    pub(crate) name: &'a str,
    /// What the protocol remembers of it.
    pub(crate) client: &'a C,
    /// How many requests of its transaction are held.
    pub(crate) queued: usize,
    /// Whether it waits for other clients.
    pub(crate) waits: bool,
    /// When it last did something.
    pub(crate) active: Time,
    /// Bytes of it that wait unparsed.
    pub(crate) unparsed: usize,
    /// Bytes of replies that it has not taken.
    pub(crate) unread: usize,
    /// Bytes of memory that its buffers take.
    pub(crate) held: usize,
}
