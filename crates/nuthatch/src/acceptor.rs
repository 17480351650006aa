//! Accepts clients for all pools on one thread and hands each to a worker.
//!
//! Each client goes to the worker that has the fewest clients, so that the load stays even.

mod balancer;

use std::io::{self, ErrorKind};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use mio::event::Event;
use mio::{Events, Poll, Registry, Token, Waker};
use rustix::io::Errno;

use crate::connections::{ConnectionCounts, Counted, Kind};
use crate::logger::{ALERT, Repeats, WARN, log, log_limited};
use crate::net::{LingeringCloses, Listener, Stream, error_text};
use crate::pool::PoolShare;
use crate::worker;
use balancer::Balancer;

/// Clients accepted in a row for one pool before it is the next pool's turn.
const BATCH: usize = 64;

/// How long accepting pauses when it cannot go on: descriptors are short, or all workers are behind.
/// Meanwhile clients wait in the kernel's queue.
const RETRY_AFTER: Duration = Duration::from_millis(50);

const WAKE: Token = Token(usize::MAX);

/// The first token of clients that are refused; listeners have the lower ones.
const REFUSED: usize = 1 << 30;

/// Identifies a listening socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ListenerId(usize);

/// A listening socket and the pool that its clients belong to.
#[derive(Debug)]
pub(crate) struct PoolListener {
    pub(crate) id: ListenerId,
    pub(crate) listener: Listener,
    pub(crate) pool: Arc<PoolShare>,
    /// Whether its clients speak TLS.
    pub(crate) is_secured: bool,
}

/// What becomes of a listening socket, or of all.
#[derive(Debug)]
pub(crate) enum Change {
    /// There is a further one, see [`Handle::register`].
    Open(PoolListener),
    /// Its clients belong to this pool from now on, and speak TLS or not.
    Assign(ListenerId, Arc<PoolShare>, bool),
    /// The length of its queue of connections that are not yet accepted.
    Backlog(ListenerId, u32),
    /// It is closed.
    Close(ListenerId),
    /// The maximum of clients at a time, over all pools.
    MaxClients(usize),
    /// Clients are accepted from now on.
    Begin,
    /// A further descriptor of each is made, for another process.
    Copy(Sender<(ListenerId, io::Result<OwnedFd>)>),
}

/// Changes that are made together, and who waits for that.
struct Order {
    changes: Vec<Change>,
    done: Sender<()>,
}

/// The running acceptor.
#[derive(Debug)]
pub(crate) struct Handle {
    stop: Arc<AtomicBool>,
    orders: Sender<Order>,
    registry: Registry,
    waker: Waker,
    thread: JoinHandle<()>,
}

impl ListenerId {
    /// The identity of the socket that is the `number`th of this process.
    pub(crate) fn new(number: usize) -> Self {
        // A reload opens some sockets; 2^30 of them take years.
        Self(number % REFUSED)
    }
}

impl Handle {
    /// Prepares a socket for [`Change::Open`]: what can fail of it.
    ///
    /// # Errors
    ///
    /// When the system has no room for it.
    pub(crate) fn register(&self, id: ListenerId, listener: &mut Listener) -> io::Result<()> {
        listener.register(&self.registry, Token(id.0))
    }

    /// Makes changes, all before the next client is accepted; returns when that is done. Clients that were accepted
    /// before are in the workers' inboxes then.
    pub(crate) fn change(&self, changes: Vec<Change>) {
        let (done, is_done) = channel();
        if self.orders.send(Order { changes, done }).is_ok() && self.waker.wake().is_ok() {
            // Nothing is ever sent: the sender is dropped.
            let _ = is_done.recv();
        }
    }

    /// Further descriptors of all listeners, for another process.
    pub(crate) fn copies(&self) -> Vec<(ListenerId, io::Result<OwnedFd>)> {
        let (sender, copies) = channel();
        self.change(vec![Change::Copy(sender)]);
        copies.into_iter().collect()
    }

