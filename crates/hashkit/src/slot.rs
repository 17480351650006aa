//! The hash slots of Redis Cluster and Valkey Cluster.

use crate::hash::{CharSign, HashKind};

/// How many there are.
pub const SLOTS: usize = 16_384;

/// The slot of `key`, below [`SLOTS`]: CRC-16/XMODEM of its tagged part, or else of all of it, as the Redis Cluster
/// specification has it. The tag is between the first `{` and the first `}` after that; an empty one does not count.
///
/// ```
/// assert_eq!(hashkit::slot_of(b"123456789"), 0x31c3);
/// assert_eq!(hashkit::slot_of(b"user:{123456789}:name"), 0x31c3);
/// ```
#[inline]
pub fn slot_of(key: &[u8]) -> u16 {
    // The high half of the state is what the CRC of 16 bits does not have.
    (HashKind::Crc16.hash(CharSign::Signed, tagged(key)) as usize % SLOTS) as u16
}

fn tagged(key: &[u8]) -> &[u8] {
    let Some(open) = find(b'{', key) else {
        return key;
    };
    let rest = &key[open + 1..];
    match find(b'}', rest) {
        Some(end) if end > 0 => &rest[..end],
        _ => key,
    }
}

fn find(wanted: u8, bytes: &[u8]) -> Option<usize> {
    bytes.iter().position(|byte| *byte == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first is of the specification; the others are what CLUSTER KEYSLOT of redis-server 7.0 answers.
    const KNOWN: [(&[u8], u16); 10] = [
        (b"123456789", 12_739),
        (b"", 0),
        (b"foo", 12_182),
        (b"bar", 5_061),
        (b"hello", 866),
        (b"user1000", 3_443),
        (b"{user1000}.following", 3_443),
        (b"foo{}{bar}", 8_363),
        (b"foo{{bar}}zap", 4_015),
        (b"foo{bar}{zap}", 5_061),
    ];

    #[test]
    fn slots_are_those_of_the_servers() {
        for (key, slot) in KNOWN {
            assert_eq!(slot_of(key), slot, "{}", key.escape_ascii());
        }
    }

    #[test]
    fn a_tag_that_does_not_end_or_is_empty_does_not_count() {
        for key in [&b"a{b"[..], b"a}b{", b"{}", b"a{}b{c}"] {
            assert_eq!(tagged(key), key);
        }
        assert_eq!(tagged(b"}{a}{b}"), b"a");
    }
}
