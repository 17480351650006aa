//! What a driver has, and what all that it does has in common.

use std::collections::VecDeque;
use std::sync::Arc;

use proxy::{SessionId, Time};
use slab::Slab;

use super::depth::Depth;
use crate::connections::ConnectionCounts;
use crate::pool::PoolId;
use crate::worker::chunks::Chunks;
use crate::worker::endpoint::{Endpoint, Role};
use crate::worker::net::Net;
use crate::worker::pool::{PoolPart, PoolParts};

/// The part of a worker between its poll and the core.
#[derive(Debug)]
pub(in crate::worker) struct Driver<N: Net> {
    pub(super) net: N,
    pub(super) pools: PoolParts,
    pub(super) counts: Arc<ConnectionCounts>,
    /// Every socket; the key is its token in the poll.
    pub(super) endpoints: Slab<Endpoint<N::Stream>>,
    pub(super) chunks: Chunks,
    pub(super) now: Time,
    pub(super) tick: u32,
    /// Bytes that were read since everything was last written.
    pub(super) unwritten: usize,
    pub(super) depth: Depth,
    /// Endpoints that had more to do than a tick allows.
    pub(super) waiting: Vec<usize>,
    /// Endpoints that can be written to again and have output.
    pub(super) writable: Vec<usize>,
    /// Pools whose core was called since it was last drained.
    pub(super) touched: Vec<PoolId>,
    /// In order of their deadlines; some have closed already, and another may have their place.
    pub(super) lingering: VecDeque<(Time, usize)>,
}

impl<N: Net> Driver<N> {
    pub(super) fn part(&mut self, pool: PoolId) -> &mut PoolPart {
        &mut self.pools[pool]
    }

    pub(super) fn has_role(&self, key: usize, pool: PoolId, role: Role) -> bool {
        let endpoint = self.endpoints.get(key);
        endpoint.is_some_and(|endpoint| endpoint.pool == pool && endpoint.role == role)
    }

    /// The core of `pool` was called, so it may have something to say.
    pub(super) fn touch(&mut self, pool: PoolId) {
        let part = &mut self.pools[pool];
        if !part.touched {
            part.touched = true;
            self.touched.push(pool);
        }
    }

    /// Has the endpoint go on in the next tick, without sleep in between.
    pub(super) fn wait_for_next_tick(&mut self, key: usize) {
        let endpoint = &mut self.endpoints[key];
        if !endpoint.queued {
            endpoint.queued = true;
            self.waiting.push(key);
        }
    }

    /// The key of a client that is not closed.
    pub(super) fn key_of_session(&self, pool: PoolId, id: SessionId) -> Option<usize> {
        let key = self.pools[pool].sessions.get(id.index())?;
        self.has_role(key, pool, Role::Session(id)).then_some(key)
    }
}
