//! What all threads of the process share of a pool and of its servers: made once, handed to whoever
//! serves, watches or changes the pool.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::flow::memory::{Memory, MemoryPart};
use crate::metrics::{PoolCounters, ServerCounters};
use crate::servers::health::{PoolHealth, ServerHealth};
use crate::settings::{Address, PoolSettings, ProtocolSettings, ServerSettings};

/// One pool of the process.
#[derive(Debug)]
pub struct PoolShare {
    name: Box<str>,
    plan: ArcSwap<PoolPlan>,
    pub(crate) health: PoolHealth,
    /// One for each worker.
    workers: Box<[WorkerShare]>,
}

/// What is one worker's of a pool.
#[derive(Debug)]
struct WorkerShare {
    counters: Arc<PoolCounters>,
    memory: Arc<MemoryPart>,
}

/// How a pool is to be served: one of the plans that follow each other.
#[derive(Debug)]
pub struct PoolPlan {
    /// What holds for the pool.
    pub settings: Arc<PoolSettings>,
    /// The servers, in the order of the settings.
    pub servers: Vec<PlannedServer>,
    /// The pool that serves the keys of ejected servers.
    pub failover: Option<FailoverPool>,
}

/// Another pool of the same process, for the keys of ejected servers.
#[derive(Debug, Clone)]
pub struct FailoverPool {
    /// That pool; it speaks the same protocol.
    pub pool: Arc<PoolShare>,
    /// Most seconds that what is written there lives.
    pub seconds: u32,
}

/// A server in a plan.
#[derive(Debug, Clone)]
pub struct PlannedServer {
    /// The server, whichever plans it is in.
    pub share: Arc<ServerShare>,
    /// Where and how it is reached.
    pub endpoint: Arc<Endpoint>,
    /// Share of the keys, relative to the others.
    pub weight: u32,
    /// `host:port:weight` as written, for error lines.
    pub pname: String,
}

/// Where a server is, what it takes to be served there, and whether it is well there.
pub struct Endpoint {
    /// Which one of its server it is; each plan that changes it makes another, with the next number.
    pub number: u64,
    /// Where to connect to.
    pub address: Address,
    /// Password that connections give first, if any (Redis only).
    pub password: Option<Arc<[u8]>>,
    /// Database that connections select (Redis only); 0 selects nothing.
    pub database: u32,
    pub(crate) health: ServerHealth,
}

/// One server of a pool, known by its name on the ring.
#[derive(Debug)]
pub struct ServerShare {
    name: Box<str>,
    /// One for each worker.
    counters: Box<[Arc<ServerCounters>]>,
}

impl PoolShare {
    /// A pool with `settings`, served by so many workers, whose buffers count for `memory`.
    pub fn new(
        settings: PoolSettings,
        failover: Option<FailoverPool>,
        memory: &Arc<Memory>,
        workers: usize,
    ) -> Arc<Self> {
        let worker = |_| WorkerShare {
            counters: Arc::default(),
            memory: Arc::new(MemoryPart::new(memory)),
        };
        let server = |server: &ServerSettings| PlannedServer {
            share: Arc::new(ServerShare::new(&server.name, workers)),
            endpoint: Arc::new(Endpoint::new(&settings, server)),
            weight: server.weight,
            pname: server.pname.clone(),
        };
        Arc::new(Self {
            name: settings.name.as_str().into(),
            health: PoolHealth::default(),
            workers: (0..workers).map(worker).collect(),
            plan: ArcSwap::from_pointee(PoolPlan {
                servers: settings.servers.iter().map(server).collect(),
                settings: Arc::new(settings),
                failover,
            }),
        })
    }

    /// The pool's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The plan that is in force.
    pub fn plan(&self) -> Arc<PoolPlan> {
        self.plan.load_full()
    }

    /// How many workers serve the pool.
    pub fn workers(&self) -> usize {
        self.workers.len()
    }

    /// What the worker with this number counts.
    pub fn counters(&self, worker: usize) -> &Arc<PoolCounters> {
        &self.workers[worker].counters
    }

    pub(crate) fn memory(&self, worker: usize) -> Arc<MemoryPart> {
        Arc::clone(&self.workers[worker].memory)
    }
}

impl ServerShare {
    fn new(name: &str, workers: usize) -> Self {
        Self {
            name: name.into(),
            counters: (0..workers).map(|_| Arc::default()).collect(),
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
}

impl PlannedServer {
    /// Whether the server is in use, that is, not ejected.
    pub fn is_live(&self) -> bool {
        self.endpoint.health.is_live()
    }
}

impl Endpoint {
    fn new(pool: &PoolSettings, server: &ServerSettings) -> Self {
        let password = match &pool.protocol {
            ProtocolSettings::Redis(redis) => redis.auth.clone(),
            ProtocolSettings::Memcached(_) => None,
        };
        Self {
            number: 1,
            address: server.address.clone(),
            password,
            database: server.db,
            health: ServerHealth::default(),
        }
    }
}

/// The password is not shown.
impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("number", &self.number)
            .field("address", &self.address)
            .field("database", &self.database)
            .finish_non_exhaustive()
    }
}
