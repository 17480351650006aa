//! Runs one shape against every contender in turn, round after round.

use std::time::Duration;

use super::contender::{BASE, Contender, Kind, Rig};
use super::cores::KeepAwake;
use super::figures::{self, Memory};
use super::load::{Amount, Load, Outcome, Unwatched, Watch};
use super::options::Options;
use super::programs::Bench;
use super::samples::{Ratio, median, ratio};
use super::shape::{Ask, Shape};
use super::syscalls;

/// All results of one shape.
#[derive(Debug)]
pub(super) struct ShapeResult {
    pub(super) shape: Shape,
    /// Requests per second of an open-loop shape.
    pub(super) rate: Option<f64>,
    pub(super) contenders: Vec<ContenderResult>,
}

/// All results of one contender for one shape.
#[derive(Debug)]
pub(super) struct ContenderResult {
    pub(super) name: String,
    /// One per round.
    pub(super) cells: Vec<Cell>,
    /// System calls per request, where they could be counted.
    pub(super) syscalls: Option<f64>,
    /// Resident memory before, at peak and after; none for a direct connection.
    pub(super) memory: Option<MemoryOverTime>,
}

/// Resident memory of a proxy around a shape.
#[derive(Debug, Clone, Copy)]
pub(super) struct MemoryOverTime {
    pub(super) before: u64,
    pub(super) peak: u64,
    pub(super) after: u64,
}

/// One run of one contender.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cell {
    pub(super) outcome: Outcome,
    /// The proxy's CPU time per request, in microseconds.
    pub(super) cpu: Option<f64>,
    /// The servers' total CPU time per request, in microseconds.
    pub(super) servers_cpu: f64,
}

/// A figure of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Figure {
    /// The proxy's CPU time per request.
    Cpu,
    /// Requests per second.
    Rate,
    /// The median latency.
    P50,
    /// The 99th percentile of the latency.
    P99,
    /// The median of the 99th percentiles of each tenth of a second.
    P99Typical,
    /// The 99.9th percentile of the latency.
    P999,
}

impl ShapeResult {
    /// The result of the contender called `name`.
    pub(super) fn of(&self, name: &str) -> Option<&ContenderResult> {
        self.contenders.iter().find(|result| result.name == name)
    }

    /// The ratio of `ours` to `theirs`, if both have the figure.
    pub(super) fn ratio(&self, figure: Figure, ours: &str, theirs: &str) -> Option<Ratio> {
        ratio(
            &self.of(ours)?.values(figure)?,
            &self.of(theirs)?.values(figure)?,
        )
    }
}

impl ContenderResult {
    /// The figure in every round.
    pub(super) fn values(&self, figure: Figure) -> Option<Vec<f64>> {
        self.cells.iter().map(|cell| cell.figure(figure)).collect()
    }

    /// The figure's median over the rounds.
    pub(super) fn median(&self, figure: Figure) -> Option<f64> {
        let values = self.values(figure)?;
        (!values.is_empty()).then(|| median(&values))
    }
}

impl Cell {
    fn figure(&self, figure: Figure) -> Option<f64> {
        match figure {
            Figure::Cpu => self.cpu,
            Figure::Rate => Some(self.outcome.rate),
            Figure::P50 => Some(self.outcome.p50),
            Figure::P99 => Some(self.outcome.p99),
            Figure::P99Typical => Some(self.outcome.p99_typical),
            Figure::P999 => Some(self.outcome.p999),
        }
    }
}

/// Runs `shape` against every contender that is installed and selected.
///
/// # Errors
///
/// When something does not start, or a reply is wrong.
pub(super) fn play(bench: &Bench, options: &Options, shape: Shape) -> Result<ShapeResult, String> {
    let kinds = Kind::all(bench, options, shape.protocol);
    play_to(bench, options, shape, &kinds)
}

/// Runs `shape` against these contenders.
///
/// # Errors
///
/// As [`play`].
pub(super) fn play_to(
    bench: &Bench,
    options: &Options,
    shape: Shape,
    kinds: &[Kind],
) -> Result<ShapeResult, String> {
    eprintln!("{} ...", shape.name);
    // Otherwise the CPUs' sleep states would be measured, see `KeepAwake`.
    let is_open = matches!(shape.ask, Ask::OpenLoop(_));
    let _awake = is_open.then(KeepAwake::keep).transpose()?;
    let rig = Rig::start(shape.protocol, shape.servers, kinds)?;
    let mut turns: Vec<Turn<'_>> = rig
        .contenders
        .iter()
        .map(|contender| Turn::prepare(bench, options, shape, contender))
        .collect::<Result<_, _>>()?;
    let rate = open_rate(&turns, shape, options.seconds)?;
    for turn in &mut turns {
        if let Some(rate) = rate {
            turn.amount = Amount::Rate(rate, options.seconds);
        }
        turn.remember_memory()?;
    }
    for round in 0..options.rounds {
        // Each round starts with another one, so that no contender always follows the same one.
        let count = turns.len();
        for place in 0..count {
            turns[(round + place) % count].play(&rig.server_pids())?;
        }
    }
    let contenders = turns.into_iter().map(Turn::finish);
    Ok(ShapeResult {
        shape,
        rate,
        contenders: contenders.collect::<Result<_, _>>()?,
    })
}

