//! Parses servers' replies: where a reply ends and what kind it is, found while its bytes pass through.
//!
//! Values are skipped by count and never buffered. Only a line that is cut between two reads is kept until it
//! is complete, and lines are short.

use std::fmt;

use memchr::memchr;

use crate::encode::END;
use crate::{MAX_KEY, number, quick};

/// Longest reply line except `VALUE`, its end included, in bytes: error texts and statistics.
pub const MAX_REPLY_LINE: usize = 8 << 10;

/// Longest `VALUE` or `VA` line, its end included, in bytes: a key, three numbers and the spaces fit in 350, and the
/// flags of a `VA` line, a key and an opaque of 32 bytes among them, in 400.
pub const MAX_VALUE_LINE: usize = 512;

/// The kind of a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplyKind {
    /// One line.
    Line(LineKind),
    /// One or more `VALUE` blocks and `END`.
    Values,
    /// `VA` and a value: of a meta command.
    Data,
    /// One or more `STAT` lines (`ITEM` and `PREFIX` of `stats cachedump` and `stats detail dump`
    /// among them) and `END`.
    Stats,
}

/// The kind of a one-line reply. Also the kind of a reply whose values or statistics end with an error line
/// instead of `END`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineKind {
    /// `STORED`
    Stored,
    /// `NOT_STORED`
    NotStored,
    /// `EXISTS`: the cas unique is not the current one.
    Exists,
    /// `NOT_FOUND`
    NotFound,
    /// `DELETED`
    Deleted,
    /// `TOUCHED`
    Touched,
    /// `OK`: of flush_all, verbosity, some stats.
    Ok,
    /// `RESET`: of stats reset.
    Reset,
    /// Digits: the new value after incr and decr.
    Number,
    /// `VERSION ...`
    Version,
    /// `ERROR`, possibly with a text.
    Error,
    /// `CLIENT_ERROR ...`
    ClientError,
    /// `SERVER_ERROR ...`
    ServerError,
    /// `END` alone: no values, no statistics.
    End,
    /// `HD` and flags: a meta command has done what it should.
    Hd,
    /// `EN` and flags: a meta get (or meta debug) found nothing.
    En,
    /// `NS` and flags: not stored.
    Ns,
    /// `EX` and flags: the cas unique is not the current one.
    Ex,
    /// `NF` and flags: not found.
    Nf,
    /// `MN`: of a meta no-op.
    Mn,
    /// `ME`, a key and what is known of the item.
    Me,
}

impl LineKind {
    /// Whether it is one of the three kinds of errors.
    pub fn is_error(self) -> bool {
        matches!(
            self,
            LineKind::Error | LineKind::ClientError | LineKind::ServerError
        )
    }
}

/// The result of a scan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scan {
    /// The reply ends after `len` bytes of the given data; the rest belongs to the next reply.
    Complete {
        /// Bytes of this data that belong to the reply.
        len: usize,
        /// Its kind.
        kind: ReplyKind,
    },
    /// All of the data belongs to the reply, which continues.
    Partial,
}

/// Bytes that are not a memcached reply. The connection's later replies cannot be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadReply {
    /// An unknown line, or one that is not allowed at this point.
    UnknownLine,
    /// A line longer than [`MAX_REPLY_LINE`] or [`MAX_VALUE_LINE`].
    LineTooLong,
    /// A `VALUE` or `VA` line with missing, extra or invalid fields.
    BadValueLine,
    /// A value announced to be longer than the limit.
    ValueTooLarge,
    /// A value that is not followed by CRLF.
    BadValueEnd,
}

/// The whole reply to what was stored.
const STORED: &[u8] = b"STORED\r\n";

impl fmt::Display for BadReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            BadReply::UnknownLine => "unknown reply line",
            BadReply::LineTooLong => "reply line too long",
            BadReply::BadValueLine => "bad VALUE line",
            BadReply::ValueTooLarge => "value announced too large",
            BadReply::BadValueEnd => "value not followed by CRLF",
        })
    }
}

impl std::error::Error for BadReply {}

/// An incremental scanner of one server connection. It must be given every byte once, in order. After an
/// error it must be [reset](ReplyScanner::reset) before it is used again.
#[derive(Debug)]
pub struct ReplyScanner {
    stage: Stage,
    sequence: Sequence,
    /// Bytes of the current reply given in earlier calls.
    seen: u64,
    /// The beginning of a line that is not complete yet.
    line: Vec<u8>,
    max_value: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Line,
    /// Inside a value: this many bytes are left, its CRLF included.
    Value {
        left: u64,
    },
}

/// The kind of lines that the current reply has had so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sequence {
    Nothing,
    Values,
    /// A `VA` line, whose value ends the reply.
    Data,
    Stats,
}

