//! Which server serves a key now: its own, or one of the failover pool instead.
//!
//! | the key's own server | without failover pool | with failover pool |
//! |---|---|---|
//! | live | that server | that server |
//! | ejected, `eject: remap` | another live server of the pool | the failover pool's server for the key |
//! | ejected, `eject: error` or `miss` | none | the failover pool's server for the key |
//!
//! Where the failover pool's server for the key is ejected, too, there is none.

use std::sync::Arc;

use hashkit::slot_of;

use super::readers::Readers;
use super::shards::Shards;
use crate::cause::Cause;
use crate::id::ServerId;
use crate::settings::Address;
use crate::share::PoolShare;
use crate::time::Time;

/// Why a read fails that may only go to replicas.
const NO_REPLICA: &str = "no replica is in use";

/// Where a request for a key goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Destination {
    /// To this server.
    Server(ServerId),
    /// To this server, which has the key's hash slot, or one that knows who has it. Keys of different slots have different
    /// destinations, though they may be at one server: no server of a cluster takes a request for several slots.
    Slot(ServerId, u16),
    /// To this server of the failover pool, instead of an ejected one. The TTL of what is written there is capped.
    Substitute(ServerId),
    /// Nowhere: its server is ejected, its keys stay with it, and no server of a failover pool is available.
    Ejected(ServerId),
    /// Nowhere: it is a read, which goes to replicas of this server, and none is in use.
    NoReplica(ServerId),
    /// Nowhere: every server is ejected.
    NoServer,
}

/// What routes depend on: as long as it is the same, so are the routes of all keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RouteVersion {
    /// Numbers of the plans of the pool and of its failover pool.
    plans: [u64; 2],
    /// Epochs of the health of their servers.
    epochs: [u64; 2],
    /// How many hash slots have moved since the plan of the pool was followed.
    moves: u64,
}

/// How a pool's keys are routed.
#[derive(Debug)]
pub(crate) struct Routes {
    /// See [`RouteVersion`].
    plans: [u64; 2],
    own: Shards,
    /// The servers of the failover pool, which serve the keys of ejected servers.
    failover: Option<Box<Shards>>,
    /// Keys stay with their servers, ejected or not; otherwise they move to the live ones.
    keys_stay: bool,
    /// When health must be checked although no epoch has changed, because an ejected server's pause is over.
    next_check: Option<Time>,
    /// See [`RouteVersion`].
    moves: u64,
    /// The replicas, if reads go there.
    readers: Option<Box<Readers>>,
}

impl Destination {
    /// The server that the request is sent to, or why it is sent to none.
    #[inline]
    pub(crate) fn usable_server(self) -> Result<ServerId, Cause> {
        match self {
            Destination::Server(server)
            | Destination::Slot(server, _)
            | Destination::Substitute(server) => Ok(server),
            Destination::Ejected(_) | Destination::NoReplica(_) | Destination::NoServer => {
                Err(self.why_unusable())
            }
        }
    }

    #[cold]
    #[inline(never)]
    fn why_unusable(self) -> Cause {
        match self {
            Destination::Ejected(_) => Cause::Ejected,
            Destination::NoReplica(_) => Cause::Other(NO_REPLICA.into()),
            Destination::Server(_)
            | Destination::Slot(..)
            | Destination::Substitute(_)
            | Destination::NoServer => Cause::Refused,
        }
    }

    /// The server that it names, whether the request is sent there or not.
    pub(crate) fn server(self) -> Option<ServerId> {
        match self {
            Destination::Server(server)
            | Destination::Slot(server, _)
            | Destination::Substitute(server)
            | Destination::Ejected(server)
            | Destination::NoReplica(server) => Some(server),
            Destination::NoServer => None,
        }
    }

    /// Whether it is this server of the pool, in use.
    pub(crate) fn is_at(self, server: ServerId) -> bool {
        match self {
            Destination::Server(it) | Destination::Slot(it, _) => it == server,
            Destination::Substitute(_)
            | Destination::Ejected(_)
            | Destination::NoReplica(_)
            | Destination::NoServer => false,
        }
    }
}

impl Routes {
    /// `plans`: the numbers of the plans that ask for these shards.
    pub(crate) fn new(
        plans: [u64; 2],
        own: Shards,
        failover: Option<Shards>,
        keys_stay: bool,
    ) -> Self {
        let mut routes = Self {
            plans,
            own,
            failover: failover.map(Box::new),
            keys_stay,
            next_check: None,
            moves: 0,
            readers: None,
        };
        routes.schedule_check();
        routes
    }

    /// The same, where reads go to these replicas, too.
    pub(crate) fn with_readers(mut self, readers: Option<Readers>) -> Self {
        self.readers = readers.map(Box::new);
        self
    }

    /// Whether reads go to replicas.
    #[inline(always)]
    pub(crate) fn has_readers(&self) -> bool {
        self.readers.is_some()
    }

    /// The replicas that reads go to.
    pub(crate) fn readers(&self) -> Option<&Readers> {
        self.readers.as_deref()
    }

    /// The same, to choose one.
    pub(crate) fn readers_mut(&mut self) -> Option<&mut Readers> {
        self.readers.as_deref_mut()
    }

    /// Which keys are at which servers, as long as all of them are in use: another number is another arrangement.
    pub(crate) fn arrangement(&self) -> (u64, u64) {
        (self.plans[0], self.moves)
    }

