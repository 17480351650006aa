//! Resolves server names.
//!
//! A name is looked up again for every new connection, as in nutcracker 0.5.0, and at intervals of `dns_refresh`.
//! Each look-up has a thread of its own, because `getaddrinfo` cannot be cancelled, and there is one look-up of a
//! name at a time: a slow answer delays only those who wait for it, and not for long. When it fails or is late,
//! they get the last address that was good. A further thread, of which there is one, keeps the books
//! ([`Names`]).

mod choice;
mod names;
mod told;

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::Instant;

use crate::logger::{DEBUG, WARN, log, log_limited};
use names::Names;
pub(crate) use names::{Reply, Resolved, Watch};

/// Orders that wait for the thread; further questions are refused.
const INBOX: usize = 4096;

/// A handle to the resolver's thread, which runs for as long as the process.
#[derive(Debug, Clone)]
pub(crate) struct Resolver {
    orders: SyncSender<Order>,
}

/// What the thread is told.
enum Order {
    /// Somebody wants to connect.
    Ask {
        host: Arc<str>,
        port: u16,
        reply: Reply,
    },
    /// A look-up has ended.
    Answer {
        host: Arc<str>,
        answer: io::Result<Vec<SocketAddr>>,
    },
    /// A connection was made, or could not be made in time.
    Attempt {
        host: Arc<str>,
        address: SocketAddr,
        reached: bool,
    },
    /// A server has a name.
    Watch {
        host: Arc<str>,
        watch: Box<dyn Watch>,
    },
    /// Servers have left.
    Forget,
}

/// Looks a name up, which may take any time.
type LookUp = Arc<dyn Fn(&str) -> io::Result<Vec<SocketAddr>> + Send + Sync>;

impl Resolver {
    /// Starts the thread.
    pub(crate) fn start() -> io::Result<Self> {
        Self::start_with(Arc::new(look_up))
    }

    fn start_with(look_up: LookUp) -> io::Result<Self> {
        let (orders, inbox) = sync_channel(INBOX);
        let resolver = Self { orders };
        let server = Server {
            names: Names::default(),
            orders: resolver.orders.clone(),
            look_up,
        };
        thread::Builder::new()
            .name("resolver".into())
            .spawn(move || server.run(&inbox))?;
        Ok(resolver)
    }

    /// Asks for the addresses of `host`; `reply` is called on the resolver's thread. Returns `false`, and drops
    /// `reply`, if too many requests are waiting.
    #[must_use]
    pub(crate) fn ask(&self, host: Arc<str>, port: u16, reply: Reply) -> bool {
        match self.orders.try_send(Order::Ask { host, port, reply }) {
            Ok(()) => true,
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => false,
        }
    }

    /// A connection to one of several addresses was made, or could not be made in time: it is used first, or
    /// last, from now on.
    pub(crate) fn note_attempt(&self, host: Arc<str>, address: SocketAddr, reached: bool) {
        // If there is no room, the next attempt tells again.
        let _ = self.orders.try_send(Order::Attempt {
            host,
            address,
            reached,
        });
    }

    /// Has a server's name looked up again and again, and the server told of it. May wait for the thread.
    pub(crate) fn watch(&self, host: Arc<str>, watch: Box<dyn Watch>) {
        // The thread never ends.
        let _ = self.orders.send(Order::Watch { host, watch });
    }

    /// Ends the watches that are over ([`Watch::is_over`]).
    pub(crate) fn forget(&self) {
        let _ = self.orders.send(Order::Forget);
    }
}

/// The thread.
struct Server {
    names: Names,
    /// For the look-ups' answers.
    orders: SyncSender<Order>,
    look_up: LookUp,
}

impl Server {
    fn run(mut self, inbox: &Receiver<Order>) {
        while let Ok(order) = self.wait(inbox) {
            let now = Instant::now();
            if let Some(order) = order {
                self.obey(order, now);
            }
            self.names.handle_timeout(now);
            while let Some(host) = self.names.next_look_up(now) {
                self.begin_look_up(host, now);
            }
            for line in self.names.take_lines() {
                log_limited!(WARN, line.repeats, "{}", line.text);
            }
        }
    }

