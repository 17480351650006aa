//! How many lost reads may be retried: if most requests fail, retrying all of them would double the load on servers
//! that are in trouble already.

use crate::limits::{RETRY_BUDGET, RETRY_COST};

/// A budget that every request adds one to and every retry takes [`RETRY_COST`] from.
#[derive(Debug, Default)]
pub(crate) struct RetryBudget(u32);

impl RetryBudget {
    /// A request has been sent.
    #[inline]
    pub(crate) fn earn(&mut self) {
        self.0 = (self.0 + 1).min(RETRY_BUDGET);
    }

    /// Whether there is enough for a retry.
    pub(crate) fn has_enough(&self) -> bool {
        self.0 >= RETRY_COST
    }

    /// Takes the cost of a retry.
    pub(crate) fn spend(&mut self) {
        self.0 = self.0.saturating_sub(RETRY_COST);
    }
}
