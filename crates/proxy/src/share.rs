//! What all threads of the process share of a pool and its servers: the current plan, health, and counters.
//!
//! Workers only read plans. A new one is published as a whole (`ArcSwap`), and then its number. A worker compares
//! that number before each request, which costs one atomic load, and loads the plan only when it differs.

mod dealing;
mod endpoint;
mod hot_keys;
mod place;
mod serving;

use std::collections::HashMap;
use std::fmt;
use std::mem::discriminant;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::{ArcSwap, ArcSwapOption};

use crate::flow::memory::{Memory, MemoryPart};
use crate::hot_keys::{HotKeyOrder, Published};
use crate::latency::{Class, Durations, Histogram, ServerLatency};
use crate::limits::MAX_REPLICAS;
use crate::metrics::{PoolCounters, PoolMetric, ServerCounters, ServerMetric};
use crate::process::{Place, Process};
use crate::rate_limit::RateLimit;
use crate::script_memory::ScriptMemory;
use crate::servers::health::PoolHealth;
use crate::settings::{PoolSettings, ServerSettings};
use crate::slot_map::SlotMap;
use crate::slow_log::SlowLog;
use crate::time::Time;
use dealing::Dealing;

pub use endpoint::Endpoint;

/// One pool of the process.
#[derive(Debug)]
pub struct PoolShare {
    name: Box<str>,
    plan: ArcSwap<PoolPlan>,
    /// The number of that plan. It is set after the plan, so that whoever sees the number gets that plan or a newer
    /// one.
    plan_number: AtomicU64,
    pub(crate) health: PoolHealth,
    /// The same of the replicas, which change no route.
    pub(crate) replica_health: PoolHealth,
    process: Arc<Process>,
    place: ArcSwap<Place>,
    /// Which workers serve clients that connect.
    dealing: Dealing,
    /// Requests of clients per second.
    rate: AtomicU64,
    slow_log: SlowLog,
    /// One for each worker.
    workers: Box<[WorkerShare]>,
}

/// What belongs to one worker.
#[derive(Debug)]
struct WorkerShare {
    counters: Arc<PoolCounters>,
    memory: Arc<MemoryPart>,
    /// What it has counted by keys, if it does.
    hot_keys: ArcSwapOption<Published>,
}

/// How a pool is to be served. A plan never changes; each change of configuration publishes a new one.
#[derive(Debug)]
pub struct PoolPlan {
    /// Counts the pool's plans, from 1.
    pub number: u64,
    /// The settings of the pool.
    pub settings: Arc<PoolSettings>,
    /// The servers, in the order of the settings.
    pub servers: Vec<PlannedServer>,
    /// Their replicas, if reads go there.
    pub replicas: Vec<PlannedReplica>,
    /// The pool that serves the keys of ejected servers.
    pub failover: Option<FailoverPool>,
    /// What is remembered of the clients' scripts, the same in every plan.
    pub(crate) scripts: Arc<ScriptMemory>,
    /// What is used up of the rates of the settings' guardrails, in the same order. It is the same for the same prefix.
    pub(crate) rates: Box<[Arc<RateLimit>]>,
    /// Which requests are counted by their keys, if any.
    pub(crate) hot_keys: Option<Arc<HotKeyOrder>>,
}

/// Another pool of the same process, for the keys of ejected servers.
#[derive(Debug, Clone)]
pub struct FailoverPool {
    /// That pool; it speaks the same protocol.
    pub pool: Arc<PoolShare>,
    /// The cap of the TTL of what is written there, in seconds.
    pub seconds: u32,
}

/// Why settings cannot replace those of a pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlanError {
    /// They are of a pool with another name.
    OtherPool,
    /// Clients are connected that speak the old protocol.
    OtherProtocol,
}

/// A server in a plan. What plans have in common is behind the `Arc`s: the same `share` means the same server, the
/// same `endpoint` that its connections and its health are still valid.
#[derive(Debug, Clone)]
pub struct PlannedServer {
    /// The server, the same in every plan that has it.
    pub share: Arc<ServerShare>,
    /// Where and how it is reached.
    pub endpoint: Arc<Endpoint>,
    /// Share of the keys, relative to the others.
    pub weight: u32,
    /// `host:port:weight` as written, for error lines.
    pub pname: String,
}

