//! Tests of the hash functions beyond the recorded values in `tests/vectors.rs`: names, published check
//! values, the sign of `char`.

use super::{CharSign, HashKind};
use proptest::prelude::*;

/// The functions that read every byte as `char`; `hsieh` reads some bytes so.
const CHAR_READERS: [HashKind; 5] = [
    HashKind::OneAtATime,
    HashKind::Fnv1_64,
    HashKind::Fnv1a64,
    HashKind::Fnv1_32,
    HashKind::Fnv1a32,
];

#[test]
fn every_name_leads_back() {
    for kind in HashKind::ALL {
        assert_eq!(HashKind::from_name(kind.name()), Some(kind));
    }
    assert_eq!(HashKind::default().name(), "fnv1a_64");
    for name in ["", "MD5", "md5 ", "fnv1a64", "crc-16"] {
        assert_eq!(HashKind::from_name(name), None, "{name:?}");
    }
}

#[test]
fn published_check_values() {
    let cases: [(HashKind, &[u8], u32); 8] = [
        // The published check value of CRC-16/XMODEM is 0x31c3; here it is the low half.
        (HashKind::Crc16, b"123456789", 0x8690_31c3),
        (HashKind::Crc32a, b"123456789", 0xcbf4_3926),
        (HashKind::Crc32, b"123456789", 0x4bf4),
        // RFC 1321: MD5("a") begins with 0c c1 75 b9.
        (HashKind::Md5, b"a", 0xb975_c10c),
        // From the FNV authors' test suite (64-bit ones: low halves).
        (HashKind::Fnv1a32, b"foobar", 0xbf9c_f968),
        (HashKind::Fnv1_32, b"foobar", 0x31f0_b262),
        (HashKind::Fnv1a64, b"foobar", 0xf739_67e8),
        (HashKind::Fnv1_64, b"foobar", 0xa4dd_a9c2),
    ];
    for (kind, key, expected) in cases {
        assert_eq!(kind.hash(CharSign::Signed, key), expected, "{kind:?}");
    }
}

#[test]
fn the_empty_key_is_placed_by_zero() {
    for sign in [CharSign::Signed, CharSign::Unsigned] {
        for kind in HashKind::ALL {
            assert_eq!(kind.hash(sign, b""), 0, "{kind:?}");
        }
    }
    // The functions themselves return other values.
    assert_ne!(HashKind::Md5.digest(CharSign::Signed, b""), 0);
}

#[test]
fn the_sign_of_char_matters_for_high_bytes() {
    for kind in CHAR_READERS {
        assert_ne!(
            kind.hash(CharSign::Signed, b"caf\xc3\xa9"),
            kind.hash(CharSign::Unsigned, b"caf\xc3\xa9"),
            "{kind:?}"
        );
    }
    let hsieh = |sign, key: &[u8]| HashKind::Hsieh.hash(sign, key);
    assert_ne!(
        hsieh(CharSign::Signed, b"ab\x80"),
        hsieh(CharSign::Unsigned, b"ab\x80")
    );
    for key in [&b"\x80"[..], b"a\x80", b"\x80\x80c", b"\x80\x80\x80\x80"] {
        assert_eq!(
            hsieh(CharSign::Signed, key),
            hsieh(CharSign::Unsigned, key),
            "hsieh reads only the third byte of a tail as char: {key:?}"
        );
    }
}

/// The functions again for unsigned bytes, written differently: in 128-bit integers, with remainders and
/// powers of two instead of masks and shifts.
mod unsigned {
    use super::HashKind;

    const MOD32: u128 = 1 << 32;
    const MOD64: u128 = 1 << 64;

    pub(super) fn expected(kind: HashKind, key: &[u8]) -> u32 {
        let value = match kind {
            HashKind::OneAtATime => one_at_a_time(key),
            HashKind::Fnv1_64 => fnv(key, FNV_64, false) % MOD32,
            HashKind::Fnv1a64 => fnv(key, FNV_64, true) % MOD32,
            HashKind::Fnv1_32 => fnv(key, FNV_32, false),
            HashKind::Fnv1a32 => fnv(key, FNV_32, true),
            HashKind::Hsieh => hsieh(key),
            other => panic!("{other:?} has no second formulation"),
        };
        u32::try_from(value).unwrap()
    }

