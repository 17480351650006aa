//! Resolves server names with `getaddrinfo` on a thread of its own.
//!
//! A name is resolved again for every new connection, as in nutcracker 0.5.0, but a slow answer delays only
//! those who wait for it. Requests waiting for the same name share one answer.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;

/// Maximum requests waiting; further ones are refused.
const MAX_WAITING: usize = 4096;

/// Takes the answer; `None` if the name cannot be resolved.
pub(crate) type Reply = Box<dyn FnOnce(Option<SocketAddr>) + Send>;

/// A handle to the resolver's thread.
#[derive(Debug, Clone)]
pub(crate) struct Resolver {
    questions: SyncSender<Question>,
}

struct Question {
    host: Arc<str>,
    port: u16,
    reply: Reply,
}

impl Resolver {
    /// Starts the thread; it ends with the last handle.
    pub(crate) fn start() -> io::Result<Self> {
        Self::start_with(look_up)
    }

    fn start_with(
        look_up: impl Fn(&str, u16) -> Option<SocketAddr> + Send + 'static,
    ) -> io::Result<Self> {
        let (questions, inbox) = sync_channel(MAX_WAITING);
        thread::Builder::new()
            .name("resolver".into())
            .spawn(move || serve(&inbox, look_up))?;
        Ok(Self { questions })
    }

    /// Asks for the address of `host`; `reply` is called on the resolver's thread. Returns `false`, and drops
    /// `reply`, if too many requests are waiting.
    #[must_use]
    pub(crate) fn ask(&self, host: Arc<str>, port: u16, reply: Reply) -> bool {
        let question = Question { host, port, reply };
        match self.questions.try_send(question) {
            Ok(()) => true,
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => false,
        }
    }
}

fn serve(inbox: &Receiver<Question>, look_up: impl Fn(&str, u16) -> Option<SocketAddr>) {
    let mut waiting: Vec<Question> = Vec::new();
    loop {
        if waiting.is_empty() {
            match inbox.recv() {
                Ok(question) => waiting.push(question),
                Err(_) => return,
            }
        }
        let (host, port) = (Arc::clone(&waiting[0].host), waiting[0].port);
        let room = MAX_WAITING.saturating_sub(waiting.len());
        waiting.extend(inbox.try_iter().take(room));
        let address = look_up(&host, port);
        let answered = |question: &mut Question| question.host == host && question.port == port;
        for question in waiting.extract_if(.., answered) {
            (question.reply)(address);
        }
    }
}

/// The first address that the system returns, as nutcracker 0.5.0 uses.
fn look_up(host: &str, port: u16) -> Option<SocketAddr> {
    (host, port).to_socket_addrs().ok()?.next()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc::channel;
    use std::time::Duration;

    use super::*;

    #[test]
    fn names_and_nonsense_are_told_apart() {
        let resolver = Resolver::start().unwrap();
        let (sender, answers) = channel();
        for host in ["localhost", "[::1]"] {
            let sender = sender.clone();
            let reply = Box::new(move |address| sender.send(address).unwrap());
            assert!(resolver.ask(host.into(), 1, reply));
        }
        let time_limit = Duration::from_secs(20);
        let found = answers.recv_timeout(time_limit).unwrap();
        assert!(found.is_some_and(|address| address.ip().is_loopback()));
        assert_eq!(answers.recv_timeout(time_limit), Ok(None));
    }

    #[test]
    fn those_who_wait_for_the_same_name_share_an_answer() {
        static ASKED: AtomicUsize = AtomicUsize::new(0);
        let (go, gate) = channel::<()>();
        let gate = std::sync::Mutex::new(gate);
        let resolver = Resolver::start_with(move |_, _| {
            ASKED.fetch_add(1, Ordering::Relaxed);
            gate.lock().unwrap().recv().unwrap();
            None
        })
        .unwrap();
        let (sender, answers) = channel();
        let ask = |host: &str| {
            let sender = sender.clone();
            let host_name = host.to_owned();
            let reply = Box::new(move |_| sender.send(host_name).unwrap());
            assert!(resolver.ask(host.into(), 1, reply));
        };
        ask("first");
        while ASKED.load(Ordering::Relaxed) == 0 {
            thread::yield_now();
        }
        for _ in 0..5 {
            ask("a");
            ask("b");
        }
        (0..3).for_each(|_| go.send(()).unwrap());
        let got: Vec<String> = (0..11)
            .map(|_| answers.recv_timeout(Duration::from_secs(10)).unwrap())
            .collect();
        assert_eq!(ASKED.load(Ordering::Relaxed), 3);
        assert_eq!(got.iter().filter(|host| *host == "a").count(), 5);
    }
}
