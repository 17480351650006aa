//! Inline commands: a line of words instead of a RESP array.
//!
//! Words are split as in Redis (`sdssplitargs`, as observed in redis-server 7.0.15): blanks separate words,
//! double quotes support `\xHH \n \r \t \b \a` and `\` before any other byte, single quotes support `\'`.

use crate::arg::Arg;
use crate::encode;

/// A quote is not closed, or is not followed by a blank.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unbalanced;

/// Splits `line` (without its line end), appends the words to `out` as RESP bulk strings and adds their
/// positions in `out` to `args`.
pub(crate) fn split(line: &[u8], out: &mut Vec<u8>, args: &mut Vec<Arg>) -> Result<(), Unbalanced> {
    let mut word = Vec::new();
    let mut rest = skip_blanks(line);
    while !rest.is_empty() {
        word.clear();
        rest = skip_blanks(take_word(rest, &mut word)?);
        encode::bulk_header(out, word.len());
        args.push(Arg {
            start: out.len() as u32,
            len: word.len() as u32,
            diverted: false,
        });
        out.extend_from_slice(&word);
        out.extend_from_slice(b"\r\n");
    }
    Ok(())
}

/// Moves one word from `text` into `word` and returns the rest.
fn take_word<'t>(mut text: &'t [u8], word: &mut Vec<u8>) -> Result<&'t [u8], Unbalanced> {
    loop {
        text = match text {
            [] | [b' ' | b'\n' | b'\r' | b'\t', ..] => return Ok(text),
            [b'"', rest @ ..] => return closed(take_double_quoted(rest, word)?),
            [b'\'', rest @ ..] => return closed(take_single_quoted(rest, word)?),
            [byte, rest @ ..] => {
                word.push(*byte);
                rest
            }
        }
    }
}

/// A closing quote ends the word, so a blank or the end must follow.
fn closed(text: &[u8]) -> Result<&[u8], Unbalanced> {
    match text.first() {
        Some(&byte) if !is_blank(byte) => Err(Unbalanced),
        _ => Ok(text),
    }
}

fn take_double_quoted<'t>(mut text: &'t [u8], word: &mut Vec<u8>) -> Result<&'t [u8], Unbalanced> {
    loop {
        let (byte, rest) = match text {
            [] => return Err(Unbalanced),
            [b'"', rest @ ..] => return Ok(rest),
            [b'\\', b'x', high, low, rest @ ..]
                if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                (hex(*high) << 4 | hex(*low), rest)
            }
            [b'\\', escaped, rest @ ..] => (unescape(*escaped), rest),
            [byte, rest @ ..] => (*byte, rest),
        };
        word.push(byte);
        text = rest;
    }
}

fn take_single_quoted<'t>(mut text: &'t [u8], word: &mut Vec<u8>) -> Result<&'t [u8], Unbalanced> {
    loop {
        let (byte, rest) = match text {
            [] => return Err(Unbalanced),
            [b'\'', rest @ ..] => return Ok(rest),
            [b'\\', b'\'', rest @ ..] => (b'\'', rest),
            [byte, rest @ ..] => (*byte, rest),
        };
        word.push(byte);
        text = rest;
    }
}

fn unescape(byte: u8) -> u8 {
    match byte {
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'b' => 0x08,
        b'a' => 0x07,
        other => other,
    }
}

/// The value of an ASCII hexadecimal digit.
fn hex(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => (digit | 0x20) - b'a' + 10,
    }
}

/// C's `isspace`, which includes the vertical tab, unlike Rust's `is_ascii_whitespace`.
fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

/// `text` without leading blanks.
fn skip_blanks(text: &[u8]) -> &[u8] {
    let blanks = text.iter().take_while(|&&byte| is_blank(byte)).count();
    &text[blanks..]
}

#[cfg(test)]
mod tests {
    use super::Unbalanced;
    use crate::encode;

    fn split(line: &[u8]) -> Result<Vec<u8>, Unbalanced> {
        let (mut out, mut args) = (Vec::new(), Vec::new());
        super::split(line, &mut out, &mut args)?;
        let mut rebuilt = Vec::new();
        args.iter()
            .for_each(|arg| encode::bulk(&mut rebuilt, arg.bytes(&out).unwrap()));
        assert_eq!(rebuilt, out, "spans of {}", line.escape_ascii());
        Ok(out)
    }

    /// Every row was checked against redis-server 7.0.15.
    #[test]
    fn splits_as_redis_does() {
        let rows: [(&[u8], &[u8]); 13] = [
            (b"", b""),
            (b" \t\x0b\x0c\r ", b""),
            (b"PING", b"$4\r\nPING\r\n"),
            (b"\x0bECHO \x0cab", b"$4\r\nECHO\r\n$2\r\nab\r\n"),
            (b"\"a b\"", b"$3\r\na b\r\n"),
            (b"\"\"", b"$0\r\n\r\n"),
            (b"a\"b c\"", b"$4\r\nab c\r\n"),
            (
                b"\"a\\x41\\n\\r\\t\\b\\a\\q\\\"b\"",
                b"$10\r\naA\n\r\t\x08\x07q\"b\r\n",
            ),
            (b"\"\\xzz\\x4\"", b"$5\r\nxzzx4\r\n"),
            (b"'a\\'b\\n'", b"$5\r\na'b\\n\r\n"),
            (b"a\\n", b"$3\r\na\\n\r\n"),
            (b"a\x0bb", b"$3\r\na\x0bb\r\n"),
            (b"a\rb", b"$1\r\na\r\n$1\r\nb\r\n"),
        ];
        for (line, bulks) in rows {
            assert_eq!(split(line), Ok(bulks.to_vec()), "{}", line.escape_ascii());
        }
    }

    #[test]
    fn refuses_open_quotes_and_words_glued_to_a_closing_quote() {
        let rows: [&[u8]; 7] = [
            b"\"abc",
            b"'abc",
            b"\"abc\"d",
            b"'a'b",
            b"\"a\\\"",
            b"\"a\\",
            b"\"a\"'b'",
        ];
        for line in rows {
            assert_eq!(split(line), Err(Unbalanced), "{}", line.escape_ascii());
        }
    }
}
