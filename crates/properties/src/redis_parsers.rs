//! Properties of the two parsers of `redis-proto` for arbitrary bytes.

use redis_proto::{
    BadReply, Progress, ReplyKind, ReplyScanner, RequestError, RequestLimits, RequestParser, Scan,
};

use crate::chance::chance;

/// Checks that a stream of requests gives the same result however it is cut and from whichever length
/// arguments are diverted, and that no position is outside of its text.
///
/// # Panics
/// When a property does not hold.
pub fn requests(data: &[u8]) {
    for limits in limits() {
        let whole = read_requests(data, &limits, data.len());
        for divert in DIVERTS {
            let limits = RequestLimits { divert, ..limits };
            for piece in pieces(data) {
                let cut = read_requests(data, &limits, piece);
                assert_eq!(cut, whole, "in pieces of {piece}, diverting above {divert}");
            }
        }
    }
}

/// One of the cases of [`requests`], chosen by the data. For a fuzzer, which reaches the other cases by
/// changing a byte, and tries many more inputs in the same time.
///
/// # Panics
/// When a property does not hold.
pub fn requests_once(data: &[u8]) {
    let mut chance = chance(data);
    let limits = limits()[draw(&mut chance, 2)];
    let whole = read_requests(data, &limits, data.len());
    let divert = DIVERTS[draw(&mut chance, DIVERTS.len())];
    let piece = pieces(data)[draw(&mut chance, PIECES)];
    let cut = read_requests(data, &RequestLimits { divert, ..limits }, piece);
    assert_eq!(cut, whole, "in pieces of {piece}, diverting above {divert}");
}

/// Lengths above which arguments are diverted.
const DIVERTS: [usize; 3] = [0, 5, usize::MAX];

/// The default limits, and some small enough for short inputs to reach each one; nothing is diverted.
fn limits() -> [RequestLimits; 2] {
    let usual = RequestLimits {
        divert: usize::MAX,
        ..RequestLimits::default()
    };
    let tight = RequestLimits {
        max_args: 8,
        max_bulk: 48,
        max_inline: 24,
        divert: usize::MAX,
        max_request: 96,
        is_unauthenticated: false,
    };
    [usual, tight]
}

/// Checks that a stream of replies gives the same result however it is cut, with and without marks, and that
/// marks are in order within their reply.
///
/// # Panics
/// When a property does not hold.
pub fn replies(data: &[u8]) {
    let whole = read_replies(data, data.len());
    for piece in pieces(data) {
        assert_eq!(read_replies(data, piece), whole, "in pieces of {piece}");
    }
}

/// One of the cases of [`replies`], chosen by the data, as [`requests_once`] does.
///
/// # Panics
/// When a property does not hold.
pub fn replies_once(data: &[u8]) {
    let piece = pieces(data)[draw(&mut chance(data), PIECES)];
    let whole = read_replies(data, data.len());
    assert_eq!(read_replies(data, piece), whole, "in pieces of {piece}");
}

/// Number of ways of cutting.
const PIECES: usize = 5;

/// Lengths of pieces to cut `data` into.
fn pieces(data: &[u8]) -> [usize; PIECES] {
    // The fourth one depends on the data, so that a fuzzer can choose it.
    [1, 2, 3, 4 + chance(data) % 251, data.len()]
}

/// Takes a number below `below` from the data's choice, and leaves the rest for further ones.
fn draw(chance: &mut usize, below: usize) -> usize {
    let drawn = *chance % below;
    *chance /= below;
    drawn
}

/// The content of a stream of requests.
#[derive(Debug, Default, PartialEq)]
struct Requests {
    /// The arguments of each request, and where in the stream it ended.
    read: Vec<(Vec<Vec<u8>>, usize)>,
    error: Option<RequestError>,
}

