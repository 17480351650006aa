//! Keys in base64 (flag `b` of meta commands), decoded exactly as memcached does.

/// Appends what `text` encodes to `out`, and returns whether it encodes anything. As in memcached, bytes outside the
/// alphabet are passed over, the others come in fours, and what follows the padding does not count.
pub(crate) fn decode(text: &[u8], out: &mut Vec<u8>) -> bool {
    let known = || text.iter().filter_map(|byte| Some((*byte, value(*byte)?)));
    let count = known().count();
    if count == 0 || !count.is_multiple_of(4) {
        return false;
    }
    let (mut bits, mut held, mut padding) = (0u32, 0, 0);
    for (byte, value) in known() {
        padding += usize::from(byte == PADDING);
        bits = bits << 6 | u32::from(value);
        held += 1;
        if held < 4 {
            continue;
        }
        let [_, three @ ..] = bits.to_be_bytes();
        match padding {
            0 => out.extend_from_slice(&three),
            1 | 2 => {
                out.extend_from_slice(&three[..3 - padding]);
                return true;
            }
            _ => return false,
        }
        (bits, held) = (0, 0);
    }
    true
}

const PADDING: u8 = b'=';

/// The six bits of a byte of the alphabet; none for the padding.
fn value(byte: u8) -> Option<u8> {
    Some(match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        PADDING => 0,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(text: &str) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        decode(text.as_bytes(), &mut out).then_some(out)
    }

    #[test]
    fn what_is_encoded_comes_out() {
        for (text, bytes) in [
            ("Zm9v", &b"foo"[..]),
            ("Zm8=", b"fo"),
            ("Zg==", b"f"),
            ("+/+/", b"\xfb\xff\xbf"),
            ("AAAA", b"\0\0\0"),
            // memcached does not look at the bits below the last byte.
            ("Zh==", b"f"),
        ] {
            assert_eq!(decoded(text).as_deref(), Some(bytes), "{text}");
        }
    }

    #[test]
    fn odd_encodings_are_read_as_memcached_reads_them() {
        // Passed over, and not read any more.
        assert_eq!(decoded("Z.m9-v").as_deref(), Some(&b"foo"[..]));
        assert_eq!(decoded("Zg==Zm9v").as_deref(), Some(&b"f"[..]));
        for bad in ["", "Z", "Zm9", "Zm9vZ", "....", "Z===", "===="] {
            assert_eq!(decoded(bad), None, "{bad}");
        }
    }
}
