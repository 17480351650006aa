//! MD5 as nutcracker uses it: for hashing, not for security, and as little-endian words.

use md5::{Digest, Md5};

/// The MD5 digest of `bytes` as four 32-bit words, each little-endian.
pub(crate) fn words(bytes: &[u8]) -> [u32; 4] {
    let digest: [u8; 16] = Md5::digest(bytes).into();
    let word = |at: usize| {
        u32::from_le_bytes([digest[at], digest[at + 1], digest[at + 2], digest[at + 3]])
    };
    [word(0), word(4), word(8), word(12)]
}

#[cfg(test)]
mod tests {
    use super::words;

    #[test]
    fn words_are_little_endian_and_in_order() {
        // RFC 1321, appendix A.5: MD5("abc") = 900150983cd24fb0d6963f7d28e17f72.
        assert_eq!(
            words(b"abc"),
            [0x9850_0190, 0xb04f_d23c, 0x7d3f_96d6, 0x727f_e128]
        );
    }
}