/// A replica of a server in a plan. It is a server like any other, but for keys of its own.
#[derive(Debug, Clone)]
pub struct PlannedReplica {
    /// Whose replica it is: an index of the plan's servers.
    pub of: usize,
    /// The replica.
    pub server: PlannedServer,
    /// The zone that it is in, if that is known.
    pub zone: Option<Box<str>>,
}

/// One server of a pool, identified by its name on the ring.
#[derive(Debug)]
pub struct ServerShare {
    name: Box<str>,
    /// One for each worker.
    counters: Box<[Arc<ServerCounters>]>,
    latency: Box<[Arc<ServerLatency>]>,
    /// Those of the thread that resolves names.
    name_counters: ServerCounters,
}

impl PoolShare {
    /// A pool with `settings`, served by so many workers, whose buffers count for `memory`. It tells nothing of
    /// its place.
    pub fn new(
        settings: PoolSettings,
        failover: Option<FailoverPool>,
        memory: &Arc<Memory>,
        workers: usize,
    ) -> Arc<Self> {
        Self::at(Place::default(), settings, failover, memory, workers)
    }

    /// The same at a place that it tells of.
    pub fn at(
        place: Place,
        settings: PoolSettings,
        failover: Option<FailoverPool>,
        memory: &Arc<Memory>,
        workers: usize,
    ) -> Arc<Self> {
        let worker = |_| WorkerShare {
            counters: Arc::default(),
            memory: Arc::new(MemoryPart::new(memory)),
            hot_keys: ArcSwapOption::empty(),
        };
        let plan = PoolPlan::new(None, Arc::new(settings), failover, workers);
        Arc::new(Self {
            name: plan.settings.name.as_str().into(),
            health: PoolHealth::default(),
            replica_health: PoolHealth::default(),
            process: Arc::clone(&place.process),
            place: ArcSwap::from_pointee(place),
            dealing: Dealing::default(),
            rate: AtomicU64::new(0),
            slow_log: SlowLog::default(),
            workers: (0..workers).map(worker).collect(),
            plan_number: AtomicU64::new(plan.number),
            plan: ArcSwap::from_pointee(plan),
        })
    }

    /// Publishes the next plan, and returns it. When this returns, no worker routes a further request by an earlier
    /// one.
    ///
    /// A server whose name was in the last plan is the same server: it keeps its counters, and also its connections
    /// and health unless its address, login, database or security has changed.
    ///
    /// # Errors
    ///
    /// When the settings are of another pool, or change the protocol. Nothing is published then.
    pub fn publish(
        &self,
        settings: PoolSettings,
        failover: Option<FailoverPool>,
    ) -> Result<Arc<PoolPlan>, PlanError> {
        if settings.name != *self.name {
            return Err(PlanError::OtherPool);
        }
        if discriminant(&settings.protocol) != discriminant(&self.plan().settings.protocol) {
            return Err(PlanError::OtherProtocol);
        }
        let settings = Arc::new(settings);
        Ok(self.replace_plan(|last| {
            let settings = Arc::clone(&settings);
            PoolPlan::new(Some(last), settings, failover.clone(), self.workers())
        }))
    }

    /// Other servers are found for the pool, in index order: publishes a plan that is like the last one but for them, and
    /// returns it. What stays of a server is as with [`PoolShare::publish`].
    pub fn publish_servers(&self, servers: Vec<ServerSettings>) -> Arc<PoolPlan> {
        self.replace_plan(|last| {
            let settings = PoolSettings {
                servers: servers.clone(),
                ..PoolSettings::clone(&last.settings)
            };
            let failover = last.failover.clone();
            PoolPlan::new(Some(last), Arc::new(settings), failover, self.workers())
        })
    }

