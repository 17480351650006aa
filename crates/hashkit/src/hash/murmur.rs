//! Austin Appleby's MurmurHash2 of 32 bits.

use super::bytes::{le_word, len32};

const MULTIPLIER: u32 = 0x5bd1_e995;

/// MurmurHash2 with the seed that nutcracker derives from the length of the key.
pub(super) fn murmur(key: &[u8]) -> u32 {
    let seed = 0xdead_beef_u32.wrapping_mul(len32(key));
    let (groups, tail) = key.as_chunks::<4>();
    let hash = groups.iter().fold(seed ^ len32(key), mix_group);
    finish(mix_tail(hash, tail))
}

fn mix_group(hash: u32, group: &[u8; 4]) -> u32 {
    let word = u32::from_le_bytes(*group).wrapping_mul(MULTIPLIER);
    let word = (word ^ (word >> 24)).wrapping_mul(MULTIPLIER);
    hash.wrapping_mul(MULTIPLIER) ^ word
}

fn mix_tail(hash: u32, tail: &[u8]) -> u32 {
    if tail.is_empty() {
        return hash;
    }
    (hash ^ le_word(tail)).wrapping_mul(MULTIPLIER)
}

fn finish(hash: u32) -> u32 {
    let hash = (hash ^ (hash >> 13)).wrapping_mul(MULTIPLIER);
    hash ^ (hash >> 15)
}
