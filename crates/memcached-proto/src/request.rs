//! Parses clients' requests: where a request ends, its command, and the positions of its keys.
//!
//! The parser gets a buffer that begins with a request and may end anywhere. It copies nothing and never
//! reads a byte of an unfinished line twice.
//!
//! ```text
//!            LF found                          block whole
//!  Line ───────────────────▶ Block (≤ divert) ──────────────▶ Complete
//!   ▲ │                 └──▶ Body (> divert) ──finish_body──▶ Complete
//!   └─┘ no LF: Partial
//! ```

use memchr::{memchr, memrchr};

use crate::arg::Arg;
use crate::line::{self, Found, Line};
use crate::{MAX_KEY, Refusal, RequestError, Verb, quick};

/// Limits on clients' requests. In bytes, unless said otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestLimits {
    /// Longest data block that may be announced.
    pub max_value: u64,
    /// Longest line, its end included, of any command but get, gets, gat and gats.
    pub max_line: usize,
    /// Longest line, its end included, of get, gets, gat and gats. More than 4 GiB counts as 4 GiB. Beyond
    /// `max_line`, a word longer than any key is an error, so that a line of many keys may be long but an
    /// endless one may not.
    pub max_retrieval_line: usize,
    /// Most keys in one request.
    pub max_keys: usize,
    /// A data block longer than this (CRLF included) that is not in the buffer as a whole is collected by the
    /// caller ([`Progress::Body`]).
    pub divert: usize,
}

impl Default for RequestLimits {
    /// 1 GiB values (memcached's own bound for `-I`), 8 KiB and 4 MiB lines (10,000 of the longest keys
    /// fit), 1,048,576 keys, 64 KiB.
    fn default() -> Self {
        RequestLimits {
            max_value: 1 << 30,
            max_line: 8 << 10,
            max_retrieval_line: 4 << 20,
            max_keys: 1 << 20,
            divert: 64 << 10,
        }
    }
}

/// A request that can be served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// The command.
    pub verb: Verb,
    /// Start and end offset of ` noreply` and the blanks before it: without these bytes the request asks for
    /// a reply.
    pub noreply: Option<(u32, u32)>,
    /// Whether the data block was collected by the caller and is not part of the text.
    pub diverted: bool,
    /// Length of the command line, its end included: where the data block begins.
    pub line_len: u32,
}

impl Request {
    fn bad_data_chunk(&self) -> RequestError {
        let noreply = self.noreply.is_some();
        RequestError::BadDataChunk { noreply }
    }
}

/// What the parser found at the beginning of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// A request: the first `len` bytes, without a diverted data block.
    Complete {
        /// Bytes to consume.
        len: usize,
        /// The request.
        request: Request,
    },
    /// Incomplete: call again with the same text and more bytes.
    Partial,
    /// A storage command with a long data block that is not in the text as a whole. The caller removes
    /// `text[at..]`, collects exactly `len` bytes elsewhere and calls [`RequestParser::finish_body`];
    /// `text[..at]` stays.
    Body {
        /// Where the command line ends.
        at: usize,
        /// Length of the data block, its CRLF included.
        len: usize,
    },
    /// A request that is not served, with its data block if it has one: consume `len` bytes and answer,
    /// unless it says `noreply`.
    Refused {
        /// Bytes to consume.
        len: usize,
        /// The error to answer with.
        refusal: Refusal,
        /// Whether the request says `noreply`.
        noreply: bool,
    },
    /// The same if the data block is not in the text as a whole: consume `text[..at]`, then discard `skip`
    /// bytes.
    RefusedBody {
        /// Where the command line ends.
        at: usize,
        /// Length of the data block, its CRLF included.
        skip: u64,
        /// The error to answer with.
        refusal: Refusal,
        /// Whether the request says `noreply`.
        noreply: bool,
    },
}

/// A resumable parser of one client's requests.
#[derive(Debug, Default)]
pub struct RequestParser {
    stage: Stage,
    found: Found,
}

#[derive(Clone, Copy, Debug)]
enum Stage {
    /// Looking for the end of the line; the first `searched` bytes hold none.
    Line { searched: usize },
    /// The line is parsed; its data block is not in the text as a whole yet.
    Block(Pending),
    /// The caller collects the data block.
    Body(Pending),
}

impl Default for Stage {
    fn default() -> Self {
        Stage::Line { searched: 0 }
    }
}

