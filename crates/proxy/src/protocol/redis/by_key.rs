//! Where commands go that have keys: to the server of the key, or split.

use redis_proto::command::{self, Command, Flags};
use redis_proto::encode;

use super::client::RedisClient;
use super::refusal::{is_memcached_set, refuse, refuse_key, refuse_memcached_set};
use super::request::Request;
use super::scripts::NO_SCRIPTS;
use super::state::Redis;
use crate::limits::KEEP_KEYS;
use crate::protocol::decision::{DecisionOutput, JoinKind, Route};
use crate::settings::CrossShard;

impl Redis {
    #[inline(always)]
    pub(super) fn route_forward(
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
            return self.route_wait(command, request, client, output);
        }
        if command.flags.contains(Flags::SCRIPT)
            && command.runs_without_keys(request.text, request.args)
        {
            return self.route_keyless(command, request, output);
        }
        if let Some(route) = self.collect_keys(command, request, output) {
            return route;
        }
        client.beginning.note_key();
        let has_unknown_keys = self.collect_patterns(command, request, output);
        let goes_to_first = command.flags.contains(Flags::LEGACY)
            && client.beginning.rule(self.settings.cross_shard) == CrossShard::FirstKey;
        self.remember_script(command, request, output);
        match output.keys[..] {
            [only] if output.script.is_some() => Route::Script(only.range()),
            [only] if !has_unknown_keys => Route::Key(only.range()),
            _ => Route::SameServer {
                has_unknown_keys,
                else_first_key: goes_to_first.then_some(command.name),
            },
        }
    }

    /// The route of a command that waits for other clients. It is a barrier: what comes after it would be answered before
    /// what waits, or be held up behind it.
    #[cold]
    pub(super) fn route_wait(
        &self,
        command: &'static Command,
        request: &Request<'_>,
        client: &mut RedisClient,
        output: &mut DecisionOutput,
    ) -> Route {
        if !request.is_idle && !client.in_force.is_within_transaction() {
            return Route::WhenIdle;
        }
        if let Some(route) = self.collect_keys(command, request, output) {
            return route;
        }
        client.beginning.note_key();
        Route::Wait
    }

    pub(super) fn route_split(
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
            command::Join::Least => JoinKind::Least,
        };
        if command.is_all_or_nothing(request.text, request.args) {
            return Route::SameServer {
                has_unknown_keys: false,
                else_first_key: None,
            };
        }
        Route::Split { join }
    }

    /// Finds the request's keys. If that fails, or a key is too long, writes an error and returns the route for it.
    pub(super) fn collect_keys(
        &self,
        command: &'static Command,
        request: &Request<'_>,
        output: &mut DecisionOutput,
    ) -> Option<Route> {
        let keys = &mut output.keys;
        let (found, count) = match command.keys_of_count(request.args.len()) {
            Some(range) if range.len() > 0 => {
                let count = range.len();
                keys.extend(range.map_while(|index| request.key(index)));
                (Ok(()), count)
            }
            _ => {
                let mut indices = self.indices.take();
                let found = command.keys(request.text, request.args, &mut indices);
                keys.extend(indices.iter().map_while(|index| request.key(*index)));
                let count = indices.len();
                indices.clear();
                indices.shrink_to(KEEP_KEYS);
                self.indices.set(indices);
                (found, count)
            }
        };
        let all_routable = output.keys.len() == count && count > 0;
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
}