    /// Closes the listeners; returns when that is done.
    pub(crate) fn stop(self) {
        self.stop.store(true, Ordering::Release);
        if self.waker.wake().is_ok() {
            // A panic was already reported when it happened.
            let _ = self.thread.join();
        }
    }
}

/// Starts the acceptor of at most `max_clients` clients at a time, over all pools. It accepts nobody before
/// [`Change::Begin`].
///
/// # Errors
///
/// When no poll or thread can be created.
pub(crate) fn start(
    listeners: Vec<PoolListener>,
    workers: Vec<worker::Handle>,
    counts: Arc<ConnectionCounts>,
    max_clients: usize,
) -> io::Result<Handle> {
    let poll = Poll::new()?;
    let waker = Waker::new(poll.registry(), WAKE)?;
    let registry = poll.registry().try_clone()?;
    let stop = Arc::new(AtomicBool::new(false));
    let (orders, inbox) = channel();
    let shared = Shared {
        stop: Arc::clone(&stop),
        orders: inbox,
        counts,
    };
    let acceptor = Acceptor::new(poll, listeners, workers, max_clients, shared)?;
    let thread = thread::Builder::new()
        .name("acceptor".into())
        .spawn(move || acceptor.run())?;
    Ok(Handle {
        stop,
        orders,
        registry,
        waker,
        thread,
    })
}

struct Acceptor {
    poll: Poll,
    listeners: Vec<Listening>,
    balancer: Balancer,
    /// Whether clients are accepted yet.
    has_begun: bool,
    /// Most clients at a time, over all pools.
    max_clients: usize,
    counts: Arc<ConnectionCounts>,
    lingering: LingeringCloses,
    /// When accepting goes on, while it is paused.
    resume_at: Option<Instant>,
    orders: Receiver<Order>,
    stop: Arc<AtomicBool>,
}

/// What the acceptor has in common with others.
struct Shared {
    stop: Arc<AtomicBool>,
    orders: Receiver<Order>,
    counts: Arc<ConnectionCounts>,
}

/// A listener and whether clients may be waiting on it.
struct Listening {
    id: ListenerId,
    listener: Listener,
    pool: Arc<PoolShare>,
    is_secured: bool,
    /// Clients may be waiting: `accept` has not returned `WouldBlock` since the last edge.
    ready: bool,
    _counted: Counted,
}

/// Why accepting from one listener stopped.
enum Pause {
    /// No client is waiting.
    Empty,
    /// The batch is used up; more clients may be waiting.
    Batch,
    /// It cannot go on for now.
    Trouble,
}

impl Acceptor {
    fn new(
        poll: Poll,
        listeners: Vec<PoolListener>,
        workers: Vec<worker::Handle>,
        max_clients: usize,
        shared: Shared,
    ) -> io::Result<Self> {
        let Shared {
            stop,
            orders,
            counts,
        } = shared;
        let mut acceptor = Self {
            poll,
            listeners: Vec::with_capacity(listeners.len()),
            balancer: Balancer::new(workers, Arc::clone(&counts)),
            has_begun: false,
            max_clients,
            counts,
            lingering: LingeringCloses::default(),
            resume_at: None,
            orders,
            stop,
        };
        for mut listening in listeners {
            let token = Token(listening.id.0);
            let registry = acceptor.poll.registry();
            listening.listener.register(registry, token)?;
            acceptor.open(listening);
        }
        Ok(acceptor)
    }

    fn run(mut self) {
        let mut events = Events::with_capacity(256);
        while !self.stop.load(Ordering::Acquire) {
            let timeout = self.timeout(Instant::now());
            if let Err(error) = self.poll.poll(&mut events, timeout)
                && error.kind() != ErrorKind::Interrupted
            {
                panic!("the poll of the acceptor failed: {error}");
            }
            for event in &events {
                self.handle_ready(event);
            }
            while let Ok(Order { changes, done }) = self.orders.try_recv() {
                changes.into_iter().for_each(|change| self.obey(change));
                drop(done);
            }
            self.tick(Instant::now());
        }
    }

