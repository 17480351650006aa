//! The driver's state and what its other modules share.

use std::collections::VecDeque;
use std::sync::Arc;

use proxy::{Pool, SessionId, Time};
use slab::Slab;

use super::depth::Depth;
use super::handshakes::Handshakes;
use crate::connections::ConnectionCounts;
use crate::pool::PoolId;
use crate::worker::chunks::Chunks;
use crate::worker::link::{Link, Role};
use crate::worker::net::Net;
use crate::worker::pool::{PoolPart, PoolParts};

/// The part of a worker between its poll and the core.
#[derive(Debug)]
pub(in crate::worker) struct Driver<N: Net> {
    pub(super) net: N,
    pub(super) pools: PoolParts,
    pub(super) counts: Arc<ConnectionCounts>,
    /// Every socket; the key is its token in the poll.
    pub(super) links: Slab<Link<N::Stream>>,
    pub(super) chunks: Chunks,
    pub(super) now: Time,
    pub(super) tick: u32,
    /// The level of the log, as the cores know it.
    pub(super) log_level: u8,
    /// Bytes read since all pending output was last written.
    pub(super) unwritten: usize,
    pub(super) depth: Depth,
    /// Links with more to do than one tick allows.
    pub(super) waiting: Vec<usize>,
    /// Links that can be written to again and have output.
    pub(super) writable: Vec<usize>,
    /// Pools whose core was called since its output was last drained.
    pub(super) touched: Vec<PoolId>,
    /// Lingering clients in order of their deadlines. An entry may be stale: its client is closed, and the
    /// key may belong to another one.
    pub(super) lingering: VecDeque<(Time, usize)>,
    /// Those that are not over.
    pub(super) handshakes: Handshakes,
    /// Pools that were removed from the configuration and still have clients or unanswered requests, and when each is
    /// closed at the latest.
    pub(super) leaving: Vec<(PoolId, Time)>,
    /// When the shutdown is over at the latest; set once it has begun.
    pub(super) end: Option<Time>,
}

impl<N: Net> Driver<N> {
    pub(super) fn part(&mut self, pool: PoolId) -> &mut PoolPart {
        &mut self.pools[pool]
    }

    pub(super) fn has_role(&self, key: usize, pool: PoolId, role: Role) -> bool {
        let link = self.links.get(key);
        link.is_some_and(|link| link.pool == pool && link.role == role)
    }

    /// Calls every core.
    pub(super) fn each_core(&mut self, mut call: impl FnMut(&mut Pool, Time)) {
        for slot in self.pools.slots() {
            if let Some(part) = self.pools.at(slot) {
                call(&mut part.core, self.now);
                let pool = part.share.id();
                self.touch(pool);
            }
        }
    }

    /// The core of `pool` was called, so it may have actions or output.
    pub(super) fn touch(&mut self, pool: PoolId) {
        let part = &mut self.pools[pool];
        if !part.touched {
            part.touched = true;
            self.touched.push(pool);
        }
    }

    /// Continues the link in the next tick, which then follows without sleeping.
    pub(super) fn wait_for_next_tick(&mut self, key: usize) {
        let link = &mut self.links[key];
        if !link.queued {
            link.queued = true;
            self.waiting.push(key);
        }
    }

    /// The key of a client's link, unless it is closed.
    pub(super) fn key_of_session(&self, pool: PoolId, id: SessionId) -> Option<usize> {
        let key = self.pools[pool].sessions.get(id.index())?;
        self.has_role(key, pool, Role::Session(id)).then_some(key)
    }
}
