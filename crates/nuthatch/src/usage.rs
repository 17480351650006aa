//! Looks at what the process uses, and at how busy each pool is, once a second: INFO tells of it, and operators are told how
//! long requests have taken lately.

use std::fs;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use proxy::metrics::PoolMetric;
use proxy::{Process, Usage};

use crate::dealing::deal_again;
use crate::live::Directory;
use crate::pool::PoolShare;
use crate::recent::RecentLatency;
use crate::worker;

/// How often.
const EVERY: Duration = Duration::from_secs(1);

/// Linux counts processor time for `/proc` in hundredths of a second on every machine that there is.
const TICK_MICROS: u64 = 10_000;

/// Looks at the process and at its pools on a thread of its own, for as long as the process runs; at their latency, too, if
/// anybody may ask for that. Deals the pools to the workers anew when they have other servers.
///
/// # Errors
///
/// When no thread can be created.
pub(crate) fn start(
    process: Arc<Process>,
    directory: Arc<Directory>,
    recent: Option<Arc<RecentLatency>>,
    workers: Vec<worker::Handle>,
) -> io::Result<()> {
    let mut rates = Rates::new(Instant::now());
    note(&process.usage);
    if let Some(recent) = &recent {
        recent.note(&directory.in_force().pools, Instant::now());
    }
    thread::Builder::new().name("usage".into()).spawn(move || {
        loop {
            thread::sleep(EVERY);
            note(&process.usage);
            let (in_force, now) = (directory.in_force(), Instant::now());
            let pools = &in_force.pools;
            // Servers may have been found.
            deal_again(&in_force, &process, &workers);
            rates.note(pools, now);
            recent.iter().for_each(|recent| recent.note(pools, now));
        }
    })?;
    Ok(())
}

/// How many requests each pool had seen when that was last looked at.
struct Rates {
    pools: Vec<(Arc<PoolShare>, i64)>,
    at: Instant,
}

impl Rates {
    fn new(at: Instant) -> Self {
        let pools = Vec::new();
        Self { pools, at }
    }

    fn note(&mut self, pools: &[Arc<PoolShare>], now: Instant) {
        let seconds = now.duration_since(self.at).as_secs_f64().max(0.001);
        self.at = now;
        let earlier = std::mem::take(&mut self.pools);
        for pool in pools {
            let is_it = |(known, _): &&(Arc<PoolShare>, i64)| Arc::ptr_eq(known, pool);
            let before = earlier.iter().find(is_it).map_or(0, |(_, seen)| *seen);
            let seen = pool.core().count(PoolMetric::ClientRequests);
            let rate = (seen - before) as f64 / seconds;
            pool.core().note_rate(rate.round() as u64);
            self.pools.push((Arc::clone(pool), seen));
        }
    }
}

/// Reads what Linux says of the process. What cannot be read stays as it was.
fn note(usage: &Usage) {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let rows = [
        (&usage.memory, kilobytes(&status, "VmRSS:")),
        (&usage.memory_peak, kilobytes(&status, "VmHWM:")),
        (&usage.cpu_user, ticks(&stat, 14)),
        (&usage.cpu_system, ticks(&stat, 15)),
    ];
    for (value, found) in rows {
        if let Some(found) = found {
            value.store(found, Ordering::Relaxed);
        }
    }
}

/// The bytes in a line of `/proc/self/status`.
fn kilobytes(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    let number: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    number.checked_mul(1024)
}

/// The microseconds in a field of `/proc/self/stat`. The second one is the program's name in brackets, which may
/// hold blanks and brackets.
fn ticks(stat: &str, field: usize) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(')')?;
    let number: u64 = rest.split_ascii_whitespace().nth(field - 3)?.parse().ok()?;
    number.checked_mul(TICK_MICROS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_linux_says_is_read() {
        let status = "Name:\tx\nVmHWM:\t    2048 kB\nVmRSS:\t    1024 kB\n";
        assert_eq!(kilobytes(status, "VmRSS:"), Some(1 << 20));
        assert_eq!(kilobytes(status, "VmHWM:"), Some(2 << 20));
        assert_eq!(kilobytes(status, "VmSwap:"), None);
        let stat = "7 (a) b) S 1 7 7 0 -1 4194304 100 0 0 0 12 34 0 0 20 0 4 0 100";
        assert_eq!(
            (ticks(stat, 14), ticks(stat, 15)),
            (Some(120_000), Some(340_000))
        );
        assert_eq!(ticks("", 14), None);
    }

    #[test]
    fn this_process_uses_memory() {
        let usage = Usage::default();
        note(&usage);
        let (memory, peak) = (&usage.memory, &usage.memory_peak);
        assert!(memory.load(Ordering::Relaxed) > 100 << 10);
        assert!(peak.load(Ordering::Relaxed) >= memory.load(Ordering::Relaxed));
    }
}
