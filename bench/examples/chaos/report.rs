//! What is printed.

use std::collections::BTreeMap;
use std::fmt;

use nuthatch_bench::faults::Fault;

use crate::scenario::Outcome;
use crate::tally::Tally;

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "seed {}: {} requests, {} faults, {} flaws in {:.1} s, {} MiB ({})",
            self.seed,
            self.tally.requests,
            self.faults.iter().sum::<u64>(),
            self.tally.flaw_count,
            self.lasted.as_secs_f64(),
            self.memory >> 20,
            self.settings
        )?;
        for flaw in &self.tally.flaws {
            writeln!(f, "  ! {flaw}")?;
        }
        if let Some(dir) = &self.kept {
            let seed = self.seed;
            writeln!(f, "  ! configuration and log: {}", dir.display())?;
            writeln!(
                f,
                "  ! again: cargo xtask chaos --seed {seed} --scenarios 1"
            )?;
        }
        Ok(())
    }
}

/// The result of a run.
#[derive(Debug, Default)]
pub(crate) struct Report {
    scenarios: u64,
    failed: Vec<u64>,
    tally: Tally,
    faults: [u64; Fault::ALL.len()],
}

impl Report {
    /// A scenario has ended.
    pub(crate) fn note(&mut self, outcome: Outcome) {
        self.scenarios += 1;
        if outcome.tally.flaw_count > 0 {
            self.failed.push(outcome.seed);
        }
        self.tally.add(outcome.tally);
        for (sum, count) in self.faults.iter_mut().zip(outcome.faults) {
            *sum += count;
        }
    }

    /// Adds those of another thread.
    pub(crate) fn add(&mut self, other: Report) {
        self.scenarios += other.scenarios;
        self.failed.extend(other.failed);
        self.failed.sort_unstable();
        self.tally.add(other.tally);
        for (sum, count) in self.faults.iter_mut().zip(other.faults) {
            *sum += count;
        }
    }

    /// Whether nothing was wrong.
    pub(crate) fn is_flawless(&self) -> bool {
        self.tally.flaw_count == 0
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tally = &self.tally;
        writeln!(
            f,
            "scenarios {}, requests {}, replies {}, connections {}, refused {}",
            self.scenarios, tally.requests, tally.replies, tally.connects, tally.refused
        )?;
        let faults = Fault::ALL.iter().map(|fault| fault.name());
        writeln!(f, "faults: {}", listed(faults.zip(self.faults)))?;
        let of_map = |map: &BTreeMap<&'static str, u64>| {
            let pairs = map.iter().map(|(&name, &count)| (name, count));
            listed(pairs)
        };
        writeln!(f, "clients: {}", of_map(&tally.moods))?;
        writeln!(f, "replies: {}", of_map(&tally.kinds))?;
        writeln!(f, "proxy: {}", of_map(&tally.counted))?;
        match self.is_flawless() {
            true => writeln!(f, "PASS"),
            false => writeln!(
                f,
                "FAIL: {} flaws, seeds {:?}",
                tally.flaw_count, self.failed
            ),
        }
    }
}

fn listed(pairs: impl Iterator<Item = (&'static str, u64)>) -> String {
    let words: Vec<String> = pairs
        .map(|(name, count)| format!("{name} {count}"))
        .collect();
    words.join(", ")
}
