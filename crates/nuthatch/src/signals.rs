//! Signals, as in nutcracker 0.5.0, except that those that end the process shut it down cleanly.

use std::ffi::c_int;
use std::io;
use std::sync::mpsc::SyncSender;
use std::thread;

use signal_hook::consts::signal::{
    SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTTIN, SIGTTOU, SIGUSR1, SIGUSR2,
};
use signal_hook::iterator::Signals;

use crate::logger::{self, ALWAYS, log};

const HANDLED: [c_int; 8] = [
    SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTTIN, SIGTTOU, SIGUSR1, SIGUSR2,
];

/// A request to shut down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stop;

/// Installs the handlers; each signal that ends the process sends a [`Stop`].
///
/// # Errors
///
/// When the handlers cannot be installed.
pub(crate) fn start(stops: SyncSender<Stop>) -> io::Result<()> {
    let mut signals = Signals::new(HANDLED)?;
    thread::Builder::new()
        .name("signals".into())
        .spawn(move || signals.forever().for_each(|signal| handle(signal, &stops)))?;
    Ok(())
}

fn handle(signal: c_int, stops: &SyncSender<Stop>) {
    match signal {
        SIGTTIN => {
            announce(signal, "SIGTTIN", ", up logging level");
            report_level("up", logger::raise_level());
        }
        SIGTTOU => {
            announce(signal, "SIGTTOU", ", down logging level");
            report_level("down", logger::lower_level());
        }
        SIGHUP => {
            announce(signal, "SIGHUP", ", reopening log file");
            logger::reopen();
        }
        SIGUSR1 => announce(signal, "SIGUSR1", ""),
        SIGUSR2 => announce(signal, "SIGUSR2", ""),
        SIGINT => stop(signal, "SIGINT", stops),
        SIGQUIT => stop(signal, "SIGQUIT", stops),
        _ => stop(signal, "SIGTERM", stops),
    }
}

fn stop(signal: c_int, name: &str, stops: &SyncSender<Stop>) {
    announce(signal, name, ", exiting");
    // A full queue means that enough requests are pending.
    let _ = stops.try_send(Stop);
}

fn announce(signal: c_int, name: &str, effect: &str) {
    log!(ALWAYS, "signal {signal} ({name}) received{effect}");
}

fn report_level(direction: &str, changed: Option<u8>) {
    if let Some(level) = changed {
        log!(ALWAYS, "{direction} log level to {level}");
    }
}
