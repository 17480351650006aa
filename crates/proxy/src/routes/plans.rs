//! Which plans a worker routes by.

use std::sync::Arc;

use crate::share::{PoolPlan, PoolShare};

/// The plan of a pool that a worker follows, and that of its failover pool.
#[derive(Debug)]
pub(crate) struct Plans {
    pool: Arc<PoolShare>,
    own: Arc<PoolPlan>,
    failover: Option<Arc<PoolPlan>>,
}

impl Plans {
    /// Those that are in force.
    pub(crate) fn new(pool: &Arc<PoolShare>) -> Self {
        let own = pool.plan();
        Self {
            pool: Arc::clone(pool),
            failover: own.failover.as_ref().map(|other| other.pool.plan()),
            own,
        }
    }

    /// Whether they are those that are in force still.
    #[inline]
    pub(crate) fn are_current(&self) -> bool {
        self.pool.plan_number() <= self.own.number && self.is_failover_current()
    }

    fn is_failover_current(&self) -> bool {
        let pool = self.own.failover.as_ref().map(|other| &other.pool);
        let plans = pool.zip(self.failover.as_ref());
        plans.is_none_or(|(pool, plan)| pool.plan_number() <= plan.number)
    }

    /// Follows those that are in force.
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

    /// The failover pool, its plan, and how many seconds at most what is written there lives.
    pub(crate) fn failover(&self) -> Option<(&Arc<PoolShare>, &PoolPlan, u32)> {
        let other = self.own.failover.as_ref()?;
        let plan = self.failover.as_deref()?;
        Some((&other.pool, plan, other.seconds))
    }

    /// Whether no server may have more than one connection of a kind.
    pub(crate) fn have_single_connections(&self) -> bool {
        let most = |plan: &PoolPlan| plan.settings.server_connections;
        most(&self.own) == 1
            && self
                .failover
                .as_deref()
                .is_none_or(|other| most(other) == 1)
    }
}
