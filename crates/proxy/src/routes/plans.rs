//! The plans that a worker follows.

use std::sync::Arc;

use crate::share::{PoolPlan, PoolShare};

/// The plan of a pool that a worker follows, and that of its failover pool. Other threads may publish newer ones at
/// any time; the worker compares the numbers before each request and then changes to the newest ones.
#[derive(Debug)]
pub(crate) struct Plans {
    pool: Arc<PoolShare>,
    own: Arc<PoolPlan>,
    failover: Option<Arc<PoolPlan>>,
}

impl Plans {
    /// The current ones.
    pub(crate) fn new(pool: &Arc<PoolShare>) -> Self {
        let own = pool.plan();
        Self {
            pool: Arc::clone(pool),
            failover: own.failover.as_ref().map(|other| other.pool.plan()),
            own,
        }
    }

    /// Whether no newer ones were published.
    #[inline]
    pub(crate) fn are_current(&self) -> bool {
        self.pool.plan_number() <= self.own.number && self.is_failover_current()
    }

    fn is_failover_current(&self) -> bool {
        let pool = self.own.failover.as_ref().map(|other| &other.pool);
        let plans = pool.zip(self.failover.as_ref());
        plans.is_none_or(|(pool, plan)| pool.plan_number() <= plan.number)
    }

    /// Changes to the current ones.
    pub(crate) fn advance(&mut self) {
        *self = Self::new(&self.pool);
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
