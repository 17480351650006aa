//! The performance targets of the project, and whether a run meets them.

use super::contender::{BASE, FLOOR, OURS};
use super::memory::{self, Fact};
use super::options::Options;
use super::rounds::{Figure, ShapeResult};
use super::samples::Ratio;
use super::shape::{self, Ask, SHAPES, Shape};
use super::workers;

/// One target: the maximum ratio of a figure to that of another contender.
struct Target {
    shape: &'static str,
    figure: Figure,
    peer: &'static str,
    limit: f64,
}

const HAPROXY: &str = "haproxy";

const fn cpu(shape: &'static str, peer: &'static str, limit: f64) -> Target {
    Target {
        shape,
        figure: Figure::Cpu,
        peer,
        limit,
    }
}

const fn p99(shape: &'static str, figure: Figure) -> Target {
    Target {
        shape,
        figure,
        peer: BASE,
        limit: 1.1,
    }
}

const TARGETS: &[Target] = &[
    cpu("redis-50-p1-3b", BASE, 0.70),
    cpu("redis-50-p1-1k", BASE, 0.65),
    cpu("redis-50-p1-16k", BASE, 0.75),
    cpu("redis-200-p1-3b", BASE, 0.65),
    cpu("redis-50-p16-3b", BASE, 0.30),
    cpu("redis-50-p16-1k", BASE, 0.22),
    cpu("redis-50-p16-16k", BASE, 0.60),
    cpu("redis-50-p100-3b", BASE, 0.06),
    cpu("memcached-50-p1-100b", BASE, 0.70),
    cpu("memcached-50-p16-100b", BASE, 0.35),
    cpu("redis-mget-100", BASE, 0.50),
    cpu("memcached-multi-get-100", BASE, 0.50),
    cpu("redis-50-p1-3b", HAPROXY, 1.0),
    cpu("redis-50-p1-1k", HAPROXY, 1.0),
    cpu("redis-50-p1-16k", HAPROXY, 1.0),
    cpu("redis-20-p1-1m", HAPROXY, 1.0),
    cpu("memcached-50-p1-100b", HAPROXY, 1.0),
    cpu("memcached-50-p1-1k", HAPROXY, 1.0),
    cpu("memcached-50-p1-16k", HAPROXY, 1.0),
    cpu("memcached-20-p1-1m", HAPROXY, 1.0),
    p99("redis-open-60", Figure::P99),
    p99("redis-open-60", Figure::P99Typical),
    p99("memcached-open-60", Figure::P99),
    p99("memcached-open-60", Figure::P99Typical),
];

/// Maximum system calls per request.
const SYSCALLS: [(&str, f64); 4] = [
    ("redis-50-p1-3b", 3.0),
    ("redis-50-p16-3b", 0.2),
    ("memcached-50-p1-100b", 3.0),
    ("memcached-50-p16-100b", 0.2),
];

/// Maximum of figures that are measured once.
const FACTS: [(&str, f64); 6] = [
    (memory::IDLE_BYTES, 1_024.0),
    (memory::AFTER_BURST, 1.2),
    (memory::COPIES, 4.0),
    (workers::TWO_WORKERS, 1.35),
    (workers::CONNECTIONS, 0.0),
    (workers::EVENNESS, 1.25),
];

/// The result for one target.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Verdict {
    pub(super) what: String,
    pub(super) limit: f64,
    /// The measured ratio; none if it could not be measured.
    pub(super) measured: Option<Ratio>,
    /// The same figure's ratio to the floor, for information.
    pub(super) to_floor: Option<Ratio>,
}

impl Verdict {
    /// Whether the whole interval is above the limit.
    pub(super) fn has_failed(&self) -> bool {
        self.measured.is_some_and(|ratio| ratio.low > self.limit)
    }

    /// PASS, FAIL, or a dash.
    pub(super) fn word(&self) -> &'static str {
        match self.measured {
            None => "not measured",
            Some(_) if self.has_failed() => "FAIL",
            Some(_) => "PASS",
        }
    }
}

/// The name that selects the single figures among the shapes.
const FACTS_ONLY: &str = "facts";

/// Whether to measure the single figures: with all shapes, or if selected by name.
pub(super) fn wants_facts(options: &Options) -> bool {
    options.shapes.is_empty() || options.shapes == [FACTS_ONLY]
}

/// The shapes to run: those with a target, or those of them that the options name.
///
/// # Errors
///
/// A name that no shape has.
pub(super) fn shapes(options: &Options) -> Result<Vec<Shape>, String> {
    if options.shapes == [FACTS_ONLY] {
        return Ok(Vec::new());
    }
    if !options.shapes.is_empty() {
        return shape::select(options);
    }
    Ok(SHAPES.to_vec())
}

