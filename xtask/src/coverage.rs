//! `cargo xtask coverage`: which lines of the core the simulator reaches.
//!
//! The compiler adds the instrumentation; LLVM's tools of the compiler's own version read the results.

use std::collections::BTreeMap;
use std::ops::AddAssign;
use std::path::{Path, PathBuf};

use crate::packages::{self, Need};
use crate::run::{self, at_root, cargo, is_installed, output_of};

/// Seeds of a normal run: more hardly reach any further lines.
const USUAL_SEEDS: &str = "2000";

/// The crates whose coverage is measured.
const CORE: [&str; 4] = [
    "crates/proxy/src",
    "crates/redis-proto/src",
    "crates/memcached-proto/src",
    "crates/hashkit/src",
];

/// Builds the simulator with instrumentation, runs it and prints its coverage, file by file; with
/// `--uncovered [PART]` also the lines that were not reached, of files with PART in their path.
///
/// # Errors
/// When an argument is invalid, LLVM's tools are not available, or the simulator fails.
pub(crate) fn coverage(words: &[&str]) -> Result<(), String> {
    let options = read(words)?;
    let tools = Tools::find()?;
    let home = run::root().join("target/coverage");
    let sim = build(&home)?;
    let raw = home.join("sim.profraw");
    let mut command = at_root(&sim.to_string_lossy());
    command.arg("every_seed").env("LLVM_PROFILE_FILE", &raw);
    run::run(command.env("NUTHATCH_SIM_SEEDS", options.seeds))?;
    let files = parse(&tools.export(&sim, &raw, &home)?);
    print!("{}", table(&files));
    if let Some(part) = options.uncovered {
        print!("{}", uncovered(&files, part)?);
    }
    Ok(())
}

#[derive(Debug, PartialEq, Eq)]
struct Options<'a> {
    seeds: &'a str,
    /// Lists uncovered lines of files whose path contains this.
    uncovered: Option<&'a str>,
}

fn read<'a>(words: &[&'a str]) -> Result<Options<'a>, String> {
    let mut options = Options {
        seeds: USUAL_SEEDS,
        uncovered: None,
    };
    let mut rest = words;
    while let [word, after @ ..] = rest {
        rest = match (*word, after) {
            ("--seeds", [number, after @ ..]) if number.parse::<u64>().is_ok() => {
                options.seeds = number;
                after
            }
            ("--uncovered", [part, after @ ..]) if !part.starts_with('-') => {
                options.uncovered = Some(part);
                after
            }
            ("--uncovered", after) => {
                options.uncovered = Some("");
                after
            }
            _ => return Err(format!("coverage does not know {word}")),
        };
    }
    Ok(options)
}

/// LLVM's tools for profiles, of the compiler's LLVM version: the format changes between versions.
struct Tools {
    profdata: PathBuf,
    cov: PathBuf,
}

impl Tools {
    fn find() -> Result<Tools, String> {
        let about = output_of(at_root("rustc").arg("-vV"))?;
        let field = |name: &str| {
            let value = about.lines().find_map(|line| line.strip_prefix(name));
            value.ok_or_else(|| format!("rustc does not tell its {name}"))
        };
        let host = field("host: ")?;
        let version = field("LLVM version: ")?;
        let sysroot = output_of(at_root("rustc").args(["--print", "sysroot"]))?;
        let component = Path::new(sysroot.trim()).join(format!("lib/rustlib/{host}/bin"));
        if component.join("llvm-cov").is_file() {
            return Ok(Tools {
                profdata: component.join("llvm-profdata"),
                cov: component.join("llvm-cov"),
            });
        }
        let major = version.split('.').next().unwrap_or(version);
        let cov = format!("llvm-cov-{major}");
        let package = format!("llvm-{major}");
        let absent = packages::install_programs(&[Need::new(&cov, &package)]);
        match is_installed(&cov) {
            true => Ok(Tools {
                profdata: format!("llvm-profdata-{major}").into(),
                cov: cov.into(),
            }),
            false => Err(format!(
                "no LLVM tools of version {major}, neither as the toolchain's component llvm-tools nor as a \
                 package: {}",
                absent.join("; ")
            )),
        }
    }

    /// The profile in lcov's format.
    fn export(&self, sim: &Path, raw: &Path, home: &Path) -> Result<String, String> {
        let profile = home.join("sim.profdata");
        let mut merge = at_root(&self.profdata.to_string_lossy());
        merge.args(["merge", "-sparse"]).arg(raw);
        run::run(merge.arg("-o").arg(&profile))?;
        let mut export = at_root(&self.cov.to_string_lossy());
        export.args(["export", "-format=lcov"]).arg(sim);
        export.arg(format!("-instr-profile={}", profile.display()));
        output_of(export.arg("-sources").args(CORE))
    }
}

