//! The thread of one pool: it looks, and publishes what is new.

use std::fmt;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::server_names::{ServerNames, Terms};
use crate::pool::PoolShare;
use crate::standing::Wake;
use crate::worker::{Handle, Message};

/// From one look to the next at least, however often it is told to look: what is looked at is not asked without a pause.
const PAUSE: Duration = Duration::from_millis(50);

/// Where servers are found out.
pub(crate) trait Source: Send + 'static {
    /// Looks, and publishes what is new with `publisher`. It may take some time, which is to have a limit. Returns after what time
    /// to look again at the latest; `told` is whether this look is because the thread was told to look.
    fn look(&mut self, publisher: &Publisher, told: bool) -> Duration;
}

impl Source for Box<dyn Source> {
    fn look(&mut self, publisher: &Publisher, told: bool) -> Duration {
        (**self).look(publisher, told)
    }
}

/// Publishes plans of one pool.
#[derive(Debug, Clone)]
pub(crate) struct Publisher {
    pool: Arc<PoolShare>,
    workers: Vec<Handle>,
    turn: Turn,
    names: Option<(ServerNames, Terms)>,
    is_over: Arc<AtomicBool>,
}

impl Publisher {
    /// Publishes plans of `pool`, and tells `workers` of them, whenever it has its `turn`.
    pub(crate) fn new(pool: &Arc<PoolShare>, workers: &[Handle], turn: &Turn) -> Self {
        Self {
            pool: Arc::clone(pool),
            workers: workers.to_vec(),
            turn: turn.clone(),
            names: None,
            is_over: Arc::default(),
        }
    }

    /// The same, that has the names of servers watched which it publishes.
    pub(crate) fn watching(mut self, names: &ServerNames, terms: Terms) -> Self {
        self.names = Some((names.clone(), terms));
        self
    }

    /// The pool.
    pub(crate) fn pool(&self) -> &PoolShare {
        &self.pool
    }

    /// Calls `publish`, which is to publish a plan that keeps what it is not about of the one in force, and returns whether it
    /// has published any. The workers are told then. Returns `false` without a call when the thread is no longer the one that
    /// finds the pool's servers.
    pub(crate) fn publish(&self, publish: impl FnOnce(&proxy::PoolShare) -> bool) -> bool {
        let turn = self.turn.take();
        let before = self.pool.core().plan();
        if self.is_over() || !publish(self.pool.core()) {
            return false;
        }
        if let Some((names, terms)) = &self.names {
            names.watch_found(*terms, &self.pool, &before, &self.workers);
        }
        drop(turn);
        for worker in &self.workers {
            // One whose inbox is full is busy, and notices with its next request.
            let _ = worker.send(Message::Planned);
        }
        true
    }

    /// Whether another one has taken over, or the pool is gone.
    pub(crate) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Acquire)
    }
}

/// Whose turn it is to publish plans: one thread at a time, of all that change which servers pools have.
#[derive(Debug, Clone, Default)]
pub(crate) struct Turn(Arc<Mutex<()>>);

impl Turn {
    /// Waits for it, which takes no longer than others publish.
    pub(crate) fn take(&self) -> MutexGuard<'_, ()> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The thread that finds the servers of a pool.
pub(crate) struct Discovery {
    wake: Wake,
    is_over: Arc<AtomicBool>,
    looked: Arc<Looked>,
}

impl Discovery {
    /// Starts the thread. `source` makes the source; it is given what has the thread look.
    ///
    /// # Errors
    ///
    /// When no thread can be created.
    pub(crate) fn start<S: Source>(
        publisher: Publisher,
        source: impl FnOnce(Wake) -> S,
    ) -> io::Result<Self> {
        let (wake, orders) = Wake::new();
        let discovery = Self {
            wake,
            is_over: Arc::clone(&publisher.is_over),
            looked: Arc::default(),
        };
        let (source, looked) = (source(discovery.wake()), Arc::clone(&discovery.looked));
        let thread = thread::Builder::new().name("discovery".into());
        thread.spawn(move || run(publisher, source, &orders, &looked))?;
        Ok(discovery)
    }

    /// What has the thread look.
    pub(crate) fn wake(&self) -> Wake {
        self.wake.clone()
    }

    /// Waits until the thread has looked once; returns whether it has before `until`.
    pub(crate) fn wait(&self, until: Instant) -> bool {
        self.looked.wait(until)
    }

    /// Another one takes over, or the pool is gone: the thread publishes nothing any more, as whoever calls this has the turn. It
    /// ends when it is done with what it does.
    pub(crate) fn end(&self, _turn: &MutexGuard<'_, ()>) {
        self.is_over.store(true, Ordering::Release);
        self.wake.wake();
    }
}

fn run(publisher: Publisher, mut source: impl Source, orders: &Receiver<()>, looked: &Looked) {
    let mut told = false;
    loop {
        let next = source.look(&publisher, told);
        looked.note();
        thread::sleep(PAUSE);
        told = match orders.recv_timeout(next.saturating_sub(PAUSE)) {
            Ok(()) => true,
            Err(RecvTimeoutError::Timeout) => false,
            Err(RecvTimeoutError::Disconnected) => return,
        };
        if publisher.is_over() {
            return;
        }
    }
}

/// Whether it has looked once.
#[derive(Default)]
struct Looked(Mutex<bool>, Condvar);

impl Looked {
    fn note(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.1.notify_all();
    }

    fn wait(&self, until: Instant) -> bool {
        let guard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let left = until.saturating_duration_since(Instant::now());
        let waited = self.1.wait_timeout_while(guard, left, |looked| !*looked);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

impl fmt::Debug for Discovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_over = self.is_over.load(Ordering::Relaxed);
        f.debug_struct("Discovery")
            .field("is_over", &is_over)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
