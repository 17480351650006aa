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
use crate::protocol::decision::DecisionOutput;
use crate::protocol::fanout::TtlCap;
use crate::routes::grouping::Grouping;
use crate::routes::plans::Plans;
use crate::routes::routing::Routes;
use crate::routes::shards::Shards;
use crate::servers::roster::Roster;
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
    pub(super) context: WorkerContext,
    pub(super) plans: Plans,
    /// Those of the pool's plan.
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

    /// No server ever had more than one connection of a kind, so that sessions need not keep to one.
    pub(super) single_connection: bool,
    /// When connections to servers of the failover pool are closed that nobody needs.
    pub(super) retire_at: Option<Time>,
    /// Whole requests that were looked at.
    pub(super) requests_seen: u64,

    /// Lent to the session whose bytes are looked at; made anew when one keeps it.
    pub(super) parser: Option<Box<P::Parser>>,
    /// Work space of the request that is looked at.
    pub(super) output: DecisionOutput,
    pub(super) grouping: Grouping,
    pub(super) ttl_cap_space: TtlCap,
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
        let plans = Plans::new(share);
        let settings = Arc::clone(&plans.own().settings);
        let counters = Arc::clone(share.counters(context.worker));
        let memory = share.memory(context.worker);
        let mut roster = Roster::new();
        let routes = routes(&plans, context, &mut roster, &mut Vec::new());
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
            single_connection: plans.have_single_connections(),
            retire_at: None,
            requests_seen: 0,
            now: Time::ZERO,
            context,
            plans,
            settings,
            counters,
            parser: None,
            output: DecisionOutput::default(),
            grouping: Grouping::default(),
            ttl_cap_space: TtlCap::default(),
            marks: Vec::new(),
            nothing: Rope::new(),
        }
    }
}

/// The routes that the plans ask for. Their servers are put into the roster; those that are new there, or have
/// moved, are added to `fresh`.
pub(super) fn routes<P: Protocol>(
    plans: &Plans,
    context: WorkerContext,
    roster: &mut Roster<P>,
    fresh: &mut Vec<ServerId>,
) -> Routes {
    let remap = |plan: &PoolPlan| plan.settings.failure.eject == EjectPolicy::Remap;
    let (pool, plan, worker) = (plans.pool(), plans.own(), context.worker);
    let keys_stay = !remap(plan) || plans.failover().is_some();
    let own = roster.add_planned(pool, plan, None, worker, fresh);
    let own = Shards::new(pool, plan, &own, keys_stay, context.seed);
    let failover = plans.failover().map(|(pool, plan, seconds)| {
        let ids = roster.add_planned(pool, plan, Some(seconds), worker, fresh);
        let seed = context.seed.rotate_left(32);
        Shards::new(pool, plan, &ids, !remap(plan), seed)
    });
    Routes::new(own, failover, keys_stay)
}
