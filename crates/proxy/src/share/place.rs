//! Where a pool is.

use std::sync::Arc;

use super::PoolShare;
use crate::process::{Place, Process};

impl PoolShare {
    /// The pool is elsewhere from now on, in the same process.
    pub fn set_place(&self, place: Place) {
        self.place.store(Arc::new(place));
    }

    /// Where the pool is.
    pub fn place(&self) -> Arc<Place> {
        self.place.load_full()
    }

    pub(crate) fn process(&self) -> &Arc<Process> {
        &self.process
    }
}
