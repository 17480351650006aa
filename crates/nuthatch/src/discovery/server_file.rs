//! Servers that are listed in a file, which is looked at every second.

use std::path::PathBuf;
use std::time::Duration;

use super::found::Found;
use super::publisher::{Publisher, Source};
use crate::config::{Discovery, read_lines};
use crate::file_changes::{Changes, look_at};
use crate::tls::read_file;

/// How often it is looked at, and how long it must not have changed before it is read.
const EVERY: Duration = Duration::from_secs(1);

/// A file of servers.
#[derive(Debug)]
pub(crate) struct ServerFile {
    discovery: Discovery,
    paths: Vec<PathBuf>,
    found: Found,
    changes: Changes,
    /// Looks since it was there last.
    absent: u32,
    is_begun: bool,
}

impl ServerFile {
    /// The file at `path`, which `discovery` is about.
    pub(crate) fn new(path: PathBuf, discovery: Discovery, found: Found) -> Self {
        let paths = vec![path];
        Self {
            discovery,
            changes: Changes::new(look_at(&paths)),
            paths,
            found,
            absent: 0,
            is_begun: false,
        }
    }

    fn read(&mut self, publisher: &Publisher) {
        let read = read_lines(&self.paths[0], &self.discovery, &read_file);
        self.found.take(publisher, read);
    }
}

impl Source for ServerFile {
    fn look(&mut self, publisher: &Publisher, told: bool) -> Duration {
        let now = look_at(&self.paths);
        self.absent = match now[0] {
            Some(_) => 0,
            None => self.absent + 1,
        };
        let has_changed = self.changes.note(now);
        if self.absent > 1 {
            // Once may be between two steps of whoever replaces it. When it is there again, it is read whatever it looks like.
            self.changes = Changes::new(vec![None]);
            self.found.fail(publisher, "the file is not there");
        } else if has_changed || told || !std::mem::replace(&mut self.is_begun, true) {
            self.read(publisher);
        }
        EVERY
    }
}
