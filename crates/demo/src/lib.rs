//! `nuthatch demo`: shows the proxy at work without any configuration.
//!
//! It starts three Redis servers, three memcached servers and this program as the proxy in front of them,
//! demonstrates what the proxy does, and then serves until it is told to stop. Real servers are used if they
//! are on PATH, small embedded ones otherwise. Everything that was started is stopped at the end, however the
//! demo ends.
//!
//! The proxy is a child process: the demo gives it a configuration file and options and uses it as clients
//! and operators do. So none of its code is used here.

mod cache;
mod child;
mod client;
mod embedded;
mod embedded_memcached;
mod embedded_redis;
mod kind;
mod narrator;
mod pool;
mod port;
mod setup;
mod store;
mod tour;

#[cfg(test)]
mod tests;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::Duration;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use narrator::{Narrator, Stop};
use setup::{Program, Setup};

/// How often a demo that only serves checks whether to stop.
const WATCH: Duration = Duration::from_millis(100);

/// The last line of a `--once` tour: nothing listens any more, so no command to connect is shown.
const END_OF_ONCE: &str = "\nThe tour is over: the proxy and its servers are stopped and their files removed. \
                           `nuthatch demo` (without --once) keeps serving, to try it yourself.";

/// Options from the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DemoOptions {
    /// End after the tour instead of serving until a signal.
    pub once: bool,
}

/// Runs the demo on standard output.
///
/// The exit status is 1 if something could not be started, if any check of the tour failed, or if a `--once`
/// tour was interrupted. Otherwise it is 0, also after SIGINT, SIGTERM or SIGHUP.
pub fn run(options: DemoOptions) -> ExitCode {
    match try_run(options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Stop::Interrupted) if !options.once => ExitCode::SUCCESS,
        Err(Stop::Interrupted) => {
            eprintln!("nuthatch: demo: interrupted before the end of the tour");
            ExitCode::FAILURE
        }
        Err(Stop::Failed(reason)) => {
            eprintln!("nuthatch: demo: {reason}");
            ExitCode::FAILURE
        }
    }
}

fn try_run(options: DemoOptions) -> Result<(), Stop> {
    child::kill_all_on_panic();
    let asked_to_stop = stop_flag()?;
    let mut narrator = Narrator::new(std::io::stdout(), asked_to_stop);
    let program = Program::this_one()?;
    let mut setup = Setup::build(&program, &mut narrator)?;
    tour::run(&mut setup, &mut narrator)?;
    let tour = narrator.verdict();
    if options.once {
        drop(setup);
        narrator.say(END_OF_ONCE)?;
        return tour;
    }
    narrator.say(&setup.invitation())?;
    narrator.say("Serving until Ctrl-C.")?;
    let ended = serve(&mut setup, &mut narrator);
    let shown = ended.and(narrator.announce_stop());
    tour.and(shown)
}

/// Serves until a signal arrives (the normal end) or the proxy exits.
fn serve(setup: &mut Setup, narrator: &mut Narrator) -> Result<(), Stop> {
    while !narrator.is_interrupted() {
        setup.check_proxy_runs()?;
        thread::sleep(WATCH);
    }
    Ok(())
}

/// A flag that the first signal sets; a second signal ends the process at once.
fn stop_flag() -> Result<Arc<AtomicBool>, Stop> {
    let flag = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        // In this order: at the first signal the flag is still unset.
        signal_hook::flag::register_conditional_default(signal, Arc::clone(&flag))?;
        signal_hook::flag::register(signal, Arc::clone(&flag))?;
    }
    Ok(flag)
}
