//! Key to server, skipping ejected ones.

use hashkit::{Distribution, Member, Placement, Ring};

use crate::servers::health::Health;
use crate::settings::{EjectPolicy, PoolSettings};

/// A worker's own routing table for one pool, rebuilt when the shared health has another epoch.
#[derive(Debug)]
pub(crate) struct Router {
    placement: Placement,
    members: Vec<(String, u32)>,
    ring: Ring,
    epoch: u64,
    /// Which servers were live when that epoch was seen.
    live: Vec<bool>,
    any_live: bool,
    /// Keys stay with their servers, ejected or not.
    keys_stay: bool,
    random: Random,
}

impl Router {
    pub(crate) fn new(settings: &PoolSettings, health: &Health, seed: u64) -> Self {
        let members: Vec<_> = settings
            .servers
            .iter()
            .map(|server| (server.name.clone(), server.weight))
            .collect();
        let epoch = health.epoch();
        let keys_stay = settings.failure.eject != EjectPolicy::Remap;
        let live: Vec<_> = (0..members.len())
            .map(|server| health.is_live(server))
            .collect();
        let is_live = |server: usize| keys_stay || live[server];
        let ring = build(&settings.placement, &members, is_live);
        let any_live = (0..members.len()).any(is_live);
        Self {
            live,
            placement: settings.placement,
            members,
            ring,
            epoch,
            any_live,
            keys_stay,
            random: Random::new(seed),
        }
    }

    /// Takes over what has changed in `health` since.
    pub(crate) fn refresh(&mut self, health: &Health) {
        let epoch = health.epoch();
        if epoch == self.epoch {
            return;
        }
        self.epoch = epoch;
        for (server, live) in self.live.iter_mut().enumerate() {
            *live = health.is_live(server);
        }
        if self.keys_stay {
            return;
        }
        self.any_live = self.live.contains(&true);
        if self.any_live {
            self.ring = build(&self.placement, &self.members, |server| self.live[server]);
        }
    }

    /// From now on keys stay with their servers, ejected or not.
    pub(crate) fn keep_keys(&mut self) {
        (self.keys_stay, self.any_live) = (true, true);
        self.ring = build(&self.placement, &self.members, |_| true);
    }

    /// Whether keys stay with their servers, ejected or not.
    pub(crate) fn keeps_keys(&self) -> bool {
        self.keys_stay
    }

    /// Whether `server` was live when the health was last looked at.
    pub(crate) fn is_live(&self, server: usize) -> bool {
        self.live[server]
    }

    /// Whether every server was.
    pub(crate) fn is_whole(&self) -> bool {
        !self.live.contains(&false)
    }

    /// The server that owns `key` now; `None` when no server is live.
    pub(crate) fn route(&mut self, key: &[u8]) -> Option<usize> {
        if !self.any_live {
            return None;
        }
        if self.members.len() == 1 {
            return Some(0);
        }
        let hash = match self.placement.distribution {
            Distribution::Random => self.random.next(),
            Distribution::Ketama | Distribution::Modula => self.placement.hash_of(key),
        };
        self.ring.lookup(hash)
    }

    /// A number by chance.
    pub(crate) fn draw(&mut self) -> u32 {
        self.random.next()
    }

    /// Whether every request is placed anew, so that keys have no home.
    pub(crate) fn is_random(&self) -> bool {
        self.placement.distribution == Distribution::Random && self.members.len() > 1
    }
}

fn build(
    placement: &Placement,
    members: &[(String, u32)],
    is_live: impl Fn(usize) -> bool,
) -> Ring {
    let members: Vec<_> = members
        .iter()
        .enumerate()
        .map(|(index, (name, weight))| Member {
            name: name.as_bytes(),
            weight: *weight,
            live: is_live(index),
        })
        .collect();
    Ring::build(placement.distribution, &members)
}

/// A small generator (xorshift64*) for the `random` distribution; seeded by the caller.
#[derive(Debug)]
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    fn next(&mut self) -> u32 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32) as u32
    }
}