    /// The next order; `None` if something is due before that.
    fn wait(&self, inbox: &Receiver<Order>) -> Result<Option<Order>, RecvTimeoutError> {
        let Some(deadline) = self.names.deadline() else {
            let order = inbox.recv().map(Some);
            return order.map_err(|_| RecvTimeoutError::Disconnected);
        };
        match inbox.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(order) => Ok(Some(order)),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn obey(&mut self, order: Order, now: Instant) {
        match order {
            Order::Ask { host, port, reply } => self.names.ask(&host, port, reply, now),
            Order::Answer { host, answer } => self.names.take_answer(&host, answer, now),
            Order::Attempt {
                host,
                address,
                reached,
            } => self.names.note_attempt(&host, address, reached),
            Order::Watch { host, watch } => self.names.watch(&host, watch, now),
            Order::Forget => self.names.forget(),
        }
    }

    fn begin_look_up(&mut self, host: Arc<str>, now: Instant) {
        let (orders, look_up) = (self.orders.clone(), Arc::clone(&self.look_up));
        let name = Arc::clone(&host);
        let thread = thread::Builder::new().name("look-up".into());
        let started = thread.spawn(move || {
            let answer = look_up(&name);
            log_answer(&name, &answer);
            let host = name;
            let _ = orders.send(Order::Answer { host, answer });
        });
        if let Err(error) = started {
            self.names.take_answer(&host, Err(error), now);
        }
    }
}

fn log_answer(host: &str, answer: &io::Result<Vec<SocketAddr>>) {
    match answer {
        Ok(addresses) => {
            let addresses: Vec<_> = addresses.iter().map(|it| it.ip().to_string()).collect();
            let addresses = addresses.join(", ");
            log!(DEBUG, "looked up the name '{host}': {addresses}");
        }
        Err(error) => log!(DEBUG, "looked up the name '{host}': {error}"),
    }
}

/// All addresses that the system returns. Ports are 0.
fn look_up(host: &str) -> io::Result<Vec<SocketAddr>> {
    Ok((host, 0).to_socket_addrs()?.collect())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::mpsc::channel;
    use std::time::Duration;

    use super::*;

    const TIME_LIMIT: Duration = Duration::from_secs(20);

    #[test]
    fn names_and_nonsense_are_told_apart() {
        let resolver = Resolver::start().unwrap();
        let ask = |host: &str| {
            let (sender, answers) = channel();
            let reply = Box::new(move |resolved| sender.send(resolved).unwrap());
            assert!(resolver.ask(host.into(), 7, reply));
            answers.recv_timeout(TIME_LIMIT).unwrap()
        };
        let addresses = ask("localhost").unwrap().addresses;
        assert!(
            addresses
                .iter()
                .all(|it| it.ip().is_loopback() && it.port() == 7)
        );
        assert_eq!(ask("[::1]"), None);
    }

    /// Of three names, the name server of one hangs for ever.
    #[test]
    fn a_look_up_that_hangs_delays_no_other() {
        static IS_OVER: AtomicBool = AtomicBool::new(false);
        let look_up = |host: &str| match host {
            "silent" => {
                while !IS_OVER.load(Ordering::Relaxed) {
                    thread::sleep(Duration::from_millis(1));
                }
                Ok(Vec::new())
            }
            _ => Ok(vec!["10.0.0.1:0".parse().unwrap()]),
        };
        let resolver = Resolver::start_with(Arc::new(look_up)).unwrap();
        let (sender, answers) = channel();
        for host in ["silent", "a", "silent", "b"] {
            let sender = sender.clone();
            let reply = Box::new(move |it: Option<Resolved>| {
                let _ = sender.send(it.map(|it| it.host));
            });
            assert!(resolver.ask(host.into(), 1, reply));
        }
        let mut got: Vec<Arc<str>> = (0..2)
            .map(|_| answers.recv_timeout(TIME_LIMIT).unwrap().unwrap())
            .collect();
        got.sort();
        assert_eq!(got, ["a".into(), "b".into()]);
        IS_OVER.store(true, Ordering::Relaxed);
        for _ in 0..2 {
            assert_eq!(answers.recv_timeout(TIME_LIMIT).unwrap(), None);
        }
    }
}
