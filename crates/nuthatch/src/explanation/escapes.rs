//! Keys as text. A key may be of any bytes; what is shown of it can be read again.

/// What the escapes are, for messages.
const KNOWN: &str = "\\xHH, \\\\, \\', \\\", \\n, \\r, \\t, \\a, \\b, \\0";

/// A key on one line, with everything escaped that is not printable ASCII.
pub(crate) fn key_text(key: &[u8]) -> String {
    key.escape_ascii().to_string()
}

/// The bytes in hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The bytes that a text with escapes stands for: those of C, of one byte each.
///
/// # Errors
///
/// When there is a backslash with something else behind it.
pub(crate) fn unescaped(text: &[u8]) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&first, after)) = rest.split_first() {
        rest = after;
        if first != b'\\' {
            bytes.push(first);
            continue;
        }
        let (byte, length) = escape(rest).ok_or_else(|| {
            let shown = key_text(&rest[..rest.len().min(3)]);
            format!("in the key, '\\{shown}' is no escape; they are {KNOWN}")
        })?;
        bytes.push(byte);
        rest = &rest[length..];
    }
    Ok(bytes)
}

/// The byte that stands behind a backslash, and how many bytes its text has.
fn escape(text: &[u8]) -> Option<(u8, usize)> {
    let byte = match text.first()? {
        b'x' => {
            let digits = std::str::from_utf8(text.get(1..3)?).ok()?;
            let is_hex = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
            let byte = u8::from_str_radix(digits, 16).ok();
            return Some((byte.filter(|_| is_hex)?, 3));
        }
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'a' => 0x07,
        b'b' => 0x08,
        b'0' => 0,
        same @ (b'\\' | b'\'' | b'"') => *same,
        _ => return None,
    };
    Some((byte, 1))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn escapes_are_those_of_c() {
        let text = br#"a\x00\xfF\\\'\"\n\r\t\a\b\0z"#;
        let bytes = b"a\0\xff\\'\"\n\r\t\x07\x08\0z";
        assert_eq!(unescaped(text).unwrap(), bytes);
        for bad in [
            &br"\"[..],
            br"\x",
            br"\x1",
            br"\x1g",
            br"\x+1",
            br"\q",
            br"ab\u{1}",
            b"\\x\xff\xff",
        ] {
            let error = unescaped(bad).expect_err("no escape");
            assert!(error.contains("is no escape; they are \\xHH"), "{error}");
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_is_read_again(key: Vec<u8>) {
            prop_assert_eq!(unescaped(key_text(&key).as_bytes()), Ok(key.clone()));
            prop_assert!(key_text(&key).bytes().all(|byte| (0x20..0x7f).contains(&byte)));
        }
    }
}
