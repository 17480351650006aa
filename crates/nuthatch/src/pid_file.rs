//! The pid file, which exists while the process runs.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// A pid file. Dropping it removes the file, unless it now names another process.
#[derive(Debug)]
pub(crate) struct PidFile {
    path: PathBuf,
    content: String,
}

impl PidFile {
    /// Writes our process id to `path`: decimal, without a line feed, mode 0644, replacing an existing file,
    /// as nutcracker 0.5.0 does.
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        let content = std::process::id().to_string();
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o644)
            .open(path)?;
        file.write_all(content.as_bytes())?;
        let path = path.to_owned();
        Ok(Self { path, content })
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        if fs::read_to_string(&self.path).is_ok_and(|content| content == self.content) {
            // A file that remains is overwritten by the next start.
            let _ = fs::remove_file(&self.path);
        }
    }
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
}
