//! Reloads the configuration when its files change (`watch: true`).
//!
//! The files are looked at every second rather than watched by inotify: editors and configuration management replace files,
//! Kubernetes replaces a link to their directory, and network file systems tell nobody of what others write.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, SystemTime};

use crate::controller::Controller;
use crate::live::Files;
use crate::logger::{NOTICE, log};

/// How often they are looked at, and how long they must not have changed before they are read.
const EVERY: Duration = Duration::from_secs(1);

/// How long a reload may take.
const TIME_LIMIT: Duration = Duration::from_secs(30);

/// Files that may change.
pub(super) struct Watched {
    paths: Vec<PathBuf>,
    changes: Changes,
}

impl Watched {
    /// Looks at the files, which are read after this.
    pub(super) fn new(files: &Files) -> Self {
        let paths = [Some(files.conf.clone()), files.overlay.clone()];
        let paths: Vec<PathBuf> = paths.into_iter().flatten().collect();
        Self {
            changes: Changes::new(look_at(&paths)),
            paths,
        }
    }

    /// Watches them on a thread of its own, for as long as the process runs.
    ///
    /// # Errors
    ///
    /// When no thread can be created.
    pub(super) fn start(mut self, controller: Controller) -> io::Result<()> {
        thread::Builder::new().name("watch".into()).spawn(move || {
            loop {
                thread::sleep(EVERY);
                if self.changes.note(look_at(&self.paths)) {
                    log!(NOTICE, "the configuration has changed and is reloaded");
                    // What became of it is in the log.
                    let _ = controller.ask(TIME_LIMIT, |live| live.reload().is_ok());
                }
            }
        })?;
        Ok(())
    }
}

/// What a file looks like from outside: where it is, how large, and when it was written.
type Look = Option<(u64, u64, u64, SystemTime)>;

fn look_at(paths: &[PathBuf]) -> Vec<Look> {
    let look = |path: &PathBuf| {
        let file = fs::metadata(path).ok()?;
        let written = file.modified().unwrap_or(SystemTime::UNIX_EPOCH);
        Some((file.dev(), file.ino(), file.len(), written))
    };
    paths.iter().map(look).collect()
}

/// Tells when files have changed and are complete.
struct Changes {
    read: Vec<Look>,
    last: Vec<Look>,
}

impl Changes {
    fn new(now: Vec<Look>) -> Self {
        Self {
            read: now.clone(),
            last: now,
        }
    }

    /// Whether the files are to be read: they are different from when they were read last, they are all there, and they
    /// look as they did the last time.
    fn note(&mut self, now: Vec<Look>) -> bool {
        let is_still = now == self.last && now.iter().all(Option::is_some);
        let is_due = is_still && now != self.read;
        if is_due {
            self.read.clone_from(&now);
        }
        self.last = now;
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_counts_once_it_is_complete() {
        let look = |size| vec![Some((1, 2, size, SystemTime::UNIX_EPOCH))];
        let mut changes = Changes::new(look(1));
        let mut told = |now| changes.note(now);
        assert!(!told(look(1)));
        assert!(!told(look(2)) && !told(look(3)), "it is being written");
        assert!(told(look(3)) && !told(look(3)));
        assert!(
            !told(vec![None]) && !told(vec![None]),
            "it is being replaced"
        );
        assert!(!told(look(3)) && !told(look(3)), "it is the same again");
    }
}
