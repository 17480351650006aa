//! How the C program reads the bytes of a key.

/// Whether C's `char` is signed on the machine whose placement is to be kept.
///
/// It decides what a byte of 0x80 or more adds to a hash, so the two variants place such keys differently;
/// ASCII keys are placed alike. It affects `one_at_a_time`, the four `fnv` functions and `hsieh`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum CharSign {
    /// As on x86 and x86-64: 0x80 counts as -128.
    #[default]
    Signed,
    /// As on ARM Linux: 0x80 counts as 128.
    Unsigned,
}

impl CharSign {
    /// A byte as C converts a `char` to a 32-bit number.
    #[inline]
    pub(super) fn widen(self, byte: u8) -> u32 {
        match self {
            Self::Signed => i32::from(byte.cast_signed()).cast_unsigned(),
            Self::Unsigned => u32::from(byte),
        }
    }
}

/// The little-endian 32-bit word at the start of `bytes`; missing bytes count as zero.
#[inline]
pub(super) fn le_word(bytes: &[u8]) -> u32 {
    let mut word = [0; 4];
    let present = bytes.len().min(4);
    word[..present].copy_from_slice(&bytes[..present]);
    u32::from_le_bytes(word)
}

/// The length of a key as the C program passes it on. Only keys of 4 GiB or more, which no protocol allows,
/// would be truncated.
#[inline]
pub(super) fn len32(key: &[u8]) -> u32 {
    key.len() as u32
}
