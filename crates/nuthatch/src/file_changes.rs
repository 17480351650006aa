//! Notices that files have changed. They are looked at from time to time rather than watched by inotify: editors and configuration
//! management replace files, Kubernetes replaces a link to their directory, and network file systems tell nobody of what others write.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::SystemTime;

/// What a file looks like from outside: where it is, how large, and when it was written.
pub(crate) type Look = Option<(u64, u64, u64, SystemTime)>;

/// What these files look like now.
pub(crate) fn look_at(paths: &[PathBuf]) -> Vec<Look> {
    let look = |path: &PathBuf| {
        let file = fs::metadata(path).ok()?;
        let written = file.modified().unwrap_or(SystemTime::UNIX_EPOCH);
        Some((file.dev(), file.ino(), file.len(), written))
    };
    paths.iter().map(look).collect()
}

/// Tells when files have changed and are complete.
#[derive(Debug)]
pub(crate) struct Changes {
    read: Vec<Look>,
    last: Vec<Look>,
}

impl Changes {
    /// Files that look like this were read.
    pub(crate) fn new(now: Vec<Look>) -> Self {
        Self {
            read: now.clone(),
            last: now,
        }
    }

    /// Whether the files are to be read: they are different from when they were read last, they are all there, and they
    /// look as they did the last time.
    pub(crate) fn note(&mut self, now: Vec<Look>) -> bool {
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
