//! Chaos: random settings, random faults of real servers, random clients, and a check of every reply.
//!
//! Everything that is drawn in a scenario follows from its seed: the settings of the pool ([`settings`]), which
//! server fails when and how ([`schedule`]), and what each client does ([`client`]). The timing of threads does
//! not, so a seed repeats a scenario, not every byte. Each client has its own keys and knows which values are
//! possible after each reply ([`model`], [`judge`]). Where only a failure would explain a reply, the
//! statistics must show one. At the end everything has to add up ([`checks`]).

mod checks;
mod client;
#[path = "../common/faulty_server.rs"]
mod faulty_server;
mod judge;
mod keyspace;
mod model;
mod options;
mod reply;
mod report;
mod request;
mod rig;
mod run;
mod scenario;
mod schedule;
mod settings;
mod shared;
mod tally;

use std::process::ExitCode;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if words.iter().any(|word| word == "--help" || word == "-h") {
        print!("{}", options::USAGE);
        return ExitCode::SUCCESS;
    }
    match options::Options::parse(&words).and_then(|options| run::run(&options)) {
        Ok(report) => {
            print!("{report}");
            if report.is_flawless() {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            }
        }
        Err(message) => {
            eprintln!("chaos: {message}");
            ExitCode::from(2)
        }
    }
}
