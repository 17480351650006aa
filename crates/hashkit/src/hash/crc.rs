//! The cyclic redundancy checks.
//!
//! Bytes are masked to eight bits first, so the sign of `char` does not matter here.

/// CRC-16/XMODEM (polynomial 0x1021, most significant bit first, start 0) in a 32-bit state that is never
/// masked to 16 bits.
///
/// The low half of the result is the true CRC-16. The high half is what the shifts pushed out, and it takes
/// part in the placement.
pub(super) fn crc16(key: &[u8]) -> u32 {
    key.iter().fold(0, |crc: u32, &byte| {
        let [.., high, _low] = crc.to_be_bytes();
        (crc << 8) ^ u32::from(CRC16_TABLE[usize::from(high ^ byte)])
    })
}

/// How many bits of the CRC [`crc32`] keeps.
pub(super) const CRC32_BITS: u32 = 15;

/// Bits 16 to 30 of [`crc32a`].
pub(super) fn crc32(key: &[u8]) -> u32 {
    (crc32a(key) >> 16) & ((1 << CRC32_BITS) - 1)
}

/// The common CRC-32 (zlib, ISO-HDLC).
pub(super) fn crc32a(key: &[u8]) -> u32 {
    crc32fast::hash(key)
}

/// What each value of the outgoing byte changes in the 16 bits below it.
static CRC16_TABLE: [u16; 256] = crc16_table();

const fn crc16_table() -> [u16; 256] {
    const POLYNOMIAL: u16 = 0x1021;
    let mut table = [0; 256];
    let mut index = 0;
    while index < table.len() {
        let mut crc = (index as u16) << 8;
        let mut bit = 0;
        while bit < 8 {
            let carry = crc & 0x8000 != 0;
            crc <<= 1;
            if carry {
                crc ^= POLYNOMIAL;
            }
            bit += 1;
        }
        table[index] = crc;
        index += 1;
    }
    table
}