impl Default for ReplyScanner {
    /// Values of at most 1 GiB, memcached's own bound for `-I`.
    fn default() -> Self {
        ReplyScanner::with_max_value(1 << 30)
    }
}

impl ReplyScanner {
    /// A scanner that refuses values longer than `max_value` bytes as soon as their header is read.
    pub fn with_max_value(max_value: u64) -> Self {
        ReplyScanner {
            stage: Stage::Line,
            sequence: Sequence::Nothing,
            seen: 0,
            line: Vec::new(),
            max_value,
        }
    }

    /// Scans the next bytes up to the end of the current reply.
    ///
    /// # Errors
    /// See [`BadReply`].
    #[inline]
    pub fn scan(&mut self, data: &[u8]) -> Result<Scan, BadReply> {
        if self.is_idle()
            && let Some(scan) = quick_reply(data, self.max_value)
        {
            return Ok(scan);
        }
        self.scan_on(data)
    }

    #[inline(never)]
    fn scan_on(&mut self, data: &[u8]) -> Result<Scan, BadReply> {
        if self.is_idle()
            && let Some(scan) = quick_data(data, self.max_value)
        {
            return Ok(scan);
        }
        self.scan_with(data, |_| ())
    }

    /// Like [`ReplyScanner::scan`], and appends to `marks` where each `VALUE` block (with its data and CRLF)
    /// or each `STAT` line ends, in bytes from the start of the reply. If an error line ends the reply
    /// instead of `END`, the last mark is where that line begins.
    ///
    /// # Errors
    /// See [`BadReply`].
    #[inline(never)]
    pub fn scan_marked(&mut self, data: &[u8], marks: &mut Vec<u64>) -> Result<Scan, BadReply> {
        self.scan_with(data, |end| marks.push(end))
    }

    /// Whether the scanner is between two replies.
    pub fn is_idle(&self) -> bool {
        self.seen == 0
    }

    /// Resets the scanner.
    pub fn reset(&mut self) {
        *self = ReplyScanner::with_max_value(self.max_value);
    }

    fn scan_with(&mut self, data: &[u8], mut mark: impl FnMut(u64)) -> Result<Scan, BadReply> {
        let mut at = 0;
        while at < data.len() {
            match self.stage {
                Stage::Value { left } => {
                    let (taken, left) = skip_value(left, &data[at..])?;
                    at += taken;
                    self.stage = Stage::Value { left };
                    if left == 0 {
                        self.stage = Stage::Line;
                        if self.sequence == Sequence::Data {
                            self.begin_next();
                            let kind = ReplyKind::Data;
                            return Ok(Scan::Complete { len: at, kind });
                        }
                        mark(self.seen + at as u64);
                    }
                }
                Stage::Line => {
                    at = self.pass_blocks(data, at, &mut mark);
                    let rest = &data[at..];
                    if let Some(kind) = self.quick_end(rest) {
                        self.begin_next();
                        let len = at + END.len();
                        return Ok(Scan::Complete { len, kind });
                    }
                    let Some(end) = memchr(b'\n', rest) else {
                        self.keep(rest)?;
                        break;
                    };
                    at += end + 1;
                    match self.take_line(&rest[..=end])? {
                        Step::Ends(kind) => {
                            self.begin_next();
                            return Ok(Scan::Complete { len: at, kind });
                        }
                        Step::Value { block } => self.stage = Stage::Value { left: block },
                        Step::Stat => mark(self.seen + at as u64),
                    }
                }
            }
        }
        self.seen += data.len() as u64;
        Ok(Scan::Partial)
    }

    /// Fast path: a whole, regular `VALUE` block (no kind), or the line that ends the reply. `None` only
    /// means that the fast path does not apply.
    #[inline]
    fn pass_blocks(&mut self, data: &[u8], mut at: usize, mark: &mut impl FnMut(u64)) -> usize {
        if !self.line.is_empty() || self.sequence == Sequence::Stats {
            return at;
        }
        while let Some(len) = quick_block(&data[at..], self.max_value) {
            at += len;
            mark(self.seen + at as u64);
            self.sequence = Sequence::Values;
        }
        at
    }

    /// What the reply is that ends with the line at the beginning of `rest`, if that is the usual one and whole.
    fn quick_end(&self, rest: &[u8]) -> Option<ReplyKind> {
        let is_end = self.line.is_empty() && rest.starts_with(END);
        is_end.then_some(match self.sequence {
            // A value of `Data` is followed by no line.
            Sequence::Nothing | Sequence::Data => ReplyKind::Line(LineKind::End),
            Sequence::Values => ReplyKind::Values,
            Sequence::Stats => ReplyKind::Stats,
        })
    }

