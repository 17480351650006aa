//! Parses clients' requests: where each begins and ends, and the positions of its arguments.
//!
//! A request is a RESP array of bulk strings (`*2\r\n$3\r\nGET\r\n$1\r\nk\r\n`) or an inline command (a line
//! of words). [`RequestParser`] parses it from a text to which the caller appends, and can stop and resume at
//! any byte.
//!
//! It is stricter than Redis where leniency would let one client's malformed bytes disturb a server
//! connection that others share: the two bytes after each line and each argument must be CR LF.

use std::fmt;

use memchr::{memchr, memchr2};

use crate::arg::Arg;
use crate::{encode, inline, number};

/// Limits on requests. Checked as soon as a header has been read.
#[derive(Clone, Copy, Debug)]
pub struct RequestLimits {
    /// Arguments in one request, the command's name included.
    pub max_args: u32,
    /// Bytes of one argument (Redis: `proto-max-bulk-len`). More than `u32::MAX` counts as `u32::MAX`.
    pub max_bulk: u64,
    /// Bytes of an inline command, or of a length line, before its line end (Redis: 64 KiB). More than
    /// 16 MiB counts as 16 MiB for inline commands.
    pub max_inline: usize,
    /// An argument longer than this many bytes that is not in the text as a whole is passed to the caller
    /// ([`Progress::Body`]) instead of being collected in the text.
    pub divert: usize,
    /// Bytes of one request, diverted arguments included. More than `u32::MAX` counts as `u32::MAX`.
    pub max_request: u64,
    /// Whether these are the limits of a client that has not given the password: errors say so.
    pub is_unauthenticated: bool,
}

impl RequestLimits {
    /// The limits of redis-server 7.0 for a client that has not given the password.
    pub fn unauthenticated() -> Self {
        Self {
            max_args: 10,
            max_bulk: 16 << 10,
            is_unauthenticated: true,
            ..Self::default()
        }
    }
}

impl Default for RequestLimits {
    fn default() -> Self {
        Self {
            max_args: 1_048_576,
            max_bulk: 512 << 20,
            max_inline: 64 << 10,
            divert: 64 << 10,
            max_request: 1 << 30,
            is_unauthenticated: false,
        }
    }
}

/// The result of [`RequestParser::parse`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The request is `text[..len]` (diverted arguments excluded); [`RequestParser::args`] is valid.
    Complete {
        /// Bytes of the text that belong to this request.
        len: usize,
    },
    /// A blank line, `*0` or a negative count: nothing to do. Consume `text[..len]`.
    Skip {
        /// Bytes of the text to consume.
        len: usize,
    },
    /// Incomplete: call again with the same text and more bytes.
    Partial,
    /// An argument longer than [`RequestLimits::divert`] begins and is not in the text as a whole. The caller
    /// removes `text[at..]` from the text, collects exactly `len` bytes elsewhere (starting with those
    /// removed), then appends to the text what follows the argument, starting with its CR LF, and calls
    /// again.
    Body {
        /// Where the argument begins in the text; at most the text's length.
        at: usize,
        /// Its whole length in bytes, more than the text holds.
        len: usize,
    },
}

