//! Commands about the client's own connection, or about the proxy, answered here.

use redis_proto::command::{Command, LocalCommand};
use redis_proto::{Version, encode};

use super::client::RedisClient;
use super::request::{ARGUMENT_TOO_LONG, Request};
use super::state::Redis;
use super::{acl, client_command, commands, help, own, pubsub};
use crate::limits::MAX_ASKED;
use crate::protocol::decision::{DecisionOutput, Route, Selected, TransactionStep};

impl Redis {
    pub(super) fn route_local(
        &self,
        command: &'static Command,
        local: LocalCommand,
        request: &Request<'_>,
        client: &mut RedisClient,
        output: &mut DecisionOutput,
    ) -> Route {
        let out = &mut output.reply;
        if asks_much(local, request) {
            encode::error(out, TOO_MUCH);
            return Route::Local;
        }
        if repeats_arguments(local) && request.lacks_an_argument() {
            encode::error(out, ARGUMENT_TOO_LONG);
            return Route::Local;
        }
        match local {
            LocalCommand::Ping if client.in_force.is_subscribed() => pubsub::pong(request, out),
            LocalCommand::Ping if request.args.len() == 1 => encode::simple(out, "PONG"),
            LocalCommand::Ping | LocalCommand::Echo => encode::bulk(out, request.arg(1)),
            LocalCommand::Quit => {
                encode::simple(out, "OK");
                return Route::Quit;
            }
            LocalCommand::Auth => return self.auth(request, client, out),
            LocalCommand::Hello => return self.hello(request, client, output),
            LocalCommand::Client => {
                return client_command::route(self, command, request, client, output);
            }
            LocalCommand::Select => return self.select(request, client, output),
            LocalCommand::Command => commands::answer(command, self, request, client.version, out),
            LocalCommand::Config | LocalCommand::Lastsave if self.settings.admin_commands => {
                return self.route_question(local, request);
            }
            LocalCommand::Info | LocalCommand::Config => return Route::Report,
            LocalCommand::Time | LocalCommand::Lastsave => return Route::Report,
            LocalCommand::Memory if command.sub_name() == "stats" => return Route::Report,
            LocalCommand::Memory => own::memory_doctor(client.version, out),
            LocalCommand::Acl => acl::answer(command, request, client, out),
            LocalCommand::Latency => own::latency(command, request, client.version, out),
            LocalCommand::Module => encode::array_header(out, 0),
            LocalCommand::Role => own::role(out),
            LocalCommand::Slowlog | LocalCommand::HotKeys => return Route::Report,
            LocalCommand::Help => help::help(command, self.has_one_server(), out),
            LocalCommand::Reset => return self.reset(request, client, output),
        }
        Route::Local
    }

    /// A pool has one database, which its own number and 0 both name; or as many as `databases` says, for which a
    /// client's requests go over other connections, so that all earlier ones must be answered.
    fn select(
        &self,
        request: &Request<'_>,
        client: &mut RedisClient,
        output: &mut DecisionOutput,
    ) -> Route {
        let out = &mut output.reply;
        let wanted = std::str::from_utf8(request.arg(1))
            .ok()
            .and_then(|text| text.parse::<u32>().ok());
        // A server refuses it, too, and stays where it was.
        let Some(number) = wanted else {
            encode::error(out, "ERR value is not an integer or out of range");
            return Route::Local;
        };
        let several = self.settings.databases;
        let own = number == 0 || self.databases.iter().all(|known| *known == number);
        if number >= several && !(several <= 1 && own) {
            client.in_force.refuse_database(number);
            let why = match several {
                0 | 1 => "a pool has one database, see redis_db and databases".to_owned(),
                _ => format!("the pool has {several} databases"),
            };
            encode::error(out, &format!("ERR DB index is out of range: {why}"));
            return Route::Local;
        }
        let database = match several > 1 && number > 0 {
            true => Selected::database(number),
            false => Selected::NONE,
        };
        if database != client.database && !request.is_idle {
            return Route::WhenIdle;
        }
        client.database = database;
        client.in_force.allow_database();
        encode::simple(out, "OK");
        Route::Local
    }

    fn reset(
        &self,
        request: &Request<'_>,
        client: &mut RedisClient,
        output: &mut DecisionOutput,
    ) -> Route {
        let moves = client.version != Version::Resp2 || client.database != Selected::NONE;
        if moves && !request.is_idle {
            return Route::WhenIdle;
        }
        let was_within = client.in_force.is_within_transaction() || client.in_force.is_watching();
        let was_subscribed = client.subscriptions.is_any();
        client.reset(self.settings.auth.is_none());
        self.begin(client);
        encode::simple(&mut output.reply, "RESET");
        match was_within {
            _ if was_subscribed => Route::Reset,
            true => Route::Transaction(TransactionStep::Drop),
            false => Route::Local,
        }
    }
}

/// Whether arguments of the command are in its reply, or are kept for later ones.
fn repeats_arguments(local: LocalCommand) -> bool {
    use LocalCommand::{Client, Echo, Hello, Ping};
    matches!(local, Client | Echo | Hello | Ping)
}

/// Whether a question has more arguments than are answered, each of which may be answered at length.
fn asks_much(local: LocalCommand, request: &Request<'_>) -> bool {
    use LocalCommand::{Client, Command, Config, Info};
    request.args.len() > MAX_ASKED
        && matches!(local, Client | Command | Config | Info)
        && !request.arg(1).to_ascii_lowercase().starts_with(b"getkeys")
}

const TOO_MUCH: &str = "ERR too many arguments: ask for less at a time";