    /// Keeps the beginning of a line, if it can still become a valid one.
    fn keep(&mut self, part: &[u8]) -> Result<(), BadReply> {
        if self.line.len() + part.len() >= MAX_REPLY_LINE {
            return Err(BadReply::LineTooLong);
        }
        self.line.extend_from_slice(part);
        if self.line.len() >= longest(&self.line) {
            return Err(BadReply::LineTooLong);
        }
        Ok(())
    }

    /// Parses a line that ends with `part`.
    fn take_line(&mut self, part: &[u8]) -> Result<Step, BadReply> {
        if self.line.is_empty() {
            return self.read_line(part);
        }
        if self.line.len() + part.len() > MAX_REPLY_LINE {
            return Err(BadReply::LineTooLong);
        }
        let mut line = std::mem::take(&mut self.line);
        line.extend_from_slice(part);
        let step = self.read_line(&line);
        if line.capacity() <= MAX_VALUE_LINE {
            line.clear();
            self.line = line;
        }
        step
    }

    fn read_line(&mut self, line: &[u8]) -> Result<Step, BadReply> {
        if line.len() > longest(line) {
            return Err(BadReply::LineTooLong);
        }
        let text = line.strip_suffix(b"\r\n").ok_or(BadReply::UnknownLine)?;
        let step = match (self.sequence, classify(text)) {
            (Sequence::Nothing | Sequence::Values, Word::Value) => {
                self.sequence = Sequence::Values;
                let block = value_length(text, self.max_value)?.saturating_add(2);
                Step::Value { block }
            }
            (Sequence::Nothing, Word::Data) => {
                self.sequence = Sequence::Data;
                let block = data_length(text, self.max_value)?.saturating_add(2);
                Step::Value { block }
            }
            (Sequence::Nothing | Sequence::Stats, Word::Stat) => {
                self.sequence = Sequence::Stats;
                Step::Stat
            }
            (Sequence::Values, Word::Line(LineKind::End)) => Step::Ends(ReplyKind::Values),
            (Sequence::Stats, Word::Line(LineKind::End)) => Step::Ends(ReplyKind::Stats),
            (Sequence::Nothing, Word::Line(kind)) => Step::Ends(ReplyKind::Line(kind)),
            (_, Word::Line(kind)) if kind.is_error() => Step::Ends(ReplyKind::Line(kind)),
            _ => return Err(BadReply::UnknownLine),
        };
        Ok(step)
    }

    fn begin_next(&mut self) {
        self.sequence = Sequence::Nothing;
        self.seen = 0;
    }
}

/// A whole reply of the usual kind at the start of `data`: one value, none, or that one was stored.
#[inline]
fn quick_reply(data: &[u8], max_value: u64) -> Option<Scan> {
    let (len, kind) = match data.first()? {
        b'V' => {
            let block = quick_block(data, max_value)?;
            let whole = data[block..].starts_with(END);
            whole.then_some((block + END.len(), ReplyKind::Values))?
        }
        b'E' if data.starts_with(END) => (END.len(), ReplyKind::Line(LineKind::End)),
        b'S' if data.starts_with(STORED) => (STORED.len(), ReplyKind::Line(LineKind::Stored)),
        _ => return None,
    };
    Some(Scan::Complete { len, kind })
}

/// The length of a whole `VALUE KEY FLAGS LENGTH [CAS]` block at the start of `data`, its data and
/// CRLF included, if it is here and as it should be.
#[inline]
fn quick_block(data: &[u8], max: u64) -> Option<usize> {
    let fields = data.strip_prefix(b"VALUE ")?;
    let key = quick::word(fields)?;
    let (_, flags) = quick::number(fields, key + 1)?;
    let (value, mut at) = quick::number(fields, flags + 1)?;
    if fields[key] != b' ' || fields[flags] != b' ' || value > max {
        return None;
    }
    if fields[at] == b' ' {
        (_, at) = quick::number(fields, at + 1)?;
    }
    let end = at + 2 + value as usize;
    let is_whole = fields.get(at..at + 2)? == b"\r\n" && fields.get(end..end + 2)? == b"\r\n";
    is_whole.then_some(data.len() - fields.len() + end + 2)
}

/// A whole `VA LENGTH FLAG*` reply at the start of `data`, if it is here and as it should be.
fn quick_data(data: &[u8], max: u64) -> Option<Scan> {
    let fields = data.strip_prefix(b"VA ")?;
    let (value, end) = quick::number(fields, 0)?;
    let line = end + memchr(b'\n', &fields[end..fields.len().min(MAX_VALUE_LINE - 3)])? + 1;
    let len = line + value as usize + 2;
    let is_good = (fields[end] == b' ' || end + 2 == line)
        && fields[line - 2] == b'\r'
        && value <= max
        && fields.get(len - 2..len)? == b"\r\n";
    is_good.then_some(Scan::Complete {
        len: data.len() - fields.len() + len,
        kind: ReplyKind::Data,
    })
}

