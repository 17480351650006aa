//! CPU affinity, so that the load does not take CPU time from the proxy and the servers.

use std::process::{Child, Command, Stdio};
use std::thread;

use testkit::Tool;

/// The load runs on the last CPU, everything else on the others. Nothing is pinned if there is only one CPU
/// or no `taskset`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cores {
    last: Option<usize>,
}

impl Cores {
    /// Divides the CPUs of this machine, and prints how.
    pub(super) fn divide() -> Cores {
        let count = thread::available_parallelism().map_or(1, usize::from);
        let last = (count > 1 && Tool::find("taskset").is_some()).then(|| count - 1);
        match last {
            Some(last) => println!(
                "the load runs on processor {last}, proxy and servers on {}",
                others(last)
            ),
            None => println!("load, proxy and servers share the processors"),
        }
        Cores { last }
    }

    /// The prefix of the load's command.
    pub(super) fn of_load(self) -> Vec<String> {
        match self.last {
            Some(last) => vec!["taskset".into(), "-c".into(), last.to_string()],
            None => Vec::new(),
        }
    }

    /// Pins all threads of these processes to the CPUs that the load does not use.
    ///
    /// # Errors
    ///
    /// When one of them has ended.
    pub(super) fn bind(self, pids: impl IntoIterator<Item = u32>) -> Result<(), String> {
        let Some(last) = self.last else {
            return Ok(());
        };
        for pid in pids {
            let mut bind = Command::new("taskset");
            bind.args(["-acp", &others(last), &pid.to_string()]);
            let bound = bind.stdout(Stdio::null()).status();
            if !bound.is_ok_and(|status| status.success()) {
                return Err(format!("process {pid} cannot be bound to {}", others(last)));
            }
        }
        Ok(())
    }
}

/// Runs an idle-priority loop on each CPU until this is dropped. A CPU that sleeps takes longer to wake up
/// than the proxy needs for an answer, and the less load there is, the more it sleeps: latencies at low rates
/// would mostly measure that.
#[derive(Debug)]
pub(super) struct KeepAwake(Vec<Child>);

/// Endless except for a limit on its CPU time, in case nothing is left to stop it.
const LOOP: &str = "ulimit -t 1800; while :; do :; done";

impl KeepAwake {
    /// Starts the loops; does nothing without `chrt` or `taskset`.
    ///
    /// # Errors
    ///
    /// When they do not start.
    pub(super) fn keep() -> Result<KeepAwake, String> {
        let mut awake = KeepAwake(Vec::new());
        if Tool::find("taskset").is_none() || Tool::find("chrt").is_none() {
            eprintln!("the processors may sleep");
            return Ok(awake);
        }
        let count = thread::available_parallelism().map_or(1, usize::from);
        for processor in 0..count {
            let mut command = Command::new("chrt");
            command.args(["--idle", "0", "taskset", "-c", &processor.to_string()]);
            let started = command.args(["sh", "-c", LOOP]).spawn();
            awake
                .0
                .push(started.map_err(|error| format!("chrt: {error}"))?);
        }
        eprintln!("the processors are kept awake");
        Ok(awake)
    }
}

impl Drop for KeepAwake {
    fn drop(&mut self) {
        for child in &mut self.0 {
            // It may have reached its CPU limit.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// The CPUs before `last`.
fn others(last: usize) -> String {
    match last {
        1 => "0".into(),
        _ => format!("0-{}", last - 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_load_has_the_last_processor() {
        assert_eq!((others(1), others(3)), ("0".into(), "0-2".into()));
        let cores = Cores { last: Some(3) };
        assert_eq!(cores.of_load(), ["taskset", "-c", "3"]);
        let shared = Cores { last: None };
        assert!(shared.of_load().is_empty() && shared.bind([u32::MAX]).is_ok());
    }
}
