//! Runs scenarios, two at a time.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use crate::options::Options;
use crate::report::Report;
use crate::scenario;

/// Scenarios at a time. They mostly wait.
const AT_A_TIME: usize = 2;

/// Runs scenarios until the time is over or there are enough, and prints a line for each.
///
/// # Errors
///
/// When something cannot be started, or a configuration is refused.
pub(crate) fn run(options: &Options) -> Result<Report, String> {
    let next = AtomicU64::new(0);
    let is_broken = AtomicBool::new(false);
    let start = Instant::now();
    let play = || -> Result<Report, String> {
        let mut report = Report::default();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let is_late = number > 0 && start.elapsed() >= options.time;
            if is_late || number >= options.scenarios || is_broken.load(Ordering::Relaxed) {
                return Ok(report);
            }
            let seed = options.seed.wrapping_add(number);
            match run_one(options, seed) {
                Ok(outcome) => report.note(outcome),
                Err(error) => {
                    is_broken.store(true, Ordering::Relaxed);
                    return Err(format!("seed {seed}: {error}"));
                }
            }
        }
    };
    let mut report = Report::default();
    thread::scope(|scope| {
        let threads: Vec<_> = (0..AT_A_TIME).map(|_| scope.spawn(play)).collect();
        for one in threads {
            report.add(one.join().map_err(|_| "a thread panicked")??);
        }
        Ok(())
    })
    .map(|()| report)
}

fn run_one(options: &Options, seed: u64) -> Result<scenario::Outcome, String> {
    // What starts servers panics when it cannot.
    let outcome = catch_unwind(AssertUnwindSafe(|| scenario::run(&options.nuthatch, seed)));
    let outcome = outcome.map_err(|_| "it panicked, see above")??;
    print!("{outcome}");
    Ok(outcome)
}
