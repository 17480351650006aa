//! The decision what becomes of each Redis command, by its row in the command table of `redis-proto`.

use std::ops::Range;

use redis_proto::command::{self, Action as CommandAction, Command, Flags};
use redis_proto::encode;

use super::auth::may_precede_auth;
use super::client::RedisClient;
use super::refusal::{
    Refusal, is_memcached_set, refuse, refuse_key, refuse_memcached_set, refuse_subcommand,
};
use super::request::Request;
use super::state::Redis;
use super::{miss, transaction};
use crate::limits::{AUTHENTICATE_WITHIN, KEEP_KEYS};
use crate::protocol::decision::{
    self, Apart, Decider, Decision, DecisionOutput, Facts, JoinKind, Route, Version,
};
use crate::protocol::grammar::Reply;
use crate::settings::CrossShard;
use crate::time::Time;

/// Why scripts are refused without `allow_scripts`.
const NO_SCRIPTS: &str = "scripts may do what is refused to clients, such as FLUSHALL; to allow them set allow_scripts: true in the pool";

impl Decider for Redis {
    type Client = RedisClient;
    type Command = Option<&'static Command>;

    fn client(&self, id: u64, now: Time) -> RedisClient {
        RedisClient::new(id, self.settings.auth.is_none(), now)
    }

    #[inline]
    fn must_authenticate(&self, client: &RedisClient) -> bool {
        !client.authenticated && self.settings.auth.is_some()
    }

    fn authenticate_by(&self, client: &RedisClient) -> Option<Time> {
        // One that knew the password once is no stranger.
        let is_stranger = self.must_authenticate(client) && !client.has_authenticated;
        is_stranger.then(|| client.connected + AUTHENTICATE_WITHIN)
    }

    fn version(client: &RedisClient) -> Version {
        match client.version {
            redis_proto::Version::Resp2 => Version::Base,
            redis_proto::Version::Resp3 => Version::Resp3,
        }
    }

    #[inline(always)]
    fn decide(
        &self,
        asked: decision::Request<'_, Self>,
        client: &mut RedisClient,
        output: &mut DecisionOutput,
    ) -> Decision<Self::Command> {
        client.replies.begin();
        let request = request_of(asked);
        let found = self.find_command(&request);
        let route = match &found {
            Ok(command) => {
                client.last = Some(command);
                self.route(command, &request, client, output)
            }
            Err(refusal) => {
                client.last = None;
                self.refuse(refusal, &request, client, output)
            }
        };
        if matches!(route, Route::WhenIdle) {
            client.replies.put_off();
        }
        let command = found.ok();
        let is = |property: &dyn Fn(&Command) -> bool| command.is_some_and(property);
        Decision {
            route,
            facts: Facts {
                reply: client.replies.present(),
                is_pure_read: is(&|command| command.flags.contains(Flags::READONLY)),
                is_small: is(&|command| command.has_small_reply(request.text, request.args)),
                left_out: None,
                is_script: is(&|command| command.flags.contains(Flags::SCRIPT)),
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
        request: decision::Request<'_, Self>,
        client: &RedisClient,
        out: &mut Vec<u8>,
    ) -> bool {
        miss::reply(&request_of(request), client.version, out)
    }

    fn cross_shard_error(apart: Apart, out: &mut Vec<u8>) {
        let error = match apart {
            Apart::Keys => "CROSSSLOT Keys in request don't hash to the same server",
            Apart::UnknownKeys => {
                "CROSSSLOT BY and GET may name keys of other servers: their patterns need the key's hash tag (see hash_tag) before the *"
            }
        };
        encode::error(out, error);
    }

    fn describe<'r>(&self, asked: decision::Request<'r, Self>) -> (&'r [u8], Option<Range<usize>>) {
        let request = request_of(asked);
        let Ok(command) = self.find_command(&request) else {
            return (request.name(), None);
        };
        let key = match command.single_key() {
            Some(index) => request.key(index),
            None => {
                let mut output = DecisionOutput::default();
                let failed = self.collect_keys(command, &request, &mut output);
                output.keys.first().copied().filter(|_| failed.is_none())
            }
        };
        (request.name(), key.map(|key| key.range()))
    }
}

impl Redis {
    #[inline(always)]
    fn route(
        &self,
        command: &'static Command,
        request: &Request<'_>,
        client: &mut RedisClient,
        output: &mut DecisionOutput,
    ) -> Route {
        if self.must_authenticate(client) || client.in_force.is_any() {
            return self.route_restricted(command, request, client, output);
        }
        match command.action {
            CommandAction::Forward => self.route_forward(command, request, client, output),
            _ => self.route_special(command, request, client, output),
        }
    }

    /// The route of a command of a client to which not everything is allowed now.
    #[cold]
    fn route_restricted(
        &self,
        command: &'static Command,
        request: &Request<'_>,
        client: &mut RedisClient,
        output: &mut DecisionOutput,
    ) -> Route {
        client.beginning.note_other(command, request.args.len());
        if self.must_authenticate(client) && !may_precede_auth(command) {
            return refuse_unauthenticated(output);
        }
        if client.in_force.forbids(command, &mut output.reply) {
            return Route::Local;
        }
        self.route_special(command, request, client, output)
    }

    /// The route of a request that is refused by its name and number of arguments. A client without the password
    /// learns no more than that it has to give it, and nothing is logged.
    #[cold]
    fn refuse(
        &self,
        refusal: &Refusal,
        request: &Request<'_>,
        client: &mut RedisClient,
        output: &mut DecisionOutput,
    ) -> Route {
        match refusal.may_precede_auth(request) || !self.must_authenticate(client) {
            true => refusal.answer(request, client, output),
            false => refuse_unauthenticated(output),
        }
    }

