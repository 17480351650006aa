//! Processes that take the place of the proxy, one after the other.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::Value;

/// How long an upgrade may take, and the end of an old process.
const TIME_LIMIT: Duration = Duration::from_secs(60);

/// How often it is looked whether the old process has ended.
const LOOK: Duration = Duration::from_millis(20);

/// The thread that upgrades. Dropping this ends the last process.
pub(crate) struct Upgrades {
    thread: Option<JoinHandle<Result<(), String>>>,
    socket: PathBuf,
    progress: Arc<Progress>,
}

/// How far it is.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    /// Whether there is to be no further upgrade, or was the last one.
    is_over: AtomicBool,
    done: AtomicU64,
    pid: AtomicU32,
    longest: AtomicU64,
}

impl Progress {
    /// Whether there is no further upgrade.
    pub(crate) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Acquire)
    }

    /// Upgrades so far.
    pub(crate) fn done(&self) -> u64 {
        self.done.load(Ordering::Acquire)
    }

    /// The process that serves.
    pub(crate) fn pid(&self) -> u32 {
        self.pid.load(Ordering::Acquire)
    }

    /// The longest time until a new process served, in milliseconds.
    pub(crate) fn longest(&self) -> u64 {
        self.longest.load(Ordering::Acquire)
    }
}

impl Upgrades {
    /// Begins to upgrade the proxy so many times.
    pub(crate) fn start(socket: &Path, wanted: u64) -> Self {
        let progress = Arc::<Progress>::default();
        let (known, path) = (Arc::clone(&progress), socket.to_owned());
        let thread = thread::spawn(move || {
            let result = run(&path, wanted, &known);
            known.is_over.store(true, Ordering::Release);
            result
        });
        Self {
            thread: Some(thread),
            socket: socket.to_owned(),
            progress,
        }
    }

    /// How far it is.
    pub(crate) fn progress(&self) -> Arc<Progress> {
        Arc::clone(&self.progress)
    }

    /// The error of the upgrade that failed, if one has. To be called when it is over.
    pub(crate) fn check(&mut self) -> Result<(), String> {
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(result)) => result,
            Some(Err(_)) => Err("the upgrading thread panicked".to_owned()),
            None => Ok(()),
        }
    }
}

impl Drop for Upgrades {
    fn drop(&mut self) {
        self.progress.is_over.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        // No process of ours by now, so it is asked to end.
        let _ = ask(&self.socket, "shutdown");
    }
}

fn run(socket: &Path, wanted: u64, progress: &Progress) -> Result<(), String> {
    for number in 1..=wanted {
        if progress.is_over() {
            break;
        }
        upgrade(socket, progress).map_err(|reason| format!("upgrade {number}: {reason}"))?;
        progress.done.store(number, Ordering::Release);
    }
    Ok(())
}

/// One upgrade, to the end of the old process.
fn upgrade(socket: &Path, progress: &Progress) -> Result<(), String> {
    let began = Instant::now();
    let replaced = ask(socket, "upgrade")?;
    let took = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    progress.longest.fetch_max(took, Ordering::AcqRel);
    let pid = replaced["pid"]
        .as_u64()
        .and_then(|pid| u32::try_from(pid).ok());
    let pid = pid.ok_or("it has no process id")?;
    progress.pid.store(pid, Ordering::Release);
    while began.elapsed() < TIME_LIMIT {
        let status = ask(socket, "status")?;
        if status["pid"] == pid && status["old_process"].is_null() {
            return Ok(());
        }
        thread::sleep(LOOK);
    }
    Err("the old process does not end".to_owned())
}

/// What the proxy answers to a command.
fn ask(socket: &Path, command: &str) -> Result<Value, String> {
    let text = |error: std::io::Error| error.to_string();
    let mut stream = UnixStream::connect(socket).map_err(text)?;
    stream.set_read_timeout(Some(TIME_LIMIT)).map_err(text)?;
    let request = format!("{{\"command\":\"{command}\"}}\n");
    stream.write_all(request.as_bytes()).map_err(text)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).map_err(text)?;
    let value: Value = serde_json::from_str(&answer).map_err(|error| error.to_string())?;
    match value["ok"] == true {
        true => Ok(value["data"].clone()),
        false => Err(answer),
    }
}
