//! Parses servers' replies: where each one ends.
//!
//! A proxy forwards replies unchanged, so [`ReplyScanner`] only counts: the bytes left of a bulk string, and
//! the values left. Nesting needs no stack, because a reply ends when the number of values left reaches zero,
//! however deeply they are nested.
//!
//! ```text
//!            line types + - : , ( # _
//!   Value ───────────────────────────▶ Line ──CR LF──▶ (one value less)
//!     │ ▲   length types $ = !                              ▲
//!     │ └──────────────────▶ Length ──▶ Body ──▶ BodyEnd ───┘
//!     └─ aggregates * ~ > % | ──▶ Length ──▶ (so many values more)
//! ```

use std::fmt;

use memchr::memchr;

use crate::number;

/// The type of a reply's top-level value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReplyKind {
    /// `+`
    Status,
    /// `-`, or RESP3's bulk error `!`
    Error,
    /// `:`
    Integer,
    /// `$` with a length
    Bulk,
    /// `$-1`, `*-1` or RESP3's `_`
    Null,
    /// `*` with a count
    Array,
    /// `%`
    Map,
    /// `~`
    Set,
    /// `>`: out of band, never the reply to a request
    Push,
    /// `,`
    Double,
    /// `#`
    Boolean,
    /// `(`
    BigNumber,
    /// `=`
    Verbatim,
}

/// What [`ReplyScanner::scan`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scan {
    /// `data[..len]` ends a reply (which earlier calls may have begun).
    Complete {
        /// Bytes of `data` that belong to the reply.
        len: usize,
        /// The type of its top-level value.
        kind: ReplyKind,
    },
    /// All of `data` belongs to a reply that does not end in it.
    Partial,
}

/// Bytes that are not a reply: the rest of this connection cannot be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadReply {
    /// The first byte is not that of any type.
    UnknownType(u8),
    /// A length or count is not a canonical number, is out of range, or is a streamed one (`$?`), which no
    /// server sends.
    BadLength,
    /// The body of a bulk string is not followed by CR LF.
    Unterminated,
    /// More values announced than can be counted.
    TooManyValues,
}

impl fmt::Display for BadReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownType(byte) => {
                write!(f, "reply of unknown type '{}'", byte.escape_ascii())
            }
            Self::BadLength => f.write_str("reply with an invalid length"),
            Self::Unterminated => f.write_str("reply with an unterminated bulk string"),
            Self::TooManyValues => f.write_str("reply with too many values"),
        }
    }
}

impl std::error::Error for BadReply {}

/// Finds the ends of replies in a stream that may be cut anywhere. Stores a few words and none of the data;
/// takes linear time.
#[derive(Debug, Default)]
pub struct ReplyScanner {
    state: State,
    /// The type of the top-level value, once its header was parsed.
    kind: Option<ReplyKind>,
    /// Values left in this reply, including the current one.
    pending: u64,
    /// Elements of the top-level aggregate that have not ended.
    elements: u64,
    /// The current one of them is an aggregate.
    is_nested: bool,
    /// Bytes of this reply given in earlier calls.
    before: u64,
}

#[derive(Debug, Default)]
enum State {
    /// At the first byte of a value.
    #[default]
    Value,
    /// Inside a value that is one line; `cr` if its last byte so far was CR.
    Line { cr: bool },
    /// Inside a length line that was cut.
    Length(CutLine),
    /// Inside a bulk string, with this many bytes left.
    Body { left: u64 },
    /// At the CR LF that follows a bulk string; `cr` if the CR was seen.
    BodyEnd { cr: bool },
}

/// The part of a length line given in earlier calls, including the type byte.
#[derive(Debug, Default)]
struct CutLine {
    bytes: [u8; LONGEST_LENGTH_LINE],
    len: u8,
}

/// Type byte, sign, 19 digits, CR LF.
const LONGEST_LENGTH_LINE: usize = 23;