/// Bytes that are not a request: the connection must be closed. `Display` gives the text after `-ERR `, the
/// same as redis-server 7.0's where it has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestError {
    /// The count after `*` is not a canonical number, or exceeds [`RequestLimits::max_args`].
    InvalidMultibulkLength,
    /// The same for a client that has not given the password.
    UnauthenticatedMultibulkLength,
    /// The count's line does not end within [`RequestLimits::max_inline`].
    TooBigMultibulkCount,
    /// Something other than a bulk string where an argument must begin.
    ExpectedBulk(u8),
    /// The length after `$` is not a canonical number, is negative, or exceeds [`RequestLimits::max_bulk`].
    InvalidBulkLength,
    /// The same for a client that has not given the password.
    UnauthenticatedBulkLength,
    /// The length's line does not end within [`RequestLimits::max_inline`].
    TooBigBulkCount,
    /// An argument is not followed by CR LF, so its length was wrong. (Redis skips two bytes without checking
    /// them.)
    UnterminatedBulk,
    /// The request would exceed [`RequestLimits::max_request`]. (Redis closes without a reply.)
    TooBigRequest,
    /// A quote in an inline command is not closed, or something other than a blank follows a closing quote.
    UnbalancedQuotes,
    /// An inline command's line does not end within [`RequestLimits::max_inline`].
    TooBigInline,
    /// A NUL in an inline command: not a text protocol (Redis would wait for the line end). TLS looks like
    /// this.
    InlineNul,
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::InvalidMultibulkLength => "invalid multibulk length",
            Self::UnauthenticatedMultibulkLength => "unauthenticated multibulk length",
            Self::TooBigMultibulkCount => "too big mbulk count string",
            Self::ExpectedBulk(byte) => {
                // Redis puts the raw byte into its reply, with CR and LF as spaces.
                let got = match byte {
                    b'\r' | b'\n' => " ".to_owned(),
                    b' '..=b'~' => char::from(*byte).to_string(),
                    other => other.escape_ascii().to_string(),
                };
                return write!(f, "Protocol error: expected '$', got '{got}'");
            }
            Self::InvalidBulkLength => "invalid bulk length",
            Self::UnauthenticatedBulkLength => "unauthenticated bulk length",
            Self::TooBigBulkCount => "too big bulk count string",
            Self::UnterminatedBulk => "expected CRLF after bulk string",
            Self::TooBigRequest => "too big request",
            Self::UnbalancedQuotes => "unbalanced quotes in request",
            Self::TooBigInline => "too big inline request",
            Self::InlineNul => "NUL byte in inline request",
        };
        write!(f, "Protocol error: {text}")
    }
}

impl std::error::Error for RequestError {}

/// Resumable parser of one request at a time.
/// Pass the bytes of the connection to [`parse`](Self::parse), from the start of the request on. After
/// `Complete` or `Skip` the next call begins a new request, whose first byte must be the first of `text`.
/// After an error the parser must be [reset](Self::reset) before it is used again.
#[derive(Debug, Default)]
pub struct RequestParser {
    phase: Phase,
    /// Where the next header, or the CR LF after a body, begins. May lie beyond the text while a body is
    /// being collected.
    pos: usize,
    /// The current line has no line end before this offset.
    scanned: usize,
    /// Number of arguments that are not complete yet.
    left: u32,
    /// Number of bytes of this request that are not in the text.
    diverted: u64,
    args: Vec<Arg>,
    /// The canonical form of an inline command; empty otherwise.
    canonical: Vec<u8>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    /// Nothing of the request has been accepted.
    #[default]
    Start,
    /// `pos` is where `$` must be.
    Header,
    /// `pos` is where the CR LF after an argument must be.
    Terminator,
    /// The request was returned; the next call begins a new one.
    Done,
}

/// A parsed length line.
enum Line {
    Number { value: i64, next: usize },
    Partial,
    TooLong,
    Bad,
}

impl RequestParser {
    /// Continues parsing `text`, which must begin with the bytes of earlier calls for the same request
    /// (without what [`Progress::Body`] removed). Bytes already parsed are not read again, so a request costs
    /// time linear in its length however it is cut.
    ///
    /// # Errors
    /// [`RequestError`] if the bytes are not a request or exceed a limit.
    #[inline(always)]
    pub fn parse(&mut self, limits: &RequestLimits, text: &[u8]) -> Result<Progress, RequestError> {
        if self.phase == Phase::Done {
            self.reset();
        }
        if self.phase == Phase::Start
            && let Some(len) = self.parse_whole(limits, text)
        {
            self.phase = Phase::Done;
            return Ok(Progress::Complete { len });
        }
        self.parse_pieces(limits, text)
    }

    /// The same for a request that may be odd, or is not here as a whole.
    #[inline(never)]
    fn parse_pieces(
        &mut self,
        limits: &RequestLimits,
        text: &[u8],
    ) -> Result<Progress, RequestError> {
        if self.phase == Phase::Start {
            match text.first() {
                None => return Ok(Progress::Partial),
                Some(b'*') => {}
                Some(_) => return self.parse_inline(limits, text),
            }
            self.args.clear();
            if let Some(progress) = self.parse_count(limits, text)? {
                return Ok(progress);
            }
        }
        self.parse_args(limits, text)
    }

    /// The arguments of the last complete request, the command's name first. There is at least one. Offsets
    /// refer to the request's text, or to [`inline`](Self::inline) if that is `Some`.
    pub fn args(&self) -> &[Arg] {
        &self.args
    }

    /// The canonical RESP form, if the request was an inline command.
    pub fn inline(&self) -> Option<&[u8]> {
        (!self.canonical.is_empty()).then_some(&self.canonical)
    }