    /// What the routes depend on, as of the last `refresh`.
    pub(crate) fn version(&self) -> RouteVersion {
        let failover = self.failover.as_deref();
        RouteVersion {
            plans: self.plans,
            epochs: [self.own.epoch(), failover.map_or(0, Shards::epoch)],
            moves: self.moves,
        }
    }

    /// Where a request for `key` goes, by the health as of the last `refresh`.
    #[inline]
    pub(crate) fn route(&mut self, key: &[u8]) -> Destination {
        match self.own.place(key) {
            None => self.route_by_slot(key),
            Some(placed) if placed.is_live || !self.keys_stay => Destination::Server(placed.server),
            Some(placed) => self.substitute(placed.server, key),
        }
    }

    /// The same where no ring has the key: in a pool of a Redis Cluster.
    #[inline(never)]
    fn route_by_slot(&self, key: &[u8]) -> Destination {
        match self.own.slots() {
            Some(_) => self.route_slot(slot_of(key)),
            None => Destination::NoServer,
        }
    }

    /// Where a request for keys of this hash slot goes.
    pub(crate) fn route_slot(&self, slot: u16) -> Destination {
        match self.own.place_slot(slot) {
            None => Destination::NoServer,
            Some(placed) if placed.is_live => Destination::Slot(placed.server, slot),
            Some(placed) => Destination::Ejected(placed.server),
        }
    }

    /// The servers are a Redis Cluster.
    pub(crate) fn has_slots(&self) -> bool {
        self.own.slots().is_some()
    }

    /// The server of a Redis Cluster with this address, if it is among those that are known.
    pub(crate) fn find_server(&self, address: &Address) -> Option<ServerId> {
        self.own.find(address)
    }

    /// That server has the hash slot now, as another one has said. Returns whether it is news.
    pub(crate) fn move_slot(&mut self, slot: u16, server: ServerId) -> bool {
        let is_news = self.own.move_slot(slot, server);
        self.moves += u64::from(is_news);
        is_news
    }

    #[cold]
    fn substitute(&mut self, ejected: ServerId, key: &[u8]) -> Destination {
        let failover = self.failover.as_mut();
        let placed = failover.and_then(|failover| failover.place(key));
        match placed {
            Some(placed) if placed.is_live => Destination::Substitute(placed.server),
            _ => Destination::Ejected(ejected),
        }
    }

    /// Whether nothing has changed in the servers' health since the last `refresh`, and no pause is over.
    #[inline]
    pub(crate) fn is_current(&self, now: Time) -> bool {
        self.own.is_current()
            && self.next_check.is_none_or(|due| now < due)
            && self
                .failover
                .as_ref()
                .is_none_or(|failover| failover.is_current())
    }

    /// Takes over changes in the health of the servers.
    pub(crate) fn refresh(&mut self) {
        self.own.refresh();
        if let Some(failover) = &mut self.failover {
            failover.refresh();
        }
        self.schedule_check();
    }

    fn schedule_check(&mut self) {
        self.next_check = self.next_retry();
    }

    /// When the pause of an ejected server is over next, in either pool.
    pub(crate) fn next_retry(&self) -> Option<Time> {
        let retry = |shards: &Shards| shards.pool().health.next_retry();
        let failover = self.failover.as_deref();
        let pools = [Some(&self.own), failover];
        pools.into_iter().flatten().filter_map(retry).min()
    }

    /// The pool's own servers.
    pub(crate) fn own(&self) -> impl Iterator<Item = ServerId> {
        self.own.servers()
    }

    /// The servers of the failover pool.
    pub(crate) fn failover(&self) -> impl Iterator<Item = ServerId> {
        self.failover.iter().flat_map(|failover| failover.servers())
    }

    /// Every server that serves keys now: the live ones of the pool, and those of the failover pool while it serves the
    /// keys of others.
    pub(crate) fn serving(&self) -> Vec<ServerId> {
        let others = self.failover.as_deref().filter(|_| !self.own.all_live());
        let others = others.into_iter().flat_map(Shards::live);
        self.own.live().chain(others).collect()
    }

    /// The pool and its failover pool, each with its servers.
    pub(crate) fn pools(&self) -> Vec<(Arc<PoolShare>, Vec<ServerId>)> {
        let pool = |shards: &Shards| (Arc::clone(shards.pool()), shards.servers().collect());
        let failover = self.failover.as_deref();
        [Some(&self.own), failover]
            .into_iter()
            .flatten()
            .map(pool)
            .collect()
    }

    /// Whether `destination` is where every key goes, as there is no other server.
    pub(crate) fn is_only(&self, destination: Destination) -> bool {
        let failover = self.failover.as_deref();
        let is_substitute = matches!(destination, Destination::Substitute(_));
        self.own.is_single() && (!is_substitute || failover.is_some_and(Shards::is_single))
    }

    /// Whether there is a failover pool.
    pub(crate) fn has_failover(&self) -> bool {
        self.failover.is_some()
    }

    /// Whether every server of the pool itself is live.
    pub(crate) fn all_live(&self) -> bool {
        self.own.all_live()
    }

    /// A random number.
    pub(crate) fn draw(&mut self) -> u32 {
        self.own.draw()
    }

    /// Whether each request goes to a random server, so that keys belong to no server.
    pub(crate) fn is_random(&self) -> bool {
        self.own.is_random()
    }
}
