//! When which server fails, drawn from the seed of a scenario.

use std::time::Duration;

use nuthatch_bench::faults::{Fault, FaultOrder, Random};

/// How long faults are made: at least, and at most in addition.
const SPAN_MS: (u64, u64) = (1_200, 1_300);

/// The longest fault begins so long before the end.
const LONGEST_MS: u64 = 900;

/// The shortest fault.
const SHORTEST_MS: u64 = 30;

/// The shortest time between two faults of a server.
const GAP_MS: u64 = 60;

/// In one of this many scenarios nothing fails.
const CALM_ONE_IN: u64 = 12;

/// The beginning or the end of a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) at: Duration,
    pub(crate) server: usize,
    pub(crate) fault: Fault,
    pub(crate) begins: bool,
}

/// All faults of a scenario.
#[derive(Debug)]
pub(crate) struct Schedule {
    /// In the order of time.
    pub(crate) steps: Vec<Step>,
    /// How long it takes.
    pub(crate) span: Duration,
}

impl Schedule {
    /// Draws it. A server has one fault at a time; several servers may fail at once.
    pub(crate) fn draw(random: &mut Random, servers: usize) -> Self {
        let span_ms = SPAN_MS.0 + random.below(SPAN_MS.1);
        let is_calm = random.below(CALM_ONE_IN) == 0;
        // A server that is never touched shows whether faults of others affect it.
        let spared = random.below(servers as u64 + 1) as usize;
        let mut order = FaultOrder::default();
        let mut steps = Vec::new();
        for server in (0..servers).filter(|&server| !is_calm && (server != spared || servers == 1))
        {
            let mut at = random.below(600);
            while at + SHORTEST_MS < span_ms {
                let longest = LONGEST_MS.min(span_ms - at);
                let lasts = SHORTEST_MS + random.below(longest - SHORTEST_MS + 1);
                let fault = order.draw(random);
                let step = |at, begins| Step {
                    at: Duration::from_millis(at),
                    server,
                    fault,
                    begins,
                };
                steps.push(step(at, true));
                steps.push(step(at + lasts, false));
                at += lasts + GAP_MS + random.below(1_000);
            }
        }
        steps.sort_by_key(|step| step.at);
        Self {
            steps,
            span: Duration::from_millis(span_ms),
        }
    }

    /// Whether this server fails.
    pub(crate) fn has_failing(&self, server: usize) -> bool {
        self.steps.iter().any(|step| step.server == server)
    }

    /// Number of faults.
    pub(crate) fn faults(&self) -> usize {
        self.steps.iter().filter(|step| step.begins).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_server_has_one_fault_at_a_time_and_ends_healthy() {
        for seed in 0..200 {
            let schedule = Schedule::draw(&mut Random::new(seed, 1), 3);
            for server in 0..3 {
                let steps: Vec<_> = schedule
                    .steps
                    .iter()
                    .filter(|step| step.server == server)
                    .collect();
                for (number, step) in steps.iter().enumerate() {
                    assert_eq!(step.begins, number.is_multiple_of(2), "{steps:?}");
                    assert!(step.at <= schedule.span);
                }
                assert!(steps.len().is_multiple_of(2));
            }
        }
    }
}
