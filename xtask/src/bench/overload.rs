//! Overload: twice as many requests as the proxy can handle. As many as possible must still be answered, and
//! none may be lost.
//!
//! The capacity is the peak of goodput over the offered rate. The rate of a closed loop, which is printed
//! too, is no measure of it: a closed loop sends 200 requests with one system call, an open loop about 16.

use super::contender::{Kind, OURS, Rig};
use super::cores::Cores;
use super::load::{Amount, Load, Unwatched};
use super::open_loop::{OpenLoop, Results};
use super::options::Options;
use super::programs::Bench;
use super::samples::{Ratio, median, ratio};
use super::shape::Shape;

/// Offered rates for finding the peak, relative to the closed loop's rate.
const STEPS: [f64; 4] = [0.6, 0.75, 0.9, 1.05];

/// The overload, relative to the peak.
const FACTOR: f64 = 2.0;

/// Minimum goodput, relative to the peak.
const LEAST: f64 = 0.9;

/// The shapes that are tested.
pub(super) const TRIED: [&str; 2] = ["redis-50-p16-mixed-100b", "memcached-50-p16-100b"];

/// Requests that each client of the closed loop sends at once. The more, the cheaper each is: with few, it
/// would be slower than an open loop.
const DEPTH: usize = 200;

/// The results of one shape, round by round.
#[derive(Debug, Default)]
struct Rounds {
    closed: Vec<f64>,
    steps: [Vec<Results>; STEPS.len()],
    /// The final offered rates, and the results.
    offered: Vec<f64>,
    fates: Vec<Results>,
}

/// Tests a shape; returns the number of failed checks.
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

/// Alternates peak and overload.
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
            let mut offer = OpenLoop::prepare(&load, "", rate, options.seconds)?;
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
    /// Prints the results; returns the number of failed checks.
    fn report(&self) -> usize {
        println!("closed loop, requests/s {:>10.0}", median(&self.closed));
        println!("   offered  goodput    p99 ms");
        for (step, fates) in STEPS.iter().zip(&self.steps) {
            line(step * median(&self.closed), fates);
        }
        line(median(&self.offered), &self.fates);
        let sum = |of: fn(&Results) -> f64| self.fates.iter().map(of).sum::<f64>();
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
        // Not judged: the traffic is of another kind.
        if let Some(share) = ratio(&goodput(&self.fates), &self.closed) {
            println!("     goodput / closed loop {share}");
        }
        println!("{} none unanswered, none wrong", word(lost == 0.0));
        usize::from(!good) + usize::from(lost > 0.0)
    }

    /// The goodput of each round at the step that is best over all rounds: the best step of each round would
    /// be chosen by luck.
    fn peaks(&self) -> Vec<f64> {
        let each = self.steps.iter().map(|fates| goodput(fates));
        each.max_by(|one, other| median(one).total_cmp(&median(other)))
            .unwrap_or_default()
    }
}

fn goodput(fates: &[Results]) -> Vec<f64> {
    fates.iter().map(Results::goodput).collect()
}

fn line(offered: f64, fates: &[Results]) {
    let p99: Vec<f64> = fates.iter().map(|fate| fate.p99).collect();
    let (goodput, p99) = (median(&goodput(fates)), median(&p99) / 1_000.0);
    println!("{offered:>10.0} {goodput:>8.0} {p99:>9.2}");
}

/// Whether the interval is not entirely below the limit.
fn verdict(share: Option<Ratio>) -> bool {
    share.is_some_and(|share| share.high >= LEAST)
}

pub(super) fn word(good: bool) -> &'static str {
    if good { "PASS" } else { "FAIL" }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fate(right: f64, unanswered: f64) -> Results {
        Results {
            right,
            unanswered,
            seconds: 1.0,
            ..Results::default()
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