    fn handle_ready(&mut self, event: &Event) {
        let token = event.token();
        if token == WAKE {
            return;
        }
        match token.0.checked_sub(REFUSED) {
            Some(key) => self.lingering.handle_ready(key, event.into()),
            None => {
                if let Some(listening) = self.listening(ListenerId(token.0)) {
                    listening.ready = true;
                }
            }
        }
    }

    fn listening(&mut self, id: ListenerId) -> Option<&mut Listening> {
        self.listeners.iter_mut().find(|it| it.id == id)
    }

    /// Accepts from a registered socket, too. Clients may have come before this.
    fn open(&mut self, new: PoolListener) {
        self.listeners.push(Listening {
            id: new.id,
            listener: new.listener,
            pool: new.pool,
            is_secured: new.is_secured,
            ready: true,
            _counted: self.counts.count(Kind::Listener),
        });
    }

    fn obey(&mut self, change: Change) {
        match change {
            Change::Open(listener) => self.open(listener),
            Change::Assign(id, pool, is_secured) => {
                if let Some(listening) = self.listening(id) {
                    listening.pool = pool;
                    listening.is_secured = is_secured;
                }
            }
            Change::Backlog(id, backlog) => {
                if let Some(listening) = self.listening(id)
                    && let Err(error) = listening.listener.set_backlog(backlog)
                {
                    let (pool, text) = (listening.pool.name(), error_text(&error));
                    log!(WARN, { pool: pool, cause: &*text }, "the backlog of pool '{pool}' stays as it is: {text}");
                }
            }
            Change::Close(id) => self.listeners.retain(|it| it.id != id),
            Change::MaxClients(most) => self.max_clients = most,
            Change::Begin => self.has_begun = true,
            Change::Copy(sender) => {
                for it in &self.listeners {
                    // Who asked waits for this.
                    let _ = sender.send((it.id, it.listener.try_clone()));
                }
            }
        }
    }

    fn tick(&mut self, now: Instant) {
        self.lingering.handle_timeout(now);
        if !self.has_begun || self.resume_at.is_some_and(|at| now < at) {
            return;
        }
        self.resume_at = None;
        for index in 0..self.listeners.len() {
            if self.listeners[index].ready && self.resume_at.is_none() {
                self.accept_batch(index, now);
            }
        }
    }

    /// How long to sleep: not at all while a client waits, unless accepting is paused.
    fn timeout(&self, now: Instant) -> Option<Duration> {
        let waits = |listening: &Listening| listening.ready && self.has_begun;
        let somebody_waits = self.listeners.iter().any(waits);
        let accept = match self.resume_at {
            Some(at) => Some(at),
            None => somebody_waits.then_some(now),
        };
        let lingering = self.lingering.next_deadline();
        let next = accept.into_iter().chain(lingering).min()?;
        Some(next.saturating_duration_since(now))
    }

    fn accept_batch(&mut self, index: usize, now: Instant) {
        match self.accept_some(index, now) {
            Pause::Empty => self.listeners[index].ready = false,
            Pause::Batch => {}
            Pause::Trouble => self.resume_at = Some(now + RETRY_AFTER),
        }
    }

    fn accept_some(&mut self, index: usize, now: Instant) -> Pause {
        for _ in 0..BATCH {
            if !self.balancer.has_room() {
                let pool = self.listeners[index].pool.name();
                let repeats = Repeats::of_lasting("workers behind", "");
                log_limited!(
                    WARN,
                    repeats,
                    { pool: pool },
                    "all workers are behind; new clients wait, of pool '{pool}' first"
                );
                return Pause::Trouble;
            }
            match self.listeners[index].listener.accept() {
                Ok((stream, name)) => self.admit(index, stream, name, now),
                Err(error) => match after(&error) {
                    After::Next => {}
                    After::Empty => return Pause::Empty,
                    After::Rest => {
                        let pool = self.listeners[index].pool.name();
                        let text = error_text(&error);
                        log_limited!(
                            WARN,
                            Repeats::of_lasting("accept", pool),
                            { pool: pool, cause: &*text },
                            "accept for pool '{pool}' failed: {text}; it is tried again"
                        );
                        return Pause::Trouble;
                    }
                },
            }
        }
        Pause::Batch
    }

