//! A child process that never outlives its test.

use std::io::Read;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};

use crate::Tool;

/// Maximum output kept per stream; older output is discarded.
const KEPT_OUTPUT: usize = 4 << 20;

/// How long a process may take to stop after SIGSTOP.
const STOP_LIMIT: Duration = Duration::from_secs(5);

/// A running child whose output is collected; killed and reaped when dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    status: Option<ExitStatus>,
    stdout: Output,
    stderr: Output,
}

impl Process {
    /// Starts `command` without input and with both outputs collected.
    pub fn spawn(command: Command) -> Process {
        let mut child = spawn_for_life(command);
        let stdout = Output::collect(child.stdout.take().expect("stdout is piped"));
        let stderr = Output::collect(child.stderr.take().expect("stderr is piped"));
        Process {
            child,
            status: None,
            stdout,
            stderr,
        }
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Standard output so far.
    pub fn stdout(&self) -> String {
        self.stdout.text()
    }

    /// Standard error so far.
    pub fn stderr(&self) -> String {
        self.stderr.text()
    }

    /// Sends a signal; has no effect on a process that has ended.
    pub fn signal(&mut self, signal: Signal) {
        if self.exited().is_none() {
            // It has not been reaped (see above), so the id cannot belong to another process.
            let _ = kill_process(self.raw_pid(), signal);
        }
    }

    /// Kills it (SIGKILL) and reaps it.
    pub fn kill(&mut self) -> ExitStatus {
        self.signal(Signal::KILL);
        let status = self.child.wait().expect("a child can be waited for");
        *self.status.insert(status)
    }

    /// Stops it with SIGSTOP: it keeps its sockets and answers nothing.
    ///
    /// # Panics
    ///
    /// When it does not stop.
    pub fn stop(&mut self) {
        self.signal(Signal::STOP);
        // A thread on another processor runs on for a moment; the stop is complete when the kernel reports
        // it. Only a stop is waited for, so that an exited process is not reaped behind the back of `Child`.
        let options = WaitIdOptions::STOPPED | WaitIdOptions::NOHANG;
        let stopped = eventually(STOP_LIMIT, || {
            waitid(WaitId::Pid(self.raw_pid()), options).ok().flatten()
        });
        assert!(stopped.is_some(), "it was told to freeze and did not");
    }

    /// Continues it after [`Process::stop`].
    pub fn cont(&mut self) {
        self.signal(Signal::CONT);
    }

    /// Its exit status, if it has ended.
    pub fn exited(&mut self) -> Option<ExitStatus> {
        if self.status.is_none() {
            self.status = self.child.try_wait().expect("a child can be waited for");
        }
        self.status
    }

    /// Waits until it ends and its output is complete.
    ///
    /// # Panics
    ///
    /// When it still runs after `timeout`; the message contains its output.
    pub fn wait_exit(&mut self, timeout: Duration) -> ExitStatus {
        let ended = eventually(timeout, || self.exited());
        let status = ended.unwrap_or_else(|| {
            panic!(
                "still running after {timeout:?}:\n{}{}",
                self.stdout(),
                self.stderr()
            )
        });
        // A grandchild may keep the pipes open, hence the limit.
        eventually(Duration::from_secs(1), || {
            self.outputs_closed().then_some(())
        });
        status
    }

    fn outputs_closed(&self) -> bool {
        self.stdout.lock().closed && self.stderr.lock().closed
    }

    fn raw_pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Calls `question` every 5 ms until it returns a value or `timeout` has passed.
pub fn eventually<T>(timeout: Duration, mut question: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + timeout;
    loop {
        let answer = question();
        if answer.is_some() || Instant::now() >= end {
            return answer;
        }
        thread::sleep(Duration::from_millis(5));
    }
}

/// Spawns on a thread that lives as long as this process: the kernel sends the parent-death signal when the
/// *thread* that spawned ends, and test threads end while servers that they share go on.
fn spawn_for_life(command: Command) -> Child {
    type Order = (Command, Sender<std::io::Result<Child>>);
    static SPAWNER: OnceLock<Mutex<Sender<Order>>> = OnceLock::new();
    let spawner = SPAWNER.get_or_init(|| {
        let (orders, inbox) = channel::<Order>();
        thread::spawn(move || {
            for (mut command, answer) in inbox {
                // The caller may have panicked meanwhile; then the child is dropped with the answer.
                let _ = answer.send(command.spawn());
            }
        });
        Mutex::new(orders)
    });
    let shown = format!("{command:?}");
    let (answer, result) = channel();
    spawner
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .send((bound_to_parent(command), answer))
        .expect("the spawner thread never ends");
    result
        .recv()
        .expect("the spawner thread always answers")
        .unwrap_or_else(|error| panic!("cannot start {shown}: {error}"))
}

/// The same command, killed by the kernel when this process dies (by util-linux's setpriv).
fn bound_to_parent(command: Command) -> Command {
    let mut bound = match death_signal_tool() {
        Some(setpriv) => {
            let mut bound = setpriv.command();
            bound.args(["--pdeathsig", "KILL", "--"]);
            bound.arg(command.get_program()).args(command.get_args());
            copy_surroundings(&command, &mut bound);
            bound
        }
        None => command,
    };
    bound
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    bound
}

fn copy_surroundings(from: &Command, to: &mut Command) {
    if let Some(dir) = from.get_current_dir() {
        to.current_dir(dir);
    }
    for (name, value) in from.get_envs() {
        match value {
            Some(value) => to.env(name, value),
            None => to.env_remove(name),
        };
    }
}

/// setpriv, if it supports the option (busybox's does not).
fn death_signal_tool() -> Option<&'static Tool> {
    static FOUND: OnceLock<Option<Tool>> = OnceLock::new();
    FOUND
        .get_or_init(|| {
            let tool = Tool::find("setpriv")?;
            let mut probe = tool.command();
            probe.args(["--pdeathsig", "KILL", "--", "true"]);
            probe.stdout(Stdio::null()).stderr(Stdio::null());
            probe.status().is_ok_and(|s| s.success()).then_some(tool)
        })
        .as_ref()
}

/// One output stream, as far as it was read.
#[derive(Debug, Clone, Default)]
struct Output {
    kept: Arc<Mutex<Kept>>,
}

#[derive(Debug, Default)]
struct Kept {
    bytes: Vec<u8>,
    closed: bool,
}

impl Output {
    fn collect(mut stream: impl Read + Send + 'static) -> Output {
        let output = Output::default();
        let writer = output.clone();
        thread::spawn(move || {
            let mut buffer = [0; 8192];
            while let Ok(count @ 1..) = stream.read(&mut buffer) {
                writer.append(&buffer[..count]);
            }
            writer.lock().closed = true;
        });
        output
    }

