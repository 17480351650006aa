//! How many lost reads may be sent again: when much fails, sending everything twice would make it worse.

use crate::limits::{RETRY_BUDGET, RETRY_COST};

/// A budget that every request adds to and every retry takes from.
#[derive(Debug, Default)]
pub(crate) struct RetryBudget(u32);

impl RetryBudget {
    /// A request has been sent.
    #[inline]
    pub(crate) fn earn(&mut self) {
        self.0 = (self.0 + 1).min(RETRY_BUDGET);
    }

    /// Whether a retry can be paid for.
    pub(crate) fn has_enough(&self) -> bool {
        self.0 >= RETRY_COST
    }

    /// Pays for a retry.
    pub(crate) fn spend(&mut self) {
        self.0 = self.0.saturating_sub(RETRY_COST);
    }
}
