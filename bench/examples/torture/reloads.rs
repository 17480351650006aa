//! Other configurations, ten times per second. None of them moves a key, so every reply stays exact: time-outs change, the
//! number of connections, the addresses of servers (another name for the same address, so that connections are replaced), the
//! order of servers, and a pool that comes and goes.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::Value;
use testkit::{Proxy, free_port};

/// Time between two configurations.
const EVERY: Duration = Duration::from_millis(100);

/// Threads that ask: fewer than connections of the control socket at a time.
const ASKING: usize = 6;

/// How long the proxy may take to follow one.
const TIME_LIMIT: Duration = Duration::from_secs(20);

/// The thread that changes the configuration.
pub(crate) struct Reloads {
    thread: Option<JoinHandle<Result<(), String>>>,
    is_over: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
}

impl Reloads {
    /// Begins to change the configuration of `proxy`, whose servers have these ports.
    ///
    /// # Errors
    ///
    /// When the configuration cannot be read.
    pub(crate) fn start(
        proxy: &Proxy,
        socket: &Path,
        ports: [Vec<u16>; 2],
    ) -> Result<Self, String> {
        let file = proxy.conf().to_owned();
        let first = std::fs::read_to_string(&file).map_err(|error| error.to_string())?;
        let variants = Variants {
            first,
            ports: ports.concat(),
            extra: free_port(),
        };
        let (is_over, done) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let changer = Changer {
            file,
            socket: socket.to_owned(),
            variants,
            is_over: Arc::clone(&is_over),
            done: Arc::clone(&done),
        };
        Ok(Self {
            thread: Some(thread::spawn(move || changer.run())),
            is_over,
            done,
        })
    }

    /// An error if it has ended early.
    pub(crate) fn check(&mut self) -> Result<(), String> {
        match self.thread.as_ref().is_some_and(JoinHandle::is_finished) {
            true => self.join(),
            false => Ok(()),
        }
    }

    /// Ends it; returns how many configurations were put in force.
    pub(crate) fn end(mut self) -> Result<u64, String> {
        self.is_over.store(true, Ordering::Release);
        self.join()?;
        Ok(self.done.load(Ordering::Acquire))
    }

    fn join(&mut self) -> Result<(), String> {
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(result)) => result,
            Some(Err(_)) => Err("the reloading thread panicked".to_owned()),
            None => Ok(()),
        }
    }
}

struct Changer {
    file: PathBuf,
    socket: PathBuf,
    variants: Variants,
    is_over: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
}

impl Changer {
    /// Several threads ask in turn: on a busy machine an answer takes longer than the time between two questions.
    fn run(self) -> Result<(), String> {
        let (began, next) = (Instant::now(), AtomicU64::new(1));
        thread::scope(|scope| {
            let threads: Vec<_> = (0..ASKING)
                .map(|_| scope.spawn(|| self.ask_in_time(began, &next)))
                .collect();
            let join = |thread: thread::ScopedJoinHandle<'_, _>| {
                let panicked = |_| Err("a reloading thread panicked".to_owned());
                thread.join().unwrap_or_else(panicked)
            };
            threads.into_iter().try_for_each(join)
        })
    }

    fn ask_in_time(&self, began: Instant, next: &AtomicU64) -> Result<(), String> {
        loop {
            let number = next.fetch_add(1, Ordering::AcqRel);
            let due = EVERY.saturating_mul(u32::try_from(number).unwrap_or(u32::MAX));
            thread::sleep(due.saturating_sub(began.elapsed()));
            if self.is_over.load(Ordering::Acquire) {
                return Ok(());
            }
            if let Err(reason) = self.reload(number) {
                self.is_over.store(true, Ordering::Release);
                return Err(format!("reload {number}: {reason}"));
            }
            self.done.fetch_add(1, Ordering::AcqRel);
        }
    }

    fn reload(&self, number: u64) -> Result<(), String> {
        let text = |error: std::io::Error| error.to_string();
        // Another thread may be reading the file for its own reload.
        let written = self.file.with_extension(format!("{number}"));
        std::fs::write(&written, self.variants.number(number)).map_err(text)?;
        std::fs::rename(&written, &self.file).map_err(text)?;
        let mut stream = UnixStream::connect(&self.socket).map_err(text)?;
        stream.set_read_timeout(Some(TIME_LIMIT)).map_err(text)?;
        stream
            .write_all(b"{\"command\":\"reload\"}\n")
            .map_err(text)?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).map_err(text)?;
        let value: Value = serde_json::from_str(&answer).map_err(|error| error.to_string())?;
        let is_adopted = !answer.contains("has not followed");
        (value["ok"] == true && is_adopted)
            .then_some(())
            .ok_or(answer)
    }
}

/// The configurations.
struct Variants {
    first: String,
    /// Of all servers that are reached through relays.
    ports: Vec<u16>,
    /// Where the pool listens that comes and goes.
    extra: u16,
}

impl Variants {
    /// The configuration with this number. Each of its bits, from the lowest, is one change.
    fn number(&self, number: u64) -> String {
        let has = |bit: u32| number >> bit & 1 == 1;
        let mut text = self.first.clone();
        if has(0) {
            text = text.replace("  timeout: 8000", "  timeout: 8500");
        }
        for port in self.ports.iter().enumerate().filter_map(|(at, port)| {
            // Another server each time.
            (has(1) && (number >> 2) as usize % self.ports.len() == at).then_some(port)
        }) {
            let (from, to) = (format!("127.0.0.1:{port}:"), format!("localhost:{port}:"));
            text = text.replace(&from, &to);
        }
        if has(2) {
            text = text.replace("server_connections: 2", "server_connections: 1");
        }
        if has(3) {
            text += &format!(
                "extra:\n  listen: 127.0.0.1:{}\n  redis: true\n  servers:\n    - 127.0.0.1:1:1 nobody\n",
                self.extra
            );
        }
        text
    }
}
