//! What must not reach a log or a terminal as it is: control characters that a server or client put into a name or an
//! error text. They could forge a record, or drive the terminal of whoever reads the log.

use std::borrow::Cow;
use std::fmt::Write;

/// `text` on one line: a line end becomes a blank, and any other character that is not shown is written as its
/// number (`\x1b`, `\u{202e}`).
pub(crate) fn one_line(text: &str) -> Cow<'_, str> {
    replaced(text, is_unshown, |c, out| match c {
        '\n' | '\r' => out.push(' '),
        c => write_number(c, out),
    })
}

/// The same for a text of several lines.
pub(crate) fn lines(text: &str) -> Cow<'_, str> {
    replaced(text, |c| c != '\n' && is_unshown(c), write_number)
}

/// The same for JSON that is written already: the numbers are those of JSON.
pub(crate) fn json(text: &str) -> Cow<'_, str> {
    let is_inside = |c: char| c != '\n' && is_unshown(c);
    replaced(text, is_inside, |c, out| {
        let _ = write!(out, "\\u{:04x}", u32::from(c));
    })
}

fn replaced(
    text: &str,
    is_bad: impl Fn(char) -> bool,
    replace: impl Fn(char, &mut String),
) -> Cow<'_, str> {
    if !text.contains(&is_bad) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match is_bad(c) {
            true => replace(c, &mut out),
            false => out.push(c),
        }
    }
    Cow::Owned(out)
}

fn write_number(c: char, out: &mut String) {
    let number = u32::from(c);
    // Writing to a string cannot fail.
    let _ = match number {
        0..=0xff => write!(out, "\\x{number:02x}"),
        _ => write!(out, "\\u{{{number:x}}}"),
    };
}

/// Control characters (C0, DEL, C1), and those of Unicode that change the direction of the text, end a line or are
/// invisible.
fn is_unshown(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_drives_the_terminal() {
        let text = "\u{1b}[2J\u{7}\0\t\r\n\u{7f}\u{9b}é\u{202e}x\\x";
        assert_eq!(one_line(text), r"\x1b[2J\x07\x00\x09  \x7f\x9bé\u{202e}x\x");
        assert_eq!(lines("a\n\r\u{1b}"), "a\n\\x0d\\x1b");
        assert_eq!(
            json("{\n\"a\": \"\u{9b}\u{7f}\"}"),
            "{\n\"a\": \"\\u009b\\u007f\"}"
        );
        for c in (0..0x110000).filter_map(char::from_u32) {
            let text = String::from(c);
            let shown = one_line(&text);
            assert!(!shown.chars().any(char::is_control), "{c:?}");
            assert_eq!(
                shown.is_ascii(),
                text.is_ascii() || shown.starts_with('\\'),
                "{c:?}"
            );
        }
    }

    #[test]
    fn what_is_shown_anyway_is_not_copied() {
        assert!(matches!(one_line("é 漢 'x'"), Cow::Borrowed("é 漢 'x'")));
    }
}