/// A storage command without its data.
#[derive(Clone, Copy, Debug)]
struct Pending {
    request: Request,
    /// Length of the data block, its CRLF included.
    block: usize,
}

impl RequestParser {
    /// Parses one request at the beginning of `text`. After [`Progress::Partial`] the text must begin with
    /// the same bytes again. After [`Progress::Body`] the result stays the same until
    /// [`RequestParser::finish_body`]. After anything else the next call begins the next request.
    ///
    /// # Errors
    /// Bytes that are not a request: see [`RequestError`].
    #[inline]
    pub fn parse(&mut self, limits: &RequestLimits, text: &[u8]) -> Result<Progress, RequestError> {
        if matches!(self.stage, Stage::Line { searched: 0 })
            && let Some((len, request)) = self.quick(limits, text)
        {
            return Ok(Progress::Complete { len, request });
        }
        self.parse_on(limits, text)
    }

    #[inline(never)]
    fn parse_on(&mut self, limits: &RequestLimits, text: &[u8]) -> Result<Progress, RequestError> {
        match self.stage {
            Stage::Line { searched } => self.parse_line(limits, text, searched),
            Stage::Block(pending) => self.parse_block(limits, text, pending),
            Stage::Body(pending) => Ok(pending.body()),
        }
    }

    /// Reports that the data block of [`Progress::Body`] has been collected, with its last two bytes, which
    /// must be CRLF. If no block was expected the result is [`Progress::Partial`].
    ///
    /// # Errors
    /// [`RequestError::BadDataChunk`] when they are not.
    pub fn finish_body(&mut self, last_two: [u8; 2]) -> Result<Progress, RequestError> {
        let Stage::Body(Pending { mut request, .. }) = self.stage else {
            return Ok(Progress::Partial);
        };
        if last_two != *b"\r\n" {
            return Err(request.bad_data_chunk());
        }
        self.stage = Stage::default();
        request.diverted = true;
        Ok(Progress::Complete {
            len: request.line_len as usize,
            request,
        })
    }

    /// Positions of the keys of the request that [`RequestParser::parse`] returned last (not of a refused
    /// one). Valid until the next request is parsed.
    pub fn keys(&self) -> &[Arg] {
        &self.found.keys
    }

    /// Position of the exptime, for storage commands, touch, gat and gats. Valid as long as the keys.
    pub fn exptime(&self) -> Option<Arg> {
        self.found.exptime
    }

    /// Whether the line of a request has been parsed and its data block is still to come.
    pub fn is_within_block(&self) -> bool {
        !matches!(self.stage, Stage::Line { .. })
    }

    /// Minimum number of bytes missing when `len` bytes of text gave [`Progress::Partial`]; 0 if unknown.
    /// Saves the caller calls that cannot succeed.
    pub fn missing(&self, len: usize) -> usize {
        match &self.stage {
            Stage::Block(pending) => {
                (pending.request.line_len as usize + pending.block).saturating_sub(len)
            }
            _ => 0,
        }
    }

    /// Resets the parser, and frees the memory that a request with many keys took.
    pub fn reset(&mut self) {
        self.stage = Stage::default();
        self.found.clear();
    }

    /// The usual cases in one go: a whole `get` of one key or a whole `set`, with nothing odd about it. `None`
    /// says nothing but that this was neither.
    #[inline]
    fn quick(&mut self, limits: &RequestLimits, text: &[u8]) -> Option<(usize, Request)> {
        let usual = match text.first()? {
            b'g' => quick_get(text)?,
            b's' => quick_set(text, limits.max_value)?,
            _ => return None,
        };
        let is_within = usual.line <= limits.max_line.min(limits.max_retrieval_line);
        if !is_within || limits.max_keys == 0 {
            return None;
        }
        self.found.clear();
        self.found.keys.push(usual.key);
        self.found.exptime = usual.exptime;
        let request = Request {
            verb: usual.verb,
            noreply: None,
            diverted: false,
            line_len: usual.line as u32,
        };
        Some((usual.len, request))
    }

