//! A wish for a newer map of a Redis Cluster: workers have it, and the thread that asks the nodes fulfils it.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use proxy::settings::Address;

/// Wakes the thread, and tells it which node to ask first.
#[derive(Clone)]
pub(crate) struct MapWanted {
    wake: Arc<dyn Fn() + Send + Sync>,
    first: Arc<Mutex<Option<Address>>>,
}

impl MapWanted {
    /// One that has the thread look by calling `wake`, which must not wait.
    pub(crate) fn new(wake: impl Fn() + Send + Sync + 'static) -> Self {
        Self {
            wake: Arc::new(wake),
            first: Arc::default(),
        }
    }

    /// A worker wants a newer map; `node` has one.
    pub(crate) fn ask(&self, node: Option<Address>) {
        if node.is_some() {
            *self.first.lock().unwrap_or_else(PoisonError::into_inner) = node;
        }
        (self.wake)();
    }

    /// The node that has a newer map, if one was named since this was last called.
    pub(crate) fn take_first(&self) -> Option<Address> {
        self.first
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }
}

impl fmt::Debug for MapWanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MapWanted").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn the_node_that_was_named_last_is_told_once() {
        let woken = Arc::new(AtomicUsize::new(0));
        let wakes = Arc::clone(&woken);
        let wanted = MapWanted::new(move || {
            wakes.fetch_add(1, Ordering::Relaxed);
        });
        let node = |port| Some(Address::tcp("h", port));
        wanted.ask(node(1));
        wanted.ask(node(2));
        wanted.ask(None);
        assert_eq!(woken.load(Ordering::Relaxed), 3);
        assert_eq!((wanted.take_first(), wanted.take_first()), (node(2), None));
    }
}
