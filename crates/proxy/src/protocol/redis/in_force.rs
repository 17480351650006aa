//! Refusals that stay in force. A client that pipelines sends what follows MULTI, WATCH or SELECT without waiting
//! for the reply. If that was refused, the commands after it were meant for a transaction, or for another database,
//! and must not be executed without it.

use redis_proto::command::{Action as CommandAction, Command, LocalCommand, Transaction};
use redis_proto::encode;

/// The refusals that later commands of a client depend on.
#[derive(Debug, Default)]
pub(crate) struct InForce {
    /// MULTI was refused; until EXEC, DISCARD or RESET.
    multi: bool,
    /// WATCH was refused; until EXEC, UNWATCH, RESET, or a DISCARD that ends a MULTI.
    watch: bool,
    /// SELECT of this database was refused; until a SELECT that succeeds, or RESET.
    database: Option<u32>,
    /// Whether `multi` or `database` is set, as every request asks for it.
    is_any: bool,
}

impl InForce {
    /// SELECT was refused, for a database that a server could have.
    pub(super) fn refuse_database(&mut self, number: u32) {
        self.database = Some(number);
        self.note_change();
    }

    /// SELECT has succeeded.
    pub(super) fn allow_database(&mut self) {
        self.database = None;
        self.note_change();
    }

    fn note_change(&mut self) {
        self.is_any = self.multi || self.database.is_some();
    }

    /// Whether there is one that may forbid a command.
    #[inline]
    pub(super) fn is_any(&self) -> bool {
        self.is_any
    }

    /// Writes the error for a command that an earlier refusal forbids; returns whether one does.
    pub(super) fn forbids(&self, command: &Command, out: &mut Vec<u8>) -> bool {
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

    /// MULTI was refused.
    pub(super) fn refuse_multi(&mut self) {
        self.multi = true;
        self.note_change();
    }

    /// WATCH was refused.
    pub(super) fn refuse_watch(&mut self) {
        self.watch = true;
    }

    /// UNWATCH has succeeded.
    pub(super) fn allow_unwatched(&mut self) {
        self.watch = false;
    }

    /// Whether a refused MULTI has not been ended yet.
    pub(super) fn is_within_multi(&self) -> bool {
        self.multi
    }

    /// EXEC has a wrong number of arguments: as in Redis, that error ends the transaction, too.
    pub(super) fn abort(&mut self, error: &str, out: &mut Vec<u8>) {
        self.end_transaction();
        encode::error(
            out,
            &format!("EXECABORT Transaction discarded because of: {error}"),
        );
    }

    /// Ends what would have been a transaction; returns which command of it was refused, if any was.
    pub(super) fn end_transaction(&mut self) -> Option<&'static str> {
        let multi = std::mem::take(&mut self.multi).then_some("multi");
        let watch = std::mem::take(&mut self.watch).then_some("watch");
        self.note_change();
        multi.or(watch)
    }
}

/// Whether a server would have executed the command at once inside a transaction, or it begins or ends one.
fn is_heard_within_multi(command: &Command) -> bool {
    use Transaction::{Discard, Exec, Multi};
    matches!(
        command.action,
        CommandAction::Transaction(Multi | Exec | Discard)
            | CommandAction::Local(LocalCommand::Quit | LocalCommand::Reset)
    )
}

/// Whether the command reads or changes data.
fn uses_database(command: &Command) -> bool {
    matches!(
        command.action,
        CommandAction::Forward | CommandAction::Split(_) | CommandAction::Flush
    )
}
