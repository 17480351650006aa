//! Torture: real servers that fail in every way, and clients that check every reply.
//!
//! Each client has keys of its own, and each value says which client wrote it to which key as which write
//! ([`value`]). So for every reply it is known what it can be: in calm exactly what was stored last; when
//! a fault has been, also nothing, or the outcome of a write that had failed; in pools that give keys to
//! other servers also an older value of the same key ([`ledger`]). Everything by chance is drawn from a
//! seed; the threads' timing is not, so that a seed repeats the plan of a run, not its every byte.

mod board;
mod client;
mod crew;
mod director;
mod fault;
mod framer;
mod ledger;
mod options;
mod random;
mod relay;
mod report;
mod stage;
mod tally;
mod usage;
mod value;
mod wire;

use std::process::ExitCode;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if words.iter().any(|word| word == "--help" || word == "-h") {
        print!("{}", options::USAGE);
        return ExitCode::SUCCESS;
    }
    match options::Options::parse(&words).and_then(|options| director::run(&options)) {
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
