//! Blocks of bytes that the shell reads into.

use std::ops::Deref;
use std::rc::Rc;

/// A block of bytes as read from a socket. The shell reads into it while nobody else holds it ([`Chunk::get_mut`]),
/// and uses another one while the core still refers to parts of it. Cloning it adds a holder and copies nothing. The
/// kind of memory is private, so that another event loop can provide its own without a change of the core.
#[derive(Debug, Clone)]
pub struct Chunk(Rc<[u8]>);

impl Chunk {
    /// A chunk of `len` zeros, held by nobody else.
    pub fn zeroed(len: usize) -> Self {
        std::iter::repeat_n(0, len).collect()
    }

    /// The bytes to read into; `None` while somebody else holds the chunk.
    pub fn get_mut(&mut self) -> Option<&mut [u8]> {
        Rc::get_mut(&mut self.0)
    }

    /// Whether somebody else holds the chunk too.
    pub fn is_shared(&self) -> bool {
        self.holders() > 1
    }

    /// Number of holders.
    pub(super) fn holders(&self) -> usize {
        Rc::strong_count(&self.0)
    }
}

impl Deref for Chunk {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl From<&[u8]> for Chunk {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.into())
    }
}

impl From<Vec<u8>> for Chunk {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes.into())
    }
}

impl FromIterator<u8> for Chunk {
    fn from_iter<I: IntoIterator<Item = u8>>(bytes: I) -> Self {
        Self(bytes.into_iter().collect())
    }
}
