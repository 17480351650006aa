//! What a server answers to a question of the control plane: RESP2, read whole into a small tree, within bounds.

use std::fmt;
use std::io::{self, BufRead, ErrorKind};

/// Longest reply, in bytes: that to CLUSTER NODES of a thousand nodes is shorter than one MiB.
pub(crate) const MAX_BYTES: usize = 16 << 20;

/// Most elements of a reply, of all lists together: CLUSTER SLOTS has 16,384 slots in ranges of one at worst, each with
/// some twenty elements.
pub(crate) const MAX_ELEMENTS: usize = 400_000;

/// How deep lists may lie in each other: CLUSTER SHARDS has four levels.
pub(crate) const MAX_DEPTH: usize = 8;

/// Longest line with a type or a length; texts of this form (`+`, `-`) are lines, too.
const MAX_LINE: usize = 64 << 10;

/// A reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reply {
    /// Nothing (`$-1`, `*-1`).
    Nil,
    /// A number.
    Integer(i64),
    /// A line (`+`) or a text of any bytes (`$`).
    Text(Vec<u8>),
    /// An error: its line without `-`.
    Error(String),
    /// A list.
    List(Vec<Reply>),
}

impl Reply {
    /// The text, if it is one and UTF-8.
    pub(crate) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => std::str::from_utf8(text).ok(),
            _ => None,
        }
    }

    /// The number, if it is one or a text of digits.
    pub(crate) fn integer(&self) -> Option<i64> {
        match self {
            Self::Integer(number) => Some(*number),
            _ => self.text()?.parse().ok(),
        }
    }

    /// The elements, if it is a list.
    pub(crate) fn list(&self) -> Option<&[Reply]> {
        match self {
            Self::List(elements) => Some(elements),
            _ => None,
        }
    }

    /// What follows the text `name` in a list of names and values in turn: how RESP2 has a map.
    pub(crate) fn field(&self, name: &str) -> Option<&Reply> {
        let mut pairs = self.list()?.chunks_exact(2);
        pairs.find_map(|pair| (pair[0].text() == Some(name)).then_some(&pair[1]))
    }
}

/// Reads one reply.
///
/// # Errors
///
/// When reading fails, when it ends before the reply does, when it is no RESP2, or beyond the bounds ([`MAX_BYTES`],
/// [`MAX_ELEMENTS`], [`MAX_DEPTH`]).
pub(crate) fn read_reply(from: &mut impl BufRead) -> io::Result<Reply> {
    let mut bounds = Bounds {
        bytes: MAX_BYTES,
        elements: MAX_ELEMENTS,
    };
    bounds.read(from, MAX_DEPTH)
}

/// What is left of the bounds of one reply.
struct Bounds {
    bytes: usize,
    elements: usize,
}

impl Bounds {
    fn read(&mut self, from: &mut impl BufRead, depth: usize) -> io::Result<Reply> {
        let line = self.line(from)?;
        let (Some(kind), rest) = (line.first(), line.get(1..).unwrap_or_default()) else {
            return Err(odd("it has an empty line"));
        };
        match kind {
            b'+' => Ok(Reply::Text(rest.to_vec())),
            b'-' => Ok(Reply::Error(String::from_utf8_lossy(rest).into_owned())),
            b':' => Ok(Reply::Integer(number(rest)?)),
            b'$' => match length(rest)? {
                None => Ok(Reply::Nil),
                Some(length) => self.bulk(from, length).map(Reply::Text),
            },
            b'*' => match length(rest)? {
                None => Ok(Reply::Nil),
                Some(length) => self.elements(from, length, depth).map(Reply::List),
            },
            _ => Err(odd("it is not RESP2")),
        }
    }

    /// A line without its end.
    fn line(&mut self, from: &mut impl BufRead) -> io::Result<Vec<u8>> {
        let mut line = Vec::new();
        let most = MAX_LINE.min(self.bytes);
        let mut limited = io::Read::take(&mut *from, most as u64 + 1);
        limited.read_until(b'\n', &mut line)?;
        if line.len() > most {
            return Err(odd("it is too long"));
        }
        self.bytes -= line.len();
        match line.strip_suffix(b"\r\n") {
            Some(text) => Ok(text.to_vec()),
            None if line.ends_with(b"\n") => Err(odd("a line of it does not end as lines do")),
            None => Err(ErrorKind::UnexpectedEof.into()),
        }
    }

    fn bulk(&mut self, from: &mut impl BufRead, length: usize) -> io::Result<Vec<u8>> {
        let most = self.bytes.checked_sub(2);
        if most.is_none_or(|most| length > most) {
            return Err(odd("it is too long"));
        }
        self.bytes -= length + 2;
        let mut text = Vec::new();
        // Memory is taken as bytes come, not as they are announced.
        let mut limited = io::Read::take(&mut *from, length as u64 + 2);
        io::Read::read_to_end(&mut limited, &mut text)?;
        if text.len() < length + 2 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        if !text.ends_with(b"\r\n") {
            return Err(odd("a text of it has another length than it says"));
        }
        text.truncate(length);
        Ok(text)
    }

