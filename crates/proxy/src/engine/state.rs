//! What an engine consists of. Each field is a type with private state; the other files of the engine only pass
//! things on between them.

use std::sync::Arc;

use crate::clients::large_split::Decided;
use crate::clients::questions::Questions;
use crate::clients::retry_budget::RetryBudget;
use crate::clients::table::Clients;
use crate::clients::wait_watch::WaitWatch;
use crate::failed_logins::FailedLogins;
use crate::flow::buffer::Rope;
use crate::flow::memory_watch::MemoryWatch;
use crate::flow::outbox::Outbox;
use crate::guardrails::Guardrails;
use crate::hot_keys::Collector;
use crate::id::ServerId;
use crate::metrics::PoolCounters;
use crate::protocol::Protocol;
use crate::protocol::decision::DecisionOutput;
use crate::protocol::fanout::TtlCap;
use crate::protocol::report::Pause;
use crate::routes::grouping::Grouping;
use crate::routes::plans::Plans;
use crate::routes::readers::Readers;
use crate::routes::routing::Routes;
use crate::routes::shards::Shards;
use crate::sampling::Sampler;
use crate::script_memory::Script;
use crate::servers::redirects::Redirects;
use crate::servers::roster::Roster;
use crate::servers::unblocks::Unblocks;
use crate::servers::upgrades::Upgrades;
use crate::settings::PoolSettings;
use crate::share::PoolShare;
use crate::subscriptions::registry::Subscriptions;
use crate::time::Time;

/// Which worker a pool lives in.
#[derive(Debug, Clone, Copy)]
pub struct WorkerContext {
    /// The worker's number, from 0.
    pub worker: usize,
    /// Seed of the random numbers (the `random` distribution, the variation of pauses).
    pub seed: u64,
}

/// A pool at work in one worker. It shares only its [`PoolShare`] with the engines of other workers, through atomics;
/// everything else here belongs to one thread.
pub(crate) struct Engine<P: Protocol> {
    pub(super) context: WorkerContext,
    /// The plans that this engine follows. Newer ones may be published at any time; they take effect between two
    /// requests.
    pub(super) plans: Plans,
    /// The settings of the pool's plan, copied out because every request reads them.
    pub(super) settings: Arc<PoolSettings>,
    pub(super) protocol: P,
    /// Those of the pool's plan. They are asked before a request only if there are any ([`Plans::are_quiet`]).
    pub(super) guardrails: Guardrails,
    /// Of clients that have said who they are, and are not.
    pub(super) failed_logins: FailedLogins,
    pub(super) counters: Arc<PoolCounters>,
    /// The time that the shell passed to the current call. Every call with a time sets it first.
    pub(super) now: Time,

    pub(super) clients: Clients<P>,
    pub(super) roster: Roster<P>,
    /// Made anew for each plan. Their server ids are those of the roster.
    pub(super) routes: Routes,
    /// What the shell has to do, write and log. The shell drains it after each call.
    pub(super) outbox: Outbox,
    pub(super) memory: MemoryWatch,
    pub(super) upgrades: Upgrades,
    pub(super) unblocks: Unblocks,
    /// Requests that servers of a Redis Cluster have sent elsewhere.
    pub(super) redirects: Redirects,
    /// Reads are retried, or go to replicas: it is noted what their clients change.
    pub(super) follows_reads: bool,
    /// The servers are a Redis Cluster: what they send elsewhere is sent there.
    pub(super) heals: bool,
    /// The script that the request needs which is sent next, where it is kept.
    pub(super) needed_script: Option<Arc<Script>>,
    pub(super) wait_watch: WaitWatch,
    /// Of all sessions together: what matters is the load that retries add to the servers.
    pub(super) budget: RetryBudget,
    /// Of all clients of the worker.
    pub(super) subscriptions: Subscriptions,
    pub(super) numbers: ClientNumbers,
    /// What other workers are asked.
    pub(super) questions: Questions,
    /// As long as it lasts, each request is looked at ([`Plans::are_quiet`]).
    pub(super) pause: Option<Pause>,

    /// No server has ever been allowed more than one connection per version. Then several connections cannot reorder
    /// a session's requests, and the bookkeeping of `PinnedConnections` is skipped.
    pub(super) single_connection: bool,
    /// When unused connections to servers of the failover pool are closed.
    pub(super) retire_at: Option<Time>,
    /// Whole requests parsed since the start.
    pub(super) requests_seen: u64,

