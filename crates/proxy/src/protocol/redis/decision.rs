//! The decision what becomes of each Redis command, by its row in the command table of `redis-proto`.

use std::ops::Range;

use redis_proto::command::{self, Action as CommandAction, Command, Flags, LocalCommand};

use super::auth::may_precede_auth;
use super::client::RedisClient;
use super::refusal::{Refusal, refuse, refuse_subcommand};
use super::request::Request;
use super::state::Redis;
use super::{cross_shard, miss, pubsub, waiting};
use crate::client_info::AboutClient;
use crate::limits::AUTHENTICATE_WITHIN;
use crate::protocol::decision::{
    self, Apart, Decider, Decision, DecisionOutput, Facts, Lane, Route, Version, Work,
};
use crate::protocol::grammar::{Mark, Reply};
use crate::time::Time;

/// Commands with one of these are [`Facts::is_special`].
const SPECIAL: Flags = Flags::SCRIPT.with(Flags::LONG_WORK);

impl Decider for Redis {
    type Client = RedisClient;
    type Command = Option<&'static Command>;

    fn client(&self, id: u64, now: Time) -> RedisClient {
        let mut client = RedisClient::new(id, self.settings.auth.is_none(), now);
        self.begin(&mut client);
        client
    }

    #[inline]
    fn must_authenticate(&self, client: &RedisClient) -> bool {
        !client.authenticated && (self.settings.auth.is_some() || self.users.is_some())
    }

    fn authenticate_by(&self, client: &RedisClient) -> Option<Time> {
        // One that knew the password once is no stranger.
        let is_stranger = self.must_authenticate(client) && !client.has_authenticated;
        is_stranger.then(|| client.connected + AUTHENTICATE_WITHIN)
    }

    #[inline(always)]
    fn lane(client: &RedisClient) -> Lane {
        Lane {
            version: Self::version(client),
            database: client.database,
        }
    }

    #[inline(always)]
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
                is_special: is(&|command| command.flags.intersects(SPECIAL)),
                command,
            },
        }
    }

    fn work(facts: &Facts<Self::Command>) -> Work {
        let flags = facts.command.map_or(Flags::NONE, |command| command.flags);
        Work {
            mark: match flags.contains(Flags::SCRIPT) {
                true => Mark::Script,
                false => Mark::None,
            },
            may_be_long: flags.intersects(SPECIAL),
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

    fn cross_shard_error(&self, command: Self::Command, apart: Apart, out: &mut Vec<u8>) {
        cross_shard::write_error(command, apart, self.hash_tag, out);
    }

    fn client_name(client: &RedisClient) -> &[u8] {
        client.name.as_deref().unwrap_or_default()
    }

    fn about(client: &RedisClient) -> AboutClient {
        AboutClient {
            number: client.id,
            name: Self::client_name(client).into(),
            user: client.user.as_ref().map(|user| user.name().into()),
            library: (client.library.name.clone(), client.library.version.clone()),
            last_command: client.last.map_or("", |command| command.name),
        }
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
    /// The words of nutcracker 0.5.0, or with users those of Redis.
    fn refuse_unauthenticated(&self, output: &mut DecisionOutput) -> Route {
        let line: &[u8] = match self.users {
            None => b"-NOAUTH Authentication required\r\n",
            Some(_) => b"-NOAUTH Authentication required.\r\n",
        };
        output.reply.extend_from_slice(line);
        Route::Local
    }

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
            return self.refuse_unauthenticated(output);
        }
        if let Some(route) = self.deny(command, request, client, output) {
            return route;
        }
        if client.in_force.forbids(command, &mut output.reply) {
            client.in_force.abort_transaction();
            return Route::Local;
        }
        match client.in_force.is_within_transaction() && !is_executed_at_once(command) {
            true => self.route_within_transaction(command, request, client, output),
            false => self.route_special(command, request, client, output),
        }
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
            false => self.refuse_unauthenticated(output),
        }
    }

    /// The route of a command that is not simply forwarded, or not looked at as such.
    #[inline(never)]
    pub(super) fn route_special(
        &self,
        command: &'static Command,
        request: &Request<'_>,
        client: &mut RedisClient,
        output: &mut DecisionOutput,
    ) -> Route {
        client.beginning.note_other(command, request.args.len());
        match command.action {
            CommandAction::Forward => self.route_forward(command, request, client, output),
            CommandAction::Wait => self.route_wait(command, request, client, output),
            CommandAction::Acknowledged => waiting::acknowledged(command, request, output),
            CommandAction::Split(join) => self.route_split(command, join, request, client, output),
            CommandAction::Placeholder => Route::Placeholder,
            CommandAction::Local(local) => {
                self.route_local(command, local, request, client, output)
            }
            CommandAction::Flush => self.route_flush(command, output),
            CommandAction::Scripts(asked) => self.route_scripts(command, asked, request, output),
            CommandAction::Admin(asked) => self.route_admin(command, asked, request, output),
            CommandAction::Keyspace(asked) => self.route_keyspace(asked, request, output),
            CommandAction::PubSub(asked) => pubsub::route(command, asked, request, output),
            CommandAction::Transaction(asked) => {
                self.route_transaction(command, asked, request, client, output)
            }
            CommandAction::Unsupported(command::Why::Subcommand) => {
                refuse_subcommand(command, request, output)
            }
            CommandAction::Unsupported(why)
                if why.is_several_servers() && self.has_one_server() =>
            {
                self.route_to_only_server(command, request, client, output)
            }
            CommandAction::Unsupported(why) => refuse(command, why.reason(), output),
        }
    }

    #[inline(always)]
    pub(super) fn find_command(&self, request: &Request<'_>) -> Result<&'static Command, Refusal> {
        let known = self.recent.find(request);
        let command = known.or_else(|| self.extra.find(request.name()));
        let command = command.ok_or(Refusal::Unknown)?;
        let command = match command.subs {
            [] => command,
            _ => command.resolve(request.text, request.args),
        };
        match command.arity.check(request.args.len()) {
            true => Ok(command),
            false => Err(Refusal::Arity(command)),
        }
    }
}

/// Whether a server executes the command at once inside a transaction.
fn is_executed_at_once(command: &Command) -> bool {
    use command::Transaction::{Discard, Exec, Multi, Watch};
    matches!(
        command.action,
        CommandAction::Transaction(Multi | Exec | Discard | Watch)
            | CommandAction::Local(LocalCommand::Quit | LocalCommand::Reset)
    )
}

pub(super) fn request_of(asked: decision::Request<'_, Redis>) -> Request<'_> {
    Request {
        text: asked.text,
        args: asked.parser.args(),
        is_idle: asked.is_idle,
    }
}
