//! One publisher and many subscribers at a Redis address; see `pubsub --help`.

use std::process::ExitCode;

use nuthatch_bench::pubsub::{self, Options};

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if words.iter().any(|word| word == "--help" || word == "-h") {
        print!("{}", pubsub::USAGE);
        return ExitCode::SUCCESS;
    }
    let measured =
        Options::parse(&words).and_then(|options| pubsub::run(&options, pubsub::wait_for_go));
    match measured {
        Ok(report) => {
            println!("{}", report.to_json());
            ExitCode::SUCCESS
        }
        Err(message) => {
            eprintln!("pubsub: {message}");
            ExitCode::FAILURE
        }
    }
}
