//! Parses numbers in a configuration: decimal digits only. Signs, blanks and numbers that are too large are
//! refused (nutcracker 0.5.0 lets the latter overflow).

/// Largest number in nutcracker's settings; larger ones overflowed silently.
pub const NUMBER_MAX: u64 = i32::MAX as u64;

/// Why a text is not a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotANumber {
    /// It is empty or holds something other than digits.
    NotDigits,
    /// It holds digits only, but exceeds the limit.
    TooLarge,
}

/// Parses a number of at most `max`.
pub fn digits(text: &str, max: u64) -> Result<u64, NotANumber> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(NotANumber::NotDigits);
    }
    match text.parse() {
        Ok(number) if number <= max => Ok(number),
        _ => Err(NotANumber::TooLarge),
    }
}

/// Parses an amount of bytes: digits, optionally followed by `k`, `m` or `g` (either case) for powers of
/// 1024.
pub(super) fn bytes(text: &str, max: u64) -> Result<u64, NotANumber> {
    let (number, shift) = match text.as_bytes().last() {
        Some(b'k' | b'K') => (&text[..text.len() - 1], 10),
        Some(b'm' | b'M') => (&text[..text.len() - 1], 20),
        Some(b'g' | b'G') => (&text[..text.len() - 1], 30),
        _ => (text, 0),
    };
    Ok(digits(number, max >> shift)? << shift)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_and_nothing_else() {
        assert_eq!(digits("007", 10), Ok(7));
        assert_eq!(digits("10", 10), Ok(10));
        for text in ["", "-1", "+1", " 1", "1 ", "1k", "0x1", "１"] {
            assert_eq!(digits(text, 10), Err(NotANumber::NotDigits), "{text:?}");
        }
        for text in ["11", "4294967297", "99999999999999999999999999"] {
            assert_eq!(digits(text, 10), Err(NotANumber::TooLarge), "{text:?}");
        }
    }

    #[test]
    fn bytes_have_suffixes() {
        assert_eq!(bytes("1048576", 1 << 40), Ok(1 << 20));
        assert_eq!(bytes("3k", 1 << 40), Ok(3072));
        assert_eq!(bytes("2M", 1 << 40), Ok(2 << 20));
        assert_eq!(bytes("1g", 1 << 30), Ok(1 << 30));
        assert_eq!(bytes("2g", 1 << 30), Err(NotANumber::TooLarge));
        assert_eq!(
            bytes("99999999999999999999g", u64::MAX),
            Err(NotANumber::TooLarge)
        );
        assert_eq!(bytes("k", 1 << 30), Err(NotANumber::NotDigits));
        assert_eq!(bytes("1kb", 1 << 30), Err(NotANumber::NotDigits));
    }
}
