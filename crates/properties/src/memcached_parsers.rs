//! Properties of the two parsers of `memcached-proto` for arbitrary bytes.

use memcached_proto::{
    Arg, BadReply, MAX_KEY, Progress, Refusal, ReplyKind, ReplyScanner, Request, RequestLimits,
    RequestParser, Scan, Verb, login, meta,
};

use crate::chance::chance;

/// Up to this length every single cut is tried; beyond it, only single bytes and a few sizes of pieces.
const EVERY_CUT: usize = 256;

/// Checks arbitrary bytes from a client: however they are cut, the same requests and refusals result; every
/// position lies within its request; and no byte is lost or invented.
pub fn requests(data: &[u8]) {
    logins(data);
    for limits in limits() {
        let whole = Client::receive(&limits, [data].into_iter());
        whole.account_for(data);
        for_each_cut(data, |pieces| {
            let cut = Client::receive(&limits, pieces);
            assert_eq!(cut, whole, "{limits:?}");
        });
    }
}

/// One of the cases of [`requests`], chosen by the data. For a fuzzer, which reaches the other cases by
/// changing a byte, and tries many more inputs in the same time.
pub fn requests_once(data: &[u8]) {
    logins(data);
    let chance = chance(data);
    let limits = &limits()[chance % 2];
    let whole = Client::receive(limits, [data].into_iter());
    whole.account_for(data);
    with_one_cut(data, chance / 2, |pieces| {
        let cut = Client::receive(limits, pieces);
        assert_eq!(cut, whole, "{limits:?}");
    });
}

/// Checks them as those of a client that has not said who it is: what is found lies within them, does not depend on what follows,
/// and is not found before all of it is there.
fn logins(data: &[u8]) {
    let len = match login::read(data) {
        Ok(login::Found::Other { len } | login::Found::Attempt { len, .. }) => len,
        Ok(login::Found::Partial) | Err(_) => return,
    };
    assert!(len <= login::MAX_LINE + login::MAX_DATA as usize + 2);
    assert_eq!(login::read(&data[..len]), login::read(data));
    for end in [0, len / 3, len / 2, len - 1] {
        assert_eq!(
            login::read(&data[..end]),
            Ok(login::Found::Partial),
            "{end}"
        );
    }
}

fn limits() -> [RequestLimits; 2] {
    let tight = RequestLimits {
        max_value: 64,
        max_line: 300,
        max_retrieval_line: 400,
        max_keys: 4,
        divert: 8,
    };
    [RequestLimits::default(), tight]
}

/// Checks arbitrary bytes from a server: however they are cut, the same replies with the same marks result, and
/// the same replies without marks; and marks are in order within their reply.
pub fn replies(data: &[u8]) {
    for max_value in MAX_VALUES {
        let whole = Replies::receive(max_value, [data].into_iter());
        whole.account_for(data);
        for_each_cut(data, |pieces| {
            let cut = Replies::receive(max_value, pieces);
            assert_eq!(cut, whole, "{max_value}");
        });
    }
}

/// One of the cases of [`replies`], chosen by the data.
pub fn replies_once(data: &[u8]) {
    let chance = chance(data);
    let max_value = MAX_VALUES[chance % MAX_VALUES.len()];
    let whole = Replies::receive(max_value, [data].into_iter());
    whole.account_for(data);
    with_one_cut(data, chance / MAX_VALUES.len(), |pieces| {
        let cut = Replies::receive(max_value, pieces);
        assert_eq!(cut, whole, "{max_value}");
    });
}

/// Limits on the size of values.
const MAX_VALUES: [u64; 2] = [1 << 30, 16];

/// Sizes of the pieces in which data is delivered.
const SIZES: [usize; 6] = [1, 2, 3, 7, 64, 1000];

