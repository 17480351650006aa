//! Redis pools: what becomes of each command, and how replies are joined.

mod client;
mod handshake;
mod hello;
mod in_force;
mod introspect;
mod join;
mod local;
mod miss;
mod refusal;
mod replies;

use std::cell::Cell;

use redis_proto::command::{self, Action, Command, Flags};
use redis_proto::request::{Progress, RequestLimits, RequestParser};
use redis_proto::response::{ReplyKind, ReplyScanner, Scan as RedisScan, error_code};
use redis_proto::{Arg, Version, encode};

use crate::cause::Cause;
use crate::event::Event;
use crate::flow::buffer::Rope;
use crate::limits::MAX_KEY;
use crate::protocol::{
    BadReply, Cap, HandshakeError, Join, JoinKind, Joined, Key, Lane, Parsed, Plan, Planned,
    Protocol, Reply, Scan, Scratch, Source, Step, StepKind, StepOutcome,
};
use crate::settings::{PoolSettings, ProtocolSettings, RedisSettings};

pub(crate) use client::RedisClient;
use refusal::{Refusal, refuse, refuse_key, shown};

/// The Redis protocol with a pool's settings.
pub(crate) struct Redis {
    settings: RedisSettings,
    /// The database of each server.
    databases: Vec<u32>,
    allow_flush: bool,
    limits: RequestLimits,
    /// The command looked up last: clients tend to repeat themselves.
    last: Cell<Option<&'static Command>>,
}

impl Protocol for Redis {
    type Parser = RequestParser;
    type Scanner = ReplyScanner;
    type Client = RedisClient;
    type Kind = ReplyKind;

    fn new(settings: &PoolSettings) -> Self {
        let ProtocolSettings::Redis(redis) = &settings.protocol else {
            unreachable!("a Redis engine is built for Redis pools only");
        };
        Self {
            settings: redis.clone(),
            databases: settings.servers.iter().map(|server| server.db).collect(),
            allow_flush: settings.allow_flush,
            limits: RequestLimits::default(),
            last: Cell::new(None),
        }
    }

    fn client(&self, id: u64) -> RedisClient {
        RedisClient::new(id, self.settings.auth.is_none())
    }

    fn lane(client: &RedisClient) -> Lane {
        match client.version {
            Version::Resp2 => 0,
            Version::Resp3 => 1,
        }
    }

    fn parse(&self, parser: &mut RequestParser, text: &[u8], scratch: &mut Scratch) -> Parsed {
        match parser.parse(&self.limits, text) {
            Ok(Progress::Complete { len }) => Parsed::Request { len },
            Ok(Progress::Skip { len }) => Parsed::Skip { len },
            Ok(Progress::Partial) => Parsed::Partial,
            Ok(Progress::Body { at, len }) => Parsed::Body { at, len },
            Err(error) => {
                scratch.event = Some(Event::BadRequest {
                    reason: error.to_string(),
                });
                encode::error(&mut scratch.reply, &format!("ERR {error}"));
                Parsed::Fatal
            }
        }
    }

