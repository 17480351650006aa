//! Twice as many requests as can be carried: what can be answered still is, and nothing vanishes.

use super::Bench;
use super::contender::{Kind, OURS, Rig};
use super::cores::Cores;
use super::load::{Amount, Load, Unwatched};
use super::offer::{Fate, Offer};
use super::options::Options;
use super::samples::{Ratio, median, ratio};
use super::shape::{self, Shape};

/// How much more is offered than a closed loop carries at most.
const FACTOR: f64 = 2.0;

/// Goodput as a share of that, at least.
const LEAST: f64 = 0.9;

/// The shapes whose peak is exceeded.
const TRIED: [&str; 2] = ["redis-50-p16-mixed-100b", "memcached-50-p16-100b"];

/// Requests that each client of the closed loop sends at once. The more, the less each costs: with few, the
/// peak would be lower than what an open loop gets through, and twice as much no overload.
const DEPTH: usize = 200;

/// What one shape came to, round by round.
#[derive(Debug, Default)]
struct Rounds {
    peaks: Vec<f64>,
    offered: Vec<f64>,
    fates: Vec<Fate>,
}

/// Plays both protocols; returns how many promises were broken.
///
/// # Errors
///
/// When something does not start, or a closed loop got a wrong reply.
pub(super) fn run(bench: &Bench, options: &Options, cores: Cores) -> Result<usize, String> {
    let mut broken = 0;
    for name in TRIED {
        let shape = Shape {
            pipeline: DEPTH,
            ..shape::find(name)?
        };
        let rounds = play(bench, options, shape, cores)?;
        println!("\n== {name}: {FACTOR} times the peak");
        broken += rounds.report();
    }
    Ok(broken)
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
    let mut rounds = Rounds::default();
    for _ in 0..options.rounds {
        let amount = Amount::Time(options.seconds);
        let peak = load.play(amount, &mut Unwatched)?.rate;
        let mut offer = Offer::prepare(&load, "", FACTOR * peak, options.seconds)?;
        offer.begin()?;
        rounds.fates.push(offer.end()?);
        rounds.peaks.push(peak);
        rounds.offered.push(FACTOR * peak);
    }
    Ok(rounds)
}

impl Rounds {
    /// Prints what came of it; returns how many promises were broken.
    fn report(&self) -> usize {
        let goodput: Vec<f64> = self.fates.iter().map(Fate::goodput).collect();
        let sum = |of: fn(&Fate) -> f64| self.fates.iter().map(of).sum::<f64>();
        let each = |name: &str, value: f64| println!("{name:28} {value:>12.0}");
        each("peak, requests/s", median(&self.peaks));
        each("offered, requests/s", median(&self.offered));
        each("answered right, per second", median(&goodput));
        each("answered right, all rounds", sum(|fate| fate.right));
        each("answered with an error", sum(|fate| fate.errors));
        each("left waiting unsent", sum(|fate| fate.unsent));
        each("unanswered", sum(|fate| fate.unanswered));
        each("wrong", sum(|fate| fate.wrong));
        let share = ratio(&goodput, &self.peaks);
        let lost = sum(|fate| fate.unanswered) + sum(|fate| fate.wrong);
        let good = verdict(share);
        if let Some(share) = share {
            println!("{} goodput / peak {share}, at least {LEAST}", word(good));
        }
        println!("{} none unanswered, none wrong", word(lost == 0.0));
        usize::from(!good) + usize::from(lost > 0.0)
    }
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

    fn rounds(right: f64, unanswered: f64) -> Rounds {
        let fate = Fate {
            right,
            unanswered,
            seconds: 1.0,
            ..Fate::default()
        };
        Rounds {
            peaks: vec![100.0; 3],
            offered: vec![200.0; 3],
            fates: vec![fate; 3],
        }
    }

    #[test]
    fn too_little_and_what_vanished_are_broken_promises() {
        assert_eq!(rounds(95.0, 0.0).report(), 0);
        assert_eq!(rounds(89.0, 0.0).report(), 1);
        assert_eq!(rounds(89.0, 1.0).report(), 2);
        assert!(!verdict(None));
    }
}