    fn parse_line(
        &mut self,
        limits: &RequestLimits,
        text: &[u8],
        searched: usize,
    ) -> Result<Progress, RequestError> {
        if searched == 0 {
            self.found.clear();
            if is_binary(text) {
                return binary_request(text);
            }
        }
        let unseen = text.get(searched..).unwrap_or_default();
        match memchr(b'\n', unseen) {
            Some(at) => {
                let len = searched + at + 1;
                check_line_length(limits, text, searched, len)?;
                self.take_line(limits, text, len)
            }
            None => {
                check_line_length(limits, text, searched, text.len() + 1)?;
                self.stage = Stage::Line {
                    searched: text.len(),
                };
                Ok(Progress::Partial)
            }
        }
    }

    fn take_line(
        &mut self,
        limits: &RequestLimits,
        text: &[u8],
        len: usize,
    ) -> Result<Progress, RequestError> {
        self.stage = Stage::default();
        let line = text[..len - 1]
            .strip_suffix(b"\r")
            .unwrap_or(&text[..len - 1]);
        match line::read(line, len, limits.max_keys, &mut self.found) {
            Line::Http => {
                self.found.clear();
                Err(RequestError::Http)
            }
            Line::Resp => {
                self.found.clear();
                Err(RequestError::Resp)
            }
            Line::Served {
                verb,
                noreply,
                block,
            } => {
                let request = Request {
                    verb,
                    noreply,
                    diverted: false,
                    line_len: len as u32,
                };
                match block {
                    None => Ok(Progress::Complete { len, request }),
                    Some(bytes) => {
                        let block = block_length(limits, bytes, noreply.is_some())?;
                        if bytes > limits.max_value {
                            self.found.clear();
                            let refusal = Refusal::ValueTooLarge;
                            return Ok(refused(text, len, block, refusal, noreply.is_some()));
                        }
                        self.parse_block(limits, text, Pending { request, block })
                    }
                }
            }
            Line::Refused {
                refusal,
                noreply,
                block,
            } => {
                self.found.clear();
                let block = match block {
                    Some(bytes) => block_length(limits, bytes, noreply)?,
                    None => 0,
                };
                Ok(refused(text, len, block, refusal, noreply))
            }
        }
    }

    fn parse_block(
        &mut self,
        limits: &RequestLimits,
        text: &[u8],
        pending: Pending,
    ) -> Result<Progress, RequestError> {
        let line_len = pending.request.line_len as usize;
        let end = line_len + pending.block;
        let Some(block) = text.get(line_len..end) else {
            if pending.block > limits.divert {
                self.stage = Stage::Body(pending);
                return Ok(pending.body());
            }
            self.stage = Stage::Block(pending);
            return Ok(Progress::Partial);
        };
        if !block.ends_with(b"\r\n") {
            return Err(pending.request.bad_data_chunk());
        }
        self.stage = Stage::default();
        Ok(Progress::Complete {
            len: end,
            request: pending.request,
        })
    }
}

/// What a request of the usual form asks for.
struct Usual {
    verb: Verb,
    key: Arg,
    exptime: Option<Arg>,
    /// Length of the command line, its end included.
    line: usize,
    /// Length of all of it.
    len: usize,
}

/// `get KEY`.
#[inline]
fn quick_get(text: &[u8]) -> Option<Usual> {
    let len = quick::word(text.strip_prefix(b"get ")?)?;
    let end = 4 + len;
    let is_all = text[end..].starts_with(b"\r\n");
    is_all.then_some(Usual {
        verb: Verb::Get,
        key: span(4, end),
        exptime: None,
        line: end + 2,
        len: end + 2,
    })
}

/// `set KEY FLAGS EXPTIME LENGTH`, all of them short and none negative.
#[inline]
fn quick_set(text: &[u8], max_value: u64) -> Option<Usual> {
    let key = 4 + quick::word(text.strip_prefix(b"set ")?)?;
    let (_, flags) = quick::number(text, key + 1)?;
    let (_, exptime) = quick::number(text, flags + 1)?;
    let (length, end) = quick::number(text, exptime + 1)?;
    let are_apart = [key, flags, exptime].iter().all(|at| text[*at] == b' ');
    let line = end + 2;
    let len = line + length as usize + 2;
    let is_whole = text.get(end..line)? == b"\r\n" && text.get(len - 2..len)? == b"\r\n";
    let is_all = are_apart && is_whole && length <= max_value;
    is_all.then_some(Usual {
        verb: Verb::Set,
        key: span(4, key),
        exptime: Some(span(flags + 1, exptime)),
        line,
        len,
    })
}

/// A word of a line that is short.
#[inline]
fn span(start: usize, end: usize) -> Arg {
    Arg {
        start: start as u32,
        len: (end - start) as u32,
    }
}

