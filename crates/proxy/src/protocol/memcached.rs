//! The memcached protocol: what becomes of each command, and how replies are joined.

mod absent;
mod authenticating;
mod client;
mod greeting;
mod guarding;
mod join;
pub(crate) mod manual;
mod meta;
mod permitting;
mod refused;
mod stats;
mod table;
mod transactions;

use std::ops::Range;
use std::sync::Arc;

use memcached_proto::request::{Progress, Request, RequestLimits, RequestParser};
use memcached_proto::response::{LineKind, ReplyKind, ReplyScanner, Scan as TextScan};
use memcached_proto::{Arg, MAX_FORWARDED_LINE, RequestError, Verb, cap, encode, login};

use self::client::MemcachedClient;
use self::permitting::restrict;
use self::refused::{reply_after, translate_others, unauthenticated};
use crate::cause::Cause;
use crate::client_info::AboutClient;
use crate::flow::buffer::Rope;
use crate::limits::AUTHENTICATE_WITHIN;
use crate::protocol::Protocol;
use crate::protocol::decision::{
    self, Apart, Decider, Decision, DecisionOutput, Facts, JoinKind, Key, Route, Version, Work,
};
use crate::protocol::fanout::{About, FanOut, Source, TtlCap};
use crate::protocol::grammar::{BadReply, Grammar, Parsed, Reply, Scan, Unwanted, refuse_tls};
use crate::protocol::pending_join::{Fragment, JoinOutcome, PendingJoin};
use crate::protocol::waiting::Waiting;
use crate::settings::ProtocolSettings;
use crate::share::PoolPlan;
use crate::time::Time;
use crate::users::Users;

/// The memcached protocol with a pool's settings.
pub(crate) struct Memcached {
    limits: RequestLimits,
    allow_flush: bool,
    allow_admin: bool,
    has_one_server: bool,
    /// Who clients may be, if they have to be somebody.
    users: Option<Arc<Users>>,
}

/// Bytes of a gat line besides its keys but the first: the command, the expiry time, blanks, the first key, line end.
const MAX_GAT_EXTRA: usize = 300;

/// A parser that keeps the request that it found.
#[derive(Default)]
pub(crate) struct Parser {
    inner: RequestParser,
    request: Option<Request>,
}

impl Protocol for Memcached {
    const HAS_REPLICAS: bool = false;

    fn new(plan: &Arc<PoolPlan>) -> Self {
        let settings = &plan.settings;
        let memcached = match &settings.protocol {
            ProtocolSettings::Memcached(memcached) => memcached,
            ProtocolSettings::Redis(_) => {
                unreachable!("a memcached engine is built for memcached pools only")
            }
        };
        Self {
            limits: RequestLimits {
                max_value: memcached.max_value,
                ..RequestLimits::default()
            },
            allow_flush: settings.allow_flush,
            allow_admin: memcached.admin_commands,
            has_one_server: settings.servers.len() == 1,
            users: settings.users.clone(),
        }
    }
}

impl Grammar for Memcached {
    type Parser = Parser;
    type Scanner = ReplyScanner;
    type Kind = ReplyKind;

    /// The text of memcached.
    const TOO_MANY_CLIENTS: &'static [u8] = b"ERROR Too many open connections\r\n";
    const TLS_REQUIRED: &'static [u8] = b"SERVER_ERROR this port takes TLS connections only\r\n";

    fn parse(&self, parser: &mut Parser, text: &[u8]) -> Parsed {
        match parser.inner.parse(&self.limits, text) {
            progress @ Ok(Progress::Complete { .. }) => translate(parser, progress),
            other => refuse_tls(text).unwrap_or_else(|| translate_others(other)),
        }
    }

    fn parse_unauthenticated(&self, parser: &mut Parser, text: &[u8]) -> Parsed {
        // A request that was begun before there were users goes on as it began.
        if parser.inner.is_within_block() {
            return self.parse(parser, text);
        }
        unauthenticated(text)
    }

    fn after_body(&self, parser: &mut Parser, _text: &[u8], tail: [u8; 2]) -> Parsed {
        let progress = parser.inner.finish_body(tail);
        translate(parser, progress)
    }

    fn missing(parser: &Parser, len: usize) -> usize {
        parser.inner.missing(len)
    }

    fn rewritten(_parser: &Parser) -> Option<&[u8]> {
        None
    }