/// Calls `with` for the one way of cutting the data that `chance` selects.
fn with_one_cut(data: &[u8], chance: usize, with: impl FnOnce(&mut dyn Iterator<Item = &[u8]>)) {
    let way = chance % (SIZES.len() * 2);
    match SIZES.get(way) {
        Some(size) => with(&mut data.chunks(*size)),
        None => {
            let (head, tail) = data.split_at(chance / (SIZES.len() * 2) % (data.len() + 1));
            with(&mut [head, tail].into_iter());
        }
    }
}

/// Calls `with` for each way of cutting the data.
fn for_each_cut(data: &[u8], mut with: impl FnMut(&mut dyn Iterator<Item = &[u8]>)) {
    for size in SIZES {
        with(&mut data.chunks(size));
    }
    if data.len() <= EVERY_CUT {
        for at in 0..=data.len() {
            let (head, tail) = data.split_at(at);
            with(&mut [head, tail].into_iter());
        }
    }
}

/// What the parser found in a client's bytes.
#[derive(Debug, PartialEq, Eq)]
enum Event {
    Request {
        /// Line and data block.
        bytes: Vec<u8>,
        verb: Verb,
        noreply: Option<(u32, u32)>,
        keys: Vec<Arg>,
        exptime: Option<Arg>,
    },
    Refused {
        len: u64,
        line: Vec<u8>,
        noreply: bool,
    },
    /// The end: the error reply before closing.
    Closed(Vec<u8>),
}

/// A caller of the request parser, as its documentation describes it.
#[derive(Default)]
struct Client {
    parser: RequestParser,
    text: Vec<u8>,
    /// Bytes still to be discarded.
    skip: u64,
    body: Option<Body>,
    events: Vec<Event>,
}

/// A diverted data block.
struct Body {
    /// Its offset in the text.
    at: usize,
    data: Vec<u8>,
    /// Its complete length.
    len: usize,
}

/// The result: what was found, and what is left.
#[derive(Debug, PartialEq, Eq)]
struct Received {
    events: Vec<Event>,
    /// Bytes of an incomplete request.
    left: Vec<u8>,
    skip: u64,
}