impl ReplyScanner {
    /// Continues with `data`, the bytes after those given before. After `Complete` the rest of `data` must be
    /// given again.
    ///
    /// # Errors
    /// [`BadReply`], after which the scanner must not be used again.
    #[inline(always)]
    pub fn scan(&mut self, data: &[u8]) -> Result<Scan, BadReply> {
        if self.pending == 0
            && let Some((len, kind)) = whole(data)
        {
            return Ok(Scan::Complete { len, kind });
        }
        self.run(data, |_| {})
    }

    /// Like [`scan`](Self::scan), and pushes to `marks` where the parts of a top-level aggregate end: its
    /// header, then each of its elements (a map's keys and values count separately). Offsets are in bytes
    /// from the start of the reply. Other types push nothing. At most one mark is pushed per two bytes of
    /// `data`.
    ///
    /// # Errors
    /// As for [`scan`](Self::scan).
    pub fn scan_marked(&mut self, data: &[u8], marks: &mut Vec<u64>) -> Result<Scan, BadReply> {
        self.run(data, |mark| marks.push(mark))
    }

    /// Whether the stream is between replies.
    pub fn is_idle(&self) -> bool {
        self.pending == 0
    }

    /// Whether the stream is within an aggregate that is an element of another.
    pub fn is_nested(&self) -> bool {
        self.is_nested
    }

    #[inline(never)]
    fn run(&mut self, data: &[u8], mut mark: impl FnMut(u64)) -> Result<Scan, BadReply> {
        let mut at = 0;
        while at < data.len() {
            self.pending = self.pending.max(1);
            let (taken, step) = self.step(&data[at..])?;
            at += taken;
            let end = self.before + at as u64;
            match step {
                Step::Within => continue,
                Step::Scalar => self.pending -= 1,
                Step::Attribute { count } => self.pending = sum(self.pending, count)?,
                Step::Aggregate { count, top } => {
                    self.pending = sum(self.pending - 1, count)?;
                    if top {
                        self.elements = count;
                        mark(end);
                    } else {
                        self.is_nested = true;
                    }
                }
            }
            self.state = State::Value;
            if self.pending < self.elements {
                self.elements -= 1;
                self.is_nested = false;
                mark(end);
            }
            if self.pending == 0
                && let Some(kind) = self.kind
            {
                *self = Self::default();
                return Ok(Scan::Complete { len: at, kind });
            }
        }
        self.before += at as u64;
        Ok(Scan::Partial)
    }

    /// Parses one piece of `data`, which is not empty; returns its length and kind.
    fn step(&mut self, data: &[u8]) -> Result<(usize, Step), BadReply> {
        match &mut self.state {
            State::Value => self.value(data),
            State::Line { cr } => Ok(line(cr, data)),
            State::Length(cut) => {
                let sigil = cut.bytes[0];
                match cut.push(data[0])? {
                    Some(length) => Ok((1, self.length(sigil, length))),
                    None => Ok((1, Step::Within)),
                }
            }
            State::Body { left } => {
                let taken = data.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                *left -= taken as u64;
                if *left == 0 {
                    self.state = State::BodyEnd { cr: false };
                }
                Ok((taken, Step::Within))
            }
            State::BodyEnd { cr } => body_end(cr, data[0]),
        }
    }

    /// At the first byte of a value.
    fn value(&mut self, data: &[u8]) -> Result<(usize, Step), BadReply> {
        let kind = match data[0] {
            b'$' | b'*' | b'=' | b'!' | b'%' | b'~' | b'>' | b'|' => {
                return self.value_with_length(data);
            }
            b'+' => ReplyKind::Status,
            b'-' => ReplyKind::Error,
            b':' => ReplyKind::Integer,
            b'_' => ReplyKind::Null,
            b',' => ReplyKind::Double,
            b'#' => ReplyKind::Boolean,
            b'(' => ReplyKind::BigNumber,
            other => return Err(BadReply::UnknownType(other)),
        };
        self.note(kind);
        let mut cr = false;
        let (taken, step) = line(&mut cr, &data[1..]);
        self.state = State::Line { cr };
        Ok((taken + 1, step))
    }

