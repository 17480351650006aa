//! The handshake with a Redis server, and what follows from the replies to its steps.

use redis_proto::encode;
use redis_proto::response::{ReplyKind, error_code, integer};

use crate::cause::Cause;
use crate::login::Login;
use crate::protocol::decision::Version;
use crate::protocol::greeting::{HandshakeError, Step, StepKind, StepOutcome};
use crate::release::Release;
use crate::share::Endpoint;

/// Part of the error that a server sends before it closes a connection because it has too many (`maxclients`).
const MAX_CLIENTS: &str = "max number of clients";

/// The error codes that are repeated of a refused AUTH. The first word of an error may be anything else, even the
/// password.
const AUTH_CODES: [&[u8]; 10] = [
    b"WRONGPASS",
    b"NOAUTH",
    b"NOPERM",
    b"DENIED",
    b"LOADING",
    b"BUSY",
    b"MASTERDOWN",
    b"OOM",
    b"MISCONF",
    b"CLUSTERDOWN",
];

/// AUTH, HELLO and SELECT, as far as the connection needs them, in this order.
pub(super) fn steps(version: Version, database: u32, endpoint: &Endpoint) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut step = |kind, args: &[&[u8]]| {
        let mut request = Vec::new();
        encode::command(&mut request, args);
        steps.push(Step { request, kind });
    };
    if let Some(Login { user, password }) = endpoint.login() {
        match user {
            None => step(StepKind::Auth, &[b"AUTH", &password]),
            Some(user) => step(StepKind::Auth, &[b"AUTH", &user, &password]),
        }
    }
    match version {
        Version::Base => {}
        Version::Resp3 => step(StepKind::Hello, &[b"HELLO", b"3"]),
    }
    if database > 0 {
        let database = database.to_string();
        let kind = match database == endpoint.database.to_string() {
            true => StepKind::Select,
            false => StepKind::SelectOther,
        };
        step(kind, &[b"SELECT", database.as_bytes()]);
    }
    if endpoint.asks_for_reads {
        step(StepKind::ReadOnly, &[b"READONLY"]);
    }
    steps
}

/// What follows from the reply to one step. Most errors make the connection unusable. The exceptions are a server
/// without password or without the pool's database: as with nutcracker 0.5.0, it is used nevertheless.
pub(super) fn step_outcome(step: &Step, kind: ReplyKind, reply: &[u8]) -> StepOutcome {
    if kind != ReplyKind::Error {
        return passed(step, reply);
    }
    let code = error_code(reply);
    let text = error_text(reply);
    let cannot_serve = cannot_serve(code, &text);
    let is_unknown = text.contains("unknown command");
    let refused = |line: String| {
        StepOutcome::Refused(HandshakeError {
            cause: Cause::refusal(step.kind.name(), &line),
            is_failure: cannot_serve,
        })
    };
    match step.kind {
        StepKind::Auth if has_no_password(&text) => StepOutcome::Passed,
        StepKind::Auth if is_unknown && !cannot_serve => {
            StepOutcome::Warn("unknown command".into())
        }
        StepKind::Auth => refused(auth_refusal(code, cannot_serve)),
        _ if cannot_serve => refused(text),
        // Any other error (a missing password, say) shows that the server works.
        StepKind::Probe => StepOutcome::Passed,
        // It does not want to tell.
        StepKind::Release | StepKind::Number => StepOutcome::Passed,
        StepKind::TtlCap if redis_proto::cap::knows_limit(reply) => StepOutcome::Passed,
        StepKind::TtlCap => StepOutcome::CannotCapTtl,
        StepKind::Hello if code == b"NOPROTO" || is_unknown => StepOutcome::NoSuchVersion,
        StepKind::Select if has_no_such_database(&text) => StepOutcome::Warn(text),
        StepKind::Hello | StepKind::Select | StepKind::SelectOther | StepKind::ReadOnly => {
            refused(text)
        }
    }
}

/// What is told of a refused AUTH. The server's own text is not passed on, as it may contain the password.
fn auth_refusal(code: &[u8], cannot_serve: bool) -> String {
    let known = AUTH_CODES.iter().find(|known| **known == code);
    let shown = known.map_or("ERR".into(), |code| String::from_utf8_lossy(code));
    match (known, cannot_serve) {
        (None, true) => format!("{shown} {MAX_CLIENTS} reached"),
        (Some(_), true) => format!("{shown} the server cannot serve at present"),
        (_, false) => format!("{shown} the server refused the password of the pool"),
    }
}

/// The text of an error: of a line, or in RESP3 also of a blob that follows its length.
pub(super) fn error_text(reply: &[u8]) -> String {
    let text = match reply {
        [b'!', rest @ ..] => memchr::memchr(b'\n', rest).map_or(&[][..], |end| &rest[end + 1..]),
        _ => reply.get(1..).unwrap_or_default(),
    };
    String::from_utf8_lossy(text).trim_end().to_owned()
}

/// What follows from a reply that is no error.
fn passed(step: &Step, reply: &[u8]) -> StepOutcome {
    match step.kind {
        StepKind::TtlCap if !redis_proto::cap::knows_limit(reply) => StepOutcome::CannotCapTtl,
        StepKind::Release => {
            Release::of_info(reply).map_or(StepOutcome::Passed, StepOutcome::Release)
        }
        StepKind::Number => {
            let number = integer(reply).and_then(|number| u64::try_from(number).ok());
            number.map_or(StepOutcome::Passed, StepOutcome::Number)
        }
        _ => StepOutcome::Passed,
    }
}

/// An error line that a server sends before it was asked anything: it refuses the connection. It was not given the
/// password yet, so the text cannot repeat it.
pub(super) fn unsolicited(data: &[u8]) -> Option<HandshakeError> {
    let line = data.strip_prefix(b"-")?;
    let end = memchr::memchr(b'\r', line)?;
    let text = String::from_utf8_lossy(&line[..end]);
    Some(HandshakeError {
        cause: Cause::refusal("the connection", &text),
        is_failure: cannot_serve(error_code(data), &text),
    })
}

/// Whether an error says that the server cannot serve any client at present, which counts as a failure.
fn cannot_serve(code: &[u8], text: &str) -> bool {
    matches!(code, b"OOM" | b"BUSY" | b"LOADING" | b"MASTERDOWN") || text.contains(MAX_CLIENTS)
}

/// The texts of Redis before 6.0 and since.
fn has_no_password(text: &str) -> bool {
    text.contains("no password is set") || text.contains("without any password")
}

/// The texts of Redis since 4.0, before, and in cluster mode.
fn has_no_such_database(text: &str) -> bool {
    [
        "DB index is out of range",
        "invalid DB index",
        "not allowed in cluster mode",
    ]
    .iter()
    .any(|words| text.contains(words))
}
