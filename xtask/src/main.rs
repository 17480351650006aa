//! The project's chores: `cargo xtask setup`, `test`, `tidy`, `fuzz`, `coverage`, `mutants`, `torture` and `bench`.
//!
//! It needs nothing but the Rust toolchain, so that a fresh machine can run it.

mod bench;
mod clients;
mod coverage;
mod fuzz;
mod mutants;
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
  tidy --graph NAME  which module of a crate names what of which other
  fuzz [--seconds N | --executions N] [TARGET ...]
                     run the fuzz targets, 60 s in total unless told,
                     or until N inputs were executed
  coverage [--seeds N] [--uncovered [PART]]
                     what the simulator reaches of the core, file by file;
                     with the lines that it does not reach
  mutants [--shard K/N] [--file GLOB]
                     break the core in many small ways: do its tests notice?
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
        ["tidy", "--graph", name] => tidy::print_graph(name),
        ["fuzz", rest @ ..] => fuzz::targets_for(rest),
        ["coverage", rest @ ..] => coverage::coverage(rest),
        ["mutants", rest @ ..] => mutants::mutants(rest),
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
