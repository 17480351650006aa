//! Choices that a fuzzer makes by changing its input.

/// A number that depends on all of the data.
pub(crate) fn chance(data: &[u8]) -> usize {
    let mix = |sum: u64, &byte: &u8| (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    let sum = data.iter().fold(0xcbf2_9ce4_8422_2325, mix);
    // The low bits of the sum depend on low bits only.
    (sum >> 20) as usize
}
