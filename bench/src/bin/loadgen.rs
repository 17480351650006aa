//! Loads a Redis or memcached address and checks every reply; see `loadgen --help`.

use std::process::ExitCode;

use nuthatch_bench::load;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if words.iter().any(|word| word == "--help" || word == "-h") {
        print!("{}", load::USAGE);
        return ExitCode::SUCCESS;
    }
    match load::Options::parse(&words).and_then(|options| load::run(&options)) {
        Ok(report) => {
            println!("{}", report.to_json());
            if report.is_flawless() {
                ExitCode::SUCCESS
            } else {
                eprintln!("loadgen: replies were wrong: {}", report.faults());
                ExitCode::FAILURE
            }
        }
        Err(message) => {
            eprintln!("loadgen: {message}");
            ExitCode::from(2)
        }
    }
}
