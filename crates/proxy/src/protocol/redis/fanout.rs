//! Commands with keys on several servers, and capping the TTL of what commands write.

use redis_proto::request::RequestParser;
use redis_proto::response::ReplyKind;
use redis_proto::{Arg, encode};

use super::client::RedisClient;
use super::join;
use super::state::Redis;
use crate::flow::buffer::Rope;
use crate::protocol::decision::{self, Key};
use crate::protocol::fanout::{About, FanOut, JoinOutcome, PendingJoin, Source, TtlCap};

impl FanOut for Redis {
    fn most_key_bytes(_command: Self::Command) -> usize {
        usize::MAX
    }

    fn fragment_start(
        _command: Self::Command,
        request: decision::Request<'_, Self>,
        keys: usize,
        _seconds: Option<u32>,
        out: &mut Rope,
    ) {
        let name = name_of(request);
        let is_mset = name.eq_ignore_ascii_case(MSET.as_bytes());
        let parts = if is_mset { 2 * keys } else { keys };
        out.extend_with(|out| {
            encode::array_header(out, parts + 1);
            encode::bulk_header(out, name.len());
            out.extend(name.iter().map(u8::to_ascii_lowercase));
            out.extend_from_slice(b"\r\n");
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
        if command.is_some_and(|command| command.name == MSET) {
            write_value(parser.args()[key.arg as usize + 1], source, body, out);
        }
    }

    fn fragment_end(_out: &mut Rope) {}

    fn join(
        &self,
        join: &mut PendingJoin<ReplyKind>,
        client: &RedisClient,
        _about: &About<'_>,
        out: &mut Rope,
    ) -> JoinOutcome {
        join::join(join, client.version, out)
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
        if command.is_some_and(|command| command.name == MSET) {
            let key = &request.text[key.range()];
            cap.follow(|out| redis_proto::cap::limit(out, key, seconds));
        }
    }
}

/// The command whose keys have values.
const MSET: &str = "mset";

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
