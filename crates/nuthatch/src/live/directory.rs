//! The configuration in force, for those who only look at it: statistics, admin pages, and what is counted every second.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use arc_swap::ArcSwap;
use serde_json::Value as Json;

use crate::config::{Config, ReadyWhen};
use crate::pool::PoolShare;

/// Where to look.
#[derive(Debug)]
pub(crate) struct Directory {
    in_force: ArcSwap<InForce>,
    reloads: AtomicU64,
    refused: AtomicU64,
}

/// The configuration in force.
#[derive(Debug)]
pub(crate) struct InForce {
    /// The pools, in the order of the configuration.
    pub(crate) pools: Vec<Arc<PoolShare>>,
    /// Whether the statistics document has the metrics that nutcracker does not have.
    pub(crate) stats_extended: bool,
    /// Most connections to servers that clients share; 0 means no limit.
    pub(crate) server_connections_total: u64,
    /// When the process says that it is ready.
    pub(crate) ready_when: ReadyWhen,
    /// The settings, without secrets.
    pub(crate) effective: Json,
    /// Since when.
    pub(crate) since: SystemTime,
}

impl Directory {
    /// `config` and its pools are in force.
    pub(crate) fn new(pools: Vec<Arc<PoolShare>>, config: &Config) -> Self {
        Self::holding(InForce::new(pools, config))
    }

    fn holding(in_force: InForce) -> Self {
        Self {
            in_force: ArcSwap::from_pointee(in_force),
            reloads: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        }
    }

    /// What is in force.
    pub(crate) fn in_force(&self) -> Arc<InForce> {
        self.in_force.load_full()
    }

    /// Others are in force.
    pub(crate) fn set(&self, pools: Vec<Arc<PoolShare>>, config: &Config) {
        self.in_force.store(Arc::new(InForce::new(pools, config)));
        self.reloads.fetch_add(1, Ordering::Relaxed);
    }

    /// A configuration was refused.
    pub(crate) fn note_refused(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    /// How many configurations were put in force after the first, and how many were refused.
    pub(crate) fn reloads(&self) -> (u64, u64) {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        (count(&self.reloads), count(&self.refused))
    }
}

impl InForce {
    fn new(pools: Vec<Arc<PoolShare>>, config: &Config) -> Self {
        Self {
            pools,
            stats_extended: config.globals.stats_extended,
            server_connections_total: config.globals.server_connections_total,
            ready_when: config.globals.admin_ready,
            effective: config.effective.clone(),
            since: SystemTime::now(),
        }
    }
}

#[cfg(test)]
impl Directory {
    /// These pools are in force.
    pub(crate) fn of(pools: Vec<Arc<PoolShare>>, stats_extended: bool) -> Self {
        Self::holding(InForce {
            pools,
            stats_extended,
            server_connections_total: 0,
            ready_when: ReadyWhen::default(),
            effective: Json::Null,
            since: SystemTime::now(),
        })
    }
}
