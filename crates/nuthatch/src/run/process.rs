//! What the process tells clients of itself.

use std::collections::hash_map::RandomState;
use std::fmt::Write;
use std::hash::BuildHasher;
use std::sync::Arc;

use proxy::{Process, Time, Usage};
use rustix::system::uname;

use super::RunOptions;
use crate::clock::Clock;

/// Hexadecimal digits of a run's id, as in Redis.
const RUN_ID_DIGITS: usize = 40;

/// The process that was started with `options`.
pub(super) fn describe(options: &RunOptions, clock: Clock) -> Arc<Process> {
    let path = |path: std::io::Result<std::path::PathBuf>| {
        let path = path.unwrap_or_default();
        path.display().to_string().into()
    };
    Arc::new(Process {
        pid: std::process::id(),
        run_id: run_id(),
        os: system().into(),
        executable: path(std::env::current_exe()),
        config_file: path(std::path::absolute(&options.conf_file)),
        epoch_micros: clock.to_epoch_micros(Time::ZERO),
        usage: Usage::default(),
        connections: Arc::default(),
    })
}

/// Has the process shown by this name in lists of processes.
pub(super) fn set_name(name: &str) {
    // It is shown by another name otherwise.
    if let Ok(name) = std::ffi::CString::new(name) {
        let _ = rustix::thread::set_name(&name);
    }
}

/// The system, its release and the machine.
pub(super) fn system() -> String {
    let system = uname();
    let text = |name: &std::ffi::CStr| name.to_string_lossy().into_owned();
    let (name, release) = (text(system.sysname()), text(system.release()));
    let machine = text(system.machine());
    format!("{name} {release} {machine}")
}

fn run_id() -> Box<str> {
    let chance = RandomState::new();
    let mut id = String::new();
    for part in 0_u8.. {
        if id.len() >= RUN_ID_DIGITS {
            break;
        }
        let _ = write!(id, "{:016x}", chance.hash_one(part));
    }
    id.truncate(RUN_ID_DIGITS);
    id.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_run_has_an_id_of_its_own() {
        let (one, other) = (run_id(), run_id());
        assert_eq!(one.len(), RUN_ID_DIGITS);
        assert!(one.bytes().all(|byte| byte.is_ascii_hexdigit()));
        assert_ne!(one, other);
    }
}
