//! The servers of one pool, and which keys belong to each.

use std::sync::Arc;

use hashkit::{Member, Placement, Ring};

use super::random::Random;
use crate::id::ServerId;
use crate::settings::Address;
use crate::share::{PlannedServer, PoolPlan, PoolShare};
use crate::slot_map::SlotMap;

/// The placement of keys on the servers of a pool, as one worker uses it. Each worker has its own ring, so that a
/// lookup needs no lock; `refresh` brings it up to date with the pool's shared health.
#[derive(Debug)]
pub(crate) struct Shards {
    pool: Arc<PoolShare>,
    placement: Placement,
    /// In the order of the plan. The ring's indices are indices of this.
    servers: Vec<Shard>,
    ring: Ring,
    /// In a pool of a Redis Cluster: which server has which hash slot. The ring is empty then.
    slots: Option<SlotMap>,
    /// The epoch of the health as of the last `refresh`.
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

/// The server that a key is placed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Placed {
    pub(crate) server: ServerId,
    /// Whether the server was live as of the last `refresh`.
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
            slots: plan.settings.slots.as_deref().cloned(),
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

    /// Whether there is no other server that a key could belong to.
    pub(crate) fn is_single(&self) -> bool {
        self.servers.len() == 1
    }

    /// Those that are live.
    pub(crate) fn live(&self) -> impl Iterator<Item = ServerId> {
        let live = self.servers.iter().filter(|shard| shard.is_live);
        live.map(|shard| shard.id)
    }

    pub(crate) fn pool(&self) -> &Arc<PoolShare> {
        &self.pool
    }

    /// The epoch of the servers' health as of the last `refresh`.
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Whether the health of no server has changed since the last `refresh`.
    #[inline]
    pub(crate) fn is_current(&self) -> bool {
        self.pool.health.epoch() == self.epoch
    }

    /// Takes over changes in the health of the servers. The epoch is read before the servers: if one changes in
    /// between, the next comparison finds a newer epoch and refreshes again.
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

    /// Whether every server is live.
    pub(crate) fn all_live(&self) -> bool {
        self.servers.iter().all(|shard| shard.is_live)
    }

    /// The server that `key` is placed on; `None` when none is live and keys do not stay.
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

    /// Which server has which hash slot, in a pool of a Redis Cluster.
    pub(crate) fn slots(&self) -> Option<&SlotMap> {
        self.slots.as_ref()
    }

    /// The server that has a hash slot. Where it is not known, any, always the same: it knows who has it, or will.
    pub(crate) fn place_slot(&self, slot: u16) -> Option<Placed> {
        let count = self.servers.len().max(1);
        let owner = self.slots.as_ref()?.owner(slot);
        let owner = owner.filter(|owner| *owner < count);
        let shard = self.servers.get(owner.unwrap_or(usize::from(slot) % count));
        shard.map(|shard| Placed {
            server: shard.id,
            is_live: shard.is_live,
        })
    }

    /// The server with this address.
    pub(crate) fn find(&self, address: &Address) -> Option<ServerId> {
        let is_it = |shard: &&Shard| shard.planned.endpoint.address == *address;
        self.servers.iter().find(is_it).map(|shard| shard.id)
    }

    /// That server has the hash slot now; returns whether another one had it.
    pub(crate) fn move_slot(&mut self, slot: u16, server: ServerId) -> bool {
        let position = self.servers.iter().position(|shard| shard.id == server);
        let (Some(slots), Some(position)) = (&mut self.slots, position) else {
            return false;
        };
        let is_news = slots.owner(slot) != Some(position);
        slots.set(slot, position);
        is_news
    }

    /// From now on those servers count as live for which `is_live` says so, until the next `refresh`.
    pub(super) fn assume(&mut self, is_live: impl Fn(ServerId, &PlannedServer) -> bool) {
        for shard in &mut self.servers {
            shard.is_live = is_live(shard.id, &shard.planned);
        }
        if !self.keys_stay {
            self.build();
        }
    }

    /// A random number.
    pub(crate) fn draw(&mut self) -> u32 {
        self.random.draw()
    }

    /// Whether each request goes to a random server, so that keys belong to no server.
    pub(crate) fn is_random(&self) -> bool {
        let is_drawn = self.placement.distribution.is_drawn() && self.slots.is_none();
        is_drawn && self.servers.len() > 1
    }

    fn note_live(&mut self) {
        for shard in &mut self.servers {
            shard.is_live = shard.planned.is_live();
        }
    }

    fn build(&mut self) {
        if self.slots.is_some() {
            return;
        }
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
