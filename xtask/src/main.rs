//! Tasks for developers: `cargo xtask setup`, `test`, `tidy`, `fuzz`, `coverage`, `deb`, `manual`, `mutants`, `clients`,
//! `torture`, `chaos`, `attack` and `bench`.
//!
//! Only the Rust toolchain is needed to run it, so it works on a new machine.

mod bench;
mod clients;
mod coverage;
mod deb;
mod example;
mod fuzz;
mod libraries;
mod manual;
mod mutants;
mod packages;
mod run;
mod setup;
mod statically;
mod test;
mod tidy;

use std::process::ExitCode;

const USAGE: &str = "\
Usage: cargo xtask COMMAND

  setup              install what the tests need besides Rust, if permitted
  test               setup, then all tests
  test --only NAME   the tests of one crate or of one test file
                     (what follows -- is passed to the test program)
  test --valkey [NAME ...]
                     run the tests of Clusters, replicas and Sentinels, or those of these
                     names, with a Valkey server of today instead of redis-server
  tidy               check dependencies, licences and house rules
  tidy --graph NAME  which module of a crate names items of which other
  fuzz [--seconds N | --executions N] [TARGET ...]
                     run the fuzz targets, for 60 s in total by default,
                     or until N inputs were executed
  coverage [--seeds N] [--uncovered [PART]]
                     which lines of the core the simulator reaches, by file;
                     --uncovered lists the lines that it does not reach
  deb [--check]      build the Debian packages; --check installs, upgrades and
                     removes them in a copy of this machine (needs root)
  static [--check]   build the program as one file that needs no library of the
                     system (musl); run it under verified load
  manual [FOLDER]    write the manual pages and the completions of shells
  mutants [--shard K/N] [--file GLOB]
                     mutation testing: do the core's tests notice small faults?
  clients [--full [--write]] [NAME ...]
                     run client libraries and applications with a server, and
                     with the proxy before one server and before three: some
                     of them, or all (--full; --write makes docs/clients.md)
  torture [--minutes N] [--seed N] [--reload] [--upgrade N]
                     check every reply while servers fail in every way
  torture --cluster [--failovers N] [--migrations N] [--seed N]
                     the same with a Redis Cluster whose masters are killed and slots moved
  torture --sentinel N
                     the same while Redis Sentinels promote replicas, N times
  chaos [--seconds N] [--seed N] [--scenarios N]
                     check every reply under random settings and faults
  torture, chaos, attack: --dev  builds as tests are built: with checks of overflow and
                     debug assertions, little optimised
  attack [OPTION]... what attacks cost other clients (attack --help)
  bench [OPTION]...  compare the proxy with other proxies (bench --help)
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
        ["test", "--valkey", names @ ..] => test::with_valkey(names),
        ["test", "--only", name] => test::only(name, &[]),
        ["test", "--only", name, "--", rest @ ..] => test::only(name, rest),
        ["tidy"] => tidy::run(),
        ["tidy", "--graph", name] => tidy::print_graph(name),
        ["fuzz", rest @ ..] => fuzz::targets_for(rest),
        ["coverage", rest @ ..] => coverage::coverage(rest),
        ["deb", rest @ ..] => deb::packages(rest),
        ["static", rest @ ..] => statically::build(rest),
        ["manual"] => manual::write(None),
        ["manual", folder] => manual::write(Some(folder)),
        ["mutants", rest @ ..] => mutants::mutants(rest),
        ["clients", rest @ ..] => clients::run(rest),
        ["torture", "--cluster", rest @ ..] => example::example("cluster", rest),
        ["torture", "--sentinel", count] => example::failovers(count),
        ["torture", rest @ ..] => example::example("torture", rest),
        ["chaos", rest @ ..] => example::example("chaos", rest),
        ["attack", rest @ ..] => example::example("attack", rest),
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
