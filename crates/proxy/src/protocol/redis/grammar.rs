//! RESP as a [`Grammar`].

use redis_proto::encode;
use redis_proto::request::{Progress, RequestError, RequestLimits, RequestParser};
use redis_proto::response::{ReplyKind, ReplyScanner, Scan as RedisScan, error_code};

use super::state::Redis;
use super::{redirect, refusal};
use crate::cause::Cause;
use crate::protocol::grammar::{BadReply, Grammar, Parsed, Reply, Scan, Unwanted, refuse_tls};
use crate::protocol::redirect::Redirect;

impl Grammar for Redis {
    type Parser = RequestParser;
    type Scanner = ReplyScanner;
    type Kind = ReplyKind;

    /// The text of redis-server.
    const TOO_MANY_CLIENTS: &'static [u8] = b"-ERR max number of clients reached\r\n";
    const TLS_REQUIRED: &'static [u8] = b"-ERR this port takes TLS connections only\r\n";

    #[inline(always)]
    fn parse(&self, parser: &mut RequestParser, text: &[u8]) -> Parsed {
        match parser.parse(&self.limits, text) {
            Ok(Progress::Complete { len }) => Parsed::Request { len },
            other => parsed(other, text),
        }
    }

    fn parse_unauthenticated(&self, parser: &mut RequestParser, text: &[u8]) -> Parsed {
        parsed(parser.parse(&RequestLimits::unauthenticated(), text), text)
    }

    fn after_body(&self, parser: &mut RequestParser, text: &[u8], _tail: [u8; 2]) -> Parsed {
        self.parse(parser, text)
    }

    fn missing(parser: &RequestParser, len: usize) -> usize {
        parser.missing(len)
    }

    fn rewritten(parser: &RequestParser) -> Option<&[u8]> {
        parser.inline()
    }

    fn reset(parser: &mut RequestParser) {
        parser.reset();
    }

    #[inline(always)]
    fn scan(
        scanner: &mut ReplyScanner,
        data: &[u8],
        marks: Option<&mut Vec<u64>>,
    ) -> Result<Scan<ReplyKind>, BadReply> {
        let scan = match marks {
            Some(marks) => scanner.scan_marked(data, marks),
            None => scanner.scan(data),
        };
        match scan {
            Ok(RedisScan::Complete { len, kind }) => Ok(Scan::Complete { len, kind }),
            Ok(RedisScan::Partial) => Ok(Scan::Partial),
            Err(_) => Err(BadReply),
        }
    }

    fn is_between_replies(scanner: &ReplyScanner) -> bool {
        scanner.is_idle()
    }

    fn is_nested(scanner: &ReplyScanner) -> bool {
        scanner.is_nested()
    }

    fn is_push(first: u8) -> bool {
        first == b'>'
    }

    fn has_first_line(bytes: &[u8]) -> bool {
        bytes.contains(&b'\n')
    }

    fn is_error(reply: &[u8]) -> bool {
        reply.starts_with(b"-")
    }

    fn is_error_kind(kind: ReplyKind) -> bool {
        kind == ReplyKind::Error
    }

    fn is_transient_failure(kind: ReplyKind, start: &[u8]) -> bool {
        kind == ReplyKind::Error && matches!(error_code(start), b"OOM" | b"BUSY" | b"LOADING")
    }

    fn is_read_only(kind: ReplyKind, start: &[u8]) -> bool {
        kind == ReplyKind::Error && error_code(start) == b"READONLY"
    }

    fn lacks_script(kind: ReplyKind, start: &[u8]) -> bool {
        kind == ReplyKind::Error && error_code(start) == b"NOSCRIPT"
    }

    fn redirect(line: &[u8]) -> Option<Redirect> {
        redirect::redirect(line)
    }

    const ASKING: &'static [u8] = b"*1\r\n$6\r\nASKING\r\n";

    /// No command of Redis is quiet.
    fn is_unwanted(_kind: ReplyKind, _unwanted: Unwanted) -> bool {
        false
    }

    fn may_be_unwanted(_start: &[u8], _unwanted: Unwanted) -> bool {
        false
    }

    /// Redis frames all requests alike.
    fn is_unknown_command(_kind: ReplyKind) -> bool {
        false
    }

    fn error_line(out: &mut Vec<u8>, cause: &Cause, detail: Option<&str>) {
        match (cause, detail) {
            // As a client would get it without a proxy, including the error code.
            (Cause::Refusal { line, .. }, _) => encode::error(out, line),
            (_, None) => encode::error(out, &format!("ERR {cause}")),
            (_, Some(detail)) => encode::error(out, &format!("ERR {cause}: {detail}")),
        }
    }
}

/// Converts the results of parsing that are rarer than a whole request.
#[inline(never)]
fn parsed(progress: Result<Progress, RequestError>, text: &[u8]) -> Parsed {
    if let Some(refused) = refuse_tls(text) {
        return refused;
    }
    match progress {
        Ok(Progress::Complete { len }) => Parsed::Request { len },
        Ok(Progress::Skip { len }) => Parsed::Skip { len },
        Ok(Progress::Partial) => Parsed::Partial,
        Ok(Progress::Body { at, len }) => Parsed::Body { at, len },
        Err(error) => Parsed::Fatal {
            reply: Reply::Wanted,
            refusal: refusal::bad_request(&error),
        },
    }
}
