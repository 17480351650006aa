//! How a thread that waits for events is told to stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use mio::Waker;

/// Tells a thread to stop accepting connections. Its poll has to know the waker.
#[derive(Debug, Clone)]
pub(crate) struct StopSignal {
    stopped: Arc<AtomicBool>,
    waker: Arc<Waker>,
}

impl StopSignal {
    /// Wakes the thread through `waker`.
    pub(crate) fn new(waker: Waker) -> Self {
        Self {
            stopped: Arc::default(),
            waker: Arc::new(waker),
        }
    }

    /// Tells the thread; false if it could not be woken.
    pub(crate) fn stop(&self) -> bool {
        self.stopped.store(true, Ordering::Release);
        self.waker.wake().is_ok()
    }

    /// Whether the thread was told.
    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }
}
