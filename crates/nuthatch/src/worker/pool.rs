//! What a worker has of each pool.

use std::fmt;
use std::sync::Arc;

use proxy::metrics::PoolMetrics;
use proxy::settings::PoolSettings;
use proxy::{FailoverPool, Health, Memory, Pool, Time, WorkerContext};

use super::net::Target;
use crate::census::Census;
use crate::logger::{enabled, log};

/// A pool as a worker needs it to start; it can be sent to the worker's thread.
#[derive(Debug, Clone)]
pub(crate) struct PoolPlan {
    /// The core's settings.
    pub(crate) settings: Arc<PoolSettings>,
    /// Shared by all workers.
    pub(crate) health: Arc<Health>,
    /// This worker's own.
    pub(crate) metrics: Arc<PoolMetrics>,
    /// Where the servers are, in the order of the settings.
    pub(crate) targets: Arc<[Target]>,
    /// The pool that serves the keys of ejected servers; its targets stand behind the pool's own.
    pub(crate) failover: Option<FailoverPool>,
    /// Whether connections to servers send keepalive probes.
    pub(crate) keepalive: bool,
    /// Where connections are counted.
    pub(crate) census: Arc<Census>,
    /// What all buffers hold; shared by all pools and workers.
    pub(crate) memory: Arc<Memory>,
    /// The number of this pool and worker in it.
    pub(crate) part: usize,
}

/// A pool in its worker.
pub(super) struct PoolPart {
    pub(super) core: Pool,
    pub(super) targets: Arc<[Target]>,
    pub(super) keepalive: bool,
    pub(super) census: Arc<Census>,
    /// From a session's index to its endpoint's key.
    pub(super) sessions: Keys,
    /// From a connection's index to its endpoint's key.
    pub(super) connections: Keys,
    /// When the core wants to be called at the latest, as of the last [`PoolPart::settle`].
    pub(super) deadline: Option<Time>,
    /// Is on the driver's list of pools to drain.
    pub(super) touched: bool,
}

impl PoolPart {
    pub(super) fn new(plan: PoolPlan, context: WorkerContext) -> Self {
        let mut core = Pool::new(plan.settings, plan.health, plan.metrics, context);
        core.share_memory(plan.memory, plan.part);
        Self {
            core: match plan.failover {
                Some(failover) => core.with_failover(failover),
                None => core,
            },
            targets: plan.targets,
            keepalive: plan.keepalive,
            census: plan.census,
            sessions: Keys::default(),
            connections: Keys::default(),
            deadline: None,
            touched: false,
        }
    }

    /// Takes what the core has to say that needs no socket: log records and the next deadline.
    pub(super) fn settle(&mut self) {
        while let Some(event) = self.core.poll_event() {
            let level = event.level() as u8;
            if enabled(level) {
                log!(level, "{event}");
            }
        }
        self.deadline = self.core.poll_deadline();
    }
}

impl fmt::Debug for PoolPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PoolPart")
            .field("deadline", &self.deadline)
            .field("touched", &self.touched)
            .finish_non_exhaustive()
    }
}

/// From the small dense indices that the core gives out to keys of endpoints. An entry may be out of
/// date; the endpoint knows its owner's full id.
#[derive(Debug, Default)]
pub(super) struct Keys(Vec<u32>);

impl Keys {
    const NONE: u32 = u32::MAX;

    pub(super) fn set(&mut self, index: usize, key: usize) {
        if index >= self.0.len() {
            self.0.resize(index + 1, Self::NONE);
        }
        self.0[index] = u32::try_from(key).expect("fewer than 2^32 descriptors exist");
    }

    pub(super) fn get(&self, index: usize) -> Option<usize> {
        let key = *self.0.get(index)?;
        (key != Self::NONE).then_some(key as usize)
    }
}
