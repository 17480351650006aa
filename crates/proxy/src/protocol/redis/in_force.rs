//! Refusals that are still in force: what follows a refused MULTI, WATCH or SELECT was meant for a
//! transaction or a database that is not there, and must not be carried out without it.

use redis_proto::command::{Action as CommandAction, Command, LocalCommand, Transaction};
use redis_proto::encode;

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

    /// A MULTI was refused.
    pub(super) fn refuse_multi(&mut self) {
        self.multi = true;
    }

    /// A WATCH was refused.
    pub(super) fn refuse_watch(&mut self) {
        self.watch = true;
    }

    /// UNWATCH was served.
    pub(super) fn allow_unwatched(&mut self) {
        self.watch = false;
    }

    /// Whether what follows was meant for a transaction.
    pub(super) fn is_within_multi(&self) -> bool {
        self.multi
    }

    /// An EXEC with arguments ends a transaction, too, as in Redis.
    pub(super) fn abort(&mut self, error: &str, out: &mut Vec<u8>) {
        self.end_transaction();
        encode::error(
            out,
            &format!("EXECABORT Transaction discarded because of: {error}"),
        );
    }

    /// Ends what would have been a transaction, and says which command was refused for it, if any was.
    pub(super) fn end_transaction(&mut self) -> Option<&'static str> {
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
        CommandAction::Transaction(Multi | Exec | Discard)
            | CommandAction::Local(LocalCommand::Quit | LocalCommand::Reset)
    )
}

/// Whether it reads or changes data.
fn uses_database(command: &Command) -> bool {
    matches!(
        command.action,
        CommandAction::Forward | CommandAction::Split(_) | CommandAction::Flush
    )
}
