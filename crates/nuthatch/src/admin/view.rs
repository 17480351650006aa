//! What the admin pages see of the proxy.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use proxy::metrics::{POOL_ROWS, PoolMetric, SERVER_ROWS, ServerMetric};
use proxy::{PlannedReplica, PlannedServer, PoolPlan, Process, Time};

use super::history::{History, Key, Seen};
use super::key_share::KeyShares;
use crate::config::ReadyWhen;
use crate::live::InForce;
use crate::pool::PoolShare;
use crate::recent::serving;
use crate::stats::Source;
use crate::upgrade::OldProcess;

/// Maximum pools and servers that pages show, so that a page has at most 20 MiB, most of it histograms. What is
/// beyond is counted.
const MOST_POOLS: usize = 1_024;
const MOST_SERVERS: usize = 2_048;

/// What there is to be seen.
#[derive(Debug)]
pub(crate) struct View {
    source: Arc<Source>,
    process: Arc<Process>,
    is_stopping: AtomicBool,
    /// The process that this one has replaced.
    old_process: OnceLock<Arc<OldProcess>>,
    key_shares: KeyShares,
    history: History,
}

/// A pool with its current plan.
#[derive(Debug)]
pub(super) struct ShownPool {
    pub(super) pool: Arc<PoolShare>,
    pub(super) plan: Arc<PoolPlan>,
    /// How many of its servers are shown, from the first.
    shown: usize,
    /// So many of its replicas.
    replicas: usize,
}

/// The pools that are shown.
#[derive(Debug)]
pub(super) struct Shown {
    pub(super) pools: Vec<ShownPool>,
    /// Pools and servers that are not.
    pub(super) left_out: usize,
}

/// Whether clients can be sent here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Readiness {
    /// They can.
    Ready,
    /// The process is ending.
    Stopping,
    /// So many of so many pools have no live server.
    NoServers { without: usize, pools: usize },
}

impl View {
    /// A view of the pools of `source`, in `process`.
    pub(crate) fn new(source: Arc<Source>, process: Arc<Process>) -> Arc<Self> {
        Arc::new(Self {
            source,
            process,
            is_stopping: AtomicBool::new(false),
            old_process: OnceLock::new(),
            key_shares: KeyShares::default(),
            history: History::default(),
        })
    }

    /// From now on the process is not ready: it is ending.
    pub(crate) fn note_stopping(&self) {
        self.is_stopping.store(true, Ordering::Relaxed);
    }

    /// This process has replaced another one.
    pub(crate) fn note_old_process(&self, old: Arc<OldProcess>) {
        // There is only one.
        let _ = self.old_process.set(old);
    }

    /// The process that this one has replaced, until it has ended.
    pub(crate) fn old_process(&self) -> Option<&OldProcess> {
        let old = self.old_process.get()?;
        (!old.has_ended()).then_some(old)
    }

    /// The configuration in force, with its pools.
    pub(super) fn in_force(&self) -> Arc<InForce> {
        self.source.directory.in_force()
    }

    /// The pools with their plans, as far as they are shown.
    pub(super) fn shown(&self) -> Shown {
        let (mut room, mut left_out) = (MOST_SERVERS, 0);
        let mut pools = Vec::new();
        for pool in &self.in_force().pools {
            let (pool, plan) = (Arc::clone(pool), pool.core().plan());
            if pools.len() == MOST_POOLS {
                left_out += 1 + plan.servers_and_replicas().count();
                continue;
            }
            let shown = plan.servers.len().min(room);
            room -= shown;
            let replicas = plan.replicas.len().min(room);
            room -= replicas;
            left_out += plan.servers.len() - shown + plan.replicas.len() - replicas;
            pools.push(ShownPool {
                pool,
                plan,
                shown,
                replicas,
            });
        }
        Shown { pools, left_out }
    }

    /// Whether clients can be sent here.
    pub(super) fn readiness(&self) -> Readiness {
        if self.is_stopping.load(Ordering::Relaxed) {
            return Readiness::Stopping;
        }
        let InForce {
            pools, ready_when, ..
        } = &*self.in_force();
        let without = pools.iter().filter(|pool| !is_served(&pool.core().plan()));
        let (without, pools) = (without.count(), pools.len());
        let is_ready = match ready_when {
            ReadyWhen::AllPools => without == 0,
            ReadyWhen::AnyPool => without < pools,
        };
        match is_ready {
            true => Readiness::Ready,
            false => Readiness::NoServers { without, pools },
        }
    }

