//! The keys that count most in a pool, and who counts them.

use std::sync::Arc;

use super::PoolShare;
use crate::hot_keys::{HotKeyOrder, HotKeys, Published, Session};
use crate::time::Time;

impl PoolShare {
    /// The keys that count most as it is known at `now`, at most so many of each kind; `None` if they are not counted. What
    /// workers have counted in the last second may be missing.
    pub fn hot_keys(&self, most: usize, now: Time) -> Option<HotKeys> {
        let order = self.plan().hot_keys.clone()?;
        let told = self.workers.iter();
        let told = told.filter_map(|worker| worker.hot_keys.load_full());
        Some(HotKeys::sum(&order, told, most, now))
    }

    /// A client's session begins, for which one in `sample` requests is counted. It takes the place of the last one.
    pub(crate) fn begin_hot_keys(&self, session: &Session, sample: u32) {
        self.replace_plan(|last| {
            let mut next = last.successor();
            let session = session.clone();
            next.hot_keys = Some(HotKeyOrder::of_session(session, sample, next.number));
            next
        });
    }

    /// It is stopped; what was counted is kept.
    pub(crate) fn stop_hot_keys(&self, now: Time) {
        self.replace_plan(|last| {
            let mut next = last.successor();
            next.hot_keys = next.hot_keys.map(|order| order.stopped(now));
            next
        });
    }

    /// It is forgotten, and what was counted.
    pub(crate) fn forget_hot_keys(&self) {
        self.replace_plan(|last| {
            let mut next = last.successor();
            next.hot_keys = None;
            next
        });
    }

    /// A worker tells what it has counted, or that it counts nothing.
    pub(crate) fn tell_hot_keys(&self, worker: usize, told: Option<Published>) {
        self.workers[worker].hot_keys.store(told.map(Arc::new));
    }
}