    /// The route of a command that is not simply forwarded, or not looked at as such.
    #[inline(never)]
    fn route_special(
        &self,
        command: &'static Command,
        request: &Request<'_>,
        client: &mut RedisClient,
        output: &mut DecisionOutput,
    ) -> Route {
        client.beginning.note_other(command, request.args.len());
        match command.action {
            CommandAction::Forward => self.route_forward(command, request, client, output),
            CommandAction::Split(join) => self.route_split(command, join, request, client, output),
            CommandAction::Placeholder => Route::Placeholder,
            CommandAction::Local(local) => {
                self.route_local(command, local, request, client, output)
            }
            CommandAction::Flush => self.route_flush(command, output),
            CommandAction::Transaction(asked) => transaction::route(command, asked, client, output),
            CommandAction::Unsupported(command::Why::Subcommand) => {
                refuse_subcommand(command, request, output)
            }
            CommandAction::Unsupported(why) => refuse(command, why.reason(), output),
        }
    }

    #[inline(always)]
    pub(super) fn find_command(&self, request: &Request<'_>) -> Result<&'static Command, Refusal> {
        let command = self.recent.find(request).ok_or(Refusal::Unknown)?;
        let command = match command.subs {
            [] => command,
            _ => command.resolve(request.text, request.args),
        };
        match command.arity.check(request.args.len()) {
            true => Ok(command),
            false => Err(Refusal::Arity(command)),
        }
    }

    #[inline(always)]
    fn route_forward(
        &self,
        command: &'static Command,
        request: &Request<'_>,
        client: &mut RedisClient,
        output: &mut DecisionOutput,
    ) -> Route {
        if request.args.len() == 5 && is_memcached_set(command, request) {
            return refuse_memcached_set(output);
        }
        if let Some(index) = command.single_key() {
            return match request.key(index) {
                Some(key) => {
                    client.beginning.note_key();
                    Route::Key(key.range())
                }
                None => refuse_key(command, output),
            };
        }
        self.route_keys(command, request, client, output)
    }

    /// The route of a command whose keys must be found first.
    #[inline(never)]
    fn route_keys(
        &self,
        command: &'static Command,
        request: &Request<'_>,
        client: &mut RedisClient,
        output: &mut DecisionOutput,
    ) -> Route {
        if command.flags.contains(Flags::SCRIPT) && !self.settings.allow_scripts {
            return refuse(command, NO_SCRIPTS, output);
        }
        if command.flags.contains(Flags::BLOCK_OPTION) && command.blocks(request.text, request.args)
        {
            return refuse(command, command::Why::Blocking.reason(), output);
        }
        if let Some(route) = self.collect_keys(command, request, output) {
            return route;
        }
        client.beginning.note_key();
        let has_unknown_keys = self.collect_patterns(command, request, output);
        let goes_to_first = command.flags.contains(Flags::LEGACY)
            && client.beginning.rule(self.settings.cross_shard) == CrossShard::FirstKey;
        match output.keys[..] {
            [only] if !has_unknown_keys => Route::Key(only.range()),
            _ => Route::SameServer {
                has_unknown_keys,
                else_first_key: goes_to_first.then_some(command.name),
            },
        }
    }

    fn route_split(
        &self,
        command: &'static Command,
        join: command::Join,
        request: &Request<'_>,
        client: &mut RedisClient,
        output: &mut DecisionOutput,
    ) -> Route {
        if let Some(route) = self.collect_keys(command, request, output) {
            return route;
        }
        client.beginning.note_key();
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

    /// Finds the request's keys. If that fails, or a key is too long, writes an error and returns the route for it.
    fn collect_keys(
        &self,
        command: &'static Command,
        request: &Request<'_>,
        output: &mut DecisionOutput,
    ) -> Option<Route> {
        let mut indices = self.indices.take();
        let found = command.keys(request.text, request.args, &mut indices);
        output
            .keys
            .extend(indices.iter().map_while(|index| request.key(*index)));
        let all_routable = output.keys.len() == indices.len() && !indices.is_empty();
        indices.clear();
        indices.shrink_to(KEEP_KEYS);
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

    /// Adds the patterns of the request that name keys of one server only to its keys, which they are routed like:
    /// those with a hash tag before their first `*`. Returns whether it has others.
    fn collect_patterns(
        &self,
        command: &'static Command,
        request: &Request<'_>,
        output: &mut DecisionOutput,
    ) -> bool {
        let mut indices = self.indices.take();
        indices.clear();
        command.key_patterns(request.text, request.args, &mut indices);
        let is_tagged = |index: usize| {
            let fixed = request.arg(index).split(|byte| *byte == b'*').next();
            let (Some(fixed), Some(tag)) = (fixed, self.hash_tag) else {
                return false;
            };
            tag.apply(fixed).len() < fixed.len()
        };
        let mut has_others = false;
        for &index in &indices {
            match request.key(index).filter(|_| is_tagged(index)) {
                Some(key) => output.keys.push(key),
                None => has_others = true,
            }
        }
        self.indices.set(indices);
        has_others
    }

    fn route_flush(&self, command: &'static Command, output: &mut DecisionOutput) -> Route {
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

pub(super) fn request_of(asked: decision::Request<'_, Redis>) -> Request<'_> {
    Request {
        text: asked.text,
        args: asked.parser.args(),
        is_idle: asked.is_idle,
    }
}

fn refuse_unauthenticated(output: &mut DecisionOutput) -> Route {
    let line = b"-NOAUTH Authentication required\r\n";
    output.reply.extend_from_slice(line);
    Route::Local
}
