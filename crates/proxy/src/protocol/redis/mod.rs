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
use redis_proto::{Arg, encode};

use crate::cause::Cause;
use crate::flow::buffer::Rope;
use crate::id::ServerId;
use crate::limits::MAX_KEY;
use crate::protocol::Protocol;
use crate::protocol::fanout::{FanOut, Join, JoinKind, Joined, Key, Source, TtlCap};
use crate::protocol::grammar::{BadReply, Grammar, Parsed, Reply, Scan};
use crate::protocol::greeting::{Greeting, HandshakeError, Step, StepKind, StepOutcome};
use crate::protocol::planner::{self, Facts, PlanOutput, Planned, Planner, Route, Version};
use crate::settings::{CrossShard, PoolSettings, ProtocolSettings, RedisSettings, Resp3};
use crate::share::Endpoint;

pub(crate) use client::RedisClient;
use refusal::{Refusal, refuse, refuse_key, shown};

/// The Redis protocol with a pool's settings.
pub(crate) struct Redis {
    settings: RedisSettings,
    /// The database of each server.
    databases: Vec<u32>,
    allow_flush: bool,
    limits: RequestLimits,
    /// The command looked up last: clients tend to repeat themselves. No answer depends on it.
    last: Cell<Option<&'static Command>>,
    /// Work space.
    indices: Cell<Vec<usize>>,
}

impl Protocol for Redis {
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
            indices: Cell::default(),
        }
    }
}

impl Grammar for Redis {
    type Parser = RequestParser;
    type Scanner = ReplyScanner;
    type Kind = ReplyKind;

    /// The words of redis-server.
    const TOO_MANY_CLIENTS: &'static [u8] = b"-ERR max number of clients reached\r\n";

    fn parse(&self, parser: &mut RequestParser, text: &[u8]) -> Parsed {
        match parser.parse(&self.limits, text) {
            Ok(Progress::Complete { len }) => Parsed::Request { len },
            Ok(Progress::Skip { len }) => Parsed::Skip { len },
            Ok(Progress::Partial) => Parsed::Partial,
            Ok(Progress::Body { at, len }) => Parsed::Body { at, len },
            Err(error) => Parsed::Fatal(refusal::bad_request(&error)),
        }
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

    fn error_line(out: &mut Vec<u8>, cause: &Cause, detail: Option<&str>) {
        match (cause, detail) {
            // As a client without a proxy would see it, code included.
            (Cause::Refusal { line, .. }, _) => encode::error(out, line),
            (_, None) => encode::error(out, &format!("ERR {cause}")),
            (_, Some(detail)) => encode::error(out, &format!("ERR {cause}: {detail}")),
        }
    }
}

impl Planner for Redis {
    type Client = RedisClient;
    type Command = Option<&'static Command>;

    fn client(&self, id: u64) -> RedisClient {
        RedisClient::new(id, self.settings.auth.is_none())
    }

    fn version(client: &RedisClient) -> Version {
        match client.version {
            redis_proto::Version::Resp2 => Version::Base,
            redis_proto::Version::Resp3 => Version::Resp3,
        }
    }

    fn plan(
        &self,
        asked: planner::Request<'_, Self>,
        client: &mut RedisClient,
        output: &mut PlanOutput,
    ) -> Planned<Self::Command> {
        client.replies.begin();
        let request = Request::of(asked);
        let found = self.find_command(&request);
        let route = match &found {
            Ok(command) => self.route(command, &request, client, output),
            Err(refusal) => refusal.answer(&request, client, output),
        };
        if matches!(route, Route::WhenIdle) {
            client.replies.put_off();
        }
        let command = found.ok();
        let is = |property: &dyn Fn(&Command) -> bool| command.is_some_and(property);
        Planned {
            route,
            facts: Facts {
                reply: client.replies.present(),
                is_pure_read: is(&|command| command.flags.contains(Flags::READONLY)),
                is_small: is(&|command| command.has_small_reply(request.text, request.args)),
                left_out: None,
                command,
            },
        }
    }

    fn pass_over(client: &mut RedisClient) -> Reply {
        client.replies.begin();
        client.replies.present()
    }

    fn miss(
        &self,
        _command: Self::Command,
        request: planner::Request<'_, Self>,
        client: &RedisClient,
        out: &mut Vec<u8>,
    ) -> bool {
        miss::reply(&Request::of(request), client.version, out)
    }

    fn apart(out: &mut Vec<u8>) {
        encode::error(
            out,
            "CROSSSLOT Keys in request don't hash to the same server",
        );
    }
}

impl FanOut for Redis {
    fn most_key_bytes(_command: Self::Command) -> usize {
        usize::MAX
    }

