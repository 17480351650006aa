//! Where log lines go: standard error, or a file that can be reopened after it was renamed.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::net::error_text;

/// Writes whole lines. What cannot be written (a full disk) is counted, and a line of which only a part was written is
/// completed before anything else follows.
pub(crate) struct Sink {
    /// Where the file is; `None` for standard error.
    path: Option<PathBuf>,
    /// `None` after the file could not be reopened: logging has stopped, as in nutcracker 0.5.0, until a later attempt
    /// succeeds.
    out: Option<Box<dyn Write + Send>>,
    /// Device and number of the file.
    identity: Option<(u64, u64)>,
    /// What is missing of the last line that was begun.
    rest: Vec<u8>,
    lost: Lost,
}

/// Lines that were not written.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Lost {
    pub(crate) lines: u64,
    /// Why not, for the first of them.
    pub(crate) reason: String,
}

impl Sink {
    /// Standard error, or the file at `path`, appended to and created with mode 0644.
    pub(crate) fn open(path: Option<PathBuf>) -> io::Result<Self> {
        let file = path.as_deref().map(append_to).transpose()?;
        let identity = file.as_ref().and_then(identity_of);
        let out: Box<dyn Write + Send> = match file {
            Some(file) => Box::new(file),
            None => Box::new(io::stderr()),
        };
        Ok(Self {
            path,
            out: Some(out),
            identity,
            rest: Vec::new(),
            lost: Lost::default(),
        })
    }

    /// Reopens the file; a failure is reported on standard error.
    pub(crate) fn reopen(&mut self) {
        let Some(path) = &self.path else {
            return;
        };
        match append_to(path) {
            Ok(file) => {
                let identity = identity_of(&file);
                // The rest of a line belongs where its beginning is.
                if identity != self.identity && !self.rest.is_empty() {
                    self.rest.clear();
                    self.lost.lines += 1;
                }
                self.identity = identity;
                self.out = Some(Box::new(file));
            }
            Err(error) => {
                let text = error_text(&error);
                let name = path.display();
                let line = format!("reopening log file '{name}' failed, ignored: {text}\n");
                let _ = io::stderr().write_all(line.as_bytes());
                self.out = None;
            }
        }
    }

    /// Writes lines with one system call, if the file takes them at once. Those that it does not take are lost.
    pub(crate) fn write(&mut self, lines: &[u8]) {
        if let Err((error, lost)) = self.try_write(lines) {
            if self.lost.lines == 0 {
                self.lost.reason = error_text(&error);
            }
            self.lost.lines += lost;
        }
    }

    /// Whether there are lines that were lost, or the rest of one that is to be written.
    pub(super) fn is_behind(&self) -> bool {
        self.lost.lines > 0 || !self.rest.is_empty()
    }

    /// Takes the lines that were lost.
    pub(crate) fn take_lost(&mut self) -> Option<Lost> {
        (self.lost.lines > 0).then(|| std::mem::take(&mut self.lost))
    }

    /// The lines are lost after all: they could not be told of.
    pub(super) fn put_back(&mut self, lost: Lost) {
        self.lost = lost;
    }

    /// On failure, returns how many of the lines will not be written.
    pub(super) fn try_write(&mut self, lines: &[u8]) -> Result<(), (io::Error, u64)> {
        let Some(out) = &mut self.out else {
            let error = io::Error::other("the log file could not be reopened");
            return Err((error, count(lines)));
        };
        let (written, result) = write_some(out, &self.rest);
        self.rest.drain(..written);
        if let Err(error) = result {
            return Err((error, count(lines)));
        }
        let (written, result) = write_some(out, lines);
        let Err(error) = result else {
            return Ok(());
        };
        let (begun, left) = lines.split_at(written);
        let is_torn = begun.last().is_some_and(|last| *last != b'\n');
        let end = left.iter().position(|byte| *byte == b'\n' && is_torn);
        let (rest, left) = left.split_at(end.map_or(0, |end| end + 1));
        self.rest.extend_from_slice(rest);
        Err((error, count(left)))
    }
}

impl fmt::Debug for Sink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sink")
            .field("path", &self.path)
            .field("lost", &self.lost)
            .finish_non_exhaustive()
    }
}

/// Writes as much as is taken; returns that, and why it was not all.
fn write_some(out: &mut impl Write, bytes: &[u8]) -> (usize, io::Result<()>) {
    let mut written = 0;
    while written < bytes.len() {
        match out.write(&bytes[written..]) {
            Ok(0) => return (written, Err(ErrorKind::WriteZero.into())),
            Ok(count) => written += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return (written, Err(error)),
        }
    }
    (written, Ok(()))
}