    fn reset(parser: &mut Parser) {
        parser.inner.reset();
        parser.request = None;
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
            Ok(TextScan::Complete { len, kind }) => Ok(Scan::Complete { len, kind }),
            Ok(TextScan::Partial) => Ok(Scan::Partial),
            Err(_) => Err(BadReply),
        }
    }

    fn is_between_replies(scanner: &ReplyScanner) -> bool {
        scanner.is_idle()
    }

    /// memcached has no aggregates.
    fn is_nested(_scanner: &ReplyScanner) -> bool {
        false
    }

    fn is_push(_first: u8) -> bool {
        false
    }

    fn has_first_line(bytes: &[u8]) -> bool {
        bytes.contains(&b'\n')
    }

    fn is_error(reply: &[u8]) -> bool {
        let words: [&[u8]; 3] = [b"ERROR", b"CLIENT_ERROR", b"SERVER_ERROR"];
        words.iter().any(|word| reply.starts_with(word))
    }

    fn is_error_kind(kind: ReplyKind) -> bool {
        use LineKind::{ClientError, Error, ServerError};
        matches!(kind, ReplyKind::Line(Error | ClientError | ServerError))
    }

    fn is_transient_failure(_kind: ReplyKind, _start: &[u8]) -> bool {
        false
    }

    fn is_unwanted(kind: ReplyKind, unwanted: Unwanted) -> bool {
        use LineKind::{En, Hd};
        match unwanted {
            Unwanted::Miss => kind == ReplyKind::Line(En),
            Unwanted::Success => matches!(kind, ReplyKind::Line(Hd) | ReplyKind::Data),
        }
    }

    fn may_be_unwanted(start: &[u8], unwanted: Unwanted) -> bool {
        let words: &[&[u8]] = match unwanted {
            Unwanted::Miss => &[b"EN"],
            Unwanted::Success => &[b"HD", b"VA"],
        };
        words.iter().any(|word| {
            let len = start.len().min(word.len());
            start[..len] == word[..len]
        })
    }

    fn is_unknown_command(kind: ReplyKind) -> bool {
        kind == ReplyKind::Line(LineKind::Error)
    }

    fn error_line(out: &mut Vec<u8>, cause: &Cause, detail: Option<&str>) {
        match (cause, detail) {
            (Cause::Refusal { line, .. }, _) => {
                out.extend_from_slice(line.as_bytes());
                out.extend_from_slice(b"\r\n");
            }
            (_, None) => encode::server_error(out, &cause.to_string()),
            (_, Some(detail)) => encode::server_error(out, &format!("{cause}: {detail}")),
        }
    }
}

impl Decider for Memcached {
    type Client = MemcachedClient;
    type Command = Option<Verb>;

    fn client(&self, _id: u64, now: Time) -> MemcachedClient {
        match &self.users {
            Some(users) => MemcachedClient::new(users.at_first(), now),
            None => MemcachedClient::default(),
        }
    }

    #[inline]
    fn must_authenticate(&self, client: &MemcachedClient) -> bool {
        client.is_nobody()
    }

    fn authenticate_by(&self, client: &MemcachedClient) -> Option<Time> {
        let member = client.member()?;
        let is_stranger = member.user.is_none() && !member.is_no_stranger;
        is_stranger.then(|| member.connected + AUTHENTICATE_WITHIN)
    }

    fn version(_client: &MemcachedClient) -> Version {
        Version::Base
    }

    fn decide(
        &self,
        request: decision::Request<'_, Self>,
        client: &mut MemcachedClient,
        output: &mut DecisionOutput,
    ) -> Decision<Self::Command> {
        if client.member().is_some()
            && let Some(decision) = restrict(
                request.parser.request,
                request.text,
                request.parser.inner.keys(),
                client,
                output,
            )
        {
            return decision;
        }
        let found = request.parser.request;
        let command = found.map(|found| found.verb);
        let noreply = found.and_then(|found| found.noreply);
        if command.is_some_and(Verb::is_apart) {
            return self.decide_apart(request, output);
        }
        let mut facts = Facts {
            reply: reply_after(noreply.is_some()),
            is_pure_read: matches!(command, Some(Verb::Get | Verb::Gets)),
            is_small: command.is_some_and(|verb| !verb.is_retrieval()),
            left_out: noreply.map(|(start, end)| start as usize..end as usize),
            is_special: false,
            command,
        };
        if request.text.first() == Some(&b' ') && command.is_some_and(Verb::is_storage) {
            meta::note_leading_blanks(request.text, &mut facts);
        }
        Decision {
            route: self.route(request, output),
            facts,
        }
    }

    fn work(facts: &Facts<Option<Verb>>) -> Work {
        Work {
            mark: meta::mark(facts),
            may_be_long: false,
        }
    }