    /// Where the numbers come from.
    pub(super) fn source(&self) -> &Source {
        &self.source
    }

    /// The value in a row of the table, of all workers.
    pub(super) fn pool_value(&self, pool: &ShownPool, row: usize) -> i64 {
        let core = pool.pool.core();
        let values = (0..core.workers()).map(|worker| core.counters(worker).row(row));
        self.source.combine(POOL_ROWS[row].kind, values)
    }

    /// The same for a server.
    pub(super) fn server_value(&self, server: &PlannedServer, row: usize) -> i64 {
        let values = server.share.row(row);
        self.source.combine(SERVER_ROWS[row].kind, values)
    }

    /// The time.
    pub(super) fn now(&self) -> Time {
        self.source.clock.now()
    }

    /// What was seen in the last quarter of an hour.
    pub(super) fn history(&self) -> &History {
        &self.history
    }

    /// Adds to that what is seen at `now`.
    pub(super) fn take_sample(&self, now: Instant) {
        let Shown { pools, .. } = self.shown();
        let of_pools = pools.iter().map(|pool| self.seen_of_pool(pool));
        let of_servers = pools.iter().flat_map(|pool| {
            let servers = pool.members();
            servers.map(|server| self.seen_of_server(pool, server))
        });
        self.history.take(now, of_pools.chain(of_servers));
    }

    fn seen_of_pool(&self, pool: &ShownPool) -> (Key, Seen) {
        let value = |metric: PoolMetric| self.pool_value(pool, metric as usize);
        let sum = |metric: ServerMetric| {
            let servers = pool.members();
            servers
                .map(|server| self.server_value(server, metric as usize))
                .sum()
        };
        let seen = Seen {
            requests: value(PoolMetric::ClientRequests),
            errors: value(PoolMetric::ForwardError),
            in_flight: sum(ServerMetric::OutQueue),
            queued: sum(ServerMetric::InQueue),
            latency: pool.members().map(|it| serving(&it.share)).sum(),
        };
        ((pool.pool.name().to_owned(), None), seen)
    }

    fn seen_of_server(&self, pool: &ShownPool, server: &PlannedServer) -> (Key, Seen) {
        let value = |metric: ServerMetric| self.server_value(server, metric as usize);
        let failures = [
            ServerMetric::ServerErr,
            ServerMetric::ServerTimedout,
            ServerMetric::ServerEof,
        ];
        let seen = Seen {
            requests: value(ServerMetric::Requests),
            errors: failures.map(value).into_iter().sum(),
            in_flight: value(ServerMetric::OutQueue),
            queued: value(ServerMetric::InQueue),
            latency: serving(&server.share),
        };
        let key = (
            pool.pool.name().to_owned(),
            Some(server.share.name().to_owned()),
        );
        (key, seen)
    }

    /// The process.
    pub(super) fn process(&self) -> &Process {
        &self.process
    }

    /// The part of the keys that each server of a pool has.
    pub(super) fn key_shares(&self, pool: &ShownPool) -> Arc<[f64]> {
        self.key_shares.of(pool.pool.name(), &pool.plan)
    }
}

impl ShownPool {
    /// The servers that are shown.
    pub(super) fn servers(&self) -> &[PlannedServer] {
        &self.plan.servers[..self.shown]
    }

    /// The replicas that are shown.
    pub(super) fn replicas(&self) -> &[PlannedReplica] {
        &self.plan.replicas[..self.replicas]
    }

    /// Both.
    pub(super) fn members(&self) -> impl Iterator<Item = &PlannedServer> {
        let replicas = self.replicas().iter().map(|replica| &replica.server);
        self.servers().iter().chain(replicas)
    }

    /// How many of all of its servers are live.
    pub(super) fn live(&self) -> usize {
        let live = self.plan.servers.iter().filter(|server| server.is_live());
        live.count()
    }

    /// Whether any server answers its requests.
    pub(super) fn is_served(&self) -> bool {
        is_served(&self.plan)
    }
}

/// Whether a server of the pool is live, or one of the pool that serves its ejected servers' keys.
fn is_served(plan: &PoolPlan) -> bool {
    let is_live = |plan: &PoolPlan| plan.servers.iter().any(PlannedServer::is_live);
    let failover = plan.failover.as_ref();
    is_live(plan) || failover.is_some_and(|other| is_live(&other.pool.plan()))
}