fn count(lines: &[u8]) -> u64 {
    lines.iter().filter(|byte| **byte == b'\n').count() as u64
}

fn identity_of(file: &File) -> Option<(u64, u64)> {
    let metadata = file.metadata().ok()?;
    Some((metadata.dev(), metadata.ino()))
}

fn append_to(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o644)
        .open(path)
}

#[cfg(test)]
impl Sink {
    /// A sink that writes to `out`.
    pub(super) fn to(out: Box<dyn Write + Send>) -> Self {
        Self {
            path: None,
            out: Some(out),
            identity: None,
            rest: Vec::new(),
            lost: Lost::default(),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::fs;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc::{Receiver, Sender, channel};

    use rustix::io::Errno;

    use super::*;

    /// A disk with little room.
    pub(in crate::logger) struct Disk {
        room: Arc<AtomicUsize>,
        written: Sender<Vec<u8>>,
    }

    /// The same, for the test.
    pub(in crate::logger) struct Room {
        room: Arc<AtomicUsize>,
        written: Receiver<Vec<u8>>,
    }

    impl Disk {
        pub(in crate::logger) fn new(bytes: usize) -> (Self, Room) {
            let room = Arc::new(AtomicUsize::new(bytes));
            let (sender, written) = channel();
            let disk = Disk {
                room: Arc::clone(&room),
                written: sender,
            };
            (disk, Room { room, written })
        }
    }

    impl Room {
        pub(in crate::logger) fn make(&self, bytes: usize) {
            self.room.store(bytes, Ordering::Relaxed);
        }

        pub(in crate::logger) fn text(&self) -> String {
            let bytes = self.written.try_iter().flatten().collect();
            String::from_utf8(bytes).unwrap()
        }
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let room = self.room.load(Ordering::Relaxed).min(bytes.len());
            if room == 0 {
                return Err(Errno::NOSPC.into());
            }
            self.room.fetch_sub(room, Ordering::Relaxed);
            self.written.send(bytes[..room].to_vec()).unwrap();
            Ok(room)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_full_disk_tears_no_line_and_what_is_lost_is_counted() {
        for room in 0..12 {
            let (disk, left) = Disk::new(room);
            let mut sink = Sink::to(Box::new(disk));
            sink.write(b"one\ntwo\nsix\n");
            sink.write(b"ten\n");
            let torn = room % 4 > 0;
            let whole = (room / 4) as u64 + u64::from(torn);
            assert!(sink.is_behind());
            left.make(1_000);
            sink.write(b"end\n");
            let text = left.text();
            assert_eq!(text.lines().count() as u64, whole + 1, "{room}: {text}");
            assert!(text.lines().all(|line| line.len() == 3), "{room}: {text}");
            let lost = sink.take_lost().unwrap();
            assert_eq!(
                (lost.lines, &*lost.reason),
                (4 - whole, "No space left on device")
            );
            assert!(!sink.is_behind());
        }
    }

    #[test]
    fn a_renamed_file_is_left_and_a_new_one_begun() {
        let dir = tempfile::tempdir().unwrap();
        let (old, new) = (dir.path().join("log"), dir.path().join("log.1"));
        let mut sink = Sink::open(Some(old.clone())).unwrap();
        sink.write(b"before\n");
        fs::rename(&old, &new).unwrap();
        sink.reopen();
        sink.write(b"after\n");
        assert_eq!(fs::read_to_string(&new).unwrap(), "before\n");
        assert_eq!(fs::read_to_string(&old).unwrap(), "after\n");
    }

    #[test]
    fn a_torn_line_is_completed_in_its_own_file_only() {
        for renamed in [false, true] {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("log");
            let mut sink = Sink::open(Some(path.clone())).unwrap();
            sink.write(b"beg");
            sink.rest = b"un\n".to_vec();
            if renamed {
                fs::rename(&path, dir.path().join("log.1")).unwrap();
            }
            sink.reopen();
            sink.write(b"after\n");
            let text = fs::read_to_string(&path).unwrap();
            let (expected, lost) = match renamed {
                true => ("after\n", Some(1)),
                false => ("begun\nafter\n", None),
            };
            assert_eq!(
                (&*text, sink.take_lost().map(|it| it.lines)),
                (expected, lost)
            );
        }
    }

    #[test]
    fn lines_without_a_file_are_counted_until_there_is_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let mut sink = Sink::open(Some(path.clone())).unwrap();
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        sink.reopen();
        sink.write(b"one\ntwo\n");
        fs::remove_dir(&path).unwrap();
        sink.reopen();
        sink.write(b"after\n");
        assert_eq!(fs::read_to_string(&path).unwrap(), "after\n");
        assert_eq!(sink.take_lost().map(|lost| lost.lines), Some(2));
    }
}