impl Client {
    fn receive<'a>(limits: &RequestLimits, pieces: impl Iterator<Item = &'a [u8]>) -> Received {
        let mut client = Client::default();
        for piece in pieces {
            client.text.extend_from_slice(piece);
            while client.advance(limits) {}
        }
        let mut left = std::mem::take(&mut client.text);
        if let Some(body) = client.body {
            left.splice(body.at..body.at, body.data);
        }
        Received {
            events: client.events,
            left,
            skip: client.skip,
        }
    }

    /// One step; false if more bytes are needed.
    fn advance(&mut self, limits: &RequestLimits) -> bool {
        if let Some(Event::Closed(_)) = self.events.last() {
            return false;
        }
        if self.skip > 0 {
            let here = self.text.len().min(self.skip as usize);
            self.text.drain(..here);
            self.skip -= here as u64;
            return self.skip == 0;
        }
        let (at, progress) = match self.gather() {
            Gathered::Not => (0, self.parser.parse(limits, &self.text)),
            Gathered::Missing => return false,
            Gathered::Whole(at, last_two) => (at, self.parser.finish_body(last_two)),
        };
        match progress {
            Ok(progress) => self.take(at, progress),
            Err(error) => {
                let mut line = Vec::new();
                error.line(&mut line);
                self.events.push(Event::Closed(line));
                false
            }
        }
    }

    fn gather(&mut self) -> Gathered {
        let Some(Body { at, data, len }) = &mut self.body else {
            return Gathered::Not;
        };
        let here = (self.text.len() - *at).min(*len - data.len());
        data.extend(self.text.drain(*at..*at + here));
        if data.len() < *len {
            return Gathered::Missing;
        }
        Gathered::Whole(*at, [data[*len - 2], data[*len - 1]])
    }

    fn take(&mut self, at: usize, progress: Progress) -> bool {
        match progress {
            Progress::Partial => return false,
            Progress::Body { at, len } => {
                assert!(at <= self.text.len() && self.text.len() < at + len);
                let data = Vec::new();
                self.body = Some(Body { at, data, len });
            }
            Progress::Complete { len, request } => {
                assert!(at == 0 || at == len);
                self.complete(len, request);
            }
            Progress::Refused {
                len,
                refusal,
                noreply,
            } => {
                self.text.drain(..len);
                self.refuse(len as u64, refusal, noreply);
            }
            Progress::RefusedBody {
                at,
                skip,
                refusal,
                noreply,
            } => {
                self.text.drain(..at);
                self.skip = skip;
                self.refuse(at as u64 + skip, refusal, noreply);
            }
        }
        true
    }

    fn refuse(&mut self, len: u64, refusal: Refusal, noreply: bool) {
        let mut line = Vec::new();
        refusal.line(&mut line);
        assert_one_line(&line);
        self.events.push(Event::Refused { len, line, noreply });
    }

    fn complete(&mut self, len: usize, request: Request) {
        let mut bytes: Vec<u8> = self.text.drain(..len).collect();
        let line = bytes[..request.line_len as usize].to_vec();
        assert!(line.ends_with(b"\n"));
        assert_eq!(request.diverted, self.body.is_some());
        bytes.extend(self.body.take().map_or_else(Vec::new, |body| body.data));
        assert_eq!(request.verb.has_block(), bytes.len() > line.len());
        for key in self.parser.keys() {
            assert!((1..=MAX_KEY).contains(&key.of(&line).len()));
            assert!(!key.of(&line).iter().any(|b| b" \r\n\0".contains(b)));
        }
        assert!(self.parser.keys().len() == 1 || many_or_no_keys(request.verb));
        let takes_time =
            request.verb.touches() || request.verb.is_storage() || request.verb == Verb::Touch;
        assert_eq!(self.parser.exptime().is_some(), takes_time);
        if let Some((start, end)) = request.noreply {
            let span = &line[start as usize..end as usize];
            assert!(span.starts_with(b" ") && span.trim_ascii_start() == b"noreply");
        }
        if request.verb.has_flags() {
            check_flags(request.verb, &line, self.parser.keys()[0]);
        }
        self.events.push(Event::Request {
            bytes,
            verb: request.verb,
            noreply: request.noreply,
            keys: self.parser.keys().to_vec(),
            exptime: self.parser.exptime(),
        });
    }
}

enum Gathered {
    Not,
    Missing,
    /// Where the line ends, and the last two bytes.
    Whole(usize, [u8; 2]),
}

impl Received {
    /// Requests, refusals and the rest must equal the data, byte for byte.
    fn account_for(&self, data: &[u8]) {
        let mut at = 0;
        for event in &self.events {
            match event {
                Event::Request { bytes, .. } => {
                    assert_eq!(&data[at..at + bytes.len()], bytes);
                    at += bytes.len();
                }
                Event::Refused { len, .. } => at += *len as usize,
                Event::Closed(line) => assert_one_line(line),
            }
        }
        if self.skip > 0 {
            assert_eq!(at as u64, data.len() as u64 + self.skip);
        } else {
            assert_eq!(&data[at..], &self.left);
        }
    }
}

/// Flags are words of their own behind the key, none is there twice, and a key in base64 can be decoded.
fn check_flags(verb: Verb, line: &[u8], key: Arg) {
    let mut end = key.range().end;
    let mut seen = Vec::new();
    for flag in meta::flags(verb, line) {
        let (word, with_blanks) = (flag.word.of(line), flag.with_blanks());
        assert!(end <= with_blanks.start && with_blanks.end == flag.word.range().end);
        let blanks = &line[with_blanks.start..flag.word.range().start];
        assert!(!blanks.is_empty() && blanks.iter().all(|byte| *byte == b' '));
        assert_eq!(word, [&[flag.letter][..], flag.token().of(line)].concat());
        assert!(verb == Verb::MetaDebug || !flag.letter.is_ascii() || !seen.contains(&flag.letter));
        seen.push(flag.letter);
        end = with_blanks.end;
    }
    let mut decoded = Vec::new();
    if meta::has_encoded_key(verb, line) {
        assert!(meta::decode_key(key.of(line), &mut decoded));
        assert!((1..=MAX_KEY).contains(&decoded.len()));
    }
}

