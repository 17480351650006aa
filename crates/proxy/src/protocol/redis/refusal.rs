//! Requests that are refused, and in which words.

use redis_proto::command::{self, Action, Command, Transaction};
use redis_proto::encode;

use super::client::RedisClient;
use super::{Request, in_force};
use crate::event::Event;
use crate::limits::MAX_KEY;
use crate::protocol::{Plan, Scratch};

/// Why a request is not even looked at.
pub(super) enum Refusal {
    Unknown,
    Arity(&'static Command),
}

impl Refusal {
    pub(super) fn answer(
        &self,
        request: &Request<'_>,
        client: &mut RedisClient,
        scratch: &mut Scratch,
    ) -> Plan {
        match self {
            Refusal::Unknown if command::is_cross_protocol(request.name()) => return Plan::Quit,
            Refusal::Unknown => {
                let name = shown(request.name());
                encode::error(&mut scratch.reply, &format!("ERR unknown command '{name}'"));
                scratch.event = Some(Event::UnsupportedCommand { name });
            }
            Refusal::Arity(command) => {
                let error = format!("wrong number of arguments for '{}' command", command.name);
                match command.action {
                    Action::Transaction(Transaction::Exec) => {
                        in_force::abort(client, &error, &mut scratch.reply);
                    }
                    _ => encode::error(&mut scratch.reply, &format!("ERR {error}")),
                }
            }
        }
        Plan::Local
    }
}

pub(super) fn refuse(command: &'static Command, reason: &str, scratch: &mut Scratch) -> Plan {
    let name = command.name.replace('|', " ");
    encode::error(
        &mut scratch.reply,
        &format!("ERR unsupported command '{name}': {reason}"),
    );
    scratch.event = Some(Event::UnsupportedCommand { name });
    Plan::Local
}

pub(super) fn refuse_key(command: &'static Command, scratch: &mut Scratch) -> Plan {
    encode::error(
        &mut scratch.reply,
        &format!(
            "ERR key of '{}' is longer than {MAX_KEY} bytes",
            command.name
        ),
    );
    Plan::Local
}

/// A client's word, fit for an error line or the log.
pub(super) fn shown(word: &[u8]) -> String {
    let short = &word[..word.len().min(64)];
    short.escape_ascii().to_string()
}