    fn after_body(
        &self,
        parser: &mut RequestParser,
        text: &[u8],
        _tail: [u8; 2],
        scratch: &mut Scratch,
    ) -> Parsed {
        self.parse(parser, text, scratch)
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

    fn plan(
        &self,
        parser: &RequestParser,
        text: &[u8],
        client: &mut RedisClient,
        scratch: &mut Scratch,
    ) -> Planned {
        let args = parser.args();
        client.replies.begin();
        let plan = self.plan_request(&Request { text, args }, client, scratch);
        if matches!(plan, Plan::Barrier) {
            client.replies.put_off();
        }
        Planned {
            plan,
            reply: client.replies.present(),
        }
    }

    fn pass_over(client: &mut RedisClient) -> Reply {
        client.replies.begin();
        client.replies.present()
    }

    fn is_error(reply: &[u8]) -> bool {
        reply.starts_with(b"-")
    }

    fn is_error_kind(kind: ReplyKind) -> bool {
        kind == ReplyKind::Error
    }

    fn is_pure_read(&self, _parser: &RequestParser, _text: &[u8]) -> bool {
        let last = self.last.get();
        last.is_some_and(|command| command.flags.contains(Flags::READONLY))
    }

    fn miss(
        &self,
        parser: &RequestParser,
        text: &[u8],
        client: &RedisClient,
        out: &mut Vec<u8>,
    ) -> bool {
        let args = parser.args();
        let request = Request { text, args };
        miss::reply(&request, client.version, out)
    }

    fn cap(&self, parser: &RequestParser, text: &[u8], seconds: u32, cap: &mut Cap) {
        let (Some(last), args) = (self.last.get(), parser.args()) else {
            return;
        };
        let command = last.resolve(text, args);
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

    fn cap_key(&self, parser: &RequestParser, text: &[u8], key: Key, seconds: u32, cap: &mut Cap) {
        let args = parser.args();
        if is_mset(Request { text, args }.name()) {
            let key = &text[key.range()];
            cap.follow(|out| redis_proto::cap::limit(out, key, seconds));
        }
    }

    fn can_cap(&self) -> Option<Step> {
        let mut request = Vec::new();
        redis_proto::cap::question(&mut request);
        Some(Step {
            request,
            kind: StepKind::Cap,
        })
    }

    fn most_key_bytes(_parser: &RequestParser) -> usize {
        usize::MAX
    }

    fn fragment_start(
        &self,
        parser: &RequestParser,
        text: &[u8],
        keys: usize,
        _seconds: Option<u32>,
        out: &mut Rope,
    ) {
        let name = Request {
            text,
            args: parser.args(),
        }
        .name();
        let parts = if is_mset(name) { 2 * keys } else { keys };
        out.extend_with(|out| {
            encode::array_header(out, parts + 1);
            encode::bulk_header(out, name.len());
            out.extend(name.iter().map(u8::to_ascii_lowercase));
            out.extend_from_slice(b"\r\n");
        });
    }

    fn fragment_key(
        &self,
        parser: &RequestParser,
        source: &Source<'_>,
        key: Key,
        out: &mut Rope,
        body: Option<&mut Rope>,
    ) {
        let args = parser.args();
        out.extend_with(|out| encode::bulk(out, &source.text[key.range()]));
        if !is_mset(
            Request {
                text: source.text,
                args,
            }
            .name(),
        ) {
            return;
        }
        let value = args[key.arg as usize + 1];
        out.extend_with(|out| encode::bulk_header(out, value.len as usize));
        match body {
            Some(body) if value.diverted => out.append(body),
            _ => source.write(
                value.start as usize..value.start as usize + value.len as usize,
                out,
            ),
        }
        out.extend(b"\r\n");
    }

    fn fragment_end(&self, _out: &mut Rope) {}

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

    fn is_push(first: u8) -> bool {
        first == b'>'
    }

    fn is_transient_failure(kind: ReplyKind, start: &[u8]) -> bool {
        kind == ReplyKind::Error && matches!(error_code(start), b"OOM" | b"BUSY" | b"LOADING")
    }

    fn join(&self, join: &mut Join<ReplyKind>, client: &RedisClient, out: &mut Rope) -> Joined {
        join::join(join, client.version, out)
    }

    fn error_line(out: &mut Vec<u8>, cause: &Cause, detail: Option<&str>) {
        match (cause, detail) {
            // As a client without a proxy would see it, code included.
            (Cause::Refusal { line, .. }, _) => encode::error(out, line),
            (_, None) => encode::error(out, &format!("ERR {cause}")),
            (_, Some(detail)) => encode::error(out, &format!("ERR {cause}: {detail}")),
        }
    }

    fn handshake(&self, lane: Lane, server: usize) -> Vec<Step> {
        handshake::steps(self, lane, server)
    }

    fn probe(&self) -> Step {
        let mut request = Vec::new();
        encode::command(&mut request, &[b"PING"]);
        Step {
            request,
            kind: StepKind::Probe,
        }
    }

    fn step_reply(&self, step: &Step, kind: ReplyKind, reply: &[u8]) -> StepOutcome {
        handshake::judge(step, kind, reply)
    }

    fn unasked_error(data: &[u8]) -> Option<HandshakeError> {
        handshake::unasked(data)
    }

    fn upgraded(&self, client: &mut RedisClient, granted: Result<bool, Cause>, out: &mut Vec<u8>) {
        hello::upgraded(client, granted, out);
    }
}

impl Redis {
    fn plan_request(
        &self,
        request: &Request<'_>,
        client: &mut RedisClient,
        scratch: &mut Scratch,
    ) -> Plan {
        let command = match self.find_command(request) {
            Ok(command) => command,
            Err(refusal) => return refusal.answer(request, client, scratch),
        };
        if !client.authenticated && !may_precede_auth(command) {
            scratch
                .reply
                .extend_from_slice(b"-NOAUTH Authentication required\r\n");
            return Plan::Local;
        }
        if client.in_force.forbids(command, &mut scratch.reply) {
            return Plan::Local;
        }
        match command.action {
            Action::Forward => self.plan_forward(command, request, scratch),
            Action::Split(join) => plan_split(command, join, request, scratch),
            Action::Placeholder => Plan::Placeholder,
            Action::Local(local) => self.plan_local(local, request, client, scratch),
            Action::Flush => self.plan_flush(command, scratch),
            Action::Transaction(asked) => in_force::transaction(command, asked, client, scratch),
            Action::Unsupported(why) => refuse(command, why.reason(), scratch),
        }
    }

    fn find_command(&self, request: &Request<'_>) -> Result<&'static Command, Refusal> {
        let name = request.name();
        let command = match self.last.get() {
            Some(last) if last.name.as_bytes().eq_ignore_ascii_case(name) => last,
            _ => command::lookup(name).ok_or(Refusal::Unknown)?,
        };
        self.last.set(Some(command));
        let command = match command.subs {
            [] => command,
            _ => command.resolve(request.text, request.args),
        };
        match command.arity.check(request.args.len()) {
            true => Ok(command),
            false => Err(Refusal::Arity(command)),
        }
    }

    fn plan_forward(
        &self,
        command: &'static Command,
        request: &Request<'_>,
        scratch: &mut Scratch,
    ) -> Plan {
        let is_small = command.has_small_reply(request.text, request.args);
        if let Some(index) = command.single_key() {
            return match request.key(index) {
                Some(key) => Plan::Forward {
                    key: key.range(),
                    cut: None,
                    is_small,
                },
                None => refuse_key(command, scratch),
            };
        }
        if command.flags.contains(Flags::BLOCK_OPTION) && command.blocks(request.text, request.args)
        {
            return refuse(command, command::Why::Blocking.reason(), scratch);
        }
        if let Some(plan) = collect_keys(command, request, scratch) {
            return plan;
        }
        match scratch.keys[..] {
            [only] => Plan::Forward {
                key: only.range(),
                cut: None,
                is_small,
            },
            _ => Plan::Together {
                command: command.name,
                legacy: command.flags.contains(Flags::LEGACY),
            },
        }
    }

    fn plan_flush(&self, command: &'static Command, scratch: &mut Scratch) -> Plan {
        if self.allow_flush {
            return Plan::Broadcast {
                join: JoinKind::Ok,
                cut: None,
            };
        }
        let name = command.name.to_ascii_uppercase();
        encode::error(
            &mut scratch.reply,
            &format!(
                "ERR {name} destroys the data of every server of the pool; to allow it set allow_flush: true in the pool"
            ),
        );
        Plan::Local
    }
}

/// A request's text and arguments.
pub(crate) struct Request<'a> {
    pub(crate) text: &'a [u8],
    pub(crate) args: &'a [Arg],
}

impl<'a> Request<'a> {
    /// The argument's bytes; empty if it was too long to be at hand.
    pub(crate) fn arg(&self, index: usize) -> &'a [u8] {
        self.args
            .get(index)
            .and_then(|arg| arg.bytes(self.text))
            .unwrap_or_default()
    }

    fn name(&self) -> &'a [u8] {
        self.arg(0)
    }

