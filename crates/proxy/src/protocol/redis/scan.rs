//! SCAN over several servers, one after the other.
//!
//! A cursor that a client sees tells which server the scan has come to, that server's own cursor, and a digest of the
//! servers' names:
//!
//! ```text
//!  cursor = (server's cursor * servers + place) * DIGESTS + digest
//! ```
//!
//! It is at most 2^53, as some clients keep it as a double. Proxies whose pools have the same servers read each other's
//! cursors. One that was given out before the servers changed is an error: to take it for another server's would leave
//! out keys. With one server its cursors are passed on as they are.

use redis_proto::encode;
use redis_proto::response::ReplyKind;

use super::request::Request;
use crate::flow::buffer::Rope;
use crate::protocol::decision::DecisionOutput;
use crate::protocol::decision::{JoinKind, Route, ScanPlace};
use crate::protocol::pending_join::{JoinOutcome, PendingJoin};

/// Largest cursor that clients can keep in a double.
const LARGEST: u64 = 1 << 53;

/// Number of digests. Cursors of other servers are told from own ones but for one of so many.
const DIGESTS: u64 = 1 << 10;

/// Longest reply that can be a cursor: type, length of two digits, 20 digits, and two line ends.
const CURSOR_BYTES: usize = 27;

const INVALID: &str = "ERR invalid cursor";
const OTHER_SERVERS: &str = "ERR invalid cursor: it was given out before the servers of the pool changed, or by a proxy of other servers; begin with cursor 0 again";
const TOO_LARGE: &str = "ERR the server gives cursors that are too large to be passed on";
const LONG_PATTERN: &str = "ERR the pattern is too long";

/// The digest of the servers with these names, in this order.
pub(super) fn digest<'n>(names: impl Iterator<Item = &'n str>) -> u16 {
    let bytes = names.flat_map(|name| name.bytes().chain([0]));
    // FNV-1a, whose lower bits depend on all of the input.
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    ((hash ^ (hash >> 32)) % DIGESTS) as u16
}

/// The route of a SCAN in a pool of so many servers with this digest.
pub(super) fn route(
    request: &Request<'_>,
    places: u16,
    digest: u16,
    output: &mut DecisionOutput,
) -> Route {
    match begin(request, places, digest, &mut output.request) {
        Ok(at) => Route::Place {
            place: usize::from(at.place),
            join: JoinKind::Scan(at),
        },
        Err(error) => {
            encode::error(&mut output.reply, error);
            Route::Local
        }
    }
}

/// Writes the request to the server that its cursor names; returns where that is.
fn begin(
    request: &Request<'_>,
    places: u16,
    digest: u16,
    out: &mut Vec<u8>,
) -> Result<ScanPlace, &'static str> {
    let (at, cursor) = ScanPlace::read(request.arg(1), places, digest)?;
    if request.lacks_an_argument() {
        return Err(LONG_PATTERN);
    }
    out.clear();
    encode::array_header(out, request.args.len());
    encode::bulk(out, b"scan");
    encode::bulk(out, cursor.to_string().as_bytes());
    for index in 2..request.args.len() {
        encode::bulk(out, request.arg(index));
    }
    Ok(at)
}

impl ScanPlace {
    /// Reads a client's cursor: which server it is of, and that server's cursor.
    fn read(text: &[u8], places: u16, digest: u16) -> Result<(Self, u64), &'static str> {
        let cursor = number(text).ok_or(INVALID)?;
        let at = |place| Self {
            place,
            places,
            digest,
        };
        if places == 1 || cursor == 0 {
            return Ok((at(0), cursor));
        }
        let (rest, given) = (cursor / DIGESTS, cursor % DIGESTS);
        if given != u64::from(digest) || cursor > LARGEST {
            return Err(OTHER_SERVERS);
        }
        let place = (rest % u64::from(places)) as u16;
        Ok((at(place), rest / u64::from(places)))
    }

    /// The cursor for a client whose server has answered with this one; `None` if that is too large.
    fn next(self, cursor: u64) -> Option<u64> {
        if self.places == 1 {
            return Some(cursor);
        }
        let place = match cursor {
            0 => self.place + 1,
            _ => self.place,
        };
        if place == self.places {
            return Some(0);
        }
        let next = cursor
            .checked_mul(u64::from(self.places))?
            .checked_add(u64::from(place))?
            .checked_mul(DIGESTS)?
            .checked_add(u64::from(self.digest))?;
        (next <= LARGEST).then_some(next)
    }
}

