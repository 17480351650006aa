//! Attacks on the proxy, and what they cost the others.
//!
//! Each attack has a proxy and servers of its own. While it runs, a *bystander*, one client that does a GET each
//! millisecond, tells what others notice; the proxy's resident memory and its log are watched, too.
//! Each case has one limit that must hold ([`case::Limit`]).

mod attacks;
mod bystander;
mod case;
mod flood;
mod options;
mod priority;
mod pusher;
mod rig;
mod table;
mod watch;
mod wire;

use std::process::ExitCode;

use options::Options;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if words.iter().any(|word| word == "--help" || word == "-h") {
        print!("{}", options::USAGE);
        return ExitCode::SUCCESS;
    }
    match Options::parse(&words).and_then(|options| run(&options)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(message) => {
            eprintln!("attack: {message}");
            ExitCode::from(2)
        }
    }
}

/// Runs the chosen cases one after the other; whether all limits held.
fn run(options: &Options) -> Result<bool, String> {
    let cases = options.chosen(attacks::all(options))?;
    if options.is_list {
        print!("{}", table::list(&cases));
        return Ok(true);
    }
    println!("{}", table::HEAD);
    let mut failures = 0;
    for case in &cases {
        let outcome = case.run(options);
        println!("{}", table::line(case, &outcome));
        failures += usize::from(!outcome.is_ok_and(|figures| case.limit.holds(&figures)));
    }
    println!("{} cases, {failures} failed", cases.len());
    Ok(failures == 0)
}
