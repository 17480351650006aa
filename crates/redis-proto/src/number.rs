//! Decimal numbers as Redis parses them.

/// Parses a canonical decimal: an optional `-`, then digits without leading zeros, in the range of `i64`.
///
/// Other signs, blanks, `-0` and the empty text are refused, as Redis refuses them in lengths and in numbers
/// of keys.
pub(crate) fn canonical(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    match digits {
        [] => return None,
        [b'0', ..] if negative || digits.len() > 1 => return None,
        _ => {}
    }
    digits.iter().try_fold(0i64, |value, &byte| {
        let digit = i64::from(byte.wrapping_sub(b'0'));
        if digit > 9 {
            return None;
        }
        let shifted = value.checked_mul(10)?;
        // Negative numbers are built downwards, because i64::MIN has no positive counterpart.
        if negative {
            shifted.checked_sub(digit)
        } else {
            shifted.checked_add(digit)
        }
    })
}

/// Fast path for a whole length line: `sigil` at `text[at]`, then a number as [`quick_length`] reads it. Returns
/// its value and the position after the line. `None` only means that the fast path does not apply.
#[inline(always)]
pub(crate) fn quick_header(text: &[u8], at: usize, sigil: u8) -> Option<(u32, usize)> {
    let text_from = text.get(at..)?;
    if let Some(bytes) = text_from.first_chunk::<8>() {
        let word = u64::from_le_bytes(*bytes);
        let digit = |place: u32| (word >> (8 * place)) as u8;
        let one = digit(1).wrapping_sub(b'0');
        // The sigil, a digit, CR LF.
        if word & 0xffff_00ff == 0x0a0d_0000 | u64::from(sigil) && one <= 9 {
            return Some((u32::from(one), at + 4));
        }
        // The same with two digits, the first of which is no zero.
        let two = digit(2).wrapping_sub(b'0');
        let is_two = word & 0xff_ff00_00ff == 0x0a_0d00_0000 | u64::from(sigil);
        if is_two && (1..=9).contains(&one) && two <= 9 {
            return Some((10 * u32::from(one) + u32::from(two), at + 5));
        }
    }
    longer_header(text, at, sigil)
}

#[inline(never)]
fn longer_header(text: &[u8], at: usize, sigil: u8) -> Option<(u32, usize)> {
    match text.get(at) {
        Some(first) if *first == sigil => longer_length(text, at + 1),
        _ => None,
    }
}

/// Fast path for the number of a length line: one to nine digits without a leading zero at `text[at..]`, then
/// CR LF. Returns the value and the position after the line. `None` only means that the fast path does not
/// apply.
#[inline]
pub(crate) fn quick_length(text: &[u8], at: usize) -> Option<(u32, usize)> {
    let digit = |byte: u8| u32::from(byte - b'0');
    match text.get(at..)? {
        [a @ b'0'..=b'9', b'\r', b'\n', ..] => Some((digit(*a), at + 3)),
        [a @ b'1'..=b'9', b @ b'0'..=b'9', b'\r', b'\n', ..] => {
            Some((10 * digit(*a) + digit(*b), at + 4))
        }
        _ => longer_length(text, at),
    }
}

fn longer_length(text: &[u8], at: usize) -> Option<(u32, usize)> {
    const MOST_DIGITS: usize = 9; // cannot overflow, and no length in use has more
    let text = text.get(at..)?;
    let (mut value, mut digits) = (0, 0);
    for byte in text.iter().take(MOST_DIGITS) {
        let digit = u32::from(byte.wrapping_sub(b'0'));
        if digit > 9 {
            break;
        }
        value = value * 10 + digit;
        digits += 1;
    }
    let canonical = digits > 0 && (text[0] != b'0' || digits == 1);
    (canonical && text[digits..].starts_with(b"\r\n")).then_some((value, at + digits + 2))
}

#[cfg(test)]
mod tests {
    use super::{canonical, quick_header, quick_length};

    #[test]
    fn takes_what_redis_takes_and_nothing_else() {
        let good = [
            ("0", 0),
            ("7", 7),
            ("-1", -1),
            ("1048576", 1_048_576),
            ("9223372036854775807", i64::MAX),
            ("-9223372036854775808", i64::MIN),
        ];
        for (text, value) in good {
            assert_eq!(canonical(text.as_bytes()), Some(value), "{text}");
        }
        let bad = [
            "",
            "-",
            "+1",
            "00",
            "01",
            "-0",
            "-01",
            " 1",
            "1 ",
            "1x",
            "0x1",
            "9223372036854775808",
            "-9223372036854775809",
            "99999999999999999999",
        ];
        for text in bad {
            assert_eq!(canonical(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn a_header_is_its_sigil_and_a_length() {
        for number in [0, 7, 9, 10, 42, 99, 100, 1_024, 999_999_999] {
            for rest in ["", "x", "foo\r\n$3\r\n"] {
                let text = format!("*1\r\n${number}\r\n{rest}");
                let header = Some((number, text.len() - rest.len()));
                assert_eq!(quick_header(text.as_bytes(), 4, b'$'), header, "{text}");
                assert_eq!(quick_header(text.as_bytes(), 4, b'*'), None, "{text}");
            }
        }
        let others: [&[u8]; 9] = [
            b"",
            b"$",
            b"$1\r",
            b"$01\r\n1234567",
            b"$-1\r\n1234567",
            b"$1\n\r1234567",
            b"$\r\n123456789",
            b"$1:\r\n1234567",
            b"$:1\r\n1234567",
        ];
        for text in others {
            assert_eq!(quick_header(text, 0, b'$'), None, "{}", text.escape_ascii());
        }
        assert_eq!(quick_header(b"$1\r\n", 6, b'$'), None);
    }

    #[test]
    fn the_quick_way_agrees_or_abstains() {
        assert_eq!(quick_length(b"$3\r\nfoo", 1), Some((3, 4)));
        assert_eq!(quick_length(b"$0\r\n", 1), Some((0, 4)));
        assert_eq!(quick_length(b"$999999999\r\n", 1), Some((999_999_999, 12)));
        let others: [&[u8]; 7] = [
            b"$9999999999\r\n",
            b"$03\r\n",
            b"$\r\n",
            b"$-1\r\n",
            b"$3\r",
            b"$3",
            b"$",
        ];
        for text in others {
            assert_eq!(quick_length(text, 1), None, "{}", text.escape_ascii());
        }
    }
}
