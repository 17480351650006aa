//! The servers of one pool, and which keys are theirs.

use std::sync::Arc;

use hashkit::{Member, Placement, Ring};

use super::random::Random;
use crate::id::ServerId;
use crate::share::{PlannedServer, PoolPlan, PoolShare};

/// A worker's own placement of keys on the servers of a pool. It follows the shared health of the pool when it
/// is told to.
#[derive(Debug)]
pub(crate) struct Shards {
    pool: Arc<PoolShare>,
    placement: Placement,
    /// In the order of the plan, which is the ring's.
    servers: Vec<Shard>,
    ring: Ring,
    /// The epoch of the health that this is of.
    epoch: u64,
    /// Keys stay with their servers, ejected or not.
    keys_stay: bool,
    random: Random,
}

/// One server.
#[derive(Debug)]
struct Shard {
    id: ServerId,
    planned: PlannedServer,
    /// As of the epoch.
    is_live: bool,
}

/// Where a key belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Placed {
    pub(crate) server: ServerId,
    /// Whether the server was in use when the health was last looked at.
    pub(crate) is_live: bool,
}

impl Shards {
    /// The placement that `plan` of `pool` asks for, on servers whose ids are `ids` in its order.
    pub(crate) fn new(
        pool: &Arc<PoolShare>,
        plan: &PoolPlan,
        ids: &[ServerId],
        keys_stay: bool,
        seed: u64,
    ) -> Self {
        let shard = |(id, planned): (&ServerId, &PlannedServer)| Shard {
            id: *id,
            planned: planned.clone(),
            is_live: true,
        };
        let mut shards = Self {
            epoch: pool.health.epoch(),
            pool: Arc::clone(pool),
            placement: plan.settings.placement,
            ring: plan.settings.placement.ring(&[]),
            servers: ids.iter().zip(&plan.servers).map(shard).collect(),
            keys_stay,
            random: Random::new(seed),
        };
        shards.note_live();
        shards.build();
        shards
    }

    /// The servers, in the order of the plan.
    pub(crate) fn servers(&self) -> impl Iterator<Item = ServerId> {
        self.servers.iter().map(|shard| shard.id)
    }

    pub(crate) fn pool(&self) -> &Arc<PoolShare> {
        &self.pool
    }

    /// Whether the health of no server has changed since it was last looked at.
    #[inline]
    pub(crate) fn is_current(&self) -> bool {
        self.pool.health.epoch() == self.epoch
    }

    /// Takes over what has changed in the health of the servers.
    pub(crate) fn refresh(&mut self) {
        let epoch = self.pool.health.epoch();
        if epoch == self.epoch {
            return;
        }
        self.epoch = epoch;
        self.note_live();
        if !self.keys_stay {
            self.build();
        }
    }

    /// Whether every server is in use.
    pub(crate) fn all_live(&self) -> bool {
        self.servers.iter().all(|shard| shard.is_live)
    }

    /// The server that owns `key`; `None` when none is in use.
    #[inline(always)]
    pub(crate) fn place(&mut self, key: &[u8]) -> Option<Placed> {
        let random = &mut self.random;
        let index = self.placement.place(&self.ring, key, || random.draw())?;
        let shard = &self.servers[index];
        Some(Placed {
            server: shard.id,
            is_live: shard.is_live,
        })
    }

    /// A number by chance.
    pub(crate) fn draw(&mut self) -> u32 {
        self.random.draw()
    }

    /// Whether every request is placed anew, so that keys have no home.
    pub(crate) fn is_random(&self) -> bool {
        self.placement.distribution.is_drawn() && self.servers.len() > 1
    }

    fn note_live(&mut self) {
        for shard in &mut self.servers {
            shard.is_live = shard.planned.is_live();
        }
    }

    fn build(&mut self) {
        let members: Vec<_> = self
            .servers
            .iter()
            .map(|shard| Member {
                name: shard.planned.share.name().as_bytes(),
                weight: shard.planned.weight,
                live: self.keys_stay || shard.is_live,
            })
            .collect();
        self.ring = self.placement.ring(&members);
    }
}