    /// Something is to be noted of each request: it may be slow, be counted by its keys, be logged, or be kept until it is
    /// answered.
    pub(super) notes_requests: bool,
    pub(super) hot_keys: Option<Box<Collector>>,
    /// Picks the requests that are logged.
    pub(super) access_log: Option<Sampler>,

    /// One parser for all sessions. A session whose request is incomplete keeps the parser's state, and a new one is
    /// made here.
    pub(super) parser: Option<Box<P::Parser>>,
    /// Buffers of the current request, kept so that requests allocate nothing. Whoever takes one out
    /// (`std::mem::take`) puts it back.
    pub(super) output: DecisionOutput,
    pub(super) grouping: Grouping,
    /// What was decided for a request of very many keys, until its session has it.
    pub(super) large: Option<Decided<P::Command>>,
    pub(super) ttl_cap_space: TtlCap,
    pub(super) marks: Vec<u64>,
    /// What is returned as the output of a session or connection that does not exist any more.
    pub(super) nothing: Rope,
}

/// Numbers the clients (CLIENT ID). Worker `w` of `n` gives out `w + 1`, `w + 1 + n`, ..., so that no two clients of
/// a pool have the same number, and workers need not talk to each other.
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
        let mut plans = Plans::new(share);
        let guardrails = Guardrails::new(plans.own());
        let settings = Arc::clone(&plans.own().settings);
        plans.watch_requests(!guardrails.is_empty() || settings.keep_order_of_reads());
        let counters = Arc::clone(share.counters(context.worker));
        let memory = share.memory(context.worker);
        let mut roster = Roster::new();
        let routes = routes(&plans, context, &mut roster, &mut Vec::new());
        let hot_keys = plans.own().hot_keys.as_ref();
        let hot_keys = hot_keys
            .map(|order| Box::new(Collector::new(Arc::clone(order), context.seed, Time::ZERO)));
        Self {
            notes_requests: settings.slow_log.is_some()
                || settings.access_log.is_some()
                || settings.slots.is_some()
                || hot_keys.is_some(),
            access_log: sampler(&settings, context),
            hot_keys,
            protocol: P::new(plans.own()),
            guardrails,
            failed_logins: FailedLogins::default(),
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
            unblocks: Unblocks::default(),
            redirects: Redirects::default(),
            follows_reads: settings.follows_reads(),
            heals: settings.slots.is_some(),
            needed_script: None,
            wait_watch: WaitWatch::default(),
            budget: RetryBudget::default(),
            subscriptions: Subscriptions::default(),
            numbers: ClientNumbers {
                next: context.worker as u64 + 1,
                step: share.workers() as u64,
            },
            questions: Questions::default(),
            pause: None,
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
            large: None,
            ttl_cap_space: TtlCap::default(),
            marks: Vec::new(),
            nothing: Rope::new(),
        }
    }
}

/// What picks the requests that are logged, if any are.
pub(super) fn sampler(settings: &PoolSettings, context: WorkerContext) -> Option<Sampler> {
    // Not those whose keys are counted.
    let seed = context.seed.rotate_left(16);
    settings.access_log.map(|every| Sampler::new(every, seed))
}

/// The routes that the plans ask for. Their servers are put into the roster; those that are new there, or have
/// another endpoint than before, are added to `fresh`.
pub(super) fn routes<P: Protocol>(
    plans: &Plans,
    context: WorkerContext,
    roster: &mut Roster<P>,
    fresh: &mut Vec<ServerId>,
) -> Routes {
    let (pool, plan, worker) = (plans.pool(), plans.own(), context.worker);
    let (own_stay, other_stay) = plans.keys_stay();
    let ids = roster.add_planned(pool, plan, plan.servers.iter(), None, worker, fresh);
    let own = Shards::new(pool, plan, &ids, own_stay, context.seed);
    let readers = plan.settings.reads.as_deref().map(|reads| {
        let replicas = plan.replicas.iter().map(|replica| &replica.server);
        let replicas = roster.add_planned(pool, plan, replicas, None, worker, fresh);
        Readers::new(reads, plan, &ids, &replicas)
    });
    let other = plans.failover().map_or(0, |(_, plan, _)| plan.number);
    let failover = plans.failover().map(|(pool, plan, seconds)| {
        let ids = roster.add_planned(
            pool,
            plan,
            plan.servers.iter(),
            Some(seconds),
            worker,
            fresh,
        );
        // Another seed, or both pools would make the same random choices.
        let seed = context.seed.rotate_left(32);
        Shards::new(pool, plan, &ids, other_stay, seed)
    });
    Routes::new([plan.number, other], own, failover, own_stay).with_readers(readers)
}
