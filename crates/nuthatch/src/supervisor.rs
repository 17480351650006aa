//! What a supervisor is told that asks for it as systemd does, by the variable NOTIFY_SOCKET (sd_notify(3)). Without it
//! nobody is told anything.

mod sockets;

use std::process;

use sd_notify::NotifyState;

use crate::logger::{WARN, log};

pub(crate) use sockets::{Store, passed};

/// Clients are served from now on.
pub(crate) fn ready() {
    tell(&[NotifyState::MainPid(process::id()), NotifyState::Ready]);
}

/// This is the process to be supervised from now on: it has taken the place of the one that says so, or not.
pub(crate) fn main_process_is(pid: u32) {
    tell(&[NotifyState::MainPid(pid)]);
}

/// The configuration is being replaced; [`ready`] says when that is over, whatever has become of it.
pub(crate) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(_) => tell(&[NotifyState::Reloading]),
    }
}

/// The process is ending, which is done so at first.
pub(crate) fn stopping(how: &str) {
    tell(&[NotifyState::Stopping, NotifyState::Status(how)]);
}

fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        log!(WARN, "the supervisor could not be told: {error}");
    }
}