    fn pass_over(_client: &mut MemcachedClient) -> Reply {
        Reply::Wanted
    }

    fn miss(
        &self,
        command: Self::Command,
        request: decision::Request<'_, Self>,
        _client: &MemcachedClient,
        out: &mut Vec<u8>,
    ) -> bool {
        if command == Some(Verb::MetaGet) {
            meta::miss(request.text, request.parser.inner.keys(), out);
            return true;
        }
        let is_read = command.is_some_and(Verb::is_retrieval);
        if is_read {
            out.extend_from_slice(encode::END);
        }
        is_read
    }

    fn client_name(_client: &MemcachedClient) -> &[u8] {
        &[]
    }

    fn about(client: &MemcachedClient) -> AboutClient {
        let user = client.member().and_then(|member| member.user.as_ref());
        AboutClient {
            user: user.map(|user| user.name().into()),
            ..AboutClient::default()
        }
    }

    fn describe<'r>(
        &self,
        request: decision::Request<'r, Self>,
    ) -> (&'r [u8], Option<Range<usize>>) {
        let verb = request.parser.request.map(|found| found.verb);
        let name = match verb {
            Some(verb) => verb.name(),
            // Of a client that has not said who it is: anything else may have a password in it.
            None if login::is_attempt(request.text) => Verb::Set.name(),
            None => "",
        };
        let name = name.as_bytes();
        let key = request.parser.inner.keys().first();
        (name, key.map(|key| key.range()))
    }

    /// Never used: no command of memcached has keys that must be on one server.
    fn cross_shard_error(&self, _: Option<Verb>, _: Apart, out: &mut Vec<u8>) {
        encode::server_error(out, "keys belong to several servers");
    }
}

impl FanOut for Memcached {
    /// memcached 1.6 closes the connection on a long line that arrives in pieces, unless it begins with
    /// `get ` or `gets `.
    fn most_key_bytes(command: Self::Command) -> usize {
        match command {
            Some(verb) if verb.touches() => MAX_FORWARDED_LINE - MAX_GAT_EXTRA,
            _ => usize::MAX,
        }
    }

    fn fragment_start(
        command: Self::Command,
        request: decision::Request<'_, Self>,
        _keys: usize,
        seconds: Option<u32>,
        out: &mut Rope,
    ) {
        let Some(verb) = command else {
            return;
        };
        out.extend(verb.name().as_bytes());
        out.extend(b" ");
        if let Some(exptime) = request.parser.inner.exptime() {
            let given = exptime.of(request.text);
            match seconds.and_then(|seconds| verb.capped_exptime(given, seconds)) {
                Some(capped) => out.extend(capped.to_string().as_bytes()),
                None => out.extend(given),
            }
            out.extend(b" ");
        }
    }

    #[inline]
    fn fragment_key(
        _command: Self::Command,
        _parser: &Parser,
        source: &Source<'_>,
        key: Key,
        out: &mut Rope,
        _body: Option<&mut Rope>,
    ) {
        let Range { start, end } = key.range();
        // All keys but the last have a space behind them, which is copied with the key in one step.
        match source.text.get(end) {
            Some(b' ') => out.extend(&source.text[start..=end]),
            _ => {
                out.extend(&source.text[start..end]);
                out.extend(b" ");
            }
        }
    }

    fn fragment_end(_: Option<Verb>, _: decision::Request<'_, Self>, out: &mut Rope) {
        out.extend(b"\r\n");
    }

    fn fits(kind: JoinKind, fragment: &Fragment<ReplyKind>, _is_nested: bool) -> bool {
        join::fits(kind, fragment)
    }

    fn too_large(out: &mut Vec<u8>) {
        encode::server_error(out, "the reply is too large");
    }

    fn join(
        &self,
        join: &mut PendingJoin<ReplyKind>,
        _client: &MemcachedClient,
        about: &About<'_>,
        out: &mut Rope,
    ) -> JoinOutcome {
        match join.kind {
            JoinKind::Values => join::values(join, out),
            _ if join.waiting > 0 => JoinOutcome::Waiting,
            JoinKind::Stats(form) => stats::join(join, form, about, out),
            JoinKind::Ok => join::ok(join, out),
            // Redis's.
            _ => JoinOutcome::Mismatch,
        }
    }

