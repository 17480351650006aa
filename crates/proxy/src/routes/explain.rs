//! Where a key's requests go, for people who ask. It is found by the routes that requests take ([`Routes`]), made anew for
//! each question.

use std::sync::Arc;

use hashkit::slot_of;

use super::plans::Plans;
use super::routing::{Destination, Routes};
use super::shards::Shards;
use crate::id::{Id, ServerId};
use crate::settings::PoolSettings;
use crate::share::{PlannedServer, PoolPlan, PoolShare};
use crate::time::Time;

/// Where a key's requests go, and by which plans.
#[derive(Debug, Clone)]
pub struct KeyRoute {
    /// The plan of the pool.
    pub plan: Arc<PoolPlan>,
    /// That of its failover pool.
    pub failover: Option<Arc<PoolPlan>>,
    /// Where they go now.
    pub now: KeyDestination,
    /// Where they would go if the server to which they go now were ejected or held, too; `None` if there is no such one.
    pub next: Option<KeyDestination>,
}

/// Where the requests for a key go. Servers are indices of the plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyDestination {
    /// To a server of the pool; `None` stands for any that is live, drawn for each request.
    Server(Option<usize>),
    /// To a server of the failover pool, in the same way.
    Substitute(Option<usize>),
    /// Nowhere: its server is not in use, and its keys stay with it.
    Ejected,
    /// Nowhere: no server is in use.
    NoServer,
}

/// Tells where requests for `key` go that are sent at `now`.
pub fn key_route(pool: &Arc<PoolShare>, key: &[u8], now: Time) -> KeyRoute {
    let plans = Plans::new(pool);
    let question = Question {
        plans: &plans,
        key,
        now,
    };
    let destination = question.answer(None);
    let next = match destination {
        KeyDestination::Server(Some(index)) => Some(question.answer(Some(id(OWN, index)))),
        KeyDestination::Substitute(Some(index)) => Some(question.answer(Some(id(OTHER, index)))),
        _ => None,
    };
    KeyRoute {
        plan: Arc::clone(plans.own()),
        failover: plans.failover_plan().cloned(),
        now: destination,
        next,
    }
}

/// Generations of the ids of servers: they tell the pools apart.
const OWN: u32 = 0;
const OTHER: u32 = 1;

fn id(generation: u32, index: usize) -> ServerId {
    ServerId::new(index as u32, generation)
}

struct Question<'q> {
    plans: &'q Plans,
    key: &'q [u8],
    now: Time,
}

impl Question<'_> {
    /// The answer if the server `without` were not in use.
    fn answer(&self, without: Option<ServerId>) -> KeyDestination {
        let (own_stay, other_stay) = self.plans.keys_stay();
        let own = self.shards(self.plans.pool(), self.plans.own(), OWN, own_stay, without);
        let slots = own.slots();
        if slots.is_some_and(|slots| slots.owner(slot_of(self.key)).is_none()) {
            // Any of them may know.
            return KeyDestination::Server(None);
        }
        let failover = self.plans.failover();
        let failover =
            failover.map(|(pool, plan, _)| self.shards(pool, plan, OTHER, other_stay, without));
        let drawn = |shards: &Shards| shards.is_random() && shards.live().next().is_some();
        let (is_own_drawn, is_other_drawn) = (drawn(&own), failover.as_ref().is_some_and(drawn));
        if is_own_drawn {
            return KeyDestination::Server(None);
        }
        match Routes::new([0; 2], own, failover, own_stay).route(self.key) {
            Destination::Server(server) | Destination::Slot(server, _) => {
                KeyDestination::Server(Some(server.index()))
            }
            Destination::Substitute(_) | Destination::Ejected(_) if is_other_drawn => {
                KeyDestination::Substitute(None)
            }
            Destination::Substitute(server) => KeyDestination::Substitute(Some(server.index())),
            Destination::Ejected(_) => KeyDestination::Ejected,
            Destination::NoReplica(_) | Destination::NoServer => KeyDestination::NoServer,
        }
    }

    fn shards(
        &self,
        pool: &Arc<PoolShare>,
        plan: &PoolPlan,
        generation: u32,
        keys_stay: bool,
        without: Option<ServerId>,
    ) -> Shards {
        let ids: Vec<ServerId> = (0..plan.servers.len())
            .map(|index| id(generation, index))
            .collect();
        let mut shards = Shards::new(pool, plan, &ids, keys_stay, 0);
        shards
            .assume(|id, server| Some(id) != without && is_used(&plan.settings, server, self.now));
        shards
    }
}