/// Judges every target whose shape was run.
pub(super) fn judge(results: &[ShapeResult], facts: &[Fact]) -> Vec<Verdict> {
    let mut verdicts = Vec::new();
    for target in TARGETS {
        let result = results.iter().find(|r| r.shape.name == target.shape);
        verdicts.extend(result.map(|result| judge_ratio(target, result)));
    }
    verdicts.extend(results.iter().filter_map(judge_rate));
    for (name, limit) in SYSCALLS {
        let result = results.iter().find(|result| result.shape.name == name);
        verdicts.extend(result.map(|result| judge_syscalls(result, limit)));
    }
    for (name, limit) in FACTS {
        let ours = facts.iter().filter(|fact| fact.name == name);
        let ours = ours.filter(|fact| !fact.contender.starts_with(BASE));
        verdicts.extend(ours.map(|fact| judge_fact(fact, limit)));
    }
    verdicts
}

fn judge_ratio(target: &Target, result: &ShapeResult) -> Verdict {
    let figure = match target.figure {
        Figure::Cpu => "CPU per request",
        Figure::Rate => "requests per second",
        Figure::P50 => "p50",
        Figure::P99 => "p99",
        Figure::P99Typical => "p99 of a tenth of a second",
        Figure::P999 => "p99.9",
    };
    Verdict {
        what: format!("{}: {figure} / {}", target.shape, target.peer),
        limit: target.limit,
        measured: result.ratio(target.figure, OURS, target.peer),
        to_floor: result.ratio(target.figure, OURS, FLOOR),
    }
}

/// Requests per second must not be lower than nutcracker's. (At a fixed rate there is nothing to compare.)
fn judge_rate(result: &ShapeResult) -> Option<Verdict> {
    if matches!(result.shape.ask, Ask::OpenLoop(_)) {
        return None;
    }
    Some(Verdict {
        what: format!("{}: {BASE}'s requests per second / ours", result.shape.name),
        limit: 1.0,
        measured: result.ratio(Figure::Rate, BASE, OURS),
        to_floor: None,
    })
}

fn judge_syscalls(result: &ShapeResult, limit: f64) -> Verdict {
    let count = result.of(OURS).and_then(|ours| ours.syscalls);
    Verdict {
        what: format!("{}: system calls per request", result.shape.name),
        limit,
        measured: count.map(Ratio::exact),
        to_floor: None,
    }
}

fn judge_fact(fact: &Fact, limit: f64) -> Verdict {
    Verdict {
        what: format!("{}: {}", fact.contender, fact.name),
        limit,
        measured: Some(fact.value),
        to_floor: None,
    }
}

/// The results as text.
pub(super) fn table(verdicts: &[Verdict]) -> String {
    let mut text = String::from("\n== targets\n");
    for verdict in verdicts {
        let measured = verdict
            .measured
            .map_or("-".into(), |ratio| ratio.to_string());
        let to_floor = verdict
            .to_floor
            .map_or(String::new(), |ratio| format!(" (to {FLOOR}: {ratio})"));
        text += &format!(
            "{:13} {:>26} at most {:<8} {}{to_floor}\n",
            verdict.word(),
            measured,
            verdict.limit,
            verdict.what
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(low: f64, high: f64) -> Verdict {
        Verdict {
            what: "x".into(),
            limit: 0.7,
            measured: Some(Ratio {
                median: (low + high) / 2.0,
                low,
                high,
            }),
            to_floor: None,
        }
    }

    #[test]
    fn a_row_fails_when_its_interval_lies_wholly_above() {
        assert_eq!(verdict(0.71, 0.9).word(), "FAIL");
        assert_eq!(verdict(0.69, 0.9).word(), "PASS");
        assert_eq!(verdict(0.5, 0.6).word(), "PASS");
        let unknown = Verdict {
            measured: None,
            ..verdict(0.0, 0.0)
        };
        assert_eq!(
            (unknown.word(), unknown.has_failed()),
            ("not measured", false)
        );
    }

    #[test]
    fn the_ratio_to_the_floor_stands_beside_and_is_not_judged() {
        let above = Verdict {
            to_floor: Some(Ratio::exact(2.5)),
            ..verdict(0.5, 0.6)
        };
        let shown = table(&[above, verdict(0.5, 0.6)]);
        let mut lines = shown.lines().skip(2);
        let line = lines.next().unwrap();
        assert!(line.starts_with("PASS") && line.ends_with(" x (to floor: 2.500)"));
        assert!(lines.next().unwrap().ends_with(" x"), "{shown}");
    }

    #[test]
    fn every_target_names_a_shape() {
        let shapes = TARGETS.iter().map(|target| target.shape);
        for name in shapes.chain(SYSCALLS.map(|(name, _)| name)) {
            assert!(shape::find(name).is_ok(), "{name}");
        }
    }

    #[test]
    fn facts_of_ours_are_judged_and_those_of_others_are_not() {
        let fact = |contender: &str, value| Fact {
            name: memory::IDLE_BYTES,
            contender: contender.into(),
            value: Ratio::exact(value),
            unit: "B",
        };
        let verdicts = judge(
            &[],
            &[fact("nutcracker redis", 5e3), fact("nuthatch redis", 2e3)],
        );
        assert_eq!(verdicts.len(), 1);
        assert!(verdicts[0].has_failed());
        assert!(table(&verdicts).contains("FAIL"));
    }
}
