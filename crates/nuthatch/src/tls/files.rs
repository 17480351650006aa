//! The files that certificates and keys are in.

use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use super::fault::{Fault, Which};

/// Maximum size of a file: room for every root certificate there is.
const FILE_MAX: u64 = 4 << 20;

/// A function that reads a whole file.
pub(crate) type ReadFile<'r> = &'r dyn Fn(&Path) -> io::Result<Vec<u8>>;

/// Reads a file of the system, which may not be one that never ends.
pub(crate) fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    let kind = std::fs::metadata(path)?.file_type();
    if kind.is_fifo() || kind.is_char_device() || kind.is_block_device() || kind.is_socket() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let mut bytes = Vec::new();
    let file = File::open(path)?;
    file.take(FILE_MAX + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 > FILE_MAX {
        true => Err(io::Error::other("it is larger than 4 MiB")),
        false => Ok(bytes),
    }
}

/// Files as they are read, and a number that is the same for the same ones.
pub(super) struct Reading<'r> {
    read: ReadFile<'r>,
    hasher: DefaultHasher,
}

impl<'r> Reading<'r> {
    pub(super) fn new(read: ReadFile<'r>) -> Self {
        let hasher = DefaultHasher::new();
        Self { read, hasher }
    }

    /// Reads the file that is `which`.
    pub(super) fn file(&mut self, which: Which, path: &Path) -> Result<Vec<u8>, Fault> {
        let bytes = (self.read)(path).map_err(|error| unreadable(which, &error))?;
        bytes.hash(&mut self.hasher);
        Ok(bytes)
    }

    pub(super) fn fingerprint(&self) -> u64 {
        self.hasher.finish()
    }
}

fn unreadable(which: Which, error: &io::Error) -> Fault {
    let help = match error.kind() {
        ErrorKind::PermissionDenied => "the user that the proxy runs as has to be able to read it",
        _ => "a path that does not begin with `/` begins where the proxy was started",
    };
    let text = crate::net::error_text(error);
    Fault::new(which, format!("cannot be read: {text}"), help)
}
