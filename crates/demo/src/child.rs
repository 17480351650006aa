//! Child processes that never outlive the demo.
//!
//! There are four safeguards: each child is killed when its guard is dropped; a panic kills all of them first
//! (a release build aborts without dropping anything); if util-linux's `setpriv` is installed, the kernel
//! kills them when this process dies in any other way; and they are in process groups of their own, so that
//! Ctrl-C reaches only the demo, which then stops them in order.

use std::fs::{self, File};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{self, Command, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// Children that have not been reaped yet.
static LIVING: Mutex<Vec<Pid>> = Mutex::new(Vec::new());

/// A running child; its output goes to a file.
#[derive(Debug)]
pub(crate) struct Child {
    process: process::Child,
    log: PathBuf,
}

impl Child {
    /// Starts `command` without input and with its output in the file `log`.
    ///
    /// Call it on a thread that lives as long as the demo: the kernel sends the parent-death signal when the
    /// spawning *thread* ends.
    pub(crate) fn spawn(command: &Command, log: &Path) -> io::Result<Child> {
        let output = File::options().create(true).append(true).open(log)?;
        let mut bound = bound_to_us(command);
        bound
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .process_group(0);
        let process = bound.spawn()?;
        living(|pids| pids.push(Pid::from_child(&process)));
        Ok(Child {
            process,
            log: log.to_path_buf(),
        })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Whether it still runs.
    pub(crate) fn is_running(&mut self) -> bool {
        matches!(self.process.try_wait(), Ok(None))
    }

    /// Asks it to end (SIGTERM), waits up to `time_limit`, then kills it.
    pub(crate) fn stop(&mut self, time_limit: Duration) {
        if self.is_running() {
            // It has not been reaped (see above), so the id is still its own.
            let _ = kill_process(Pid::from_child(&self.process), Signal::TERM);
        }
        let end = Instant::now() + time_limit;
        while self.is_running() && Instant::now() < end {
            thread::sleep(Duration::from_millis(5));
        }
        self.kill();
    }

    /// Kills it at once (SIGKILL) and reaps it.
    pub(crate) fn kill(&mut self) {
        let pid = Pid::from_child(&self.process);
        // From here on its id may be reused for another process.
        living(|pids| pids.retain(|&other| other != pid));
        let _ = self.process.kill();
        let _ = self.process.wait();
    }

    /// The last lines it printed.
    pub(crate) fn last_words(&self) -> String {
        let text = fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Makes every panic kill all children before it continues.
pub(crate) fn kill_all_on_panic() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        living(|pids| {
            for pid in pids {
                let _ = kill_process(*pid, Signal::KILL);
            }
        });
        before(panic);
    }));
}

/// The path of the executable called `name` on PATH, if there is one.
pub(crate) fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|dir| dir.join(name))
        .find(|file| is_executable(file))
}

fn is_executable(file: &Path) -> bool {
    rustix::fs::access(file, rustix::fs::Access::EXEC_OK).is_ok() && file.is_file()
}

fn living<R>(look: impl FnOnce(&mut Vec<Pid>) -> R) -> R {
    look(&mut LIVING.lock().unwrap_or_else(PoisonError::into_inner))
}

/// The same command, killed by the kernel when this process dies.
fn bound_to_us(command: &Command) -> Command {
    let mut bound = match setpriv() {
        Some(setpriv) => {
            let mut bound = Command::new(setpriv);
            bound.args(["--pdeathsig", "KILL", "--"]);
            bound.arg(command.get_program());
            bound
        }
        None => Command::new(command.get_program()),
    };
    bound.args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => bound.env(name, value),
            None => bound.env_remove(name),
        };
    }
    bound
}

/// A `setpriv` that supports `--pdeathsig` (busybox's does not).
fn setpriv() -> Option<&'static Path> {
    static FOUND: OnceLock<Option<PathBuf>> = OnceLock::new();
    FOUND
        .get_or_init(|| {
            let path = find_program("setpriv")?;
            let mut probe = Command::new(&path);
            probe.args(["--pdeathsig", "KILL", "--", "true"]);
            probe.stdout(Stdio::null()).stderr(Stdio::null());
            probe.status().is_ok_and(|s| s.success()).then_some(path)
        })
        .as_deref()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> (Child, tempfile::TempDir) {
        let dir = tempfile::tempdir().unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        (
            Child::spawn(&command, &dir.path().join("log")).unwrap(),
            dir,
        )
    }

    fn exists(pid: Pid) -> bool {
        rustix::process::test_kill_process(pid).is_ok()
    }

    #[test]
    fn a_dropped_child_is_gone() {
        let (child, _dir) = shell("exec sleep 1000");
        let pid = Pid::from_child(&child.process);
        assert!(exists(pid));
        drop(child);
        assert!(!exists(pid));
    }

    #[test]
    fn a_child_that_ignores_the_request_is_killed() {
        let (mut child, _dir) = shell("trap '' TERM; while :; do sleep 0.01; done");
        child.stop(Duration::from_millis(50));
        assert!(!child.is_running());
    }

    #[test]
    fn the_last_words_are_kept() {
        let (mut child, _dir) = shell("echo one; echo two >&2");
        while child.is_running() {
            thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(child.last_words(), "one\ntwo");
    }
}