    /// The nodes of a Redis Cluster have told which of them has which hash slot: publishes a plan that is like the last one but
    /// for that, and returns it; `None` if it says the same, or the pool is none of a cluster. `slots` has indices of `servers`.
    /// What stays of a server is as with [`PoolShare::publish`].
    pub fn publish_map(
        &self,
        servers: &[ServerSettings],
        slots: &Arc<SlotMap>,
    ) -> Option<Arc<PoolPlan>> {
        let settings = &self.plan().settings;
        let known = settings.slots.as_ref()?;
        if settings.servers == *servers && known == slots {
            return None;
        }
        Some(self.replace_plan(|last| {
            let settings = PoolSettings {
                servers: servers.to_vec(),
                slots: Some(Arc::clone(slots)),
                ..PoolSettings::clone(&last.settings)
            };
            let failover = last.failover.clone();
            PoolPlan::new(Some(last), Arc::new(settings), failover, self.workers())
        }))
    }

    /// A server is elsewhere now though its address reads the same: its host is a name that leads elsewhere. Puts
    /// a plan in force that is like the last one, but for another endpoint of that server, and returns it. A
    /// server that has left is not followed.
    pub fn move_server(&self, server: &Arc<ServerShare>) -> Arc<PoolPlan> {
        self.replace_plan(|last| {
            let mut next = last.successor();
            let replicas = next.replicas.iter_mut().map(|it| &mut it.server);
            let servers = next.servers.iter_mut().chain(replicas);
            for planned in servers.filter(|planned| Arc::ptr_eq(&planned.share, server)) {
                planned.endpoint = Arc::new(planned.endpoint.successor());
            }
            next
        })
    }

    /// An operator takes a server out of use, until [`PoolShare::release`]: its keys go where those of an ejected server
    /// go. What is in flight is still answered. Its failures and its address have no part in it: it stays out of use
    /// when it answers, and when the next plan has it elsewhere. Returns whether it was in use by operators until now.
    pub fn hold(&self, server: &PlannedServer) -> bool {
        self.health_of(server).hold(&server.endpoint.health, true)
    }

    /// The server that [`PoolShare::hold`] was called for is used again, unless it is ejected.
    pub fn release(&self, server: &PlannedServer) -> bool {
        self.health_of(server).hold(&server.endpoint.health, false)
    }

    /// Ejects a server at `now`, as if it had failed: it comes back as such a server does. Returns whether it was not
    /// ejected already.
    pub fn eject(&self, server: &PlannedServer, now: Time) -> bool {
        let pause = self.plan().settings.server_retry_timeout;
        self.health_of(server)
            .eject(&server.endpoint.health, now, pause)
    }

    /// Uses an ejected server again at once, without a probe. Returns whether it was ejected.
    pub fn admit(&self, server: &PlannedServer) -> bool {
        let plan = self.plan();
        let all = plan.servers.iter().map(|planned| &planned.endpoint.health);
        self.health_of(server).readmit(&server.endpoint.health, all)
    }

    /// The health of all those that are of the same kind as a server.
    fn health_of(&self, server: &PlannedServer) -> &PoolHealth {
        match server.endpoint.is_replica {
            true => &self.replica_health,
            false => &self.health,
        }
    }

    /// Puts the plan in force that `next` makes of the last one.
    fn replace_plan(&self, next: impl Fn(&PoolPlan) -> PoolPlan) -> Arc<PoolPlan> {
        let mut published = self.plan();
        self.plan.rcu(|last| {
            published = Arc::new(next(last));
            Arc::clone(&published)
        });
        // Others may publish at the same time: the number must not go back.
        self.plan_number
            .fetch_max(published.number, Ordering::AcqRel);
        published
    }

    /// The pool's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The current plan.
    pub fn plan(&self) -> Arc<PoolPlan> {
        self.plan.load_full()
    }

    /// The number of the current plan.
    #[inline]
    pub(crate) fn plan_number(&self) -> u64 {
        self.plan_number.load(Ordering::Acquire)
    }

    /// How many workers serve the pool.
    pub fn workers(&self) -> usize {
        self.workers.len()
    }

    /// The requests that took longest.
    pub fn slow_log(&self) -> &SlowLog {
        &self.slow_log
    }

    /// What the worker with this number counts.
    pub fn counters(&self, worker: usize) -> &Arc<PoolCounters> {
        &self.workers[worker].counters
    }

    /// A counter of the pool, of all workers together.
    pub fn count(&self, metric: PoolMetric) -> i64 {
        let counters = self.workers.iter().map(|worker| &worker.counters);
        counters.map(|counters| counters.get(metric)).sum()
    }

