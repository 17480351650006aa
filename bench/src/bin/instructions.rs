//! Runs one path through the proxy's core a given number of times, to be counted by callgrind.
//!
//! The difference between two numbers of laps is the cost of the laps alone, without the start and the
//! recording. `cargo xtask bench --instructions` does this for every path.

use std::process::ExitCode;

use nuthatch_bench::paths::{Path, Rig};

const USAGE: &str = "\
Usage: instructions --list         prints each path and the requests of one lap
       instructions PATH LAPS      runs so many laps
";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match run(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("instructions: {message}");
            ExitCode::from(2)
        }
    }
}

fn run(words: &[String]) -> Result<(), String> {
    match words {
        [list] if list == "--list" => {
            for path in Path::ALL {
                println!("{} {}", path.name, path.requests());
            }
            Ok(())
        }
        [name, laps] => {
            let path = Path::find(name).ok_or_else(|| format!("there is no path {name}"))?;
            let laps: u32 = laps
                .parse()
                .map_err(|_| format!("{laps} is not a number"))?;
            let mut rig = Rig::new(path);
            for _ in 0..laps {
                rig.run_lap();
            }
            Ok(())
        }
        _ => Err(USAGE.into()),
    }
}
