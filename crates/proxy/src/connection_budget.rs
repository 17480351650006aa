//! The bound on the connections to servers that all workers have together.
//!
//! The first connection of a worker to a server is never refused: which workers serve a pool is dealt such that these are
//! within the bound ([`PoolShare::deal`](crate::PoolShare::deal)). What is left of it is for further ones.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// What is left of the bound for connections that are not the first of a worker to a server, and how many of these there
/// are.
#[derive(Debug)]
pub struct ConnectionBudget {
    spare: AtomicI64,
    used: AtomicI64,
}

impl Default for ConnectionBudget {
    /// There is no bound.
    fn default() -> Self {
        Self {
            spare: AtomicI64::new(i64::MAX),
            used: AtomicI64::new(0),
        }
    }
}

impl ConnectionBudget {
    /// From now on there may be so many further connections. Those that are too many then are closed when the pools are
    /// told ([`Pool::keep_budget`](crate::Pool::keep_budget)).
    pub fn set_spare(&self, spare: i64) {
        self.spare.store(spare, Ordering::Relaxed);
    }

    /// Whether there are more further connections than there may be.
    pub fn is_exceeded(&self) -> bool {
        self.used.load(Ordering::Relaxed) > self.spare.load(Ordering::Relaxed)
    }
}

/// A connection that is not the first of a worker to a server; it counts until this is dropped.
#[derive(Debug)]
pub(crate) struct FurtherConnection(Arc<ConnectionBudget>);

impl FurtherConnection {
    /// One more, if there may be one.
    pub(crate) fn take(budget: &Arc<ConnectionBudget>) -> Option<Self> {
        let further = Self::take_regardless(budget);
        (!budget.is_exceeded()).then_some(further)
    }

    /// One more, whether there may be one or not: without it a client could not be served.
    pub(crate) fn take_regardless(budget: &Arc<ConnectionBudget>) -> Self {
        budget.used.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(budget))
    }
}

impl Drop for FurtherConnection {
    fn drop(&mut self) {
        self.0.used.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_no_more_than_there_may_be_unless_a_client_needs_one() {
        let budget = Arc::<ConnectionBudget>::default();
        let first = FurtherConnection::take(&budget);
        assert!(first.is_some(), "there is no bound at first");
        budget.set_spare(2);
        let second = FurtherConnection::take(&budget).expect("the second of two");
        assert!(FurtherConnection::take(&budget).is_none());
        drop(second);
        let second = FurtherConnection::take(&budget).expect("there is room again");
        assert!(!budget.is_exceeded());
        let needed = FurtherConnection::take_regardless(&budget);
        assert!(budget.is_exceeded());
        drop((first, second, needed));
        budget.set_spare(0);
        assert!(!budget.is_exceeded());
        assert!(FurtherConnection::take(&budget).is_none());
    }
}
