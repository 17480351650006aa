//! Which part of the keys belongs to which server.
//!
//! That is found by placing keys, and not by measuring the ring: hashes need not be spread evenly (crc16 has 65,536
//! values), and then the parts of the ring say nothing of the parts of the keys.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use hashkit::{Member, SLOTS};
use proxy::PoolPlan;
use proxy::settings::{EjectPolicy, PoolSettings};

/// Keys that are placed: a share of a tenth is then found within three thousandths, nearly always. It takes a few
/// milliseconds, and is done when servers or their states have changed.
const KEYS: u32 = 10_000;

/// An odd number near 2^64 divided by the golden ratio: its multiples differ in their first digits.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

/// Maximum pools whose shares are kept.
const MOST_POOLS: usize = 1_024;

/// The shares of pools, as last found.
#[derive(Debug, Default)]
pub(super) struct KeyShares {
    known: Mutex<HashMap<String, Known>>,
}

#[derive(Debug)]
struct Known {
    settings: Arc<PoolSettings>,
    live: Vec<bool>,
    shares: Arc<[f64]>,
}

impl KeyShares {
    /// For each server of the plan the part of the keys that it gets now, from 0 to 1.
    pub(super) fn of(&self, pool: &str, plan: &PoolPlan) -> Arc<[f64]> {
        let live = on_ring(plan);
        // What is kept is whole whenever the lock is free.
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known.get(pool)
            && Arc::ptr_eq(&known.settings, &plan.settings)
            && known.live == live
        {
            return Arc::clone(&known.shares);
        }
        let shares: Arc<[f64]> = find(plan, &live).into();
        if known.len() >= MOST_POOLS && !known.contains_key(pool) {
            known.clear();
        }
        let found = Known {
            settings: Arc::clone(&plan.settings),
            live,
            shares: Arc::clone(&shares),
        };
        known.insert(pool.to_owned(), found);
        shares
    }
}

/// Which servers keys are placed on: an ejected one keeps its keys unless they are moved to the others.
fn on_ring(plan: &PoolPlan) -> Vec<bool> {
    let moves = plan.settings.failure.eject == EjectPolicy::Remap && plan.failover.is_none();
    let servers = plan.servers.iter();
    servers.map(|server| !moves || server.is_live()).collect()
}

fn find(plan: &PoolPlan, live: &[bool]) -> Vec<f64> {
    if let Some(slots) = &plan.settings.slots {
        let share = |server| slots.count_of(server) as f64 / SLOTS as f64;
        return (0..plan.servers.len()).map(share).collect();
    }
    let members = plan.servers.iter().zip(live);
    let members: Vec<_> = members
        .map(|(server, live)| Member {
            name: server.share.name().as_bytes(),
            weight: server.weight,
            live: *live,
        })
        .collect();
    let placement = plan.settings.placement;
    let ring = placement.ring(&members);
    let mut counts = vec![0_u32; members.len()];
    for number in 0..KEYS {
        // Digits only, so that a hash tag does not cut them, and different from the first on: with fnv1a_64, keys whose
        // last characters differ are neighbours on the ring.
        let key = u64::from(number).wrapping_mul(SPREAD).to_string();
        if let Some(owner) = placement.place(&ring, key.as_bytes(), || number) {
            counts[owner] += 1;
        }
    }
    let share = |count: u32| f64::from(count) / f64::from(KEYS);
    counts.into_iter().map(share).collect()
}

#[cfg(test)]
mod tests {
    use hashkit::Distribution;
    use proxy::settings::{
        Address, MemcachedSettings, PoolSettings, ProtocolSettings, ServerSettings,
    };
    use proxy::{Memory, PoolShare};

    use super::*;

    fn pool(distribution: Distribution, weights: [u32; 3]) -> Arc<PoolShare> {
        let server = |(index, weight): (usize, u32)| ServerSettings {
            name: format!("server-{index}"),
            pname: format!("h:{index}:{weight}"),
            address: Address::tcp("h", 1),
            weight,
            db: 0,
            replication: Default::default(),
        };
        let servers = weights.into_iter().enumerate().map(server).collect();
        let protocol = ProtocolSettings::Memcached(MemcachedSettings::default());
        let mut settings = PoolSettings::new("p", servers, protocol);
        settings.placement.distribution = distribution;
        PoolShare::new(settings, None, &Arc::new(Memory::new(0)), 1)
    }

    #[test]
    fn shares_are_those_of_the_ring_and_follow_the_plan() {
        for (distribution, expected) in [
            (Distribution::Modula, [0.5, 0.25, 0.25]),
            (Distribution::Random, [1.0 / 3.0; 3]),
        ] {
            let pool = pool(distribution, [2, 1, 1]);
            let shares = KeyShares::default().of("p", &pool.plan());
            let near = |(share, expected): (&f64, &f64)| (share - expected).abs() < 0.02;
            assert!(shares.iter().zip(&expected).all(near), "{shares:?}");
        }
        // Of the ring itself: the part of all hashes that each server owns, within the error of the sample.
        let pool = pool(Distribution::Ketama, [1; 3]);
        let plan = pool.plan();
        let known = KeyShares::default();
        let shares = known.of("p", &plan);
        let servers = plan.servers.iter();
        let members: Vec<_> = servers
            .map(|server| Member {
                name: server.share.name().as_bytes(),
                weight: 1,
                live: true,
            })
            .collect();
        let ring = plan.settings.placement.ring(&members);
        let mut owned = [0_u32; 3];
        for hash in (0..u32::MAX).step_by(1 << 12) {
            owned[ring.lookup(hash).expect("an owner")] += 1;
        }
        for (share, owned) in shares.iter().zip(owned) {
            let owned = f64::from(owned) / f64::from(1 << 20);
            assert!((share - owned).abs() < 0.02, "{share} and {owned}");
        }
        assert!(Arc::ptr_eq(&shares, &known.of("p", &plan)));
        let mut settings = (*plan.settings).clone();
        settings.servers[0].weight = 8;
        let plan = pool.publish(settings, None).expect("the same pool");
        assert!(known.of("p", &plan)[0] > 0.6);
    }
}
