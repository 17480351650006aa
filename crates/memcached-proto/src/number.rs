//! Numbers in the protocol: ASCII decimal digits.

/// An unsigned number: one or more digits (leading zeros allowed, as in memcached), at most
/// `u64::MAX`.
pub(crate) fn unsigned(token: &[u8]) -> Option<u64> {
    let mut digits = token.iter();
    let mut value = u64::from(digit(*digits.next()?)?);
    for &byte in digits {
        value = value
            .checked_mul(10)?
            .checked_add(u64::from(digit(byte)?))?;
    }
    Some(value)
}

/// A signed number: an optional `-` and digits, within `i64`.
pub(crate) fn signed(token: &[u8]) -> Option<i64> {
    match token.strip_prefix(b"-") {
        Some(rest) => 0i64.checked_sub_unsigned(unsigned(rest)?),
        None => i64::try_from(unsigned(token)?).ok(),
    }
}

/// The length of a data block, read as leniently as memcached reads it (`+` is allowed), because the block of
/// a refused command must be discarded too. Above `u64::MAX` it is `u64::MAX`, which exceeds every limit.
pub(crate) fn length(token: &[u8]) -> Option<u64> {
    let digits = token.strip_prefix(b"+").unwrap_or(token);
    if !is_digits(digits) {
        return None;
    }
    Some(unsigned(digits).unwrap_or(u64::MAX))
}

/// Whether the token consists of one or more digits, of whatever value.
pub(crate) fn is_digits(token: &[u8]) -> bool {
    !token.is_empty() && token.iter().all(u8::is_ascii_digit)
}

fn digit(byte: u8) -> Option<u8> {
    byte.is_ascii_digit().then(|| byte - b'0')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unsigned_numbers_keep_to_digits_and_range() {
        assert_eq!(unsigned(b"0"), Some(0));
        assert_eq!(unsigned(b"007"), Some(7));
        assert_eq!(unsigned(b"18446744073709551615"), Some(u64::MAX));
        for bad in ["", "-1", "+1", "1x", "0x10", " 1", "18446744073709551616"] {
            assert_eq!(unsigned(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn signed_numbers_reach_both_ends_of_i64() {
        assert_eq!(signed(b"-1"), Some(-1));
        assert_eq!(signed(b"-0"), Some(0));
        assert_eq!(signed(b"9223372036854775807"), Some(i64::MAX));
        assert_eq!(signed(b"-9223372036854775808"), Some(i64::MIN));
        for bad in [
            "",
            "-",
            "--1",
            "+1",
            "9223372036854775808",
            "-9223372036854775809",
        ] {
            assert_eq!(signed(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn lengths_are_read_generously_and_saturate() {
        assert_eq!(length(b"01"), Some(1));
        assert_eq!(length(b"+5"), Some(5));
        assert_eq!(length(b"99999999999999999999999"), Some(u64::MAX));
        for bad in ["", "+", "-1", "1x", "++1"] {
            assert_eq!(length(bad.as_bytes()), None, "{bad}");
        }
    }
}
