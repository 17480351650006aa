//! The pid file, which exists while the process runs.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use rustix::io::Errno;

/// More bytes than a process id has: what is longer is not ours.
const MOST_DIGITS: u64 = 24;

/// A pid file. Dropping it removes the file, unless it now names another process.
#[derive(Debug)]
pub(crate) struct PidFile {
    path: PathBuf,
    content: String,
    is_ours: bool,
}

impl PidFile {
    /// Writes our process id to `path`: decimal, without a line feed, mode 0644, replacing an existing file,
    /// as nutcracker 0.5.0 does.
    ///
    /// # Errors
    ///
    /// Those of the system calls; `InvalidInput` if something other than a regular file is there. nutcracker writes
    /// to what a symbolic link leads to, which whoever may write to the folder can choose.
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        let content = std::process::id().to_string();
        let mut options = OpenOptions::new();
        options.write(true).create(true).mode(0o644);
        // It is written only when it is known to be a regular file. It is not emptied first: when a process is replaced, a
        // supervisor may read it at any moment.
        let mut file = open_regular(&mut options, path)?;
        file.write_all(content.as_bytes())?;
        file.set_len(content.len() as u64)?;
        let path = path.to_owned();
        Ok(Self {
            path,
            content,
            is_ours: true,
        })
    }

    /// The file is another process's from now on.
    pub(crate) fn give_away(mut self) {
        self.is_ours = false;
    }

    /// Whether the file still holds our process id.
    fn holds_our_id(&self) -> io::Result<bool> {
        let file = open_regular(OpenOptions::new().read(true), &self.path)?;
        let mut found = String::new();
        file.take(MOST_DIGITS).read_to_string(&mut found)?;
        Ok(found == self.content)
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        if self.is_ours && self.holds_our_id().unwrap_or(false) {
            // A file that remains is overwritten by the next start.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Opens `path`, if it is a regular file and no symbolic link to one. A pipe keeps nobody waiting.
fn open_regular(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    options.custom_flags(flags.bits().cast_signed());
    let refused = |what: &str| {
        let text = format!("it is {what}; a pid file must be a regular file");
        Err(io::Error::new(ErrorKind::InvalidInput, text))
    };
    let errno = |error: &io::Error| Errno::from_io_error(error);
    match options.open(path) {
        Ok(file) if file.metadata()?.is_file() => Ok(file),
        Ok(_) => refused("not a file"),
        Err(error) if errno(&error) == Some(Errno::LOOP) && is_symlink(path) => {
            refused("a symbolic link, which is not followed")
        }
        Err(error) if errno(&error) == Some(Errno::NXIO) => refused("a pipe or a socket"),
        Err(error) if errno(&error) == Some(Errno::ISDIR) => refused("a directory"),
        Err(error) => Err(error),
    }
}

fn is_symlink(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|meta| meta.is_symlink())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_the_bare_number_and_goes_away() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pid");
        fs::write(&path, "something longer than a number").unwrap();
        let file = PidFile::create(&path).unwrap();
        let content = fs::read_to_string(&path).unwrap();
        assert_eq!(content, std::process::id().to_string());
        drop(file);
        assert!(!path.exists());
    }

    #[test]
    fn a_successors_file_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pid");
        let file = PidFile::create(&path).unwrap();
        fs::write(&path, "1").unwrap();
        drop(file);
        assert_eq!(fs::read_to_string(&path).unwrap(), "1");
    }

    #[test]
    fn a_symbolic_link_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let (path, target) = (dir.path().join("pid"), dir.path().join("precious"));
        std::os::unix::fs::symlink(&target, &path).unwrap();
        for exists in [false, true] {
            if exists {
                fs::write(&target, "data").unwrap();
            }
            let error = PidFile::create(&path).unwrap_err();
            assert!(error.to_string().contains("symbolic link"), "{error}");
            assert_eq!(target.exists(), exists);
        }
        assert_eq!(fs::read_to_string(&target).unwrap(), "data");
        // A link in a folder's place is followed: /var/run is one.
        let (real, link) = (dir.path().join("real"), dir.path().join("link"));
        fs::create_dir(&real).unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        let file = PidFile::create(&link.join("pid")).unwrap();
        assert!(real.join("pid").exists());
        drop(file);
        assert!(!real.join("pid").exists());
    }

    #[test]
    fn what_is_no_regular_file_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let (pipe, socket) = (dir.path().join("pipe"), dir.path().join("socket"));
        let fifo = rustix::fs::FileType::Fifo;
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, fifo, mode, 0).unwrap();
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        for path in [&pipe, &socket, dir.path(), Path::new("/dev/null")] {
            let error = PidFile::create(path).unwrap_err();
            let text = error.to_string();
            assert!(text.ends_with("must be a regular file"), "{text}");
        }
    }

    #[test]
    fn a_link_put_in_its_place_is_left() {
        let dir = tempfile::tempdir().unwrap();
        let (path, moved) = (dir.path().join("pid"), dir.path().join("moved"));
        let file = PidFile::create(&path).unwrap();
        fs::rename(&path, &moved).unwrap();
        std::os::unix::fs::symlink(&moved, &path).unwrap();
        drop(file);
        assert!(path.exists() && moved.exists());
    }
}
