//! A worker: one thread with one poll, serving its share of every pool's clients.

mod chunks;
mod driver;
mod handle;
mod link;
mod message;
mod net;
mod path;
mod peers;
mod pool;
mod sockets;

use std::io::{self, ErrorKind};
use std::process;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use mio::{Events, Poll, Token, Waker};
use proxy::{Time, WorkerContext};

use crate::clock::Clock;
use crate::connections::ConnectionCounts;
use crate::pool::PoolShare;
use crate::resolver::Resolver;
use driver::Driver;
use sockets::Sockets;

pub(crate) use handle::Handle;
pub(crate) use message::{Grouped, Listed, Message};
pub(crate) use peers::Peers;

/// Maximum messages waiting for a worker; when it is full, the acceptor tries another worker or waits.
const INBOX: usize = 1024;

/// Maximum events per poll.
const EVENTS: usize = 1024;

/// How often a busy tick polls again before it writes. Light load never waits for this.
const LOOKS: usize = 3;

/// The waker's token; links have the low numbers.
const WAKE: Token = Token(usize::MAX);

/// What a worker needs to start.
#[derive(Debug)]
pub(crate) struct WorkerSetup {
    /// The worker's number and seed.
    pub(crate) context: WorkerContext,
    /// Its pools.
    pub(crate) pools: Vec<Arc<PoolShare>>,
    /// Where connections are counted.
    pub(crate) counts: Arc<ConnectionCounts>,
    /// The process's clock.
    pub(crate) clock: Clock,
    /// Resolves server names.
    pub(crate) resolver: Resolver,
    /// All workers.
    pub(crate) peers: Peers,
}

/// Starts a worker on a thread of its own.
///
/// # Errors
///
/// When no poll or thread can be created.
pub(crate) fn start(setup: WorkerSetup) -> io::Result<(Handle, JoinHandle<()>)> {
    let poll = Poll::new()?;
    let waker = Arc::new(Waker::new(poll.registry(), WAKE)?);
    let (inbox, messages) = sync_channel(INBOX);
    let sockets = Sockets::new(
        poll.registry().try_clone()?,
        setup.resolver.clone(),
        (inbox.clone(), Arc::clone(&waker)),
        setup.peers.clone(),
    );
    let name = format!("worker-{}", setup.context.worker);
    let thread = thread::Builder::new().name(name).spawn(move || {
        let _guard = AbortOnPanic;
        Worker::new(setup, poll, sockets, messages).run();
    })?;
    Ok((Handle::new(inbox, waker), thread))
}

/// A worker on its thread.
#[derive(Debug)]
struct Worker {
    poll: Poll,
    messages: Receiver<Message>,
    clock: Clock,
    context: WorkerContext,
    driver: Driver<Sockets>,
    woken: bool,
    /// When to end at the latest; set once the shutdown has begun.
    end: Option<Time>,
}

impl Worker {
    fn new(setup: WorkerSetup, poll: Poll, sockets: Sockets, messages: Receiver<Message>) -> Self {
        let now = setup.clock.now();
        let mut driver = Driver::new(sockets, setup.counts, now);
        for pool in setup.pools {
            driver.add_pool(pool, setup.context);
        }
        Self {
            poll,
            messages,
            clock: setup.clock,
            context: setup.context,
            driver,
            woken: false,
            end: None,
        }
    }

    fn run(mut self) {
        let mut events = Events::with_capacity(EVENTS);
        let mut now = self.clock.now();
        while !self.is_finished(now) {
            self.wait(&mut events, now);
            now = self.clock.now();
            self.tick(&mut events, now);
        }
    }

    /// Sleeps until an event or a deadline.
    fn wait(&mut self, events: &mut Events, now: Time) {
        let end = self.end.map(|end| end.since(now));
        let messages = self.woken.then_some(Duration::ZERO);
        let timeout = [self.driver.timeout(), end, messages];
        let timeout = timeout.into_iter().flatten().min();
        if let Err(error) = self.poll.poll(events, timeout)
            && error.kind() != ErrorKind::Interrupted
        {
            // A broken poll cannot be repaired or waited for.
            panic!("the poll of a worker failed: {error}");
        }
    }

    /// One tick: handles every event, then everything that follows from them.
    fn tick(&mut self, events: &mut Events, now: Time) {
        self.driver.begin_tick(now);
        self.take(events);
        let mut looks = 0;
        while looks < LOOKS && self.driver.is_busy() && self.look_again(events) {
            self.take(events);
            looks += 1;
        }
        self.driver.finish_tick(self.clock.now());
        if std::mem::take(&mut self.woken) {
            self.take_messages(now);
            self.driver.drain();
        }
    }

    /// Hands the events to the driver.
    fn take(&mut self, events: &Events) {
        for event in events {
            match event.token() {
                WAKE => self.woken = true,
                Token(key) => self.driver.handle_ready(key, event.into()),
            }
        }
    }

    /// Polls without waiting; returns whether there are further events.
    fn look_again(&mut self, events: &mut Events) -> bool {
        match self.poll.poll(events, Some(Duration::ZERO)) {
            Ok(()) => !events.is_empty(),
            // The next wait reports the error again.
            Err(_) => false,
        }
    }

    fn take_messages(&mut self, now: Time) {
        for _ in 0..INBOX {
            match self.messages.try_recv() {
                Ok(message) => self.handle_message(message, now),
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => return,
            }
        }
        // There may be more messages; their senders have already woken this worker.
        self.woken = true;
    }

    fn handle_message(&mut self, message: Message, now: Time) {
        match message {
            // Too late: the client sees the connection closed.
            Message::Client { .. } if self.end.is_some() => {}
            Message::Client {
                pool,
                stream,
                name,
                counted,
            } => self.driver.open_session(pool, stream, name, counted),
            Message::Resolved { caller, resolved } => {
                self.driver.handle_resolved(caller, resolved);
            }
            Message::Planned => self.driver.follow_plans(),
            Message::KeepBudget => self.driver.keep_budget(),
            // What is added while the process ends would not end with it.
            Message::AddPool(_) if self.end.is_some() => {}
            Message::AddPool(pool) => self.driver.add_pool(pool, self.context),
            Message::RemovePool(pool, time_limit) => {
                self.driver.remove_pool(pool, now + time_limit);
            }
            Message::Handled(sender) => drop(sender),
            Message::Announce(departure, told) => {
                // Who asked may have given up.
                let _ = told.send(self.driver.announce(departure));
            }
            Message::Clients(most, listed) => {
                let _ = listed.send(self.driver.list_clients(most));
            }
            Message::Groups(grouped) => {
                let _ = grouped.send(self.driver.group_clients());
            }
            Message::Kill(address, killed) => {
                let _ = killed.send(self.driver.kill(&address));
            }
            Message::Told(word) => self.driver.hear(word),
            Message::Leave(within) => self.driver.begin_leaving(within),
            Message::Shutdown(time_limit) => {
                let end = now + time_limit;
                self.end = Some(end);
                self.driver.begin_shutdown(end);
            }
        }
    }

    fn is_finished(&self, now: Time) -> bool {
        self.end
            .is_some_and(|end| now >= end || self.driver.is_drained())
    }
}

/// A dead worker would leave its clients hanging, so a panic ends the whole process for a supervisor to
/// restart. (Release builds abort on any panic.)
struct AbortOnPanic;

impl Drop for AbortOnPanic {
    fn drop(&mut self) {
        if thread::panicking() {
            process::abort();
        }
    }
}