impl Pending {
    fn body(self) -> Progress {
        Progress::Body {
            at: self.request.line_len as usize,
            len: self.block,
        }
    }
}

impl Found {
    /// Number of keys whose memory is kept between requests: most clients ask for a few.
    const KEPT: usize = 32;

    #[inline]
    fn clear(&mut self) {
        self.exptime = None;
        self.keys.clear();
        if self.keys.capacity() > Found::KEPT {
            self.keys = Vec::new();
        }
    }
}

/// First byte of every request of the binary protocol; no command begins with it.
const BINARY_MAGIC: u8 = 0x80;

/// Whether this is the beginning of such a request.
pub(crate) fn is_binary(text: &[u8]) -> bool {
    text.first() == Some(&BINARY_MAGIC)
}

/// A request of the binary protocol, once it is known what its reply must repeat.
pub(crate) fn binary_request(text: &[u8]) -> Result<Progress, RequestError> {
    match text.first_chunk::<16>() {
        Some([_, opcode, .., a, b, c, d]) => Err(RequestError::BinaryProtocol {
            opcode: *opcode,
            opaque: [*a, *b, *c, *d],
        }),
        None => Ok(Progress::Partial),
    }
}

/// Whether a line of `len` bytes, its end included, is within its limit. `text` begins with the line, of
/// which the first `searched` bytes were seen by an earlier call.
fn check_line_length(
    limits: &RequestLimits,
    text: &[u8],
    searched: usize,
    len: usize,
) -> Result<(), RequestError> {
    if len
        <= limits
            .max_line
            .min(limits.max_retrieval_line)
            .min(u32::MAX as usize)
    {
        return Ok(());
    }
    // The word must be within the first `max_line` bytes, so that the result does not depend on how much of
    // the line has arrived.
    let head = &text[..text.len().min(limits.max_line)];
    let is_retrieval = begins_retrieval(head);
    let max = match is_retrieval {
        true => limits.max_retrieval_line,
        false => limits.max_line,
    };
    // Offsets are 32 bits wide.
    let max = max.min(u32::MAX as usize);
    if is_retrieval {
        let seen = searched.max(limits.max_line).saturating_sub(LONGEST_WORD);
        let line = &text[..(len - 1).min(max)];
        if has_endless_word(line.get(seen..).unwrap_or_default()) {
            return Err(RequestError::EndlessKey);
        }
    }
    if len > max {
        return Err(RequestError::LineTooLong { max });
    }
    Ok(())
}

/// A key plus the CR after the last one.
const LONGEST_WORD: usize = MAX_KEY + 1;

/// Whether there are more than [`LONGEST_WORD`] bytes in a row without a blank.
fn has_endless_word(mut line: &[u8]) -> bool {
    while let Some(window) = line.get(..=LONGEST_WORD) {
        match memrchr(b' ', window) {
            Some(blank) => line = &line[blank + 1..],
            None => return true,
        }
    }
    false
}

fn begins_retrieval(head: &[u8]) -> bool {
    let word = head
        .split(|&byte| byte == b' ')
        .find(|word| !word.is_empty());
    word.and_then(Verb::from_word)
        .is_some_and(Verb::is_retrieval)
}

/// The largest length that memcached 1.6 takes for one: with the CRLF it fits a signed number of 32 bits.
const LONGEST_BLOCK: u64 = i32::MAX as u64 - 2;

/// Length of a data block and its CRLF, also of one that is too large but can be skipped.
fn block_length(limits: &RequestLimits, bytes: u64, noreply: bool) -> Result<usize, RequestError> {
    let most = limits.max_value.max(LONGEST_BLOCK);
    (bytes <= most)
        .then(|| bytes.checked_add(2))
        .flatten()
        .and_then(|block| usize::try_from(block).ok())
        // The end of line and block together must fit a length too.
        .filter(|&block| block <= usize::MAX - u32::MAX as usize)
        .ok_or(RequestError::ImpossibleLength { noreply })
}

fn refused(text: &[u8], line: usize, block: usize, refusal: Refusal, noreply: bool) -> Progress {
    let len = line + block;
    if len <= text.len() {
        return Progress::Refused {
            len,
            refusal,
            noreply,
        };
    }
    Progress::RefusedBody {
        at: line,
        skip: block as u64,
        refusal,
        noreply,
    }
}
