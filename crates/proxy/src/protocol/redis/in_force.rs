//! Refusals that are still in force: what follows a refused MULTI, WATCH or SELECT was meant for a
//! transaction or a database that is not there, and must not be carried out without it.

use redis_proto::command::{Action, Command, LocalCommand, Transaction, Why};
use redis_proto::encode;

use super::client::RedisClient;
use super::refuse;
use crate::protocol::planner::{PlanOutput, Route};

/// What a client was refused, as long as later commands depend on it.
#[derive(Debug, Default)]
pub(crate) struct InForce {
    /// A MULTI; until EXEC, DISCARD or RESET.
    multi: bool,
    /// A WATCH; until EXEC, UNWATCH, RESET, or DISCARD of a MULTI.
    watch: bool,
    /// The database of a SELECT; until a SELECT that is served, or RESET.
    database: Option<u32>,
}

impl InForce {
    /// A SELECT of a database was refused that a server may have.
    pub(super) fn refuse_database(&mut self, number: u32) {
        self.database = Some(number);
    }

    /// A SELECT was served.
    pub(super) fn allow_database(&mut self) {
        self.database = None;
    }

    /// Writes why the command is not carried out, if an earlier refusal forbids it; says whether it does.
    #[inline]
    pub(super) fn forbids(&self, command: &Command, out: &mut Vec<u8>) -> bool {
        (self.multi || self.database.is_some()) && self.explain(command, out)
    }

    fn explain(&self, command: &Command, out: &mut Vec<u8>) -> bool {
        if self.multi && !is_heard_within_multi(command) {
            encode::error(
                out,
                "ERR not executed: the MULTI before it was refused, as transactions are not supported; EXEC, DISCARD or RESET ends it",
            );
            return true;
        }
        let Some(number) = self.database.filter(|_| uses_database(command)) else {
            return false;
        };
        encode::error(
            out,
            &format!(
                "ERR not executed: the SELECT {number} before it was refused, as a pool has one database; SELECT 0 or RESET ends it"
            ),
        );
        true
    }

    /// Ends what would have been a transaction, and says which command was refused for it, if any was.
    fn end_transaction(&mut self) -> Option<&'static str> {
        let multi = std::mem::take(&mut self.multi).then_some("multi");
        let watch = std::mem::take(&mut self.watch).then_some("watch");
        multi.or(watch)
    }
}

/// Whether a server would have carried it out at once, or a MULTI is what it is about.
fn is_heard_within_multi(command: &Command) -> bool {
    use Transaction::{Discard, Exec, Multi};
    matches!(
        command.action,
        Action::Transaction(Multi | Exec | Discard)
            | Action::Local(LocalCommand::Quit | LocalCommand::Reset)
    )
}

/// Whether it reads or changes data.
fn uses_database(command: &Command) -> bool {
    matches!(
        command.action,
        Action::Forward | Action::Split(_) | Action::Flush
    )
}

/// An EXEC with arguments ends a transaction, too, as in Redis.
pub(super) fn abort(client: &mut RedisClient, error: &str, out: &mut Vec<u8>) {
    client.in_force.end_transaction();
    encode::error(
        out,
        &format!("EXECABORT Transaction discarded because of: {error}"),
    );
}

/// MULTI and WATCH are refused; what ends a transaction tells whether there was to be one.
pub(super) fn transaction(
    command: &'static Command,
    asked: Transaction,
    client: &mut RedisClient,
    output: &mut PlanOutput,
) -> Route {
    let (in_force, out) = (&mut client.in_force, &mut output.reply);
    let reason = Why::Transaction.reason();
    match asked {
        Transaction::Multi => {
            in_force.multi = true;
            return refuse(command, reason, output);
        }
        Transaction::Watch => {
            in_force.watch = true;
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
        Transaction::Discard if in_force.multi => {
            in_force.end_transaction();
            encode::simple(out, "OK");
        }
        Transaction::Discard => encode::error(out, "ERR DISCARD without MULTI"),
        Transaction::Unwatch => {
            in_force.watch = false;
            encode::simple(out, "OK");
        }
    }
    Route::Local
}
