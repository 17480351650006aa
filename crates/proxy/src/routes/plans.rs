//! The plans that a worker follows.

use std::sync::Arc;

use crate::settings::EjectPolicy;
use crate::share::{PoolPlan, PoolShare};

/// The plan of a pool that a worker follows, and that of its failover pool. Other threads may publish newer ones at
/// any time; the worker compares the numbers before each request and then changes to the newest ones.
#[derive(Debug)]
pub(crate) struct Plans {
    pool: Arc<PoolShare>,
    own: Arc<PoolPlan>,
    failover: Option<Arc<PoolPlan>>,
    /// Plans with numbers below this need no attention before a request: the next number, or 0 while every request is
    /// to be looked at. So whether that is the case costs a request nothing.
    quiet_below: u64,
}

impl Plans {
    /// The current ones.
    pub(crate) fn new(pool: &Arc<PoolShare>) -> Self {
        let own = pool.plan();
        Self {
            pool: Arc::clone(pool),
            failover: own.failover.as_ref().map(|other| other.pool.plan()),
            quiet_below: own.number + 1,
            own,
        }
    }

    /// Whether no newer ones were published.
    pub(crate) fn are_current(&self) -> bool {
        self.pool.plan_number() <= self.own.number && self.is_failover_current()
    }

    /// Whether a request needs nothing to be done before it: no newer ones were published, and requests are not looked
    /// at one by one ([`Plans::watch_requests`]).
    #[inline]
    pub(crate) fn are_quiet(&self) -> bool {
        self.pool.plan_number() < self.quiet_below && self.is_failover_current()
    }

    /// Whether each request is to be looked at.
    pub(crate) fn watch_requests(&mut self, watch: bool) {
        self.quiet_below = match watch {
            true => 0,
            false => self.own.number + 1,
        };
    }

    fn is_failover_current(&self) -> bool {
        let pool = self.own.failover.as_ref().map(|other| &other.pool);
        let plans = pool.zip(self.failover.as_ref());
        plans.is_none_or(|(pool, plan)| pool.plan_number() <= plan.number)
    }

    /// Changes to the current ones.
    pub(crate) fn advance(&mut self) {
        let is_watching = self.quiet_below == 0;
        *self = Self::new(&self.pool);
        self.watch_requests(is_watching);
    }

    /// The pool.
    pub(crate) fn pool(&self) -> &Arc<PoolShare> {
        &self.pool
    }

    /// Its plan.
    pub(crate) fn own(&self) -> &Arc<PoolPlan> {
        &self.own
    }

    /// The failover pool, its plan, and the cap in seconds of the TTL of what is written there.
    pub(crate) fn failover(&self) -> Option<(&Arc<PoolShare>, &PoolPlan, u32)> {
        let other = self.own.failover.as_ref()?;
        let plan = self.failover.as_deref()?;
        Some((&other.pool, plan, other.seconds))
    }

    /// The plan of the failover pool.
    pub(super) fn failover_plan(&self) -> Option<&Arc<PoolPlan>> {
        self.failover.as_ref()
    }

    /// Whether keys stay with an ejected server, in the pool and in its failover pool. They do unless `eject` is `remap`;
    /// with a failover pool those of the pool always do, as otherwise the failover pool would never be asked.
    pub(crate) fn keys_stay(&self) -> (bool, bool) {
        let stay = |plan: &PoolPlan| plan.settings.failure.eject != EjectPolicy::Remap;
        let failover = self.failover.as_deref();
        let own = stay(&self.own) || failover.is_some();
        (own, failover.is_some_and(stay))
    }

    /// Whether no server may have more than one connection per version.
    pub(crate) fn have_single_connections(&self) -> bool {
        let most = |plan: &PoolPlan| plan.settings.server_connections;
        most(&self.own) == 1
            && self
                .failover
                .as_deref()
                .is_none_or(|other| most(other) == 1)
    }
}