/// The rate of an open-loop shape: a fraction of the maximum of nutcracker (or of the first contender).
fn open_rate(turns: &[Turn<'_>], shape: Shape, time: Duration) -> Result<Option<f64>, String> {
    let Ask::OpenLoop(share) = shape.ask else {
        return Ok(None);
    };
    let base = turns.iter().find(|turn| turn.contender.name == BASE);
    let Some(base) = base.or(turns.first()) else {
        return Ok(None);
    };
    // The median of three: a momentary maximum would overload it afterwards.
    let rates: Vec<f64> = (0..3)
        .map(|_| base.load.play(Amount::Time(time), &mut Unwatched))
        .map(|outcome| outcome.map(|outcome| outcome.rate))
        .collect::<Result<_, _>>()?;
    Ok(Some((median(&rates) * share).floor().max(1.0)))
}

/// One contender with its results.
struct Turn<'r> {
    contender: &'r Contender,
    load: Load<'r>,
    amount: Amount,
    before: Option<Memory>,
    cells: Vec<Cell>,
}

impl<'r> Turn<'r> {
    fn prepare(
        bench: &'r Bench,
        options: &Options,
        shape: Shape,
        contender: &'r Contender,
    ) -> Result<Turn<'r>, String> {
        let load = Load {
            bench,
            shape,
            address: contender.address,
            wrapper: Vec::new(),
        };
        let named = |error| format!("{}: {error}", contender.name);
        load.fill().map_err(named)?;
        let amount = load.amount_for(options.seconds).map_err(named)?;
        Ok(Turn {
            contender,
            load,
            amount,
            before: None,
            cells: Vec::new(),
        })
    }

    fn remember_memory(&mut self) -> Result<(), String> {
        if let Some(pid) = self.contender.pid() {
            figures::forget_peak(pid);
            self.before = Some(figures::memory(pid)?);
        }
        Ok(())
    }

    fn play(&mut self, servers: &[u32]) -> Result<(), String> {
        let proxy: Vec<u32> = self.contender.pid().into_iter().collect();
        let mut meter = Meter::new(&[&proxy, servers]);
        let outcome = self
            .load
            .play(self.amount, &mut meter)
            .map_err(|error| format!("{}: {error}", self.contender.name))?;
        let micros = |group: usize| meter.spent[group] as f64 / 1_000.0 / outcome.requests.max(1.0);
        self.cells.push(Cell {
            outcome,
            cpu: (!proxy.is_empty()).then(|| micros(0)),
            servers_cpu: micros(1),
        });
        Ok(())
    }

    fn finish(self) -> Result<ContenderResult, String> {
        let pid = self.contender.pid();
        let now = pid.map(figures::memory).transpose()?;
        let memory = self.before.zip(now).map(|(before, now)| MemoryOverTime {
            before: before.resident,
            peak: now.peak,
            after: now.resident,
        });
        let syscalls = pid.and_then(|pid| syscalls::per_request(&self.load, self.amount, pid));
        Ok(ContenderResult {
            name: self.contender.name.clone(),
            cells: self.cells,
            syscalls,
            memory,
        })
    }
}

/// Sums the CPU time of groups of processes over a load.
struct Meter<'p> {
    groups: Vec<&'p [u32]>,
    /// Nanoseconds per group; during the load, the readings at its start.
    spent: Vec<u64>,
}

impl<'p> Meter<'p> {
    fn new(groups: &[&'p [u32]]) -> Self {
        Self {
            groups: groups.to_vec(),
            spent: vec![0; groups.len()],
        }
    }

    fn read(&self) -> Result<Vec<u64>, String> {
        let sum = |group: &&[u32]| group.iter().map(|&pid| figures::cpu_nanos(pid)).sum();
        self.groups.iter().map(sum).collect()
    }
}

impl Watch for Meter<'_> {
    fn begin(&mut self) -> Result<(), String> {
        self.spent = self.read()?;
        Ok(())
    }

    fn end(&mut self) -> Result<(), String> {
        let now = self.read()?;
        for (spent, now) in self.spent.iter_mut().zip(now) {
            *spent = now.saturating_sub(*spent);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contender(name: &str, cpu: &[f64]) -> ContenderResult {
        let cell = |&cpu: &f64| Cell {
            outcome: Outcome {
                rate: 1.0 / cpu,
                ..Outcome::default()
            },
            cpu: Some(cpu),
            servers_cpu: 0.0,
        };
        ContenderResult {
            name: name.into(),
            cells: cpu.iter().map(cell).collect(),
            syscalls: None,
            memory: None,
        }
    }

    #[test]
    fn ratios_are_of_the_same_shape_and_need_both() {
        let result = ShapeResult {
            shape: super::super::shape::SHAPES[0],
            rate: None,
            contenders: vec![
                contender(BASE, &[10.0, 12.0, 11.0]),
                contender("nuthatch", &[5.0, 6.0, 5.5]),
            ],
        };
        let cpu = result.ratio(Figure::Cpu, "nuthatch", BASE).unwrap();
        assert_eq!((cpu.median, cpu.low, cpu.high), (0.5, 0.5, 0.5));
        let rate = result.ratio(Figure::Rate, BASE, "nuthatch").unwrap();
        assert!((rate.median - 0.5).abs() < 1e-9);
        assert!(result.ratio(Figure::Cpu, "nuthatch", "haproxy").is_none());
    }

    #[test]
    fn a_meter_reads_only_what_was_spent_in_between() {
        let here = [std::process::id()];
        let mut meter = Meter::new(&[&here, &[]]);
        meter.begin().unwrap();
        let begun = meter.spent[0];
        meter.end().unwrap();
        assert!(meter.spent[0] < begun.max(1_000_000_000));
        assert_eq!(meter.spent[1], 0);
    }
}
