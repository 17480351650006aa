//! MULTI, EXEC, DISCARD, WATCH and UNWATCH.

use redis_proto::command::{Command, Transaction, Why};
use redis_proto::encode;

use super::client::RedisClient;
use super::refusal::refuse;
use crate::protocol::decision::{DecisionOutput, Route};

/// MULTI and WATCH are refused. The replies to commands that end a transaction tell whether one was refused.
pub(super) fn route(
    command: &'static Command,
    asked: Transaction,
    client: &mut RedisClient,
    output: &mut DecisionOutput,
) -> Route {
    let (in_force, out) = (&mut client.in_force, &mut output.reply);
    let reason = Why::Transaction.reason();
    match asked {
        Transaction::Multi => {
            in_force.refuse_multi();
            return refuse(command, reason, output);
        }
        Transaction::Watch => {
            in_force.refuse_watch();
            return refuse(command, reason, output);
        }
        Transaction::Exec => match in_force.end_transaction() {
            Some(refused) => encode::error(
                out,
                &format!(
                    "EXECABORT Transaction discarded because of: unsupported command '{refused}': {reason}"
                ),
            ),
            None => encode::error(out, "ERR EXEC without MULTI"),
        },
        Transaction::Discard if in_force.is_within_multi() => {
            in_force.end_transaction();
            encode::simple(out, "OK");
        }
        Transaction::Discard => encode::error(out, "ERR DISCARD without MULTI"),
        Transaction::Unwatch => {
            in_force.allow_unwatched();
            encode::simple(out, "OK");
        }
    }
    Route::Local
}