    /// Minimum number of bytes missing when `len` bytes of text gave [`Progress::Partial`]; 0 if unknown.
    /// Saves the caller calls that cannot succeed.
    pub fn missing(&self, len: usize) -> usize {
        match self.phase {
            Phase::Terminator => (self.pos + 2).saturating_sub(len),
            _ => 0,
        }
    }

    /// Resets the parser. Memory for arguments is kept up to a small limit (1,024 arguments, 4 KiB of inline
    /// text), so that one large request does not cost memory for the life of the connection.
    #[inline]
    pub fn reset(&mut self) {
        const KEPT_ARGS: usize = 1024;
        const KEPT_INLINE: usize = 4096;
        self.phase = Phase::Start;
        self.pos = 0;
        self.scanned = 0;
        self.left = 0;
        self.diverted = 0;
        self.args.clear();
        self.args.shrink_to(KEPT_ARGS);
        self.canonical.clear();
        self.canonical.shrink_to(KEPT_INLINE);
    }

    /// Fast path: a regular request that is in the text as a whole. `None` only means that the fast path does
    /// not apply.
    #[inline(always)]
    fn parse_whole(&mut self, limits: &RequestLimits, text: &[u8]) -> Option<usize> {
        let (count, mut at) = number::quick_header(text, 0, b'*')?;
        if count == 0 || count > limits.max_args {
            return None;
        }
        // So that offsets fit, and the whole is within the limits.
        let most = limits.max_request.min(u64::from(u32::MAX));
        let text = &text[..text.len().min(usize::try_from(most).unwrap_or(usize::MAX))];
        for _ in 0..count {
            let (len, start) = number::quick_header(text, at, b'$')?;
            let end = start + len as usize;
            if u64::from(len) > limits.max_bulk || text.get(end..)?.first_chunk() != Some(b"\r\n") {
                return None;
            }
            self.args.push(Arg {
                start: start as u32,
                len,
                diverted: false,
            });
            at = end + 2;
        }
        Some(at)
    }

    /// Parses `*N`. `None` means: continue with the arguments.
    fn parse_count(
        &mut self,
        limits: &RequestLimits,
        text: &[u8],
    ) -> Result<Option<Progress>, RequestError> {
        match self.length_line(limits, text, 0) {
            Line::Partial => Ok(Some(Progress::Partial)),
            Line::TooLong => Err(RequestError::TooBigMultibulkCount),
            Line::Bad => Err(RequestError::InvalidMultibulkLength),
            Line::Number { value, .. } if value > i64::from(limits.max_args) => {
                Err(match limits.is_unauthenticated {
                    true => RequestError::UnauthenticatedMultibulkLength,
                    false => RequestError::InvalidMultibulkLength,
                })
            }
            Line::Number { value, next } if value <= 0 => {
                self.phase = Phase::Done;
                Ok(Some(Progress::Skip { len: next }))
            }
            Line::Number { value, next } => {
                self.left = value as u32; // 1..=max_args, checked above
                self.pos = next;
                self.phase = Phase::Header;
                Ok(None)
            }
        }
    }

    /// Parses `$len` and the argument, as many times as the count says.
    fn parse_args(
        &mut self,
        limits: &RequestLimits,
        text: &[u8],
    ) -> Result<Progress, RequestError> {
        loop {
            if self.phase == Phase::Header
                && let Some(progress) = self.parse_header(limits, text)?
            {
                return Ok(progress);
            }
            match text.get(self.pos..self.pos + 2) {
                Some(b"\r\n") => {}
                Some(_) => return Err(RequestError::UnterminatedBulk),
                None => match text.get(self.pos) {
                    None | Some(b'\r') => return Ok(Progress::Partial),
                    Some(_) => return Err(RequestError::UnterminatedBulk),
                },
            }
            self.pos += 2;
            self.left -= 1;
            if self.left == 0 {
                self.phase = Phase::Done;
                return Ok(Progress::Complete { len: self.pos });
            }
            self.phase = Phase::Header;
        }
    }