    /// Clients send so many requests per second.
    pub fn note_rate(&self, per_second: u64) {
        self.rate.store(per_second, Ordering::Relaxed);
    }

    pub(crate) fn rate(&self) -> u64 {
        self.rate.load(Ordering::Relaxed)
    }

    /// What the buffers of the process hold.
    pub(crate) fn whole_memory(&self) -> &Memory {
        self.workers[0].memory.memory()
    }

    pub(crate) fn memory(&self, worker: usize) -> Arc<MemoryPart> {
        Arc::clone(&self.workers[worker].memory)
    }
}

impl PoolPlan {
    /// The plan that follows the `last` one, if there was one. Servers with the name of a known one are the same server; the
    /// scripts stay, and so does what is counted by keys, unless the settings say otherwise.
    fn new(
        last: Option<&Self>,
        settings: Arc<PoolSettings>,
        failover: Option<FailoverPool>,
        workers: usize,
    ) -> Self {
        let number = last.map_or(1, |last| last.number + 1);
        let hot_keys = last.and_then(|last| last.hot_keys.as_ref());
        let known = last.map_or(&[][..], |last| &last.servers);
        let mut known: Vec<&PlannedServer> = known.iter().collect();
        let mut server = |server: &ServerSettings| {
            let is_it = |known: &&PlannedServer| known.share.name() == server.name;
            // Each known server is used once, as two servers may have the same name.
            let known = known.iter().position(is_it).map(|at| known.remove(at));
            PlannedServer::new(&settings, server, None, known, workers)
        };
        Self {
            number,
            servers: settings.servers.iter().map(&mut server).collect(),
            replicas: replicas(&settings, last, workers),
            rates: rates(&settings, last),
            hot_keys: HotKeyOrder::next(hot_keys, settings.hot_keys, number),
            settings,
            failover,
            scripts: last.map_or_else(Arc::default, |last| Arc::clone(&last.scripts)),
        }
    }

    /// The servers, and then their replicas.
    pub fn servers_and_replicas(&self) -> impl Iterator<Item = &PlannedServer> {
        let replicas = self.replicas.iter().map(|replica| &replica.server);
        self.servers.iter().chain(replicas)
    }

    /// The next plan, which is like this one.
    fn successor(&self) -> Self {
        Self {
            number: self.number + 1,
            settings: Arc::clone(&self.settings),
            servers: self.servers.clone(),
            replicas: self.replicas.clone(),
            failover: self.failover.clone(),
            scripts: Arc::clone(&self.scripts),
            rates: self.rates.clone(),
            hot_keys: self.hot_keys.clone(),
        }
    }
}

/// The replicas of all servers, if they are read. Those whose names were in the last plan stay the same.
fn replicas(
    settings: &PoolSettings,
    last: Option<&PoolPlan>,
    workers: usize,
) -> Vec<PlannedReplica> {
    if settings.reads.is_none() {
        return Vec::new();
    }
    let known = last.into_iter().flat_map(|last| &last.replicas);
    let mut known: HashMap<&str, &PlannedServer> = known
        .map(|it| (it.server.share.name(), &it.server))
        .collect();
    let servers = settings.servers.iter().enumerate();
    let all = servers.flat_map(|(of, server)| {
        let own = server.replication.replicas.iter().take(MAX_REPLICAS);
        own.map(move |replica| (of, server, replica))
    });
    all.map(|(of, server, replica)| {
        let settled = ServerSettings::of_replica(replica, server.db);
        let known = known.remove(replica.name.as_str());
        PlannedReplica {
            of,
            server: PlannedServer::new(settings, &settled, Some(&server.name), known, workers),
            zone: replica.zone.clone(),
        }
    })
    .collect()
}

