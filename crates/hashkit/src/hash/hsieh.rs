//! Paul Hsieh's SuperFastHash.

use super::bytes::CharSign;

/// SuperFastHash as implemented in nutcracker: it starts from 0, where the original starts from the length of
/// the key.
///
/// Only the last byte of a key whose length is 3 modulo 4 is read as a `char`.
/// as a `char`.
pub(super) fn hsieh(sign: CharSign, key: &[u8]) -> u32 {
    let (groups, tail) = key.as_chunks::<4>();
    let hash = groups.iter().fold(0, mix_group);
    finish(mix_tail(sign, hash, tail))
}

fn mix_group(hash: u32, &[a, b, c, d]: &[u8; 4]) -> u32 {
    let hash = hash.wrapping_add(le16(a, b));
    let upper = (le16(c, d) << 11) ^ hash;
    let hash = (hash << 16) ^ upper;
    hash.wrapping_add(hash >> 11)
}

fn mix_tail(sign: CharSign, hash: u32, tail: &[u8]) -> u32 {
    match *tail {
        [a, b, c] => {
            let hash = hash.wrapping_add(le16(a, b));
            let hash = hash ^ (hash << 16) ^ (sign.widen(c) << 18);
            hash.wrapping_add(hash >> 11)
        }
        [a, b] => {
            let hash = hash.wrapping_add(le16(a, b));
            let hash = hash ^ (hash << 11);
            hash.wrapping_add(hash >> 17)
        }
        [a] => {
            let hash = hash.wrapping_add(u32::from(a));
            let hash = hash ^ (hash << 10);
            hash.wrapping_add(hash >> 1)
        }
        _ => hash,
    }
}

/// Lets the last bytes reach every bit of the result.
fn finish(hash: u32) -> u32 {
    let hash = hash ^ (hash << 3);
    let hash = hash.wrapping_add(hash >> 5);
    let hash = hash ^ (hash << 4);
    let hash = hash.wrapping_add(hash >> 17);
    let hash = hash ^ (hash << 25);
    hash.wrapping_add(hash >> 6)
}

fn le16(low: u8, high: u8) -> u32 {
    u32::from(u16::from_le_bytes([low, high]))
}