    /// Parses `$len` and adds the argument. `None` means: continue with its terminator.
    fn parse_header(
        &mut self,
        limits: &RequestLimits,
        text: &[u8],
    ) -> Result<Option<Progress>, RequestError> {
        match text.get(self.pos) {
            None => return Ok(Some(Progress::Partial)),
            Some(b'$') => {}
            Some(&byte) => return Err(RequestError::ExpectedBulk(byte)),
        }
        let (value, start) = match self.length_line(limits, text, self.pos) {
            Line::Partial => return Ok(Some(Progress::Partial)),
            Line::TooLong => return Err(RequestError::TooBigBulkCount),
            Line::Bad => return Err(RequestError::InvalidBulkLength),
            Line::Number { value, next } => (value, next),
        };
        let len = u32::try_from(value).map_err(|_| RequestError::InvalidBulkLength)?;
        if u64::from(len) > limits.max_bulk {
            return Err(match limits.is_unauthenticated {
                true => RequestError::UnauthenticatedBulkLength,
                false => RequestError::InvalidBulkLength,
            });
        }
        let end = start as u64 + self.diverted + u64::from(len) + 2;
        if end > limits.max_request.min(u64::from(u32::MAX)) {
            return Err(RequestError::TooBigRequest);
        }
        let whole = text.len() - start >= len as usize;
        let diverted = !whole && len as usize > limits.divert;
        self.args.push(Arg {
            start: start as u32,
            len,
            diverted,
        }); // start < end <= u32::MAX
        self.phase = Phase::Terminator;
        if !diverted {
            self.pos = start + len as usize;
            return Ok(None);
        }
        self.pos = start;
        self.diverted += u64::from(len);
        Ok(Some(Progress::Body {
            at: start,
            len: len as usize,
        }))
    }

    /// Parses a length line; `text[at]` is its first byte, `*` or `$`.
    fn length_line(&mut self, limits: &RequestLimits, text: &[u8], at: usize) -> Line {
        if let Some((value, next)) = number::quick_length(text, at + 1) {
            return Line::Number {
                value: i64::from(value),
                next,
            };
        }
        self.odd_length_line(limits, text, at)
    }

    /// The same for lines that are incomplete, long or invalid.
    fn odd_length_line(&mut self, limits: &RequestLimits, text: &[u8], at: usize) -> Line {
        let from = self.scanned.max(at + 1);
        let unseen = text.get(from..).unwrap_or_default();
        let Some(found) = memchr(b'\r', unseen) else {
            self.scanned = text.len();
            return match text.len() - at > limits.max_inline {
                true => Line::TooLong,
                false => Line::Partial,
            };
        };
        let end = from + found;
        self.scanned = end;
        if end - at > limits.max_inline {
            return Line::TooLong;
        }
        match text.get(end + 1) {
            None => return Line::Partial,
            Some(b'\n') => {}
            Some(_) => return Line::Bad,
        }
        match number::canonical(&text[at + 1..end]) {
            Some(value) => Line::Number {
                value,
                next: end + 2,
            },
            None => Line::Bad,
        }
    }

    fn parse_inline(
        &mut self,
        limits: &RequestLimits,
        text: &[u8],
    ) -> Result<Progress, RequestError> {
        let unseen = text.get(self.scanned..).unwrap_or_default();
        let end = self.scanned + memchr2(b'\n', 0, unseen).unwrap_or(unseen.len());
        self.scanned = end;
        if end > inline_bound(limits) {
            return Err(RequestError::TooBigInline);
        }
        match text.get(end) {
            None => return Ok(Progress::Partial),
            Some(0) => return Err(RequestError::InlineNul),
            Some(_) => {}
        }
        self.phase = Phase::Done;
        let line = &text[..end];
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        self.take_words(line)?;
        match self.args.is_empty() {
            true => Ok(Progress::Skip { len: end + 1 }),
            false => Ok(Progress::Complete { len: end + 1 }),
        }
    }

    /// Writes the canonical form of an inline command and adds its arguments.
    fn take_words(&mut self, line: &[u8]) -> Result<(), RequestError> {
        let mut bulks = Vec::new();
        inline::split(line, &mut bulks, &mut self.args)
            .map_err(|inline::Unbalanced| RequestError::UnbalancedQuotes)?;
        if self.args.is_empty() {
            return Ok(());
        }
        encode::array_header(&mut self.canonical, self.args.len());
        let header = self.canonical.len() as u32;
        self.args.iter_mut().for_each(|arg| arg.start += header);
        self.canonical.append(&mut bulks);
        Ok(())
    }
}

/// Limit of the inline form, so that offsets into its canonical form (at most 7 bytes per byte) fit `u32`.
fn inline_bound(limits: &RequestLimits) -> usize {
    limits.max_inline.min(16 << 20)
}

#[cfg(test)]
mod tests;
