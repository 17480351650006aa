//! The peak of a process's resident memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use nuthatch_bench::usage::Usage;

/// How often memory is looked at.
const EVERY: Duration = Duration::from_millis(5);

/// Looks at a process's memory until it is finished.
#[derive(Debug)]
pub(crate) struct Watch {
    thread: JoinHandle<u64>,
    is_over: Arc<AtomicBool>,
}

impl Watch {
    /// Starts to watch the process with this id.
    pub(crate) fn start(pid: u32) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let in_thread = Arc::clone(&is_over);
        let thread = thread::spawn(move || {
            let mut peak = 0;
            while !in_thread.load(Ordering::Acquire) {
                // A process that has ended is noticed elsewhere.
                peak = Usage::of(pid).map_or(peak, |usage| usage.memory.max(peak));
                thread::sleep(EVERY);
            }
            peak
        });
        Self { thread, is_over }
    }

    /// The most bytes that were resident.
    pub(crate) fn finish(self) -> u64 {
        self.is_over.store(true, Ordering::Release);
        self.thread.join().unwrap_or(0)
    }
}
