//! `cargo xtask fuzz`: every fuzz target for a while, with what is needed to run them.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::run;

/// Pinned, so that a new release cannot break an old commit.
const CARGO_FUZZ: &str = "0.13.2";

/// A smoke run is to end in about a minute all in all.
const DEFAULT_SECONDS: u64 = 60;

/// Runs the named targets, or all, for so many seconds in total.
///
/// # Errors
/// When the fuzzer cannot be had, or a target fails.
pub(crate) fn targets_for(words: &[&str]) -> Result<(), String> {
    let root = run::root();
    let (seconds, wanted) = read(words)?;
    let known = targets(&root)?;
    if let Some(unknown) = wanted.iter().find(|name| !known.contains(name)) {
        return Err(format!(
            "no fuzz target '{unknown}'; there are {}",
            known.join(", ")
        ));
    }
    let chosen = if wanted.is_empty() { known } else { wanted };
    let tool = cargo_fuzz(&root)?;
    build(&tool, &root)?;
    let each = (seconds / chosen.len() as u64).max(1);
    for target in &chosen {
        fuzz(&tool, &root, target, each)?;
    }
    println!("{} fuzz targets, {each} s each: no failure", chosen.len());
    Ok(())
}

fn read(words: &[&str]) -> Result<(u64, Vec<String>), String> {
    match words {
        ["--seconds", number, rest @ ..] => {
            let seconds = number
                .parse()
                .map_err(|_| format!("'{number}' is no number of seconds"))?;
            Ok((seconds, rest.iter().map(ToString::to_string).collect()))
        }
        rest => Ok((
            DEFAULT_SECONDS,
            rest.iter().map(ToString::to_string).collect(),
        )),
    }
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

/// cargo-fuzz, installed below `target` when it is not there.
fn cargo_fuzz(root: &Path) -> Result<PathBuf, String> {
    let home = root.join("target/tools");
    let tool = home.join("bin/cargo-fuzz");
    if !tool.exists() {
        let mut install = run::cargo();
        install
            .args([
                "install",
                "cargo-fuzz",
                "--locked",
                "--version",
                CARGO_FUZZ,
                "--root",
            ])
            .arg(&home);
        run::run(&mut install)?;
    }
    Ok(tool)
}

/// The instrumentation needs flags that a stable compiler takes only when told so. There is no unsafe
/// code for a sanitizer to watch, so the targets run without one, and faster.
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

fn fuzz(tool: &Path, root: &Path, target: &str, seconds: u64) -> Result<(), String> {
    let corpus = root.join("fuzz/corpus").join(target);
    let seeds = root.join("fuzz/seeds").join(target);
    for folder in [&corpus, &seeds] {
        std::fs::create_dir_all(folder)
            .map_err(|error| format!("{}: {error}", folder.display()))?;
    }
    let mut command = command(tool, root, "run");
    command.arg(target).arg(&corpus).arg(&seeds).arg("--");
    command.arg(format!("-max_total_time={seconds}")).args([
        "-max_len=4096",
        "-timeout=10",
        "-verbosity=0",
    ]);
    command.args(["-print_final_stats=1", "-rss_limit_mb=2048"]);
    run::run(&mut command)
}
