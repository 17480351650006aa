//! Signals, as in nutcracker 0.5.0, except that those that end the process shut it down cleanly.

use std::ffi::c_int;
use std::io;
use std::thread;

use signal_hook::consts::signal::{
    SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTTIN, SIGTTOU, SIGUSR1, SIGUSR2,
};
use signal_hook::iterator::Signals;

use crate::access_log;
use crate::controller::Controller;
use crate::logger::{self, ALWAYS, log};

const HANDLED: [c_int; 8] = [
    SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTTIN, SIGTTOU, SIGUSR1, SIGUSR2,
];

/// Installs the handlers; signals that end or replace the process or reload its configuration have `controller` do so.
///
/// # Errors
///
/// When the handlers cannot be installed.
pub(crate) fn start(controller: Controller) -> io::Result<()> {
    let mut signals = Signals::new(HANDLED)?;
    thread::Builder::new()
        .name("signals".into())
        .spawn(move || {
            signals
                .forever()
                .for_each(|signal| handle(signal, &controller))
        })?;
    Ok(())
}

fn handle(signal: c_int, controller: &Controller) {
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
            access_log::reopen();
        }
        SIGUSR1 => {
            announce(signal, "SIGUSR1", "");
            controller.reload_by_signal();
        }
        SIGUSR2 => {
            announce(signal, "SIGUSR2", "");
            controller.upgrade_by_signal();
        }
        SIGINT => stop(signal, "SIGINT", controller),
        SIGQUIT => stop(signal, "SIGQUIT", controller),
        _ => {
            announce(signal, "SIGTERM", ", exiting");
            controller.terminate();
        }
    }
}

fn stop(signal: c_int, name: &str, controller: &Controller) {
    announce(signal, name, ", exiting");
    controller.stop();
}

fn announce(signal: c_int, name: &str, effect: &str) {
    log!(ALWAYS, "signal {signal} ({name}) received{effect}");
}

fn report_level(direction: &str, changed: Option<u8>) {
    if let Some(level) = changed {
        log!(ALWAYS, "{direction} log level to {level}");
    }
}
