//! The parts of a pool at work. Each has its own state; the other files pass things on between them.

use std::sync::Arc;

use crate::clients::retry_budget::RetryBudget;
use crate::clients::table::Clients;
use crate::flow::buffer::Rope;
use crate::flow::log_limit::LogLimit;
use crate::flow::memory_watch::MemoryWatch;
use crate::flow::outbox::Outbox;
use crate::id::ServerId;
use crate::metrics::PoolCounters;
use crate::protocol::Protocol;
use crate::protocol::fanout::TtlCap;
use crate::protocol::planner::PlanOutput;
use crate::routes::grouping::Grouping;
use crate::routes::routing::Routes;
use crate::routes::shards::Shards;
use crate::servers::roster::Roster;
use crate::servers::server::Server;
use crate::servers::upgrades::Upgrades;
use crate::settings::{EjectPolicy, PoolSettings};
use crate::share::{PoolPlan, PoolShare};
use crate::time::Time;

/// Which worker a pool lives in.
#[derive(Debug, Clone, Copy)]
pub struct WorkerContext {
    /// The worker's number, from 0.
    pub worker: usize,
    /// Where chance begins (the `random` distribution).
    pub seed: u64,
}

/// A pool at work.
pub(crate) struct Engine<P: Protocol> {
    pub(super) settings: Arc<PoolSettings>,
    pub(super) protocol: P,
    pub(super) counters: Arc<PoolCounters>,
    /// When the call that is under way was made.
    pub(super) now: Time,

    pub(super) clients: Clients<P>,
    pub(super) roster: Roster<P>,
    pub(super) routes: Routes,
    pub(super) outbox: Outbox,
    pub(super) memory: MemoryWatch,
    pub(super) upgrades: Upgrades,
    pub(super) budget: RetryBudget,
    pub(super) cross_shard: LogLimit,
    pub(super) unheard: Unheard,
    pub(super) numbers: ClientNumbers,

    /// No server has more than one connection of a kind, so that sessions need not keep to one.
    pub(super) single_connection: bool,
    /// When connections to servers of the failover pool are closed that nobody needs.
    pub(super) retire_at: Option<Time>,
    /// Whole requests that were looked at.
    pub(super) requests_seen: u64,

    /// Lent to the session whose bytes are looked at; made anew when one keeps it.
    pub(super) parser: Option<Box<P::Parser>>,
    /// Work space of the request that is looked at.
    pub(super) output: PlanOutput,
    pub(super) grouping: Grouping,
    pub(super) cap: TtlCap,
    pub(super) marks: Vec<u64>,
    pub(super) nothing: Rope,
}

/// Failures that no client heard of.
#[derive(Debug, Default)]
pub(super) struct Unheard {
    pub(super) limit: LogLimit,
    /// The first one that was not logged.
    pub(super) first: String,
}

/// Numbers clients so that no two of the pool have the same, whichever workers serve them.
#[derive(Debug)]
pub(super) struct ClientNumbers {
    next: u64,
    step: u64,
}

impl ClientNumbers {
    pub(super) fn next(&mut self) -> u64 {
        let number = self.next;
        self.next += self.step;
        number
    }
}

impl<P: Protocol> Engine<P> {
    /// The pool of `share` in one worker, without sessions or connections.
    pub(crate) fn new(share: &Arc<PoolShare>, context: WorkerContext) -> Self {
        let plan = share.plan();
        let settings = Arc::clone(&plan.settings);
        let counters = Arc::clone(share.counters(context.worker));
        let memory = share.memory(context.worker);
        let mut roster = Roster::new();
        let routes = routes(share, &plan, context, &mut roster);
        let other = plan.failover.as_ref().map(|other| other.pool.plan());
        let most = other.map_or(1, |other| other.settings.server_connections);
        Self {
            protocol: P::new(&settings),
            clients: Clients::new(
                Arc::clone(&settings),
                Arc::clone(&counters),
                Arc::clone(&memory),
            ),
            roster,
            routes,
            outbox: Outbox::default(),
            memory: MemoryWatch::new(memory),
            upgrades: Upgrades::default(),
            budget: RetryBudget::default(),
            cross_shard: LogLimit::default(),
            unheard: Unheard::default(),
            numbers: ClientNumbers {
                next: context.worker as u64 + 1,
                step: share.workers() as u64,
            },
            single_connection: settings.server_connections == 1 && most == 1,
            retire_at: None,
            requests_seen: 0,
            now: Time::ZERO,
            settings,
            counters,
            parser: None,
            output: PlanOutput::default(),
            grouping: Grouping::default(),
            cap: TtlCap::default(),
            marks: Vec::new(),
            nothing: Rope::new(),
        }
    }
}

/// Puts the servers of a plan, and of its failover pool's, into the roster.
fn routes<P: Protocol>(
    share: &Arc<PoolShare>,
    plan: &PoolPlan,
    context: WorkerContext,
    roster: &mut Roster<P>,
) -> Routes {
    let mut enlist = |pool: &Arc<PoolShare>, plan: &PoolPlan, cap: Option<u32>| -> Vec<ServerId> {
        let server = |planned| Server::new(pool, &plan.settings, planned, cap, context.worker);
        let servers = plan.servers.iter().map(server);
        servers.map(|server| roster.add_server(server)).collect()
    };
    let own = enlist(share, plan, None);
    let keys_stay = plan.settings.failure.eject != EjectPolicy::Remap || plan.failover.is_some();
    let own = Shards::new(share, plan, &own, keys_stay, context.seed);
    let failover = plan.failover.as_ref().map(|failover| {
        let theirs = failover.pool.plan();
        let ids = enlist(&failover.pool, &theirs, Some(failover.seconds));
        let stay = theirs.settings.failure.eject != EjectPolicy::Remap;
        let seed = context.seed.rotate_left(32);
        Shards::new(&failover.pool, &theirs, &ids, stay, seed)
    });
    Routes::new(own, failover, keys_stay)
}