    fn value_with_length(&mut self, data: &[u8]) -> Result<(usize, Step), BadReply> {
        let (length, header) = match number::quick_length(data, 1) {
            Some((length, header)) => (Some(u64::from(length)), header),
            None => {
                let window = &data[..data.len().min(LONGEST_LENGTH_LINE)];
                let Some(newline) = memchr(b'\n', window) else {
                    self.state = State::Length(CutLine::new(window)?);
                    return Ok((window.len(), Step::Within));
                };
                (parse_length(&window[..=newline])?, newline + 1)
            }
        };
        let step = self.length(data[0], length);
        // The common case, a short string that is in `data` as a whole, is done here.
        if let State::Body { left } = self.state
            && let Ok(left) = usize::try_from(left)
            && let Some(rest) = data[header..].get(left..)
            && let Some(end) = rest.get(..2)
        {
            return match end {
                b"\r\n" => Ok((header + left + 2, Step::Scalar)),
                _ => Err(BadReply::Unterminated),
            };
        }
        Ok((header, step))
    }

    /// After a length line of type `sigil`; `None` is the RESP2 null.
    fn length(&mut self, sigil: u8, length: Option<u64>) -> Step {
        let (kind, count) = match (sigil, length) {
            (_, None) => {
                self.note(ReplyKind::Null);
                return Step::Scalar;
            }
            (b'|', Some(pairs)) => {
                return Step::Attribute {
                    count: doubled(pairs),
                };
            }
            (b'*', Some(count)) => (ReplyKind::Array, count),
            (b'~', Some(count)) => (ReplyKind::Set, count),
            (b'>', Some(count)) => (ReplyKind::Push, count),
            (b'%', Some(pairs)) => (ReplyKind::Map, doubled(pairs)),
            (_, Some(left)) => {
                self.note(match sigil {
                    b'=' => ReplyKind::Verbatim,
                    b'!' => ReplyKind::Error,
                    _ => ReplyKind::Bulk,
                });
                self.state = State::Body { left };
                return Step::Within;
            }
        };
        Step::Aggregate {
            count,
            top: self.note(kind),
        }
    }

    /// Stores the type of the top-level value: the first value that is the only one left. (While an attribute
    /// that precedes it is parsed, more than one is left.) Returns whether this is it.
    fn note(&mut self, kind: ReplyKind) -> bool {
        let top = self.kind.is_none() && self.pending == 1;
        if top {
            self.kind = Some(kind);
        }
        top
    }
}

/// Fast path: a regular reply of one value that is in the data as a whole. `None` only means that the fast
/// path does not apply.
#[inline(always)]
fn whole(data: &[u8]) -> Option<(usize, ReplyKind)> {
    match data.first()? {
        b'$' => {
            let (len, start) = number::quick_header(data, 0, b'$')?;
            let end = start + len as usize;
            let ended = data.get(end..)?.first_chunk() == Some(b"\r\n");
            ended.then_some((end + 2, ReplyKind::Bulk))
        }
        b'+' if data.starts_with(b"+OK\r\n") => Some((5, ReplyKind::Status)),
        b'+' => whole_line(data, ReplyKind::Status),
        b':' => whole_line(data, ReplyKind::Integer),
        _ => None,
    }
}

fn whole_line(data: &[u8], kind: ReplyKind) -> Option<(usize, ReplyKind)> {
    let end = memchr(b'\r', data)?;
    (*data.get(end + 1)? == b'\n').then_some((end + 2, kind))
}

/// The kind of a piece of a reply.
enum Step {
    /// Part of a value.
    Within,
    /// The end of a value that contains no others.
    Scalar,
    /// The header of a value that contains `count` others.
    Aggregate { count: u64, top: bool },
    /// The header of an attribute: `count` values in addition to the one that they describe.
    Attribute { count: u64 },
}

