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
        pool: &mut PoolView<'_, Self::Client>,
        out: &mut Vec<u8>,
    );

    /// The numbers of the clients that a request closes that was planned as
    /// [`AdminStep::CloseClients`](super::decision::AdminStep::CloseClients); writes the reply to it.
    fn victims(
        &self,
        request: Request<'_, Self>,
        pool: &mut PoolView<'_, Self::Client>,
        out: &mut Vec<u8>,
    ) -> HashSet<u64> {
        let _ = (request, pool, out);
        HashSet::new()
    }
}

/// A pool as one of its workers sees it.
pub(crate) struct PoolView<'a, C> {
    pub(crate) now: Time,
    pub(crate) share: &'a PoolShare,
    pub(crate) plan: &'a PoolPlan,
    /// How many clients of this worker are subscribed to a channel; without a name how many different channels of the
    /// kind they are subscribed to.
    pub(crate) subscribers: &'a dyn Fn(ChannelKind, Option<&[u8]>) -> usize,
    /// The client that asks.
    pub(crate) asking: ClientView<'a, C>,
    /// The clients of this worker, that one included.
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