/// A cursor as a client may write it. Redis 7 reads it with strtoul: nothing at all is 0, a sign is allowed, and a NUL
/// ends it.
fn number(text: &[u8]) -> Option<u64> {
    let text = text.split(|byte| *byte == 0).next()?;
    let text = std::str::from_utf8(text).ok()?;
    if text.is_empty() {
        return Some(0);
    }
    match text.strip_prefix('-') {
        Some(digits) if digits.starts_with('+') => None,
        Some(digits) => digits.parse().ok().map(u64::wrapping_neg),
        None => text.parse().ok(),
    }
}

/// Passes on the reply of the server, with the cursor that tells where the scan goes on.
pub(super) fn join(
    join: &mut PendingJoin<ReplyKind>,
    at: ScanPlace,
    out: &mut Rope,
) -> JoinOutcome {
    let [fragment] = &mut join.fragments[..] else {
        return JoinOutcome::Mismatch;
    };
    // The header, the cursor, and the names.
    if fragment.outcome != Some(Ok(ReplyKind::Array)) || fragment.elements() != 3 {
        return JoinOutcome::Mismatch;
    }
    let mut first = Rope::new();
    fragment.pass_over();
    fragment.pass_on(&mut first);
    let Some(cursor) = cursor_in(&first) else {
        return JoinOutcome::Mismatch;
    };
    match at.next(cursor) {
        Some(next) => {
            out.extend_with(|out| {
                encode::array_header(out, 2);
                encode::bulk(out, next.to_string().as_bytes());
            });
            out.append(&mut fragment.reply);
        }
        None => {
            out.extend_with(|out| encode::error(out, TOO_LARGE));
        }
    }
    JoinOutcome::Done
}

/// The cursor in a bulk string.
fn cursor_in(reply: &Rope) -> Option<u64> {
    let mut bytes = [0; CURSOR_BYTES];
    let len = reply.peek(&mut bytes);
    if len < reply.len() || bytes[0] != b'$' {
        return None;
    }
    let text = bytes[..len].strip_suffix(b"\r\n")?;
    let start = text.iter().rposition(|byte| *byte == b'\n')? + 1;
    number(&text[start..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(place: u16) -> ScanPlace {
        ScanPlace {
            place,
            places: 3,
            digest: 700,
        }
    }

    #[test]
    fn a_cursor_tells_place_and_cursor_and_goes_on_to_the_next_server() {
        let read = |cursor: u64| ScanPlace::read(cursor.to_string().as_bytes(), 3, 700);
        assert_eq!(read(0), Ok((at(0), 0)));
        for place in 0..3 {
            for cursor in [1, 17, 1 << 31, (LARGEST >> 12) - 1] {
                let next = at(place).next(cursor).expect("it fits");
                assert!(next <= LARGEST);
                assert_eq!(read(next), Ok((at(place), cursor)));
            }
        }
        let second = at(0).next(0).expect("there is another server");
        assert_eq!(read(second), Ok((at(1), 0)));
        assert_eq!(at(2).next(0), Some(0), "that was the last");
        assert_eq!(at(1).next(u64::MAX), None);
        assert_eq!(at(1).next(LARGEST), None);
    }

    #[test]
    fn cursors_of_other_servers_and_what_is_none_are_refused() {
        let read = |text: &str| ScanPlace::read(text.as_bytes(), 3, 700);
        let own = at(1).next(5).expect("it fits");
        assert_eq!(read(&(own + 1).to_string()), Err(OTHER_SERVERS));
        assert_eq!(read("5"), Err(OTHER_SERVERS));
        assert_eq!(read(&u64::MAX.to_string()), Err(OTHER_SERVERS));
        for none in [
            "a",
            "1a",
            " 1",
            "+",
            "-",
            "-+1",
            "++1",
            "18446744073709551616",
        ] {
            assert_eq!(read(none), Err(INVALID), "{none:?}");
        }
        for zero in ["", "0", "-0", "\0", "\x005", "0\0x"] {
            assert_eq!(read(zero), Ok((at(0), 0)), "{zero:?}");
        }
        assert_eq!(read(&format!("+{own}")), Ok((at(1), 5)));
        assert_eq!(read("-1"), Err(OTHER_SERVERS));
    }

    #[test]
    fn with_one_server_its_cursors_are_passed_on() {
        for cursor in [0, 1, u64::MAX] {
            let (at, read) = ScanPlace::read(cursor.to_string().as_bytes(), 1, 9).expect("valid");
            assert_eq!((at.next(cursor), read), (Some(cursor), cursor));
        }
    }

    #[test]
    fn the_digest_depends_on_names_and_their_order() {
        let of = |names: &[&str]| digest(names.iter().copied());
        assert_ne!(of(&["a", "b"]), of(&["b", "a"]));
        assert_ne!(of(&["a", "b"]), of(&["ab"]));
        assert_eq!(of(&["a", "b"]), of(&["a", "b"]));
    }
}
