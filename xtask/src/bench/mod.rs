//! `cargo xtask bench`: the cost of the proxy compared with other proxies, measured in one run.
//!
//! Figures drift with the state of the machine, so nothing here compares two runs: every shape is run against
//! every contender in turn, round after round, and the result is the ratio of two contenders within the
//! rounds, with its 95 % confidence interval.

mod commands;
mod contender;
mod cores;
mod figures;
mod instructions;
mod load;
mod memory;
mod one_server;
mod open_loop;
mod options;
mod overload;
mod plot;
mod programs;
mod pubsub;
mod report;
mod rounds;
mod samples;
mod scale;
mod setup;
mod shape;
mod slow_server;
mod syscalls;
mod target;
mod tls;
mod workers;

use cores::Cores;
use one_server::Trouble;
use options::{Mode, Options};
use programs::Bench;
use report::Report;

pub(crate) use options::USAGE;
pub(crate) use setup::build as build_released;

/// Runs what the arguments ask for.
///
/// # Errors
///
/// When an argument is invalid, a build or a run failed, a reply was wrong, or (with `--targets` and
/// `--instructions`) a figure exceeds its limit.
pub(crate) fn run(words: &[&str]) -> Result<(), String> {
    let options = Options::parse(words)?;
    match options.mode {
        Mode::Setup => setup::install(),
        Mode::Instructions => instructions::check(options.bless.as_deref()),
        Mode::Shapes => shapes(&options),
        Mode::Targets => targets(&options),
        Mode::Scale => scale::run(&options),
        Mode::Overload => overload(&options),
        Mode::Commands => commands::run(&Bench::prepare(&options)?, &options),
        Mode::Tls => tls::run(&Bench::prepare(&options)?, &options),
        Mode::PubSub => pubsub::run(&Bench::prepare(&options)?, &options),
    }
}

/// Lists the shapes.
pub(crate) fn list() {
    for shape in shape::SHAPES {
        println!("{}", shape.name);
    }
}

/// Runs the selected shapes and prints a table for each.
fn shapes(options: &Options) -> Result<(), String> {
    let bench = Bench::prepare(options)?;
    let mut report = Report::begin(options)?;
    for shape in shape::select(options)? {
        let result = rounds::play(&bench, options, shape)?;
        print!("{}", report::table(&result));
        report.shapes.push(result);
    }
    report.finish(options)
}

/// Runs everything that the targets need and judges each row.
fn targets(options: &Options) -> Result<(), String> {
    let bench = Bench::prepare(options)?;
    let mut report = Report::begin(options)?;
    for shape in target::shapes(options)? {
        let result = rounds::play(&bench, options, shape)?;
        print!("{}", report::table(&result));
        report.shapes.push(result);
    }
    if target::wants_facts(options) {
        report.facts.extend(memory::measure(&bench, options)?);
        report.facts.extend(workers::measure(&bench, options)?);
    }
    report.verdicts = target::judge(&report.shapes, &report.facts);
    print!("{}", target::table(&report.verdicts));
    let failed = report.verdicts.iter().filter(|v| v.has_failed()).count();
    report.finish(options)?;
    match failed {
        0 => Ok(()),
        count => Err(format!("{count} targets are missed")),
    }
}

/// The tests with too much load, and with a server that hangs or is slow.
fn overload(options: &Options) -> Result<(), String> {
    let mut parts = overload::TRIED.to_vec();
    parts.extend([Trouble::Hangs, Trouble::IsSlow].map(Trouble::name));
    if let Some(name) = options
        .shapes
        .iter()
        .find(|name| !parts.contains(&name.as_str()))
    {
        return Err(format!("--overload plays {}, not {name}", parts.join(", ")));
    }
    if !options.shapes.is_empty() {
        parts.retain(|part| options.shapes.iter().any(|name| name == part));
    }
    let bench = Bench::prepare(options)?;
    let cores = Cores::divide();
    let mut failures = 0;
    for part in parts {
        failures += match part {
            "hang" => one_server::run(&bench, options, cores, Trouble::Hangs)?,
            "slow" => one_server::run(&bench, options, cores, Trouble::IsSlow)?,
            shape => overload::run(&bench, options, shape::find(shape)?, cores)?,
        };
    }
    match failures {
        0 => Ok(()),
        count => Err(format!("{count} checks failed")),
    }
}