    fn admit(&mut self, index: usize, stream: Stream, name: Box<str>, now: Instant) {
        let pool = Arc::clone(&self.listeners[index].pool);
        stream.tune(pool.keepalive());
        let stream = match pool.expects_header(&stream) {
            true => stream.with_header(),
            false => stream,
        };
        let is_secured = self.listeners[index].is_secured;
        if self.has_room(&pool) {
            return match is_secured {
                false => self.balancer.give(&pool, stream, name),
                true => self.admit_secured(&pool, stream, name),
            };
        }
        self.refuse(&pool, stream, &name, is_secured, now);
    }

    fn admit_secured(&mut self, pool: &Arc<PoolShare>, stream: Stream, name: Box<str>) {
        let refusal = proxy::tls_required(pool.core());
        let session = pool
            .acceptance()
            .map(|acceptance| acceptance.accept(refusal));
        match session {
            Some(Ok(session)) => self.balancer.give(pool, stream.secured(session), name),
            // It is closed.
            Some(Err(error)) => {
                let pool = pool.name();
                let repeats = Repeats::of("tls", pool);
                log_limited!(
                    WARN,
                    repeats,
                    "pool '{pool}': no TLS for client {name}: {error}"
                );
            }
            // The listener is about to be assigned anew.
            None => {}
        }
    }

    /// A client beyond the limit is told so, unless that would need a handshake.
    fn refuse(
        &mut self,
        pool: &PoolShare,
        stream: Stream,
        name: &str,
        is_secured: bool,
        now: Instant,
    ) {
        let refusal = proxy::too_many_clients(pool.core()).into();
        let registry = self.poll.registry();
        if !is_secured {
            // A client that cannot even be sent the refusal is closed without it.
            let _ = self
                .lingering
                .send_and_close(stream, refusal, registry, REFUSED, now);
        }
        let (pool, clients) = (pool.name(), pool.clients());
        log_limited!(
            WARN,
            Repeats::of_lasting("client refused", pool),
            { event: "client_refused", pool: pool, client: name },
            "pool '{pool}' has {clients} clients; a further one, {name}, was refused"
        );
    }

    /// Whether a pool may have one more client. Only this thread admits clients, so the answer stays true.
    fn has_room(&self, pool: &PoolShare) -> bool {
        self.counts.clients() < self.max_clients && pool.has_room()
    }
}

/// What to do after accept failed.
enum After {
    /// Accept the next client: this one has left, or Linux reported an error of its connection here.
    Next,
    /// Wait until a client comes.
    Empty,
    /// Pause: the process or the system is short of a resource.
    Rest,
}

fn after(error: &io::Error) -> After {
    match Errno::from_io_error(error) {
        Some(Errno::AGAIN) => After::Empty,
        Some(
            Errno::INTR
            | Errno::CONNABORTED
            | Errno::PROTO
            | Errno::NETDOWN
            | Errno::NOPROTOOPT
            | Errno::HOSTDOWN
            | Errno::NONET
            | Errno::HOSTUNREACH
            | Errno::OPNOTSUPP
            | Errno::NETUNREACH,
        ) => After::Next,
        _ => After::Rest,
    }
}

impl Drop for Acceptor {
    fn drop(&mut self) {
        if thread::panicking() {
            log!(ALERT, "the acceptor ended");
            std::process::abort();
        }
    }
}

#[cfg(test)]
mod tests;