fn many_or_no_keys(verb: Verb) -> bool {
    let keyless = matches!(
        verb,
        Verb::Version
            | Verb::Verbosity
            | Verb::FlushAll
            | Verb::Stats
            | Verb::MetaNoop
            | Verb::Quit
    );
    verb.is_retrieval() || keyless
}

/// One line, or a reply of the binary protocol.
fn assert_one_line(line: &[u8]) {
    if let Some((header, text)) = line.split_first_chunk::<24>()
        && header.starts_with(b"\x81")
    {
        return assert_eq!(header[8..12], (text.len() as u32).to_be_bytes());
    }
    let text = line
        .strip_suffix(b"\r\n")
        .expect("a reply line ends with CRLF");
    assert!(text.iter().all(|byte| (b' '..=b'~').contains(byte)));
}

/// One that is asked for marks and one that is not, which takes shorter ways.
struct Scanners {
    plain: ReplyScanner,
    marking: ReplyScanner,
}

/// What the scanners found in a server's bytes.
#[derive(Debug, Default, PartialEq, Eq)]
struct Replies {
    /// Length, kind and marks of each.
    complete: Vec<(u64, ReplyKind, Vec<u64>)>,
    bad: Option<BadReply>,
    /// Bytes and marks of the incomplete reply; meaningless after an invalid one.
    left: u64,
    marks: Vec<u64>,
}

impl Replies {
    fn receive<'a>(max_value: u64, pieces: impl Iterator<Item = &'a [u8]>) -> Replies {
        let new = || ReplyScanner::with_max_value(max_value);
        let mut scanners = Scanners {
            plain: new(),
            marking: new(),
        };
        let mut replies = Replies::default();
        for piece in pieces {
            if let Err(bad) = replies.take(&mut scanners, piece) {
                replies.bad = Some(bad);
                (replies.left, replies.marks) = (0, Vec::new());
                return replies;
            }
            assert_eq!(scanners.plain.is_idle(), replies.left == 0);
            assert_eq!(scanners.marking.is_idle(), replies.left == 0);
        }
        replies
    }

    fn take(&mut self, scanners: &mut Scanners, mut data: &[u8]) -> Result<(), BadReply> {
        while !data.is_empty() {
            let scan = scanners.marking.scan_marked(data, &mut self.marks);
            assert_eq!(scanners.plain.scan(data), scan, "marks change nothing");
            match scan? {
                Scan::Partial => {
                    self.left += data.len() as u64;
                    return Ok(());
                }
                Scan::Complete { len, kind } => {
                    assert!(0 < len && len <= data.len());
                    let marks = std::mem::take(&mut self.marks);
                    self.complete.push((self.left + len as u64, kind, marks));
                    self.left = 0;
                    data = &data[len..];
                }
            }
        }
        Ok(())
    }

    fn account_for(&self, data: &[u8]) {
        let mut total = self.left;
        for (len, kind, marks) in &self.complete {
            assert!(marks.is_sorted() && marks.iter().all(|mark| mark < len));
            match kind {
                ReplyKind::Values | ReplyKind::Stats => assert!(!marks.is_empty()),
                ReplyKind::Line(line) => assert!(marks.is_empty() || line.is_error()),
                ReplyKind::Data => assert!(marks.is_empty()),
            }
            total += len;
        }
        match self.bad {
            None => assert_eq!(total, data.len() as u64),
            Some(_) => assert!(total < data.len() as u64),
        }
    }
}
