//! A panic is one line of the log, whatever the level is, and not only text on standard error.

use std::panic::{self, PanicHookInfo};
use std::thread;
use std::time::Duration;

use super::{ALERT, LOGGER, THREAD, flush, heading, record};

/// How long a thread that panics waits for its line to be written. The process ends right after it.
const TIME_LIMIT: Duration = Duration::from_secs(1);

/// From now on panics are logged, with their position in the source. They are also reported on standard error as
/// usual, unless the log is there.
pub(crate) fn log_panics() {
    let usual = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        let is_stderr = LOGGER.get().is_some_and(|logger| logger.is_stderr);
        let was_logged = log_panic(info);
        if !was_logged || !is_stderr {
            usual(info);
        }
    }));
}

/// Returns whether it was handed to the log. Standard error is not tried where that is the log: a pipe that nobody
/// reads must not keep the process from ending.
fn log_panic(info: &PanicHookInfo<'_>) -> bool {
    let thread = thread::current();
    let name = thread.name().unwrap_or("without a name");
    // The log cannot wait for itself.
    if name == THREAD {
        return false;
    }
    let payload = info.payload();
    let message = payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message");
    // Whatever the level is.
    let heading = heading!(ALERT);
    match info.location() {
        Some(place) => record(
            heading,
            format_args!("thread '{name}' panicked at {place}: {message}"),
        ),
        None => record(heading, format_args!("thread '{name}' panicked: {message}")),
    }
    flush(TIME_LIMIT);
    LOGGER.get().is_some()
}

#[cfg(test)]
mod tests {
    use std::env;
    use std::process::Command;
    use std::{fs, path::PathBuf};

    use super::*;
    use crate::config::LogFormat;

    const LOG: &str = "NUTHATCH_TEST_PANIC_LOG";

    /// Run by the other test, in a process of its own: a hook is for the whole process.
    #[test]
    #[ignore = "is run by another test"]
    fn a_thread_panics() {
        let Some(path) = env::var_os(LOG) else {
            return;
        };
        let path = (!path.is_empty()).then(|| PathBuf::from(path));
        crate::logger::start(path, 0, Some(LogFormat::Text)).unwrap();
        log_panics();
        let worker = thread::Builder::new().name("worker-0".into());
        let worker = worker.spawn(|| panic!("out of\nluck")).unwrap();
        assert!(worker.join().is_err());
    }

    /// What such a process has logged, and its standard error.
    fn panic_with(log: Option<&std::path::Path>) -> (String, String) {
        let mut command = Command::new(env::current_exe().unwrap());
        command.args(["--ignored", "--exact", "--nocapture"]);
        command.arg("logger::panics::tests::a_thread_panics");
        command.env(LOG, log.unwrap_or("".as_ref()));
        let output = command.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let log = log.map(|log| fs::read_to_string(log).unwrap());
        let stderr = String::from_utf8(output.stderr).unwrap();
        (log.unwrap_or_default(), stderr)
    }

    fn is_line(line: &str) -> bool {
        line.contains("] thread 'worker-0' panicked at ")
            && line.contains("logger/panics.rs:")
            && line.ends_with(": out of luck")
    }

    #[test]
    fn a_panic_is_one_line_with_its_position() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let (log, stderr) = panic_with(Some(&path));
        assert!(log.lines().count() == 1 && is_line(log.trim_end()), "{log}");
        assert!(stderr.contains("panicked at"), "{stderr}");

        let (_, stderr) = panic_with(None);
        assert_eq!(stderr.matches("panicked at").count(), 1, "{stderr}");
        assert!(stderr.lines().any(is_line), "{stderr}");
    }
}
