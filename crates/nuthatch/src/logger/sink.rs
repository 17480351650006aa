//! Where log lines go: standard error, or a file that can be reopened after it was renamed.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

#[derive(Debug)]
pub(super) enum Sink {
    Stderr,
    File {
        path: PathBuf,
        file: File,
    },
    /// The file could not be reopened: logging has stopped, as in nutcracker 0.5.0, until a later attempt
    /// succeeds.
    Lost {
        path: PathBuf,
    },
}

impl Sink {
    /// Standard error, or the file at `path`, appended to and created with mode 0644.
    pub(super) fn open(path: Option<PathBuf>) -> io::Result<Self> {
        match path {
            None => Ok(Sink::Stderr),
            Some(path) => Ok(Sink::File {
                file: append_to(&path)?,
                path,
            }),
        }
    }

    /// Reopens the file; a failure is reported on standard error.
    pub(super) fn reopen(&mut self) {
        let (Sink::File { path, .. } | Sink::Lost { path }) = self else {
            return;
        };
        let path = std::mem::take(path);
        *self = match append_to(&path) {
            Ok(file) => Sink::File { path, file },
            Err(error) => {
                let text = crate::net::error_text(&error);
                let name = path.display();
                let line = format!("reopening log file '{name}' failed, ignored: {text}\n");
                let _ = io::stderr().write_all(line.as_bytes());
                Sink::Lost { path }
            }
        };
    }

    /// Writes whole lines with one system call, if the file takes them at once.
    pub(super) fn write(&mut self, lines: &[u8]) {
        // There is no better place to report a failure of the log itself.
        let _ = match self {
            Sink::Stderr => io::stderr().write_all(lines),
            Sink::File { file, .. } => file.write_all(lines),
            Sink::Lost { .. } => Ok(()),
        };
    }
}

fn append_to(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o644)
        .open(path)
}
