//! What the parser finds besides whole requests; refusals get their error lines.

use std::fmt::Display;

use memcached_proto::RequestError;
use memcached_proto::login::{self, Found};
use memcached_proto::request::Progress;

use crate::event::Event;
use crate::protocol::grammar::{Parsed, Refusal, Reply, refuse_tls};

pub(super) fn reply_after(noreply: bool) -> Reply {
    match noreply {
        true => Reply::Dropped,
        false => Reply::Wanted,
    }
}

/// Converts the parser's result for the engine.
#[inline(never)]
pub(super) fn translate_others(progress: Result<Progress, RequestError>) -> Parsed {
    match progress {
        Ok(Progress::Complete { len, .. }) => Parsed::Request { len },
        Ok(Progress::Partial) => Parsed::Partial,
        Ok(Progress::Body { at, len }) => Parsed::Body { at, len },
        Ok(Progress::Refused {
            len,
            refusal,
            noreply,
        }) => Parsed::Refused {
            len,
            skip: 0,
            reply: reply_after(noreply),
            refusal: told(&refusal, |out| refusal.line(out)),
        },
        Ok(Progress::RefusedBody {
            at,
            skip,
            refusal,
            noreply,
        }) => Parsed::Refused {
            len: at,
            skip,
            reply: reply_after(noreply),
            refusal: told(&refusal, |out| refusal.line(out)),
        },
        Err(error) => Parsed::Fatal {
            reply: reply_after(error.is_noreply()),
            refusal: told(&error, |out| error.line(out)),
        },
    }
}

/// What is at the beginning of the bytes of a client that has not said who it is.
#[cold]
pub(super) fn unauthenticated(text: &[u8]) -> Parsed {
    match login::read(text) {
        Ok(Found::Partial) => Parsed::Partial,
        Ok(Found::Other { len } | Found::Attempt { len, .. }) => Parsed::Request { len },
        Err(error) => refuse_tls(text).unwrap_or_else(|| translate_others(Err(error))),
    }
}

/// A refusal whose reply is what `write` writes.
fn told(reason: &impl Display, write: impl FnOnce(&mut Vec<u8>)) -> Box<Refusal> {
    let mut reply = Vec::new();
    write(&mut reply);
    let event = Event::BadRequest {
        reason: reason.to_string(),
    };
    Box::new(Refusal { reply, event })
}
