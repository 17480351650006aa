//! Transactions at a fixed rate, at a Redis address; see `transactions --help`.

use std::io::{self, BufRead, Write};
use std::process::ExitCode;

use nuthatch_bench::transactions::{self, Options};

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if words.iter().any(|word| word == "--help" || word == "-h") {
        print!("{}", transactions::USAGE);
        return ExitCode::SUCCESS;
    }
    let measured = Options::parse(&words).and_then(|options| transactions::run(&options, wait));
    match measured {
        Ok(report) => {
            println!("{}", report.to_json());
            ExitCode::SUCCESS
        }
        Err(message) => {
            eprintln!("transactions: {message}");
            ExitCode::FAILURE
        }
    }
}

/// Tells that everybody is ready, and waits for a line.
fn wait() -> io::Result<()> {
    println!("ready");
    io::stdout().flush()?;
    io::stdin().lock().read_line(&mut String::new()).map(drop)
}