    fn cap_ttl(
        &self,
        command: Self::Command,
        request: decision::Request<'_, Self>,
        seconds: u32,
        cap: &mut TtlCap,
    ) {
        if let Some(verb) = command.filter(|verb| verb.has_flags()) {
            let edit = |range, with: String| cap.edits.push((range, with.into_bytes()));
            return cap::capped_flags(verb, request.text, seconds, edit);
        }
        if let (Some(verb), Some(exptime)) = (command, request.parser.inner.exptime())
            && let Some(capped) = verb.capped_exptime(exptime.of(request.text), seconds)
        {
            let with = capped.to_string().into_bytes();
            cap.edits.push((exptime.range(), with));
        }
    }

    /// Nothing to do: a fragment's expiry time is at its beginning and was capped there.
    fn cap_key_ttl(
        &self,
        _: Self::Command,
        _: decision::Request<'_, Self>,
        _: Key,
        _: u32,
        _: &mut TtlCap,
    ) {
    }
}

/// No request waits for other clients.
impl Waiting for Memcached {}

impl Memcached {
    /// The decision for stats and meta commands.
    #[inline(never)]
    fn decide_apart(
        &self,
        request: decision::Request<'_, Self>,
        output: &mut DecisionOutput,
    ) -> Decision<Option<Verb>> {
        match request.parser.request.map(|found| found.verb) {
            Some(Verb::Stats) | None => self.route_stats(request.text, output),
            Some(verb) => meta::decide(verb, request.text, request.parser.inner.keys(), output),
        }
    }

    fn route_stats(&self, text: &[u8], output: &mut DecisionOutput) -> Decision<Option<Verb>> {
        let may = stats::Permissions {
            administer: self.allow_admin,
            reset: self.allow_admin || self.allow_flush,
            has_one_server: self.has_one_server,
        };
        let asked = stats::plan(text, may, &mut output.reply);
        Decision {
            route: asked.route,
            facts: Facts {
                reply: Reply::Wanted,
                is_pure_read: false,
                is_small: false,
                left_out: asked.left_out,
                is_special: false,
                command: Some(Verb::Stats),
            },
        }
    }

    #[inline]
    fn route(&self, request: decision::Request<'_, Self>, output: &mut DecisionOutput) -> Route {
        let parser = request.parser;
        match (parser.inner.keys(), parser.request) {
            ([key], _) => Route::Key(key.range()),
            (
                _,
                Some(Request {
                    verb: Verb::Verbosity,
                    ..
                }),
            ) => self.route_verbosity(request.text, output),
            (keys, Some(request)) => self.route_others(request.verb, keys, output),
            (_, None) => Route::Local,
        }
    }

    /// Levels 0 and 1 make no server log requests, and test programs such as memccapable send them.
    fn route_verbosity(&self, text: &[u8], output: &mut DecisionOutput) -> Route {
        let level =
            stats::word(text, 1).and_then(|word| std::str::from_utf8(word).ok()?.parse().ok());
        if self.allow_admin || level.is_some_and(|level: u64| level <= 1) {
            return Route::Broadcast { join: JoinKind::Ok };
        }
        let who = match self.has_one_server {
            true => "the server",
            false => "every server of the pool",
        };
        let error = format!(
            "verbosity above 1 not allowed: {who} would log each request; to allow it set admin_commands: true in the pool"
        );
        encode::client_error(&mut output.reply, &error);
        Route::Local
    }

    /// The route of a request with no key or several.
    fn route_others(&self, verb: Verb, keys: &[Arg], output: &mut DecisionOutput) -> Route {
        match verb {
            Verb::Version => Route::Placeholder,
            Verb::FlushAll if self.allow_flush => Route::Broadcast { join: JoinKind::Ok },
            Verb::FlushAll => {
                let what = match self.has_one_server {
                    true => "the data of all clients",
                    false => "the data of every server of the pool",
                };
                let error = format!(
                    "flush_all not allowed: it destroys {what}; to allow it set allow_flush: true in the pool"
                );
                encode::client_error(&mut output.reply, &error);
                Route::Local
            }
            Verb::Quit => Route::Quit,
            _ if verb.is_retrieval() => {
                output.keys.extend(keys.iter().map(|key| Key {
                    start: key.start,
                    len: key.len,
                    arg: 0,
                }));
                Route::Split {
                    join: JoinKind::Values,
                }
            }
            _ => Route::Local,
        }
    }
}

/// Converts the parser's result for the engine, and keeps the request.
#[inline]
fn translate(parser: &mut Parser, progress: Result<Progress, RequestError>) -> Parsed {
    match progress {
        Ok(Progress::Complete { len, request }) => {
            parser.request = Some(request);
            Parsed::Request { len }
        }
        other => translate_others(other),
    }
}
