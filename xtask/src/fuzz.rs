//! `cargo xtask fuzz`: runs every fuzz target for a while, and installs what they need.

use std::path::Path;
use std::process::Command;

use crate::run;

/// Pinned, so that a new release cannot break an old commit.
const CARGO_FUZZ: &str = "0.13.2";

/// A smoke run should take about one minute in total.
const DEFAULT_SECONDS: u64 = 60;

/// Duration of each round of a target when executions are counted: long enough to make progress.
const ROUND_SECONDS: u64 = 20;

/// Maximum input length. Every limit that a target checks can be reached with less.
const MAX_LEN: u32 = 1_024;

/// How much to do.
#[derive(Debug, PartialEq, Eq)]
enum Amount {
    /// This many seconds, divided among the targets.
    Seconds(u64),
    /// Rounds until this many inputs were executed.
    Executions(u64),
}

/// Runs the named targets, or all, and prints how many inputs were executed.
///
/// # Errors
/// When the fuzzer cannot be installed, or a target fails.
pub(crate) fn targets_for(words: &[&str]) -> Result<(), String> {
    let root = run::root();
    let (amount, wanted) = read(words)?;
    let known = targets(&root)?;
    if let Some(unknown) = wanted.iter().find(|name| !known.contains(name)) {
        return Err(format!(
            "no fuzz target '{unknown}'; there are {}",
            known.join(", ")
        ));
    }
    let chosen = match wanted.is_empty() {
        true => known.into_iter().filter(has_its_server).collect(),
        false => wanted,
    };
    let tool = run::installed("cargo-fuzz", CARGO_FUZZ)?;
    build(&tool, &root)?;
    let (each, enough) = match amount {
        Amount::Seconds(seconds) => ((seconds / chosen.len() as u64).max(1), 0),
        Amount::Executions(count) => (ROUND_SECONDS, count),
    };
    let mut counts = vec![0; chosen.len()];
    loop {
        for (target, count) in chosen.iter().zip(&mut counts) {
            *count += fuzz(&tool, &root, target, each)?;
        }
        if counts.iter().sum::<u64>() >= enough {
            break;
        }
    }
    for (target, count) in chosen.iter().zip(&counts) {
        println!("{count:>12} executions of {target}");
    }
    let total: u64 = counts.iter().sum();
    println!(
        "{} fuzz targets, {total} executions: no failure",
        chosen.len()
    );
    Ok(())
}

fn read(words: &[&str]) -> Result<(Amount, Vec<String>), String> {
    let (amount, names) = match words {
        ["--seconds", number, rest @ ..] => (Amount::Seconds(whole(number)?), rest),
        ["--executions", number, rest @ ..] => (Amount::Executions(whole(number)?), rest),
        rest => (Amount::Seconds(DEFAULT_SECONDS), rest),
    };
    match names.iter().find(|name| name.starts_with('-')) {
        Some(flag) => Err(format!("fuzz does not know {flag}")),
        None => Ok((amount, names.iter().map(ToString::to_string).collect())),
    }
}

fn whole(number: &str) -> Result<u64, String> {
    number
        .parse()
        .map_err(|_| format!("'{number}' is no whole number"))
}

fn targets(root: &Path) -> Result<Vec<String>, String> {
    let folder = root.join("fuzz/fuzz_targets");
    let entries =
        std::fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let names = entries.flatten().map(|entry| entry.path());
    let mut names: Vec<String> = names
        .filter_map(|path| path.file_stem()?.to_str().map(str::to_owned))
        .collect();
    names.sort();
    Ok(names)
}

/// Whether the server that a target needs is installed; prints a message if not.
fn has_its_server(target: &String) -> bool {
    let servers: &[&str] = match target.as_str() {
        "differential_redis" => &["redis-server", "valkey-server"],
        "differential_memcached" => &["memcached"],
        _ => return true,
    };
    let is_here = servers.iter().any(|server| run::is_installed(server));
    if !is_here {
        println!("skipped: {target}, because {} is not installed", servers[0]);
    }
    is_here
}

/// The instrumentation needs flags that a stable compiler only accepts with an override. There is no unsafe
/// code that a sanitizer could check, so the targets run without one, which is faster.
fn command(tool: &Path, root: &Path, what: &str) -> Command {
    let mut command = Command::new(tool);
    command.current_dir(root).env("RUSTC_BOOTSTRAP", "1").args([
        "fuzz",
        what,
        "--sanitizer",
        "none",
    ]);
    command
}

fn build(tool: &Path, root: &Path) -> Result<(), String> {
    run::run(&mut command(tool, root, "build"))
}

/// Runs one target; returns the number of executed inputs.
fn fuzz(tool: &Path, root: &Path, target: &str, seconds: u64) -> Result<u64, String> {
    let corpus = root.join("fuzz/corpus").join(target);
    let seeds = root.join("fuzz/seeds").join(target);
    for folder in [&corpus, &seeds] {
        std::fs::create_dir_all(folder)
            .map_err(|error| format!("{}: {error}", folder.display()))?;
    }
    let mut command = command(tool, root, "run");
    command.arg(target).arg(&corpus).arg(&seeds).arg("--");
    command.arg(format!("-max_total_time={seconds}"));
    command.arg(format!("-max_len={MAX_LEN}"));
    command.args(["-timeout=10", "-verbosity=0"]);
    command.args(["-print_final_stats=1", "-rss_limit_mb=2048"]);
    let said = run::errors_of(&mut command)?;
    executions(&said).ok_or_else(|| format!("{target} does not say how much it has done"))
}

/// Parses libFuzzer's final statistics.
fn executions(said: &str) -> Option<u64> {
    let mut lines = said.lines();
    let number = lines.find_map(|line| line.strip_prefix("stat::number_of_executed_units:"))?;
    number.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_and_targets_are_read() {
        assert_eq!(read(&[]), Ok((Amount::Seconds(60), vec![])));
        let one = vec!["config".to_owned()];
        let words = ["--executions", "1000", "config"];
        assert_eq!(read(&words), Ok((Amount::Executions(1000), one.clone())));
        let words = ["--seconds", "5", "config"];
        assert_eq!(read(&words), Ok((Amount::Seconds(5), one)));
        assert!(read(&["--seconds", "five"]).is_err());
        assert!(read(&["config", "--seconds"]).is_err());
    }

    #[test]
    fn executions_are_counted() {
        let said = "Done 7 runs\nstat::number_of_executed_units: 24272\nstat::x: 1\n";
        assert_eq!(executions(said), Some(24_272));
        assert_eq!(executions("Done"), None);
    }
}
