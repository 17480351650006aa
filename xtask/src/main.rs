//! The project's chores: `cargo xtask setup`, `test`, `tidy`, `fuzz`, `torture` and `bench`.
//!
//! It needs nothing but the Rust toolchain, so that a fresh machine can run it.

mod bench;
mod clients;
mod fuzz;
mod packages;
mod run;
mod setup;
mod test;
mod tidy;
mod torture;

use std::process::ExitCode;

const USAGE: &str = "\
Usage: cargo xtask COMMAND

  setup              install what the tests need besides Rust, where permitted
  test               setup, then every test there is
  test --only NAME   the tests of one crate or of one test file
                     (what follows -- is passed to the test program)
  tidy               check walls, licences and house rules
  fuzz [--seconds N] [TARGET ...]
                     run the fuzz targets, 60 s in total unless told
  torture [--minutes N] [--seed N]
                     check every reply while servers fail in every way
  bench [OPTION]...  measure the proxy beside its peers (bench --help)
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        ["setup"] => {
            setup::run();
            Ok(())
        }
        ["test"] => test::everything(),
        ["test", "--only", name] => test::only(name, &[]),
        ["test", "--only", name, "--", rest @ ..] => test::only(name, rest),
        ["tidy"] => tidy::run(),
        ["fuzz", rest @ ..] => fuzz::targets_for(rest),
        ["torture", rest @ ..] => torture::torture(rest),
        ["bench", "--help"] => {
            print!("{}", bench::USAGE);
            Ok(())
        }
        ["bench", "--list"] => {
            bench::list();
            Ok(())
        }
        ["bench", rest @ ..] => bench::run(rest),
        ["help" | "--help" | "-h"] => {
            print!("{USAGE}");
            Ok(())
        }
        _ => Err(format!("these arguments make no command\n\n{USAGE}")),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("xtask: {message}");
            ExitCode::FAILURE
        }
    }
}