    fn append(&self, bytes: &[u8]) {
        let mut kept = self.lock();
        kept.bytes.extend_from_slice(bytes);
        if kept.bytes.len() > KEPT_OUTPUT {
            let excess = kept.bytes.len() - KEPT_OUTPUT / 2;
            kept.bytes.drain(..excess);
        }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.lock().bytes).into_owned()
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Process {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        Process::spawn(command)
    }

    #[test]
    fn collects_output_and_status() {
        let mut child = shell("echo out; echo err >&2; exit 7");
        assert_eq!(child.wait_exit(Duration::from_secs(5)).code(), Some(7));
        assert_eq!(
            (child.stdout(), child.stderr()),
            ("out\n".into(), "err\n".into())
        );
    }

    #[test]
    fn environment_and_directory_reach_the_child() {
        let mut command = Command::new("sh");
        command.args(["-c", "pwd; echo $GREETING"]);
        command.current_dir("/").env("GREETING", "hello");
        let mut child = Process::spawn(command);
        child.wait_exit(Duration::from_secs(5));
        assert_eq!(child.stdout(), "/\nhello\n");
    }

    #[test]
    fn a_dropped_child_is_gone() {
        let child = shell("exec sleep 1000");
        let pid = child.raw_pid();
        drop(child);
        assert!(kill_process(pid, Signal::CONT).is_err());
    }

    #[test]
    fn a_child_survives_the_thread_that_asked_for_it() {
        let mut child = thread::spawn(|| shell("exec sleep 1000")).join().unwrap();
        thread::sleep(Duration::from_millis(50));
        assert!(child.exited().is_none());
    }
}
