//! What a key is called where keys are counted.

use std::hash::{DefaultHasher, Hasher};

use crate::limits::HOT_KEY_BYTES;

/// A key: its beginning, and a hash of what is left out, by which it differs from other keys that begin alike.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyName {
    start: Box<[u8]>,
    left_out: u32,
    hash: u64,
}

impl KeyName {
    pub(crate) fn new(key: &[u8]) -> Self {
        let (start, rest) = key.split_at(key.len().min(HOT_KEY_BYTES));
        let mut hasher = DefaultHasher::new();
        hasher.write(rest);
        Self {
            start: start.into(),
            left_out: u32::try_from(rest.len()).unwrap_or(u32::MAX),
            hash: hasher.finish(),
        }
    }

    /// The beginning of the key.
    pub fn start(&self) -> &[u8] {
        &self.start
    }

    /// How many bytes of the key are left out.
    pub fn left_out(&self) -> usize {
        self.left_out as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_keys_are_cut_and_still_differ() {
        let key = |last: u8| [&[b'k'; HOT_KEY_BYTES][..], b"rest", &[last]].concat();
        let (one, other) = (KeyName::new(&key(1)), KeyName::new(&key(2)));
        assert_eq!(one.start(), &key(1)[..HOT_KEY_BYTES]);
        assert_eq!((one.left_out(), one == other), (5, false));
        assert_eq!(one, KeyName::new(&key(1)));
        assert_eq!(KeyName::new(b"k").left_out(), 0);
    }
}