    fn elements(
        &mut self,
        from: &mut impl BufRead,
        length: usize,
        depth: usize,
    ) -> io::Result<Vec<Reply>> {
        let Some(depth) = depth.checked_sub(1) else {
            return Err(odd("its lists lie too deep in each other"));
        };
        if length > self.elements {
            return Err(odd("it has too many elements"));
        }
        self.elements -= length;
        (0..length).map(|_| self.read(from, depth)).collect()
    }
}

/// A length; `None` is -1.
fn length(text: &[u8]) -> io::Result<Option<usize>> {
    match number(text)? {
        -1 => Ok(None),
        length => usize::try_from(length)
            .map(Some)
            .map_err(|_| odd("it has an odd length")),
    }
}

fn number(text: &[u8]) -> io::Result<i64> {
    let number = std::str::from_utf8(text).ok().map(str::parse);
    number
        .and_then(Result::ok)
        .ok_or_else(|| odd("it has an odd number"))
}

fn odd(what: &str) -> io::Error {
    io::Error::new(
        ErrorKind::InvalidData,
        format!("its reply makes no sense: {what}"),
    )
}

impl fmt::Display for Reply {
    /// For messages: short, and without what is not printable.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MAX: usize = 100;
        let text = match self {
            Self::Nil => "nil".to_owned(),
            Self::Integer(number) => number.to_string(),
            Self::Text(text) => String::from_utf8_lossy(text).into_owned(),
            Self::Error(line) => line.clone(),
            Self::List(elements) => format!("a list of {} elements", elements.len()),
        };
        let shown = text.chars().take(MAX).flat_map(char::escape_debug);
        f.write_str(&shown.collect::<String>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> io::Result<Reply> {
        // A reader that gives a few bytes at a time.
        read_reply(&mut io::BufReader::with_capacity(3, text.as_bytes()))
    }

    fn text(text: &str) -> Reply {
        Reply::Text(text.into())
    }

    #[test]
    fn every_kind_of_reply_is_read() {
        for (wire, expected) in [
            ("+OK\r\n", text("OK")),
            ("-ERR no\r\n", Reply::Error("ERR no".into())),
            (":-7\r\n", Reply::Integer(-7)),
            ("$-1\r\n", Reply::Nil),
            ("*-1\r\n", Reply::Nil),
            ("$0\r\n\r\n", text("")),
            ("$4\r\na\r\nb\r\n", text("a\r\nb")),
            ("*0\r\n", Reply::List(Vec::new())),
            (
                "*2\r\n*1\r\n:1\r\n$1\r\nx\r\n",
                Reply::List(vec![Reply::List(vec![Reply::Integer(1)]), text("x")]),
            ),
        ] {
            assert_eq!(read(wire).unwrap(), expected, "{wire:?}");
        }
    }

    #[test]
    fn what_is_cut_off_is_no_reply() {
        let whole = "*2\r\n$2\r\nab\r\n:12\r\n";
        for end in 0..whole.len() {
            let error = read(&whole[..end]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::UnexpectedEof, "{end}");
        }
    }

    #[test]
    fn nonsense_and_what_has_no_end_is_refused() {
        let deep = "*1\r\n".repeat(MAX_DEPTH + 1) + ":1\r\n";
        let long = "+".to_owned() + &"x".repeat(MAX_LINE) + "\r\n";
        let wide = format!("*{}\r\n", MAX_ELEMENTS + 1);
        let many = format!("*2\r\n*{MAX_ELEMENTS}\r\n");
        let large = format!("${MAX_BYTES}\r\nx");
        for wire in [
            "\r\n",
            "x\r\n",
            "%1\r\n",
            "$2\r\nabc\r\n",
            "$-2\r\n",
            "*x\r\n",
            ":\r\n",
            "+a\n",
            "$99999999999999999999\r\n",
            "HTTP/1.1 400 Bad Request\r\n",
            &deep,
            &long,
            &wide,
            &many,
            &large,
        ] {
            let error = read(wire).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidData, "{:.40?}", wire);
        }
        let deepest = "*1\r\n".repeat(MAX_DEPTH) + ":1\r\n";
        assert!(read(&deepest).is_ok());
    }

    #[test]
    fn fields_of_a_map_are_found_by_name() {
        let map = read("*4\r\n+ip\r\n+10.0.0.1\r\n+port\r\n$4\r\n6379\r\n").unwrap();
        assert_eq!(map.field("ip").and_then(Reply::text), Some("10.0.0.1"));
        assert_eq!(map.field("port").and_then(Reply::integer), Some(6379));
        assert_eq!(map.field("6379"), None, "a value is no name");
        assert_eq!(text("ip").field("ip"), None);
    }

    #[test]
    fn what_is_shown_is_short_and_printable() {
        let shown = Reply::Error("a\u{1b}[2J".to_owned() + &"x".repeat(1_000)).to_string();
        assert!(
            shown.len() < 120 && shown.starts_with("a\\u{1b}"),
            "{shown}"
        );
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(
            proptest::sample::select(b"*$+-:\r\n0123x".to_vec()), 0..60,
        )) {
            let _ = read_reply(&mut bytes.as_slice());
        }
    }
}
