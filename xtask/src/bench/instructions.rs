//! Instruction counts of the core's main paths, compared with committed baselines.
//!
//! Instruction counts hardly vary between runs or machines, so a rise comes from a change of the code, of the
//! compiler (which the file of baselines names), or of the C library. Copies of some KiB count one
//! instruction per byte, because valgrind counts each step of a string instruction.

use std::fmt::Write;
use std::path::PathBuf;

use testkit::Tool;

use super::setup;
use crate::run::{at_root, output_of, root};

/// The committed counts, relative to the top directory.
const BASELINES: &str = "bench/instructions.txt";

/// A larger rise fails.
const TOLERATED: f64 = 0.05;

/// Laps of the shorter and of the longer run; their difference is counted.
const LAPS: [u32; 2] = [5, 25];

/// Instructions per request of one path.
#[derive(Debug, Clone, PartialEq)]
struct Count {
    path: String,
    instructions: f64,
}

/// Counts every path and compares; with a reason, writes new baselines.
///
/// # Errors
///
/// When a path has become more expensive than tolerated, is missing in the baselines, or cannot be counted.
pub(super) fn check(bless: Option<&str>) -> Result<(), String> {
    setup::install_valgrind();
    let valgrind = Tool::find("valgrind").ok_or("valgrind is not installed")?;
    let program = setup::build(&["nuthatch-bench"], &["instructions"])?.remove(0);
    let program = program.to_string_lossy().into_owned();
    let paths = output_of(at_root(&program).arg("--list"))?;
    let mut counts = Vec::new();
    for line in paths.lines() {
        let (path, requests) = line.split_once(' ').ok_or("a strange list of paths")?;
        let requests: f64 = requests.parse().map_err(|_| "a strange list of paths")?;
        let [short, long] = LAPS;
        let extra = instructions(&valgrind, &program, path, long)?
            - instructions(&valgrind, &program, path, short)?;
        let count = Count {
            path: path.into(),
            instructions: extra / f64::from(long - short) / requests,
        };
        println!(
            "{:26} {:>9.1} instructions per request",
            count.path, count.instructions
        );
        counts.push(count);
    }
    match bless {
        Some(reason) => write(&counts, reason),
        None => compare(&counts, &read()?),
    }
}

/// Instructions of a whole run.
fn instructions(valgrind: &Tool, program: &str, path: &str, laps: u32) -> Result<f64, String> {
    let output = valgrind
        .command()
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .args([program, path, &laps.to_string()])
        .output()
        .map_err(|error| format!("valgrind: {error}"))?;
    let text = String::from_utf8_lossy(&output.stderr);
    collected(&text)
        .filter(|_| output.status.success())
        .ok_or_else(|| format!("valgrind failed on {path}:\n{text}"))
}

/// The last line of callgrind: `==PID== Collected : 272323915`.
fn collected(text: &str) -> Option<f64> {
    let (_, rest) = text.split_once("Collected :")?;
    rest.split_whitespace().next()?.parse().ok()
}

fn compare(counts: &[Count], baselines: &[Count]) -> Result<(), String> {
    let findings: Vec<String> = counts
        .iter()
        .filter_map(|count| finding(count, baselines))
        .collect();
    let gone = baselines
        .iter()
        .filter(|baseline| !counts.iter().any(|count| count.path == baseline.path))
        .map(|baseline| format!("{} is not counted any more", baseline.path));
    let findings: Vec<String> = findings.into_iter().chain(gone).collect();
    if findings.is_empty() {
        println!(
            "instructions: within {:.0} % of the baselines",
            TOLERATED * 100.0
        );
        return Ok(());
    }
    Err(format!(
        "instructions:\n  {}\nif this is meant: cargo xtask bench --instructions --bless REASON, in the same commit",
        findings.join("\n  ")
    ))
}

fn finding(count: &Count, baselines: &[Count]) -> Option<String> {
    let path = &count.path;
    let Some(baseline) = baselines.iter().find(|baseline| baseline.path == *path) else {
        return Some(format!("{path} has no baseline"));
    };
    let change = count.instructions / baseline.instructions - 1.0;
    if change < -TOLERATED {
        println!(
            "{path} became {:.1} % cheaper: the baseline can be lowered",
            -change * 100.0
        );
    }
    (change > TOLERATED).then(|| {
        format!(
            "{path} became {:.1} % more expensive: {:.1}, was {:.1}",
            change * 100.0,
            count.instructions,
            baseline.instructions
        )
    })
}

fn file() -> PathBuf {
    root().join(BASELINES)
}

fn read() -> Result<Vec<Count>, String> {
    let text = std::fs::read_to_string(file()).map_err(|error| format!("{BASELINES}: {error}"))?;
    parse(&text)
}

/// Lines `PATH COUNT`; lines that begin with # are comments.
fn parse(text: &str) -> Result<Vec<Count>, String> {
    text.lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
        .map(|line| {
            let (path, count) = line
                .split_once(' ')
                .ok_or_else(|| format!("{BASELINES}: {line}: count missing"))?;
            let instructions = count
                .trim()
                .parse()
                .map_err(|_| format!("{BASELINES}: {line}: not a number"))?;
            Ok(Count {
                path: path.into(),
                instructions,
            })
        })
        .collect()
}

fn write(counts: &[Count], reason: &str) -> Result<(), String> {
    let compiler = output_of(at_root("rustc").arg("--version"))?;
    let text = written(counts, compiler.trim(), reason);
    std::fs::write(file(), text).map_err(|error| format!("{BASELINES}: {error}"))
}

fn written(counts: &[Count], compiler: &str, reason: &str) -> String {
    let mut text = format!(
        "# Instructions per request of the core's main paths; see `cargo xtask bench --instructions`.\n\
         # {compiler}\n# Changed last because: {reason}\n"
    );
    for count in counts {
        let _ = writeln!(text, "{:26} {:.1}", count.path, count.instructions);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(path: &str, instructions: f64) -> Count {
        Count {
            path: path.into(),
            instructions,
        }
    }

    #[test]
    fn a_rise_fails_and_a_fall_does_not() {
        let baselines = [count("get", 1_000.0)];
        assert!(compare(&[count("get", 1_049.0)], &baselines).is_ok());
        assert!(compare(&[count("get", 500.0)], &baselines).is_ok());
        let error = compare(&[count("get", 1_051.0)], &baselines).unwrap_err();
        assert!(error.contains("5.1 % more expensive"), "{error}");
    }

    #[test]
    fn paths_and_baselines_must_match() {
        let error = compare(&[count("new", 1.0)], &[count("old", 1.0)]).unwrap_err();
        assert!(error.contains("new has no baseline") && error.contains("old is not counted"));
    }

    #[test]
    fn what_is_written_is_read_back() {
        let counts = [
            count("redis-get-p1", 901.5),
            count("a-rather-long-name-of-a-path", 2.0),
        ];
        let text = written(&counts, "rustc 1", "because");
        assert_eq!(parse(&text).unwrap(), counts);
        assert!(text.contains("because"));
        assert!(parse("get").is_err() && parse("get many").is_err());
    }

    #[test]
    fn the_committed_file_can_be_read() {
        assert!(!read().unwrap().is_empty());
    }

    #[test]
    fn callgrinds_sum_is_found() {
        let text = "==7== Events    : Ir\n==7== Collected : 272323915\n==7== \n";
        assert_eq!(collected(text), Some(272_323_915.0));
        assert_eq!(collected("==7== "), None);
    }
}
