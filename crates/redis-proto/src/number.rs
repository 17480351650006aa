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
    let mut value = 0;
    let mut end = at;
    while end < at + MOST_DIGITS {
        match text.get(end) {
            Some(digit @ b'0'..=b'9') => value = value * 10 + u32::from(digit - b'0'),
            _ => break,
        }
        end += 1;
    }
    let canonical = end > at && (text[at] != b'0' || end == at + 1);
    (canonical && text.get(end..end + 2) == Some(b"\r\n")).then_some((value, end + 2))
}

#[cfg(test)]
mod tests {
    use super::{canonical, quick_length};

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