/// Builds the simulator with instrumentation in its own directory; returns its program.
fn build(home: &Path) -> Result<PathBuf, String> {
    let mut build = cargo();
    build.args(["test", "--package", "proxy", "--test", "sim", "--locked"]);
    build.args(["--no-run", "--message-format", "json-render-diagnostics"]);
    build.env("RUSTFLAGS", "-C instrument-coverage");
    let messages = output_of(build.arg("--target-dir").arg(home))?;
    let program = messages.lines().find_map(|line| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        let is_sim = message["target"]["name"] == "sim";
        let program = message["executable"].as_str()?;
        is_sim.then(|| PathBuf::from(program))
    });
    program.ok_or_else(|| "cargo built no simulator".into())
}

/// How often each line of a file was reached, and each function by its first line.
#[derive(Debug, Default)]
struct Reached {
    lines: BTreeMap<u32, u64>,
    functions: BTreeMap<u32, u64>,
}

/// Parses lcov's lines. A generic function counts once, even if it was compiled several times.
fn parse(text: &str) -> BTreeMap<String, Reached> {
    let mut files = BTreeMap::<String, Reached>::new();
    let mut file = String::new();
    let mut begins = BTreeMap::<&str, u32>::new();
    for line in text.lines() {
        let Some((what, rest)) = line.split_once(':') else {
            continue;
        };
        if what == "SF" {
            let at = CORE.iter().find_map(|part| rest.find(part));
            file = rest[at.unwrap_or(0)..].to_owned();
            begins.clear();
            continue;
        }
        let reached = files.entry(file.clone()).or_default();
        let Some((first, second)) = rest.split_once(',') else {
            continue;
        };
        match what {
            "FN" => {
                begins.insert(second, first.parse().unwrap_or(0));
            }
            "FNDA" => {
                if let Some(begin) = begins.get(second) {
                    add(&mut reached.functions, *begin, first);
                }
            }
            "DA" => add(&mut reached.lines, first.parse().unwrap_or(0), second),
            _ => {}
        }
    }
    files.retain(|_, reached| !reached.lines.is_empty());
    files
}

fn add(counts: &mut BTreeMap<u32, u64>, line: u32, count: &str) {
    let count: u64 = count.parse().unwrap_or(0);
    counts.entry(line).or_default().add_assign(count);
}

fn table(files: &BTreeMap<String, Reached>) -> String {
    let mut text = format!("{:<46} {:>16} {:>16}\n", "file", "lines", "functions");
    let mut total = [(0, 0); 2];
    for (name, reached) in files {
        let sums = [share(&reached.lines), share(&reached.functions)];
        text.push_str(&row(name, sums));
        for (total, sum) in total.iter_mut().zip(sums) {
            *total = (total.0 + sum.0, total.1 + sum.1);
        }
    }
    text + &row("all", total)
}

/// How many were reached, and how many there are.
fn share(counts: &BTreeMap<u32, u64>) -> (usize, usize) {
    let reached = counts.values().filter(|count| **count > 0).count();
    (reached, counts.len())
}

fn row(name: &str, [lines, functions]: [(usize, usize); 2]) -> String {
    let cell = |(reached, all): (usize, usize)| {
        let percent = 100.0 * reached as f64 / all.max(1) as f64;
        format!("{reached}/{all} {percent:>5.1}%")
    };
    format!("{name:<46} {:>16} {:>16}\n", cell(lines), cell(functions))
}

/// The source text of the lines that were not reached.
fn uncovered(files: &BTreeMap<String, Reached>, part: &str) -> Result<String, String> {
    let mut text = String::new();
    for (name, reached) in files.iter().filter(|(name, _)| name.contains(part)) {
        let source = std::fs::read_to_string(run::root().join(name));
        let source = source.map_err(|error| format!("{name}: {error}"))?;
        for (number, line) in (1..).zip(source.lines()) {
            if reached.lines.get(&number) == Some(&0) {
                text.push_str(&format!("{name}:{number}: {line}\n"));
            }
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LCOV: &str = "\
SF:/somewhere/crates/proxy/src/a.rs
FN:3,one
FN:3,one_again
FN:7,two
FNDA:0,one
FNDA:2,one_again
FNDA:0,two
DA:3,2
DA:4,0
DA:7,0
end_of_record
SF:/somewhere/crates/proxy/src/empty.rs
end_of_record
";

    #[test]
    fn what_was_reached_is_added_up() {
        let files = parse(LCOV);
        assert_eq!(files.len(), 1, "a file without code has no row");
        let table = table(&files);
        let row = table.lines().find(|line| line.contains("/a.rs")).unwrap();
        assert!(
            row.contains("1/3  33.3%") && row.contains("1/2  50.0%"),
            "{row}"
        );
    }

    #[test]
    fn words_are_read() {
        let options = read(&["--seeds", "5", "--uncovered"]).unwrap();
        assert_eq!((options.seeds, options.uncovered), ("5", Some("")));
        let options = read(&["--uncovered", "proxy", "--seeds", "5"]).unwrap();
        assert_eq!((options.seeds, options.uncovered), ("5", Some("proxy")));
        assert!(read(&["--seeds", "many"]).is_err() && read(&["x"]).is_err());
    }
}
