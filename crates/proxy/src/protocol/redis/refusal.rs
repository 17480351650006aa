//! Requests that are refused, with their error lines.

use redis_proto::command::{self, Action as CommandAction, Command, Transaction};
use redis_proto::encode;

use super::auth::may_precede_auth;
use super::client::RedisClient;
use super::request::{Request, shown};
use crate::event::Event;
use crate::limits::MAX_KEY;
use crate::protocol::decision::{DecisionOutput, Route, TransactionStep};
use crate::protocol::grammar;

/// The refusal of bytes that cannot be parsed.
pub(super) fn bad_request(error: &redis_proto::request::RequestError) -> Box<grammar::Refusal> {
    let reason = error.to_string();
    let mut reply = Vec::new();
    encode::error(&mut reply, &format!("ERR {reason}"));
    let event = Event::BadRequest { reason };
    Box::new(grammar::Refusal { reply, event })
}

/// Why a request is refused by its name and number of arguments alone.
pub(super) enum Refusal {
    /// There is no command of that name.
    Unknown,
    /// The command does not take that many arguments.
    Arity(&'static Command),
}

impl Refusal {
    /// Whether a client that has not given the password is told.
    pub(super) fn may_precede_auth(&self, request: &Request<'_>) -> bool {
        match self {
            // It is closed, not answered.
            Refusal::Unknown => command::is_cross_protocol(request.name()),
            Refusal::Arity(command) => may_precede_auth(command),
        }
    }

    #[cold]
    pub(super) fn answer(
        &self,
        request: &Request<'_>,
        client: &mut RedisClient,
        output: &mut DecisionOutput,
    ) -> Route {
        match self {
            Refusal::Unknown if command::is_cross_protocol(request.name()) => return Route::Quit,
            Refusal::Unknown => {
                client.in_force.abort_transaction();
                let name = shown(request.name());
                let hint = match is_memcached(request.name()) {
                    true => ": it is memcached's, and this pool speaks Redis's protocol",
                    false => "",
                };
                let error = format!("ERR unknown command '{name}'{hint}");
                encode::error(&mut output.reply, &error);
                output.event = Some(Event::UnsupportedCommand { name });
            }
            Refusal::Arity(command) => {
                client.beginning.note_other(command, request.args.len());
                let error = format!("wrong number of arguments for '{}' command", command.name);
                match command.action {
                    // As in Redis, the error ends the transaction, if there is one.
                    CommandAction::Transaction(Transaction::Exec) => {
                        client.in_force.end_transaction();
                        let error = format!("EXECABORT Transaction discarded because of: {error}");
                        encode::error(&mut output.reply, &error);
                        return Route::Transaction(TransactionStep::Drop);
                    }
                    _ => {
                        client.in_force.abort_transaction();
                        encode::error(&mut output.reply, &format!("ERR {error}"));
                    }
                }
            }
        }
        Route::Local
    }
}

/// Commands of memcached's text protocol that Redis does not have.
const MEMCACHED: [&str; 19] = [
    "version",
    "stats",
    "gets",
    "gat",
    "gats",
    "cas",
    "add",
    "replace",
    "prepend",
    "delete",
    "flush_all",
    "verbosity",
    "mg",
    "ms",
    "md",
    "ma",
    "mn",
    "me",
    "cache_memlimit",
];

fn is_memcached(name: &[u8]) -> bool {
    MEMCACHED.iter().any(|known| known.as_bytes() == name)
}

/// Whether a SET is one of memcached's (`set key flags exptime bytes`), which Redis takes for a syntax error.
pub(super) fn is_memcached_set(command: &Command, request: &Request<'_>) -> bool {
    let is_number = |index| {
        let arg = request.arg(index);
        !arg.is_empty() && arg.iter().all(u8::is_ascii_digit)
    };
    command.name == "set" && is_number(3) && is_number(4)
}

pub(super) fn refuse_memcached_set(output: &mut DecisionOutput) -> Route {
    let error = "ERR syntax error: this looks like a SET of memcached's, and this pool speaks Redis's protocol";
    encode::error(&mut output.reply, error);
    let name = "set".to_owned();
    output.event = Some(Event::UnsupportedCommand { name });
    Route::Local
}

pub(super) fn refuse(
    command: &'static Command,
    reason: &str,
    output: &mut DecisionOutput,
) -> Route {
    let name = command.name.replace('|', " ");
    encode::error(
        &mut output.reply,
        &format!("ERR unsupported command '{name}': {reason}"),
    );
    output.event = Some(Event::UnsupportedCommand { name });
    Route::Local
}

/// A container has no such subcommand.
pub(super) fn refuse_subcommand(
    command: &'static Command,
    request: &Request<'_>,
    output: &mut DecisionOutput,
) -> Route {
    let (name, sub) = (command.name, shown(request.arg(1)));
    let container = name.to_ascii_uppercase();
    encode::error(
        &mut output.reply,
        &format!("ERR unknown subcommand '{sub}'. Try {container} HELP."),
    );
    let name = format!("{name} {sub}");
    output.event = Some(Event::UnsupportedCommand { name });
    Route::Local
}

pub(super) fn refuse_key(command: &'static Command, output: &mut DecisionOutput) -> Route {
    encode::error(
        &mut output.reply,
        &format!(
            "ERR key of '{}' is longer than {MAX_KEY} bytes",
            command.name
        ),
    );
    Route::Local
}
