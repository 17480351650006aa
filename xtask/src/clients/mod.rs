//! `cargo xtask clients`: client libraries and applications with their default settings, with a server
//! directly and through the proxy.
//!
//! A script of `tests/clients/matrix` or `tests/applications` prints one line for each section that it tries,
//! and goes on when one fails. What may fail, and why, is in `known`; anything else makes the command fail.

mod known;
mod place;
mod relay;
mod report;
mod sections;
mod subject;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use testkit::{Process, eventually};

use crate::libraries;
use crate::run::{cargo, root, run as run_command, target_directory};
use place::{PLACES, Place, Stage};
use report::Row;
use sections::Said;
use subject::{SUBJECTS, Subject};

/// How long one script may take; each section has a shorter limit of its own.
const SCRIPT_LIMIT: Duration = Duration::from_secs(180);

/// What the arguments ask for.
#[derive(Debug, Default, PartialEq, Eq)]
struct Options {
    full: bool,
    write: bool,
    names: Vec<String>,
}

/// Runs what the arguments ask for, and prints the table.
///
/// # Errors
///
/// When an argument is invalid, the proxy does not build, or a section fails that should not.
pub(crate) fn run(words: &[&str]) -> Result<(), String> {
    let options = parse(words)?;
    if options.full {
        for absent in libraries::install_all() {
            println!("clients: missing: {absent}");
        }
    }
    let nuthatch = build()?;
    let mut rows = Vec::new();
    for subject in SUBJECTS.iter().filter(|subject| options.wants(subject)) {
        let row = try_everywhere(subject, options.full, &nuthatch);
        print!("{}", report::lines(&row));
        rows.push(row);
    }
    if options.write {
        let path = root().join("docs/clients.md");
        fs::write(&path, report::document(&rows)?)
            .map_err(|error| format!("{}: {error}", path.display()))?;
        println!("clients: wrote docs/clients.md");
    }
    report::verdict(&rows)
}

fn parse(words: &[&str]) -> Result<Options, String> {
    let mut options = Options::default();
    for word in words {
        match *word {
            "--full" => options.full = true,
            "--write" => options.write = true,
            name if SUBJECTS.iter().any(|subject| subject.name.contains(name)) => {
                options.names.push(name.to_string());
            }
            other => {
                let names: Vec<&str> = SUBJECTS.iter().map(|subject| subject.name).collect();
                return Err(format!(
                    "no client is called {other}; there are: {}",
                    names.join(", ")
                ));
            }
        }
    }
    if options.write && !(options.full && options.names.is_empty()) {
        return Err("--write is for the whole of --full".into());
    }
    Ok(options)
}

impl Options {
    fn wants(&self, subject: &Subject) -> bool {
        if self.names.is_empty() {
            return self.full || subject.smoke;
        }
        self.names.iter().any(|name| subject.name.contains(name))
    }
}

fn build() -> Result<PathBuf, String> {
    run_command(cargo().args([
        "build",
        "--quiet",
        "--locked",
        "--package",
        "nuthatch",
        "--bin",
        "nuthatch",
    ]))?;
    Ok(target_directory()?.join("debug/nuthatch"))
}

fn try_everywhere(subject: &Subject, full: bool, nuthatch: &Path) -> Row {
    let mut row = Row::new(*subject);
    for place in PLACES {
        let stage = Stage::set(subject, place, nuthatch);
        let command = stage.and_then(|stage| Ok((subject.command(full)?, stage)));
        match command {
            Ok((command, stage)) => row.add(place, run_script(command, subject, place, &stage)),
            Err(reason) => {
                row.not_run = Some(reason);
                break;
            }
        }
    }
    row
}

fn run_script(script: Command, subject: &Subject, place: Place, stage: &Stage) -> Said {
    let dir = tempfile::tempdir().expect("a temporary directory can be made");
    // So that what a script started ends with it when it takes too long.
    let mut command = Command::new("timeout");
    command.args(["--signal", "KILL", &SCRIPT_LIMIT.as_secs().to_string()]);
    command.arg(script.get_program()).args(script.get_args());
    for (name, value) in script.get_envs() {
        command.env(name, value.unwrap_or_default());
    }
    command.current_dir(dir.path()).envs(stage.variables());
    command
        .env("PLACE", place.name())
        .env("VARIANT", subject.variant);
    let started = Instant::now();
    let mut process = Process::spawn(command);
    let ended = eventually(SCRIPT_LIMIT * 2, || process.exited());
    // What it printed last may still be on its way.
    let status = ended.map(|_| process.wait_exit(SCRIPT_LIMIT));
    let mut said = Said::read(&process.stdout());
    if !status.is_some_and(|status| status.success()) {
        let errors = process.stderr();
        let last = errors.lines().rev().find(|line| !line.trim().is_empty());
        let status = status.map_or("no end".to_string(), |status| status.to_string());
        let after = started.elapsed().as_secs();
        said.ended_early(&format!(
            "{status} after {after} s: {}",
            last.unwrap_or("no message")
        ));
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_name_what_runs() {
        let all = parse(&["--full", "--write"]).unwrap();
        assert!(SUBJECTS.iter().all(|subject| all.wants(subject)));
        let smoke = parse(&[]).unwrap();
        assert!(
            SUBJECTS
                .iter()
                .all(|subject| smoke.wants(subject) == subject.smoke)
        );
        let one = parse(&["--full", "redis-py"]).unwrap();
        assert!(one.wants(&SUBJECTS[0]));
        assert!(parse(&["no-such-client"]).unwrap_err().contains("redis-py"));
        assert!(parse(&["--write"]).is_err());
        assert!(parse(&["--full", "--write", "redis-py"]).is_err());
    }
}