/// The effect of a line on the reply.
enum Step {
    Ends(ReplyKind),
    /// A value follows, of this many bytes with its CRLF.
    Value {
        block: u64,
    },
    Stat,
}

enum Word {
    Line(LineKind),
    Value,
    Data,
    Stat,
    Unknown,
}

fn longest(line: &[u8]) -> usize {
    if line.starts_with(b"VALUE ") || line.starts_with(b"VA ") {
        MAX_VALUE_LINE
    } else {
        MAX_REPLY_LINE
    }
}

/// Skips the available part of a value and its CRLF, of which `left` bytes are missing. Returns how much was
/// skipped and how much is still missing.
fn skip_value(left: u64, data: &[u8]) -> Result<(usize, u64), BadReply> {
    let here = u64::try_from(data.len()).unwrap_or(u64::MAX).min(left);
    let taken = here as usize;
    let still = left - here;
    let ends = &data[left.saturating_sub(2).min(here) as usize..taken];
    // The last two bytes must be CR and LF, as far as they are available.
    let expected: &[u8] = if left == 1 { b"\n" } else { b"\r\n" };
    if !expected.starts_with(ends) {
        return Err(BadReply::BadValueEnd);
    }
    Ok((taken, still))
}

fn classify(text: &[u8]) -> Word {
    let (word, rest) = match memchr(b' ', text) {
        Some(space) => (&text[..space], &text[space..]),
        None => (text, &[][..]),
    };
    let kind = match word {
        b"VALUE" if !rest.is_empty() => return Word::Value,
        b"STAT" | b"ITEM" | b"PREFIX" if !rest.is_empty() => return Word::Stat,
        b"VA" if !rest.is_empty() => return Word::Data,
        b"HD" => LineKind::Hd,
        b"EN" => LineKind::En,
        b"NS" => LineKind::Ns,
        b"EX" => LineKind::Ex,
        b"NF" => LineKind::Nf,
        b"ME" if !rest.is_empty() => LineKind::Me,
        b"VERSION" => LineKind::Version,
        b"CLIENT_ERROR" => LineKind::ClientError,
        b"SERVER_ERROR" => LineKind::ServerError,
        // Some administrative commands put a colon after it (memcached 1.6).
        b"ERROR" | b"ERROR:" => LineKind::Error,
        _ if !rest.is_empty() => return Word::Unknown,
        b"END" => LineKind::End,
        b"STORED" => LineKind::Stored,
        b"NOT_STORED" => LineKind::NotStored,
        b"EXISTS" => LineKind::Exists,
        b"NOT_FOUND" => LineKind::NotFound,
        b"DELETED" => LineKind::Deleted,
        b"TOUCHED" => LineKind::Touched,
        b"OK" => LineKind::Ok,
        b"RESET" => LineKind::Reset,
        b"MN" => LineKind::Mn,
        _ if number::unsigned(word).is_some() => LineKind::Number,
        _ => return Word::Unknown,
    };
    Word::Line(kind)
}

/// The length in `VA LENGTH FLAG*`.
fn data_length(text: &[u8], max: u64) -> Result<u64, BadReply> {
    let fields = &text[b"VA ".len()..];
    let length = &fields[..memchr(b' ', fields).unwrap_or(fields.len())];
    if !number::is_digits(length) {
        return Err(BadReply::BadValueLine);
    }
    match number::unsigned(length) {
        Some(length) if length <= max => Ok(length),
        _ => Err(BadReply::ValueTooLarge),
    }
}

/// The length in `VALUE KEY FLAGS LENGTH [CAS]` (memcached `protocol.txt`: single spaces).
fn value_length(text: &[u8], max: u64) -> Result<u64, BadReply> {
    let mut fields = text.split(|&byte| byte == b' ').skip(1);
    let mut next = || fields.next().filter(|field| !field.is_empty());
    let (Some(key), Some(flags), Some(length)) = (next(), next(), next()) else {
        return Err(BadReply::BadValueLine);
    };
    let cas = fields.next();
    let good = key.len() <= MAX_KEY
        && number::is_digits(flags)
        && number::is_digits(length)
        && cas.is_none_or(number::is_digits)
        && fields.next().is_none();
    if !good {
        return Err(BadReply::BadValueLine);
    }
    match number::unsigned(length) {
        Some(length) if length <= max => Ok(length),
        _ => Err(BadReply::ValueTooLarge),
    }
}
