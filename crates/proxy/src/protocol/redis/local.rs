//! Commands about the client's own connection, or about the proxy, answered here.

use redis_proto::command::{Command, LocalCommand};
use redis_proto::{Version, encode};

use super::client::RedisClient;
use super::request::Request;
use super::state::Redis;
use super::{acl, client_command, commands, help, own};
use crate::limits::MAX_ASKED;
use crate::protocol::decision::{DecisionOutput, Route};

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
        match local {
            LocalCommand::Ping if request.args.len() == 1 => encode::simple(out, "PONG"),
            LocalCommand::Ping | LocalCommand::Echo => return echo(request, output),
            LocalCommand::Quit => {
                encode::simple(out, "OK");
                return Route::Quit;
            }
            LocalCommand::Auth => self.auth(request, client, out),
            LocalCommand::Hello => return self.hello(request, client, output),
            LocalCommand::Client => {
                return client_command::route(command, request, client, output);
            }
            LocalCommand::Select => self.select(request, client, out),
            LocalCommand::Command => commands::answer(command, request, client.version, out),
            LocalCommand::Info | LocalCommand::Config => return Route::Report,
            LocalCommand::Time | LocalCommand::Lastsave => return Route::Report,
            LocalCommand::Memory if command.sub_name() == "stats" => return Route::Report,
            LocalCommand::Memory => own::memory_doctor(client.version, out),
            LocalCommand::Acl => acl::answer(command, request, out),
            LocalCommand::Latency => own::latency(command, request, client.version, out),
            LocalCommand::Module => encode::array_header(out, 0),
            LocalCommand::Role => own::role(out),
            LocalCommand::Slowlog => own::slow_log(command, request, out),
            LocalCommand::Help => help::help(command, out),
            LocalCommand::Reset => return self.reset(request, client, output),
        }
        Route::Local
    }

    /// A pool has one database: its own number and 0 both name it.
    fn select(&self, request: &Request<'_>, client: &mut RedisClient, out: &mut Vec<u8>) {
        let wanted = std::str::from_utf8(request.arg(1))
            .ok()
            .and_then(|text| text.parse::<u32>().ok());
        match wanted {
            Some(db) if db == 0 || self.databases.iter().all(|known| *known == db) => {
                client.in_force.allow_database();
                encode::simple(out, "OK");
            }
            Some(db) => {
                client.in_force.refuse_database(db);
                encode::error(
                    out,
                    "ERR DB index is out of range: a pool has one database, see redis_db",
                );
            }
            // A server refuses it, too, and stays where it was.
            None => encode::error(out, "ERR value is not an integer or out of range"),
        }
    }

    fn reset(
        &self,
        request: &Request<'_>,
        client: &mut RedisClient,
        output: &mut DecisionOutput,
    ) -> Route {
        if client.version != Version::Resp2 && !request.is_idle {
            return Route::WhenIdle;
        }
        client.reset(self.settings.auth.is_none());
        encode::simple(&mut output.reply, "RESET");
        Route::Local
    }
}

/// Whether a question has more arguments than are answered, each of which may be answered at length.
fn asks_much(local: LocalCommand, request: &Request<'_>) -> bool {
    use LocalCommand::{Client, Command, Config, Info};
    request.args.len() > MAX_ASKED
        && matches!(local, Client | Command | Config | Info)
        && !request.arg(1).to_ascii_lowercase().starts_with(b"getkeys")
}

const TOO_MUCH: &str = "ERR too many arguments: ask for less at a time";

fn echo(request: &Request<'_>, output: &mut DecisionOutput) -> Route {
    match request.args[1].bytes(request.text) {
        Some(bytes) => encode::bulk(&mut output.reply, bytes),
        None => encode::error(
            &mut output.reply,
            "ERR message is too long to be echoed by the proxy",
        ),
    }
    Route::Local
}
