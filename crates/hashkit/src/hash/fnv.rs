//! The four variants of Fowler, Noll and Vo's hash.
//!
//! FNV-1 multiplies, then mixes the byte in; FNV-1a mixes first. The original functions read bytes as
//! unsigned; nutcracker reads them as `char`.

use super::bytes::CharSign;

const OFFSET_32: u32 = 0x811c_9dc5;
const PRIME_32: u32 = 0x0100_0193;
const OFFSET_64: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME_64: u64 = 0x0000_0100_0000_01b3;

/// 64-bit FNV-1, of which nutcracker keeps the low half.
///
/// The low half of a product depends on the low halves of its factors alone,
/// so 32 bits are enough to compute it.
pub(super) fn fnv1_64(sign: CharSign, key: &[u8]) -> u32 {
    fnv1(OFFSET_64 as u32, PRIME_64 as u32, sign, key)
}

/// 64-bit FNV-1a, which nutcracker computes in 32 bits.
#[inline]
pub(super) fn fnv1a_64(sign: CharSign, key: &[u8]) -> u32 {
    fnv1a(OFFSET_64 as u32, PRIME_64 as u32, sign, key)
}

pub(super) fn fnv1_32(sign: CharSign, key: &[u8]) -> u32 {
    fnv1(OFFSET_32, PRIME_32, sign, key)
}

pub(super) fn fnv1a_32(sign: CharSign, key: &[u8]) -> u32 {
    fnv1a(OFFSET_32, PRIME_32, sign, key)
}

#[inline]
fn fnv1(offset: u32, prime: u32, sign: CharSign, key: &[u8]) -> u32 {
    key.iter().fold(offset, |hash, &byte| {
        hash.wrapping_mul(prime) ^ sign.widen(byte)
    })
}

#[inline]
fn fnv1a(offset: u32, prime: u32, sign: CharSign, key: &[u8]) -> u32 {
    key.iter().fold(offset, |hash, &byte| {
        (hash ^ sign.widen(byte)).wrapping_mul(prime)
    })
}