/// Those of the settings' guardrails: of each that the last plan has for the same prefix, the same one.
fn rates(settings: &PoolSettings, last: Option<&PoolPlan>) -> Box<[Arc<RateLimit>]> {
    let known = last.iter().flat_map(|last| {
        let rails = last.settings.guardrails.iter();
        rails.map(|rail| &rail.prefix).zip(&last.rates)
    });
    let mut known: Vec<_> = known.collect();
    let mut of = |prefix: &Option<Box<str>>| {
        // Each is used once, as two guardrails may have the same prefix.
        let at = known.iter().position(|(other, _)| *other == prefix);
        at.map(|at| Arc::clone(known.remove(at).1))
    };
    let rails = settings.guardrails.iter();
    rails
        .map(|rail| of(&rail.prefix).unwrap_or_default())
        .collect()
}

impl ServerShare {
    fn new(name: &str, workers: usize) -> Self {
        Self {
            name: name.into(),
            counters: (0..workers).map(|_| Arc::default()).collect(),
            latency: (0..workers).map(|_| Arc::default()).collect(),
            name_counters: ServerCounters::default(),
        }
    }

    /// The server's name on the ring and in the statistics.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the worker with this number counts.
    pub fn counters(&self, worker: usize) -> &Arc<ServerCounters> {
        &self.counters[worker]
    }

    /// What the worker with this number measures.
    pub(crate) fn latency(&self, worker: usize) -> &Arc<ServerLatency> {
        &self.latency[worker]
    }

    /// How long requests waited in the proxy until they were written, of all workers.
    pub fn waiting(&self) -> Durations {
        self.measured(ServerLatency::waiting)
    }

    /// How long requests of a class waited at the server, of all workers.
    pub fn serving(&self, class: Class) -> Durations {
        self.measured(|latency| latency.serving(class))
    }

    fn measured(&self, part: impl Fn(&ServerLatency) -> &Histogram) -> Durations {
        let mut sum = Durations::default();
        for latency in &self.latency {
            sum.add(part(latency));
        }
        sum
    }

    /// A look-up of the server's host failed or was late. To be called on one thread only.
    pub fn note_name_failure(&self) {
        self.name_counters.add(ServerMetric::NameFailures, 1);
    }

    /// The server's host leads elsewhere now. To be called on one thread only, the same one.
    pub fn note_name_change(&self) {
        self.name_counters.add(ServerMetric::NameChanges, 1);
    }

    /// The values in a row of the table, one for each thread that counts.
    pub fn row(&self, row: usize) -> impl Iterator<Item = i64> {
        let workers = self.counters.iter().map(move |counters| counters.row(row));
        workers.chain([self.name_counters.row(row)])
    }
}

impl PlannedServer {
    /// The server that `server` describes, a replica of the one with the name `replica_of` if there is one: the `known` one
    /// with its changes, or a new one.
    fn new(
        pool: &PoolSettings,
        server: &ServerSettings,
        replica_of: Option<&str>,
        known: Option<&Self>,
        workers: usize,
    ) -> Self {
        let (share, last) = match known {
            Some(known) => (Arc::clone(&known.share), Some(&known.endpoint)),
            None => (Arc::new(ServerShare::new(&server.name, workers)), None),
        };
        let endpoint = Endpoint::new(
            pool,
            server,
            replica_of,
            last.map_or(1, |last| last.number + 1),
        );
        Self {
            share,
            endpoint: match last {
                Some(last) if last.is_like(&endpoint) => Arc::clone(last),
                Some(last) => Arc::new(endpoint.held_as(last)),
                None => Arc::new(endpoint),
            },
            weight: server.weight,
            pname: server.pname.clone(),
        }
    }

    /// Whether the server is in use, that is, neither ejected nor held.
    pub fn is_live(&self) -> bool {
        self.endpoint.health.is_live()
    }

    /// Whether an operator has taken it out of use.
    pub fn is_held(&self) -> bool {
        self.endpoint.health.is_held()
    }

    /// When an ejected server's pause is over, or its next probe due.
    pub fn ejected_until(&self) -> Option<Time> {
        self.endpoint.health.ejected_until()
    }

    /// How many failures in a row count against it.
    pub fn failures(&self) -> u32 {
        self.endpoint.health.failures()
    }
}

impl fmt::Display for PlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            PlanError::OtherPool => "the settings are of a pool with another name",
            PlanError::OtherProtocol => "the protocol of a pool cannot change while it is served",
        })
    }
}

impl std::error::Error for PlanError {}
