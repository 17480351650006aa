//! Loads a Redis or memcached address and checks every reply; see `loadgen --help`.

use std::process::ExitCode;

use nuthatch_bench::load;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if words.iter().any(|word| word == "--help" || word == "-h") {
        print!("{}", load::USAGE);
        return ExitCode::SUCCESS;
    }
    let options = load::Options::parse(&words);
    // The caller that controls the gate reads the report and checks it itself.
    let is_judge = !options.as_ref().is_ok_and(|options| options.gate);
    match options.and_then(|options| load::run(&options)) {
        Ok(report) => {
            println!("{}", report.to_json());
            if report.is_flawless() {
                return ExitCode::SUCCESS;
            }
            if is_judge {
                eprintln!("loadgen: replies were wrong: {}", report.faults());
            }
            ExitCode::FAILURE
        }
        Err(message) => {
            eprintln!("loadgen: {message}");
            ExitCode::from(2)
        }
    }
}