/// A caller as [`Progress`] describes it, which gets `piece` bytes at a time.
fn read_requests(data: &[u8], limits: &RequestLimits, piece: usize) -> Requests {
    let mut result = Requests::default();
    let mut parser = RequestParser::default();
    let (mut text, mut bodies) = (Vec::new(), Vec::<Vec<u8>>::new());
    let (mut missing, mut received) = (0, 0);
    for chunk in data.chunks(piece.max(1)) {
        received += chunk.len();
        let taken = chunk.len().min(missing);
        if let Some(body) = bodies.last_mut() {
            body.extend_from_slice(&chunk[..taken]);
            missing -= taken;
        }
        text.extend_from_slice(&chunk[taken..]);
        while missing == 0 {
            let progress = match parser.parse(limits, &text) {
                Ok(progress) => progress,
                Err(error) => {
                    result.error = Some(error);
                    return result;
                }
            };
            match progress {
                Progress::Partial => break,
                Progress::Body { at, len } => {
                    assert!(len > limits.divert && at <= text.len() && len > text.len() - at);
                    missing = len - (text.len() - at);
                    bodies.push(text.split_off(at));
                }
                Progress::Skip { len } | Progress::Complete { len } => {
                    assert!(
                        len > 0 && len <= text.len(),
                        "consumes {len} of {}",
                        text.len()
                    );
                    if let Progress::Complete { .. } = progress {
                        let args = arguments(&parser, &text[..len], std::mem::take(&mut bodies));
                        result.read.push((args, received - (text.len() - len)));
                    }
                    text.drain(..len);
                }
            }
        }
    }
    result
}

/// The arguments' bytes, including diverted ones.
fn arguments(parser: &RequestParser, text: &[u8], bodies: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    let mut bodies = bodies.into_iter();
    let text = parser.inline().unwrap_or(text);
    assert!(!parser.args().is_empty(), "a complete request has a name");
    let args = parser.args().iter().map(|arg| {
        let bytes = match arg.diverted {
            true => bodies.next(),
            false => arg.bytes(text).map(<[u8]>::to_vec),
        };
        let bytes = bytes.unwrap_or_else(|| panic!("{arg:?} is not in the text"));
        assert_eq!(bytes.len(), arg.len as usize, "{arg:?}");
        bytes
    });
    let args = args.collect();
    assert_eq!(bodies.next(), None, "every body belongs to an argument");
    args
}

/// The content of a stream of replies.
#[derive(Debug, Default, PartialEq)]
struct Replies {
    /// Each reply's type, where in the stream it ended, and its marks.
    read: Vec<(ReplyKind, usize, Vec<u64>)>,
    error: Option<BadReply>,
    idle: bool,
}

fn read_replies(data: &[u8], piece: usize) -> Replies {
    let mut result = Replies::default();
    let (mut plain, mut marking) = (ReplyScanner::default(), ReplyScanner::default());
    let (mut begun, mut at) = (0, 0);
    let mut marks = Vec::new();
    for chunk in data.chunks(piece.max(1)) {
        let mut rest = chunk;
        while !rest.is_empty() {
            let scan = plain.scan(rest);
            assert_eq!(
                marking.scan_marked(rest, &mut marks),
                scan,
                "marks change nothing"
            );
            let (len, kind) = match scan {
                Err(error) => {
                    result.error = Some(error);
                    return result;
                }
                Ok(Scan::Partial) => (rest.len(), None),
                Ok(Scan::Complete { len, kind }) => (len, Some(kind)),
            };
            assert!(
                len > 0 && len <= rest.len(),
                "consumes {len} of {}",
                rest.len()
            );
            assert_eq!(plain.is_idle(), kind.is_some());
            at += len;
            rest = &rest[len..];
            if let Some(kind) = kind {
                check_marks(&marks, (at - begun) as u64);
                result.read.push((kind, at, std::mem::take(&mut marks)));
                begun = at;
            }
        }
    }
    result.idle = plain.is_idle();
    result
}

/// Marks ascend, and the last one is the end of the reply.
fn check_marks(marks: &[u64], len: u64) {
    assert!(marks.is_sorted_by(|a, b| a < b), "{marks:?}");
    if let Some(&last) = marks.last() {
        assert_eq!(last, len, "{marks:?}");
    }
}
