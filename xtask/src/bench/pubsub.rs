//! `--pubsub`: one publisher and many subscribers, through the proxy and at the server directly.

use std::path::Path;

use super::contender::{Contender, Kind, OURS, Rig};
use super::figures::{cpu_nanos, raise_descriptor_limit};
use super::load::Running;
use super::options::Options;
use super::programs::Bench;
use super::samples::median;
use super::setup;
use super::shape::Protocol;

/// How many clients are subscribed to the channel.
const SUBSCRIBERS: [usize; 2] = [100, 1_000];

/// Bytes of a message: a small one, and one that subscribers share.
const SIZES: [usize; 2] = [100, 16 << 10];

/// One run.
struct Figures {
    /// Messages that arrived in a second, each subscriber counted.
    rate: f64,
    /// CPU of the proxy and of the server for each of them, in nanoseconds.
    proxy: f64,
    server: f64,
}

/// Measures and prints a table.
///
/// # Errors
///
/// When something does not start, or a message does not arrive.
pub(super) fn run(bench: &Bench, options: &Options) -> Result<(), String> {
    raise_descriptor_limit();
    let program = setup::build(&["nuthatch-bench"], &["pubsub"])?.remove(0);
    println!(
        "one publisher; messages that arrived in a second, and CPU for each, medians of {} rounds",
        options.rounds
    );
    println!(
        "{:>11} {:>7}  {:9} {:>12} {:>15} {:>15}",
        "subscribers", "bytes", "through", "arrived/s", "proxy ns", "server ns"
    );
    let kinds = [Kind::Direct, Kind::ours(bench, OURS, options.workers)];
    for subscribers in SUBSCRIBERS {
        for size in SIZES {
            let mut rounds: Vec<Vec<Figures>> = kinds.iter().map(|_| Vec::new()).collect();
            for _ in 0..options.rounds {
                for (kind, figures) in kinds.iter().zip(&mut rounds) {
                    let rig = Rig::start(Protocol::Redis, 1, std::slice::from_ref(kind))?;
                    figures.push(measure(&program, &rig, options, subscribers, size)?);
                }
            }
            for (kind, figures) in kinds.iter().zip(&rounds) {
                let of = |part: fn(&Figures) -> f64| {
                    median(&figures.iter().map(part).collect::<Vec<_>>())
                };
                println!(
                    "{subscribers:>11} {size:>7}  {:9} {:>12.0} {:>15.0} {:>15.0}",
                    kind.name(),
                    of(|it| it.rate),
                    of(|it| it.proxy),
                    of(|it| it.server)
                );
            }
        }
    }
    Ok(())
}

fn measure(
    program: &Path,
    rig: &Rig,
    options: &Options,
    subscribers: usize,
    size: usize,
) -> Result<Figures, String> {
    let contender = &rig.contenders[0];
    let words = [
        program.display().to_string(),
        contender.address.to_string(),
        subscribers.to_string(),
        size.to_string(),
        options.seconds.as_secs().max(1).to_string(),
    ];
    let mut load = Running::spawn(&words)?;
    let ready = load.line()?;
    if ready.trim() != "ready" {
        return Err(load.failure(&ready));
    }
    let before = cpu(contender, rig)?;
    load.go()?;
    let line = load.line()?;
    let after = cpu(contender, rig)?;
    let report: serde_json::Value = serde_json::from_str(&line).map_err(|_| load.failure(&line))?;
    let number = |name: &str| {
        report[name]
            .as_f64()
            .ok_or_else(|| format!("no {name} in {line}"))
    };
    let arrived = number("arrived")?.max(1.0);
    Ok(Figures {
        rate: arrived / number("seconds")?,
        proxy: (after.0 - before.0) as f64 / arrived,
        server: (after.1 - before.1) as f64 / arrived,
    })
}

/// CPU that the proxy, if there is one, and the server have used, in nanoseconds.
fn cpu(contender: &Contender, rig: &Rig) -> Result<(u64, u64), String> {
    let proxy = contender.pid().map_or(Ok(0), cpu_nanos)?;
    Ok((proxy, cpu_nanos(rig.server_pids()[0])?))
}