    /// Offset basis, prime and modulus, in the decimals of the FNV authors.
    type Parameters = (u128, u128, u128);
    const FNV_32: Parameters = (2_166_136_261, 16_777_619, MOD32);
    const FNV_64: Parameters = (14_695_981_039_346_656_037, 1_099_511_628_211, MOD64);

    fn fnv(key: &[u8], (basis, prime, modulus): Parameters, mix_first: bool) -> u128 {
        let mut hash = basis;
        for &byte in key {
            if mix_first {
                hash = (hash ^ u128::from(byte)) * prime % modulus;
            } else {
                hash = (hash * prime % modulus) ^ u128::from(byte);
            }
        }
        hash
    }

    fn one_at_a_time(key: &[u8]) -> u128 {
        let mut hash = 0;
        for &byte in key {
            hash = (hash + u128::from(byte)) * 1025 % MOD32;
            hash ^= hash / 64;
        }
        hash = hash * 9 % MOD32;
        hash ^= hash / 2048;
        hash * 32769 % MOD32
    }

    fn hsieh(key: &[u8]) -> u128 {
        let byte = |at: usize| u128::from(key[at]);
        let pair = |at: usize| byte(at) + 256 * byte(at + 1);
        let mut hash = 0;
        let mut at = 0;
        while key.len() - at >= 4 {
            hash = (hash + pair(at)) % MOD32;
            hash = up(hash, 16) ^ hash ^ (pair(at + 2) * 2048);
            hash = add_down(hash, 11);
            at += 4;
        }
        hash = match key.len() - at {
            3 => {
                let sum = (hash + pair(at)) % MOD32;
                add_down(sum ^ up(sum, 16) ^ up(byte(at + 2), 18), 11)
            }
            2 => {
                let sum = (hash + pair(at)) % MOD32;
                add_down(sum ^ up(sum, 11), 17)
            }
            1 => {
                let sum = (hash + byte(at)) % MOD32;
                add_down(sum ^ up(sum, 10), 1)
            }
            _ => hash,
        };
        for (left, right) in [(3, 5), (4, 17), (25, 6)] {
            hash = add_down(hash ^ up(hash, left), right);
        }
        hash
    }

    fn up(value: u128, bits: u32) -> u128 {
        value * 2_u128.pow(bits) % MOD32
    }

    fn add_down(value: u128, bits: u32) -> u128 {
        (value + value / 2_u128.pow(bits)) % MOD32
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn ascii_is_placed_alike_under_both_signs(
        key in proptest::collection::vec(0_u8..0x80, 0..40),
    ) {
        for kind in HashKind::ALL {
            prop_assert_eq!(
                kind.digest(CharSign::Signed, &key),
                kind.digest(CharSign::Unsigned, &key),
                "{:?}", kind
            );
        }
    }

    #[test]
    fn functions_without_char_do_not_see_the_sign(
        key in proptest::collection::vec(any::<u8>(), 0..40),
    ) {
        use HashKind::{Crc16, Crc32, Crc32a, Jenkins, Md5, Murmur};
        for kind in [Md5, Crc16, Crc32, Crc32a, Murmur, Jenkins] {
            prop_assert_eq!(
                kind.digest(CharSign::Signed, &key),
                kind.digest(CharSign::Unsigned, &key),
                "{:?}", kind
            );
        }
    }

    #[test]
    fn unsigned_reading_agrees_with_a_second_formulation(
        key in proptest::collection::vec(any::<u8>(), 0..40),
    ) {
        for kind in CHAR_READERS.into_iter().chain([HashKind::Hsieh]) {
            prop_assert_eq!(
                kind.digest(CharSign::Unsigned, &key),
                unsigned::expected(kind, &key),
                "{:?}", kind
            );
        }
    }
}