    fn fragment_start(
        &self,
        _command: Self::Command,
        request: planner::Request<'_, Self>,
        keys: usize,
        _seconds: Option<u32>,
        out: &mut Rope,
    ) {
        let name = Request::of(request).name();
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
        command: Self::Command,
        parser: &RequestParser,
        source: &Source<'_>,
        key: Key,
        out: &mut Rope,
        body: Option<&mut Rope>,
    ) {
        out.extend_with(|out| encode::bulk(out, &source.text[key.range()]));
        if !command.is_some_and(|command| is_mset(command.name.as_bytes())) {
            return;
        }
        let value = parser.args()[key.arg as usize + 1];
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

    fn join(
        &self,
        join: &mut Join<ReplyKind>,
        client: &RedisClient,
        _name_of: &dyn Fn(ServerId) -> Box<str>,
        out: &mut Rope,
    ) -> Joined {
        join::join(join, client.version, out)
    }

    fn cap(
        &self,
        command: Self::Command,
        request: planner::Request<'_, Self>,
        seconds: u32,
        cap: &mut TtlCap,
    ) {
        let Some(command) = command else {
            return;
        };
        let Request { text, args, .. } = Request::of(request);
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

    fn cap_key(
        &self,
        command: Self::Command,
        request: planner::Request<'_, Self>,
        key: Key,
        seconds: u32,
        cap: &mut TtlCap,
    ) {
        if command.is_some_and(|command| is_mset(command.name.as_bytes())) {
            let key = &request.text[key.range()];
            cap.follow(|out| redis_proto::cap::limit(out, key, seconds));
        }
    }
}

impl Greeting for Redis {
    fn handshake(version: Version, database: u32, endpoint: &Endpoint) -> Vec<Step> {
        handshake::steps(version, database, endpoint)
    }

    fn probe() -> Step {
        let mut request = Vec::new();
        encode::command(&mut request, &[b"PING"]);
        Step {
            request,
            kind: StepKind::Probe,
        }
    }

    fn can_cap() -> Option<Step> {
        let mut request = Vec::new();
        redis_proto::cap::question(&mut request);
        Some(Step {
            request,
            kind: StepKind::Cap,
        })
    }

    fn judge(step: &Step, kind: ReplyKind, reply: &[u8]) -> StepOutcome {
        handshake::judge(step, kind, reply)
    }

    fn unasked_error(data: &[u8]) -> Option<HandshakeError> {
        handshake::unasked(data)
    }

    fn may_upgrade(&self) -> bool {
        self.settings.resp3 != Resp3::Off
    }

    fn upgraded(&self, client: &mut RedisClient, granted: Result<bool, Cause>, out: &mut Vec<u8>) {
        hello::upgraded(client, granted, out);
    }
}

impl Redis {
    fn route(
        &self,
        command: &'static Command,
        request: &Request<'_>,
        client: &mut RedisClient,
        output: &mut PlanOutput,
    ) -> Route {
        if !client.authenticated && !may_precede_auth(command) {
            output
                .reply
                .extend_from_slice(b"-NOAUTH Authentication required\r\n");
            return Route::Local;
        }
        if client.in_force.forbids(command, &mut output.reply) {
            return Route::Local;
        }
        match command.action {
            Action::Forward => self.plan_forward(command, request, output),
            Action::Split(join) => self.plan_split(command, join, request, output),
            Action::Placeholder => Route::Placeholder,
            Action::Local(local) => self.plan_local(local, request, client, output),
            Action::Flush => self.plan_flush(command, output),
            Action::Transaction(asked) => in_force::transaction(command, asked, client, output),
            Action::Unsupported(why) => refuse(command, why.reason(), output),
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
        output: &mut PlanOutput,
    ) -> Route {
        if let Some(index) = command.single_key() {
            return match request.key(index) {
                Some(key) => Route::Key(key.range()),
                None => refuse_key(command, output),
            };
        }
        if command.flags.contains(Flags::BLOCK_OPTION) && command.blocks(request.text, request.args)
        {
            return refuse(command, command::Why::Blocking.reason(), output);
        }
        if let Some(route) = self.collect_keys(command, request, output) {
            return route;
        }
        match output.keys[..] {
            [only] => Route::Key(only.range()),
            _ => Route::Together {
                command: command.name,
                anyway: command.flags.contains(Flags::LEGACY)
                    && self.settings.cross_shard == CrossShard::FirstKey,
            },
        }
    }

    fn plan_split(
        &self,
        command: &'static Command,
        join: command::Join,
        request: &Request<'_>,
        output: &mut PlanOutput,
    ) -> Route {
        if let Some(route) = self.collect_keys(command, request, output) {
            return route;
        }
        if let [only] = output.keys[..] {
            return Route::Key(only.range());
        }
        let join = match join {
            command::Join::Array => JoinKind::Array,
            command::Join::Sum => JoinKind::Sum,
            command::Join::Ok => JoinKind::Ok,
        };
        Route::Split { join }
    }

    /// Finds the request's keys; returns a route when there is something wrong with them.
    fn collect_keys(
        &self,
        command: &'static Command,
        request: &Request<'_>,
        output: &mut PlanOutput,
    ) -> Option<Route> {
        let mut indices = self.indices.take();
        let found = command.keys(request.text, request.args, &mut indices);
        output
            .keys
            .extend(indices.iter().map_while(|index| request.key(*index)));
        let all_routable = output.keys.len() == indices.len() && !indices.is_empty();
        self.indices.set(indices);
        match found {
            Ok(()) if all_routable => None,
            Ok(()) => Some(refuse_key(command, output)),
            Err(error) => {
                encode::error(&mut output.reply, &format!("ERR {error}"));
                Some(Route::Local)
            }
        }
    }

    fn plan_flush(&self, command: &'static Command, output: &mut PlanOutput) -> Route {
        if self.allow_flush {
            return Route::Broadcast { join: JoinKind::Ok };
        }
        let name = command.name.to_ascii_uppercase();
        encode::error(
            &mut output.reply,
            &format!(
                "ERR {name} destroys the data of every server of the pool; to allow it set allow_flush: true in the pool"
            ),
        );
        Route::Local
    }
}

/// A request's text and arguments.
pub(crate) struct Request<'a> {
    pub(crate) text: &'a [u8],
    pub(crate) args: &'a [Arg],
    /// Whether nothing of the client is outstanding.
    is_idle: bool,
}

impl<'a> Request<'a> {
    fn of(request: planner::Request<'a, Redis>) -> Self {
        Self {
            text: request.text,
            args: request.parser.args(),
            is_idle: request.is_idle,
        }
    }

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

fn may_precede_auth(command: &Command) -> bool {
    use command::LocalCommand::{Auth, Hello, Quit, Reset};
    matches!(command.action, Action::Local(Auth | Hello | Quit | Reset))
}

fn is_mset(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(b"mset")
}
