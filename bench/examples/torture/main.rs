//! Torture test: real servers fail in every way, and clients check every reply.
//!
//! Each client has its own keys, and each value says which client wrote it, to which key, and as which write
//! ([`nuthatch_bench::faults`]). So for every reply the possible values are known. In a calm it is exactly the value stored
//! last. After a fault it may also be missing, or the result of a write that had failed. In pools that move
//! keys to other servers it may also be an older value of the same key ([`expected`]). Everything random
//! follows from a seed, but the timing of threads does not: a seed repeats the schedule of a run, not every
//! byte.

mod client;
mod counts;
mod expected;
#[path = "../common/faulty_server.rs"]
mod faulty_server;
mod options;
mod pool_load;
mod reloads;
mod report;
mod run_state;
mod schedule;
mod setup;
mod upgrades;
mod wire;

use std::process::ExitCode;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if words.iter().any(|word| word == "--help" || word == "-h") {
        print!("{}", options::USAGE);
        return ExitCode::SUCCESS;
    }
    match options::Options::parse(&words).and_then(|options| schedule::run(&options)) {
        Ok(report) => {
            print!("{report}");
            if report.is_flawless() {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            }
        }
        Err(message) => {
            eprintln!("torture: {message}");
            ExitCode::from(2)
        }
    }
}