impl CutLine {
    /// Stores the available part of a line, shorter than [`LONGEST_LENGTH_LINE`].
    fn new(begun: &[u8]) -> Result<Self, BadReply> {
        if begun.len() >= LONGEST_LENGTH_LINE {
            return Err(BadReply::BadLength);
        }
        let mut cut = Self {
            len: begun.len() as u8,
            ..Self::default()
        };
        cut.bytes[..begun.len()].copy_from_slice(begun);
        Ok(cut)
    }

    /// Adds one byte. Returns the parsed line (as [`parse_length`] does) once it has ended.
    fn push(&mut self, byte: u8) -> Result<Option<Option<u64>>, BadReply> {
        let len = usize::from(self.len);
        self.bytes[len] = byte; // there is room: see `new` and the second arm below
        self.len += 1;
        match byte {
            b'\n' => parse_length(&self.bytes[..=len]).map(Some),
            _ if len + 1 == LONGEST_LENGTH_LINE => Err(BadReply::BadLength),
            _ => Ok(None),
        }
    }
}

/// Continues a value that is one line. A lone CR or LF does not end it.
fn line(cr: &mut bool, data: &[u8]) -> (usize, Step) {
    let mut at = 0;
    loop {
        if *cr && data.get(at) == Some(&b'\n') {
            return (at + 1, Step::Scalar);
        }
        *cr = false;
        let Some(found) = memchr(b'\r', data.get(at..).unwrap_or_default()) else {
            return (data.len(), Step::Within);
        };
        at += found + 1;
        *cr = true;
        if at == data.len() {
            return (at, Step::Within);
        }
    }
}

/// At the CR LF after a bulk string.
fn body_end(cr: &mut bool, byte: u8) -> Result<(usize, Step), BadReply> {
    match (*cr, byte) {
        (false, b'\r') => {
            *cr = true;
            Ok((1, Step::Within))
        }
        (true, b'\n') => Ok((1, Step::Scalar)),
        _ => Err(BadReply::Unterminated),
    }
}

/// Parses a length line from its type byte to its LF. `None` is a null, which only `$` and `*` can be.
fn parse_length(line: &[u8]) -> Result<Option<u64>, BadReply> {
    let digits = line.strip_suffix(b"\r\n").and_then(|line| line.get(1..));
    match digits.and_then(number::canonical) {
        Some(-1) if matches!(line[0], b'$' | b'*') => Ok(None),
        Some(length) => u64::try_from(length)
            .map(Some)
            .map_err(|_| BadReply::BadLength),
        None => Err(BadReply::BadLength),
    }
}

fn sum(pending: u64, count: u64) -> Result<u64, BadReply> {
    pending.checked_add(count).ok_or(BadReply::TooManyValues)
}

/// Two values per pair. At most i64::MAX pairs can be announced, so this fits.
fn doubled(pairs: u64) -> u64 {
    pairs * 2
}

/// The value of an integer reply (`:42\r\n`), or `None` if `reply` is not exactly one.
pub fn integer(reply: &[u8]) -> Option<i64> {
    let digits = reply.strip_prefix(b":")?.strip_suffix(b"\r\n")?;
    // RESP3 allows a plus sign.
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// Whether `reply` is an error, in either of the two forms.
pub fn is_error(reply: &[u8]) -> bool {
    matches!(reply.first(), Some(b'-' | b'!'))
}

/// The first word of an error reply, such as `ERR`, `OOM` or `WRONGTYPE`; empty if `reply` is not an error.
pub fn error_code(reply: &[u8]) -> &[u8] {
    let text = match reply {
        [b'-', text @ ..] => text,
        [b'!', ..] => memchr(b'\n', reply).map_or(&[][..], |newline| &reply[newline + 1..]),
        _ => &[],
    };
    let end = text
        .iter()
        .position(|byte| matches!(byte, b' ' | b'\r' | b'\n'));
    &text[..end.unwrap_or(text.len())]
}

#[cfg(test)]
mod tests;