    /// The argument as a key, if it is short enough to be one.
    fn key(&self, index: usize) -> Option<Key> {
        let arg = self.args.get(index)?;
        let routable = !arg.diverted && arg.len as usize <= MAX_KEY;
        routable.then_some(Key {
            start: arg.start,
            len: arg.len,
            arg: index as u32,
        })
    }
}

fn plan_split(
    command: &'static Command,
    join: command::Join,
    request: &Request<'_>,
    scratch: &mut Scratch,
) -> Plan {
    if let Some(plan) = collect_keys(command, request, scratch) {
        return plan;
    }
    if let [only] = scratch.keys[..] {
        return Plan::Forward {
            key: only.range(),
            cut: None,
            is_small: command.has_small_reply(request.text, request.args),
        };
    }
    let join = match join {
        command::Join::Array => JoinKind::Array,
        command::Join::Sum => JoinKind::Sum,
        command::Join::Ok => JoinKind::Ok,
    };
    Plan::Split { join }
}

/// Finds the request's keys; returns a plan when there is something wrong with them.
fn collect_keys(
    command: &'static Command,
    request: &Request<'_>,
    scratch: &mut Scratch,
) -> Option<Plan> {
    let mut indices = std::mem::take(&mut scratch.indices);
    let found = command.keys(request.text, request.args, &mut indices);
    scratch.keys.clear();
    scratch
        .keys
        .extend(indices.iter().map_while(|index| request.key(*index)));
    let all_routable = scratch.keys.len() == indices.len() && !indices.is_empty();
    scratch.indices = indices;
    match found {
        Ok(()) if all_routable => None,
        Ok(()) => Some(refuse_key(command, scratch)),
        Err(error) => {
            encode::error(&mut scratch.reply, &format!("ERR {error}"));
            Some(Plan::Local)
        }
    }
}

fn may_precede_auth(command: &Command) -> bool {
    use command::LocalCommand::{Auth, Hello, Quit, Reset};
    matches!(command.action, Action::Local(Auth | Hello | Quit | Reset))
}

fn is_mset(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(b"mset")
}
