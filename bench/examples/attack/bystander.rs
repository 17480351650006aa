//! The bystander: one client that does a GET each millisecond, and attacks nobody.

use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::rig::Target;
use crate::wire;

/// How often it asks, unless it still waits for a reply.
const EVERY: Duration = Duration::from_millis(1);

/// What the bystander waited for each reply. A stall delays every request that falls into it: those that were not
/// sent because an earlier one was not answered yet are counted with what they would have waited.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Latencies {
    sorted: Vec<Duration>,
}

impl Latencies {
    /// `None` if there are none.
    pub(crate) fn new(mut latencies: Vec<Duration>) -> Option<Self> {
        latencies.sort_unstable();
        let sorted = latencies;
        (!sorted.is_empty()).then_some(Self { sorted })
    }

    /// The median.
    pub(crate) fn p50(&self) -> Duration {
        self.percentile(50)
    }

    /// The 99th percentile.
    pub(crate) fn p99(&self) -> Duration {
        self.percentile(99)
    }

    /// The longest wait.
    pub(crate) fn longest(&self) -> Duration {
        self.sorted[self.sorted.len() - 1]
    }

    fn percentile(&self, percent: usize) -> Duration {
        let rank = (self.sorted.len() * percent).div_ceil(100);
        self.sorted[rank.max(1) - 1]
    }
}

/// A bystander at work.
#[derive(Debug)]
pub(crate) struct Bystander {
    thread: JoinHandle<Result<Vec<Duration>, String>>,
    is_over: Arc<AtomicBool>,
}

impl Bystander {
    /// Connects, and starts to ask.
    ///
    /// # Errors
    ///
    /// When it cannot connect, or its password is refused.
    pub(crate) fn start(target: Target) -> Result<Self, String> {
        let mut stream = wire::connect(target.address)?;
        if let Some((request, reply)) = &target.greeting {
            wire::exchange(&mut stream, request, reply)?;
        }
        let is_over = Arc::new(AtomicBool::new(false));
        let in_thread = Arc::clone(&is_over);
        let thread = thread::spawn(move || ask(stream, &target, &in_thread));
        Ok(Self { thread, is_over })
    }

    /// Ends it; what it waited.
    ///
    /// # Errors
    ///
    /// When a reply was wrong or missing.
    pub(crate) fn finish(self) -> Result<Latencies, String> {
        self.is_over.store(true, Ordering::Release);
        let latencies = self.thread.join().map_err(|_| "the bystander panicked")?;
        let latencies = latencies.map_err(|error| format!("the bystander: {error}"))?;
        Latencies::new(latencies).ok_or_else(|| "the bystander asked for nothing".into())
    }
}

fn ask(
    mut stream: TcpStream,
    target: &Target,
    is_over: &AtomicBool,
) -> Result<Vec<Duration>, String> {
    let mut latencies = Vec::new();
    let mut due = Instant::now();
    while !is_over.load(Ordering::Acquire) {
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let start = Instant::now();
        wire::exchange(&mut stream, &target.request, &target.reply)?;
        note(start.elapsed(), &mut latencies);
        due = (due + EVERY).max(Instant::now());
    }
    Ok(latencies)
}

/// Notes what a request waited, and what those would have waited that were due meanwhile.
fn note(waited: Duration, latencies: &mut Vec<Duration>) {
    latencies.push(waited);
    let mut rest = waited;
    while rest > EVERY {
        rest -= EVERY;
        latencies.push(rest);
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use super::*;

    /// A server that answers each `?` with `reply`, after a pause once.
    fn server(reply: &'static [u8], pause: Duration) -> Target {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            let (mut peer, _) = listener.accept().unwrap();
            let mut byte = [0];
            let mut pause = Some(pause);
            while peer.read_exact(&mut byte).is_ok() {
                thread::sleep(pause.take().unwrap_or_default());
                peer.write_all(reply).unwrap();
            }
        });
        Target {
            address,
            greeting: None,
            request: b"?".to_vec(),
            reply: b"!".to_vec(),
        }
    }

    #[test]
    fn a_stall_shows_in_every_request_that_falls_into_it() {
        let bystander = Bystander::start(server(b"!", Duration::from_millis(100))).unwrap();
        thread::sleep(Duration::from_millis(150));
        let latencies = bystander.finish().unwrap();
        assert!(latencies.longest() >= Duration::from_millis(100));
        let late = |latency: &&Duration| **latency >= Duration::from_millis(50);
        assert!(latencies.sorted.iter().filter(late).count() >= 50);
    }

    #[test]
    fn a_wrong_reply_is_told() {
        let bystander = Bystander::start(server(b"-no\r\n", Duration::ZERO)).unwrap();
        thread::sleep(Duration::from_millis(50));
        let error = bystander.finish().unwrap_err();
        assert!(
            error.contains("bystander") && error.contains("-no"),
            "{error}"
        );
    }

    #[test]
    fn percentiles_are_those_of_the_nearest_rank() {
        let latencies = (1..=200).rev().map(Duration::from_millis).collect();
        let latencies = Latencies::new(latencies).unwrap();
        let found = [latencies.p50(), latencies.p99(), latencies.longest()];
        assert_eq!(found, [100, 198, 200].map(Duration::from_millis));
        assert_eq!(Latencies::new(Vec::new()), None);
    }
}
