//! Commands with keys on several servers, and capping the TTL of what commands write.

use redis_proto::command::{Command, Keys};
use redis_proto::request::RequestParser;
use redis_proto::response::ReplyKind;
use redis_proto::{Arg, encode};

use super::client::RedisClient;
use super::join;
use super::state::Redis;
use crate::flow::buffer::Rope;
use crate::limits::MAX_JOINED;
use crate::protocol::decision::{self, JoinKind, Key};
use crate::protocol::fanout::{About, FanOut, Source, TtlCap};
use crate::protocol::pending_join::{Fragment, JoinOutcome, PendingJoin};

impl FanOut for Redis {
    fn most_key_bytes(_command: Self::Command) -> usize {
        usize::MAX
    }

    fn fragment_start(
        command: Self::Command,
        request: decision::Request<'_, Self>,
        keys: usize,
        _seconds: Option<u32>,
        out: &mut Rope,
    ) {
        let name = name_of(request);
        let per_key = if has_values(command) { 2 } else { 1 };
        let options = options_of(command, request).len();
        let counts = is_counted(command);
        out.extend_with(|out| {
            encode::array_header(out, 1 + usize::from(counts) + per_key * keys + options);
            encode::bulk_header(out, name.len());
            out.extend(name.iter().map(u8::to_ascii_lowercase));
            out.extend_from_slice(b"\r\n");
            if counts {
                encode::bulk(out, keys.to_string().as_bytes());
            }
        });
    }

    #[inline]
    fn fragment_key(
        command: Self::Command,
        parser: &RequestParser,
        source: &Source<'_>,
        key: Key,
        out: &mut Rope,
        body: Option<&mut Rope>,
    ) {
        match bulk_of(source.text, key) {
            Some(bulk) => out.extend(bulk),
            None => out.extend_with(|out| encode::bulk(out, &source.text[key.range()])),
        }
        if has_values(command) {
            write_value(parser.args()[key.arg as usize + 1], source, body, out);
        }
    }

    fn fragment_end(command: Self::Command, request: decision::Request<'_, Self>, out: &mut Rope) {
        let args = request.parser.args();
        for at in options_of(command, request) {
            let option = args[at].bytes(request.text).unwrap_or_default();
            out.extend_with(|out| encode::bulk(out, option));
        }
    }

    fn fits(kind: JoinKind, fragment: &Fragment<ReplyKind>, is_nested: bool) -> bool {
        join::fits(kind, fragment) && (!is_nested || kind.may_nest())
    }

    fn too_large(out: &mut Vec<u8>) {
        let megabytes = MAX_JOINED >> 20;
        let error = format!(
            "ERR the reply is larger than {megabytes} MB: ask for less at a time (SCAN, for KEYS)"
        );
        encode::error(out, &error);
    }

    fn join(
        &self,
        join: &mut PendingJoin<ReplyKind>,
        client: &RedisClient,
        about: &About<'_>,
        out: &mut Rope,
    ) -> JoinOutcome {
        join::join(join, client.version, about, out)
    }

    fn cap_ttl(
        &self,
        command: Self::Command,
        request: decision::Request<'_, Self>,
        seconds: u32,
        cap: &mut TtlCap,
    ) {
        let Some(command) = command else {
            return;
        };
        let (text, args) = (request.text, request.parser.args());
        let edits = &mut cap.edits;
        let kind = command.cap(text, args, seconds, &mut |range, with| {
            edits.push((range, with));
        });
        let mut indices = Vec::new();
        if kind == redis_proto::cap::Cap::Limits
            && command.written_keys(text, args, &mut indices).is_ok()
        {
            let keys = indices.iter().filter_map(|index| args.get(*index));
            for key in keys.filter_map(|key| key.bytes(text)) {
                cap.follow(|out| redis_proto::cap::limit(out, key, seconds));
            }
        }
    }

    fn cap_key_ttl(
        &self,
        command: Self::Command,
        request: decision::Request<'_, Self>,
        key: Key,
        seconds: u32,
        cap: &mut TtlCap,
    ) {
        if has_values(command) {
            let key = &request.text[key.range()];
            cap.follow(|out| redis_proto::cap::limit(out, key, seconds));
        }
    }
}

/// Whether each key is followed by its value: MSET and MSETEX.
fn has_values(command: Option<&Command>) -> bool {
    let step = |command: &Command| match command.keys {
        Keys::Range { step, .. } | Keys::Counted { step, .. } => step,
        _ => 1,
    };
    command.is_some_and(|command| step(command) == 2)
}

/// Whether the number of its keys is an argument before them: MSETEX.
fn is_counted(command: Option<&Command>) -> bool {
    command.is_some_and(|command| matches!(command.keys, Keys::Counted { .. }))
}

/// Which arguments are behind the keys: every fragment has them.
fn options_of(
    command: Option<&Command>,
    request: decision::Request<'_, Redis>,
) -> std::ops::Range<usize> {
    let (text, args) = (request.text, request.parser.args());
    command.map_or(0..0, |command| command.after_counted_keys(text, args))
}

/// Writes the value of a key.
#[inline(never)]
fn write_value(value: Arg, source: &Source<'_>, body: Option<&mut Rope>, out: &mut Rope) {
    out.extend_with(|out| encode::bulk_header(out, value.len as usize));
    match body {
        Some(body) if value.diverted => out.append(body),
        _ => {
            let start = value.start as usize;
            source.write(start..start + value.len as usize, out);
        }
    }
    out.extend(b"\r\n");
}

/// The whole bulk string of a key as it is in the request, so that it can be copied in one step; `None` if the key
/// is long or the request was inline. This relies on the only way to write the length of a short key.
fn bulk_of(text: &[u8], key: Key) -> Option<&[u8]> {
    let header = match key.len {
        0..10 => b"$0\r\n".len(),
        10..100 => b"$00\r\n".len(),
        100..1_000 => b"$000\r\n".len(),
        _ => return None,
    };
    let key = key.range();
    let bulk = text.get(key.start.checked_sub(header)?..key.end + 2)?;
    bulk.starts_with(b"$").then_some(bulk)
}

/// The command as the client wrote it.
fn name_of<'a>(request: decision::Request<'a, Redis>) -> &'a [u8] {
    let name = request.parser.args().first();
    let bytes = name.and_then(|name| name.bytes(request.text));
    bytes.unwrap_or_default()
}