/// Whether a request at `now` finds a server in use. The request itself ends an ejection whose pause is over, unless there
/// is a probe first.
fn is_used(settings: &PoolSettings, server: &PlannedServer, now: Time) -> bool {
    let ends = |until| !settings.auto_eject_hosts || (until <= now && !settings.failure.probe);
    !server.is_held() && server.ejected_until().is_none_or(ends)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use hashkit::{Distribution, Member};

    use super::*;
    use crate::flow::memory::Memory;
    use crate::settings::{
        Address, EjectPolicy, MemcachedSettings, ProtocolSettings, ServerSettings,
    };
    use crate::share::FailoverPool;

    const NOW: Time = Time::from_micros(1_000_000);

    fn settings(name: &str, servers: usize, change: impl Fn(&mut PoolSettings)) -> PoolSettings {
        let server = |index| ServerSettings {
            name: format!("{name}-{index}"),
            pname: format!("{name}:{index}:1"),
            address: Address::tcp(name, index),
            weight: 1,
            db: 0,
            replication: Default::default(),
        };
        let servers = (0..servers as u16).map(server).collect();
        let protocol = ProtocolSettings::Memcached(MemcachedSettings::default());
        let mut settings = PoolSettings::new(name, servers, protocol);
        settings.auto_eject_hosts = true;
        change(&mut settings);
        settings
    }

    fn share(settings: PoolSettings, failover: Option<FailoverPool>) -> Arc<PoolShare> {
        PoolShare::new(settings, failover, &Arc::new(Memory::new(0)), 1)
    }

    /// The server that a ring without some of the servers gives for a key.
    fn on_ring(pool: &PoolShare, key: &[u8], without: &[usize]) -> Option<usize> {
        let plan = pool.plan();
        let members = plan.servers.iter().enumerate();
        let members: Vec<_> = members
            .map(|(index, server)| Member {
                name: server.share.name().as_bytes(),
                weight: server.weight,
                live: !without.contains(&index),
            })
            .collect();
        let placement = plan.settings.placement;
        placement.place(&placement.ring(&members), key, || 0)
    }

    #[test]
    fn keys_move_to_the_servers_that_are_left() {
        let pool = share(settings("p", 3, |_| {}), None);
        for key in (0..200).map(|number| format!("key:{number}")) {
            let key = key.as_bytes();
            let first = on_ring(&pool, key, &[]);
            let second = on_ring(&pool, key, &[first.unwrap()]);
            let route = key_route(&pool, key, NOW);
            assert_eq!(route.now, KeyDestination::Server(first));
            assert_eq!(route.next, Some(KeyDestination::Server(second)));
        }
        let server = pool.plan().servers[1].clone();
        pool.hold(&server);
        for key in (0..200).map(|number| format!("key:{number}")) {
            let first = on_ring(&pool, key.as_bytes(), &[1]);
            let second = on_ring(&pool, key.as_bytes(), &[1, first.unwrap()]);
            let route = key_route(&pool, key.as_bytes(), NOW);
            assert_eq!(route.now, KeyDestination::Server(first));
            assert_eq!(route.next, Some(KeyDestination::Server(second)));
        }
        for index in [0, 2] {
            pool.eject(&pool.plan().servers[index], NOW);
        }
        let route = key_route(&pool, b"key", NOW);
        assert_eq!((route.now, route.next), (KeyDestination::NoServer, None));
    }

    #[test]
    fn keys_stay_or_go_to_the_failover_pool() {
        for eject in [EjectPolicy::Error, EjectPolicy::Miss] {
            let pool = share(settings("p", 3, |it| it.failure.eject = eject), None);
            let route = key_route(&pool, b"key", NOW);
            assert_eq!(route.next, Some(KeyDestination::Ejected), "{eject:?}");
        }
        let other = share(
            settings("other", 2, |it| it.failure.eject = EjectPolicy::Error),
            None,
        );
        let failover = FailoverPool {
            pool: Arc::clone(&other),
            seconds: 60,
        };
        let pool = share(settings("p", 3, |_| {}), Some(failover));
        let index = on_ring(&other, b"key", &[]);
        let route = key_route(&pool, b"key", NOW);
        assert_eq!(route.next, Some(KeyDestination::Substitute(index)));
        let KeyDestination::Server(Some(own)) = route.now else {
            panic!("{route:?}");
        };
        pool.eject(&route.plan.servers[own], NOW);
        let route = key_route(&pool, b"key", NOW);
        assert_eq!(route.now, KeyDestination::Substitute(index));
        assert_eq!(route.next, Some(KeyDestination::Ejected));
        assert_eq!(route.failover.unwrap().settings.name, "other");
    }

    #[test]
    fn servers_that_are_drawn_are_not_named() {
        let random = |it: &mut PoolSettings| it.placement.distribution = Distribution::Random;
        let other = share(settings("other", 2, random), None);
        let failover = FailoverPool {
            pool: Arc::clone(&other),
            seconds: 60,
        };
        let pool = share(settings("p", 1, |_| {}), Some(failover));
        let route = key_route(&pool, b"key", NOW);
        assert_eq!(route.now, KeyDestination::Server(Some(0)));
        assert_eq!(route.next, Some(KeyDestination::Substitute(None)));
        let route = key_route(&other, b"key", NOW);
        assert_eq!(
            (route.now, route.next),
            (KeyDestination::Server(None), None)
        );
        for server in &other.plan().servers {
            other.hold(server);
        }
        assert_eq!(key_route(&other, b"key", NOW).now, KeyDestination::NoServer);
        assert_eq!(
            key_route(&pool, b"key", NOW).next,
            Some(KeyDestination::Ejected)
        );
    }

    #[test]
    fn a_pause_that_is_over_ends_with_the_next_request_unless_there_is_a_probe() {
        let later = NOW + Duration::from_secs(60);
        for probe in [false, true] {
            let pool = share(settings("p", 1, |it| it.failure.probe = probe), None);
            pool.eject(&pool.plan().servers[0], NOW);
            assert_eq!(key_route(&pool, b"key", NOW).now, KeyDestination::NoServer);
            let now = key_route(&pool, b"key", later).now;
            assert_eq!(now == KeyDestination::Server(Some(0)), !probe);
        }
    }
}
