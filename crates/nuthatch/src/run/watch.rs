//! Reloads the configuration when its files change (`watch: true`).

use std::io;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use crate::controller::Controller;
use crate::file_changes::{Changes, look_at};
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
