//! Twice as many requests as can be carried: what can be answered still is, and nothing vanishes.
//!
//! What can be carried is the peak of goodput over the rate that is offered. A closed loop's rate, which is
//! printed too, is no measure for it: it sends 200 requests with one call, the others come by sixteens.

use super::contender::{Kind, OURS, Rig};
use super::cores::Cores;
use super::load::{Amount, Load, Unwatched};
use super::offer::{Fate, Offer};
use super::options::Options;
use super::programs::Bench;
use super::samples::{Ratio, median, ratio};
use super::shape::Shape;

/// What is offered to find the peak, in parts of what a closed loop carries.
const STEPS: [f64; 4] = [0.6, 0.75, 0.9, 1.05];

/// How much more than the peak is offered then.
const FACTOR: f64 = 2.0;

/// Goodput as a share of the peak, at least.
const LEAST: f64 = 0.9;

/// The shapes whose peak is exceeded.
pub(super) const TRIED: [&str; 2] = ["redis-50-p16-mixed-100b", "memcached-50-p16-100b"];

/// Requests that each client of the closed loop sends at once. The more, the less each costs: with few, it
/// would be slower than an open loop.
const DEPTH: usize = 200;

/// What one shape came to, round by round.
#[derive(Debug, Default)]
struct Rounds {
    closed: Vec<f64>,
    steps: [Vec<Fate>; STEPS.len()],
    /// What was offered in the end, and what became of it.
    offered: Vec<f64>,
    fates: Vec<Fate>,
}

/// Plays a shape; returns how many promises were broken.
///
/// # Errors
///
/// When something does not start, or a closed loop got a wrong reply.
pub(super) fn run(
    bench: &Bench,
    options: &Options,
    shape: Shape,
    cores: Cores,
) -> Result<usize, String> {
    let rounds = play(bench, options, shape, cores)?;
    println!("\n== {}: {FACTOR} times the peak", shape.name);
    Ok(rounds.report())
}

/// Peak and overload in turn.
fn play(bench: &Bench, options: &Options, shape: Shape, cores: Cores) -> Result<Rounds, String> {
    let kinds = [Kind::ours(bench, OURS, options.workers)];
    let rig = Rig::start(shape.protocol, shape.servers, &kinds)?;
    let proxy = &rig.contenders[0];
    cores.bind(rig.server_pids().into_iter().chain(proxy.pid()))?;
    let load = Load {
        bench,
        shape,
        address: proxy.address,
        wrapper: cores.of_load(),
    };
    load.fill()?;
    let deep = Load {
        shape: Shape {
            pipeline: DEPTH,
            ..shape
        },
        wrapper: cores.of_load(),
        ..load
    };
    let mut rounds = Rounds::default();
    for _ in 0..options.rounds {
        let closed = deep.play(Amount::Time(options.seconds), &mut Unwatched)?;
        rounds.closed.push(closed.rate);
        let offer = |rate: f64| {
            let mut offer = Offer::prepare(&load, "", rate, options.seconds)?;
            offer.begin()?;
            offer.end()
        };
        let mut peak: f64 = 0.0;
        for (step, fates) in STEPS.iter().zip(&mut rounds.steps) {
            let fate = offer(step * closed.rate)?;
            peak = peak.max(fate.goodput());
            fates.push(fate);
        }
        rounds.offered.push(FACTOR * peak);
        rounds.fates.push(offer(FACTOR * peak)?);
    }
    Ok(rounds)
}

impl Rounds {
    /// Prints what came of it; returns how many promises were broken.
    fn report(&self) -> usize {
        println!("closed loop, requests/s {:>10.0}", median(&self.closed));
        println!("   offered  goodput    p99 ms");
        for (step, fates) in STEPS.iter().zip(&self.steps) {
            line(step * median(&self.closed), fates);
        }
        line(median(&self.offered), &self.fates);
        let sum = |of: fn(&Fate) -> f64| self.fates.iter().map(of).sum::<f64>();
        let each = |name: &str, value: f64| println!("{name:28} {value:>12.0}");
        each("answered right, all rounds", sum(|fate| fate.right));
        each("answered with an error", sum(|fate| fate.errors));
        each("left waiting unsent", sum(|fate| fate.unsent));
        each("unanswered", sum(|fate| fate.unanswered));
        each("wrong", sum(|fate| fate.wrong));
        let share = ratio(&goodput(&self.fates), &self.peaks());
        let lost = sum(|fate| fate.unanswered) + sum(|fate| fate.wrong);
        let good = verdict(share);
        if let Some(share) = share {
            println!("{} goodput / peak {share}, at least {LEAST}", word(good));
        }
        // Not judged: traffic of another kind.
        if let Some(share) = ratio(&goodput(&self.fates), &self.closed) {
            println!("     goodput / closed loop {share}");
        }
        println!("{} none unanswered, none wrong", word(lost == 0.0));
        usize::from(!good) + usize::from(lost > 0.0)
    }

    /// The goodput of each round at the step that is best over all rounds: the best of each round would be
    /// the luckiest.
    fn peaks(&self) -> Vec<f64> {
        let each = self.steps.iter().map(|fates| goodput(fates));
        each.max_by(|one, other| median(one).total_cmp(&median(other)))
            .unwrap_or_default()
    }
}

fn goodput(fates: &[Fate]) -> Vec<f64> {
    fates.iter().map(Fate::goodput).collect()
}

fn line(offered: f64, fates: &[Fate]) {
    let p99: Vec<f64> = fates.iter().map(|fate| fate.p99).collect();
    let (goodput, p99) = (median(&goodput(fates)), median(&p99) / 1_000.0);
    println!("{offered:>10.0} {goodput:>8.0} {p99:>9.2}");
}

/// Whether the interval does not lie wholly below what was promised.
fn verdict(share: Option<Ratio>) -> bool {
    share.is_some_and(|share| share.high >= LEAST)
}

pub(super) fn word(good: bool) -> &'static str {
    if good { "PASS" } else { "FAIL" }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fate(right: f64, unanswered: f64) -> Fate {
        Fate {
            right,
            unanswered,
            seconds: 1.0,
            ..Fate::default()
        }
    }

    fn rounds(right: f64, unanswered: f64) -> Rounds {
        let mut steps = [60.0, 75.0, 90.0, 100.0].map(|right| vec![fate(right, 0.0); 3]);
        steps[1][0] = fate(200.0, 0.0);
        Rounds {
            closed: vec![100.0; 3],
            steps,
            offered: vec![200.0; 3],
            fates: vec![fate(right, unanswered); 3],
        }
    }

    #[test]
    fn the_peak_is_the_step_that_is_best_in_the_middle() {
        assert_eq!(rounds(0.0, 0.0).peaks(), [100.0; 3]);
    }

    #[test]
    fn too_little_and_what_vanished_are_broken_promises() {
        assert_eq!(rounds(95.0, 0.0).report(), 0);
        assert_eq!(rounds(89.0, 0.0).report(), 1);
        assert_eq!(rounds(89.0, 1.0).report(), 2);
        assert!(!verdict(None));
    }
}
