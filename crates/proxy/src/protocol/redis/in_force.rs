//! What earlier commands of a client mean for its later ones: a transaction that it has begun, and refusals that stay in
//! force. A client that pipelines sends what follows WATCH or SELECT without waiting for the reply. If that was refused,
//! the commands after it were meant for another database, or for a transaction that is executed only if nothing has
//! changed, and must not be executed without it.

use redis_proto::command::{Action as CommandAction, Command, LocalCommand, PubSub};
use redis_proto::encode;

/// What later commands of a client depend on.
#[derive(Debug, Default)]
pub(crate) struct InForce {
    transaction: Transaction,
    /// Until EXEC, UNWATCH, RESET, or a DISCARD that ends a MULTI.
    watch: Watch,
    /// SELECT of this database was refused; until a SELECT that succeeds, or RESET.
    database: Option<u32>,
    /// The client is subscribed and speaks RESP2.
    subscribed: bool,
    /// Its user may not do everything.
    limited: bool,
    /// Whether there is a `transaction` or `database`, or it is `subscribed` or `limited`, as every request asks for it.
    is_any: bool,
}

/// A transaction, from MULTI on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Transaction {
    #[default]
    None,
    Open,
    /// A command was refused, so that EXEC will be, too.
    Aborted,
}

/// What became of WATCH.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Watch {
    #[default]
    None,
    /// Keys are watched.
    Watching,
    /// It was refused, so that the next EXEC will be, too.
    Refused,
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

    /// Only what is about subscriptions is allowed, or that is over.
    pub(super) fn restrict_to_subscriptions(&mut self, is_restricted: bool) {
        self.subscribed = is_restricted;
        self.note_change();
    }

    /// Whether only what is about subscriptions is allowed.
    pub(super) fn is_subscribed(&self) -> bool {
        self.subscribed
    }

    /// Whether its user may not do everything.
    pub(super) fn limit(&mut self, is_limited: bool) {
        self.limited = is_limited;
        self.note_change();
    }

    fn note_change(&mut self) {
        self.is_any = self.is_within_transaction()
            || self.database.is_some()
            || self.subscribed
            || self.limited;
    }

    /// Whether there is anything that may concern a command.
    #[inline]
    pub(super) fn is_any(&self) -> bool {
        self.is_any
    }

    /// Writes the error for a command that an earlier refusal forbids; returns whether one does.
    pub(super) fn forbids(&self, command: &Command, out: &mut Vec<u8>) -> bool {
        if self.subscribed && !is_heard_of_subscribers(command) {
            let name = command.name;
            encode::error(
                out,
                &format!(
                    "ERR Can't execute '{name}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context"
                ),
            );
            return true;
        }
        let Some(number) = self.database.filter(|_| uses_database(command)) else {
            return false;
        };
        encode::error(
            out,
            &format!(
                "ERR not executed: the SELECT {number} before it was refused; SELECT 0 or RESET ends it"
            ),
        );
        true
    }

    /// MULTI.
    pub(super) fn begin_transaction(&mut self) {
        self.transaction = Transaction::Open;
        self.note_change();
    }

    /// Whether there is a transaction.
    pub(super) fn is_within_transaction(&self) -> bool {
        self.transaction != Transaction::None
    }

    /// A command was refused. If it is one of a transaction, that will not be executed.
    pub(super) fn abort_transaction(&mut self) {
        if self.is_within_transaction() {
            self.transaction = Transaction::Aborted;
        }
    }

    /// Whether a command of the transaction was refused.
    pub(super) fn is_aborted(&self) -> bool {
        self.transaction == Transaction::Aborted
    }

    /// Ends the transaction; returns why it must not be executed, if so.
    pub(super) fn end_transaction(&mut self) -> Option<&'static str> {
        let transaction = std::mem::take(&mut self.transaction);
        let watch = std::mem::take(&mut self.watch);
        self.note_change();
        match (transaction, watch) {
            (Transaction::Aborted, _) => Some(" previous errors."),
            (_, Watch::Refused) => Some(": the WATCH before it was refused"),
            _ => None,
        }
    }

    /// Keys are watched from now on, unless an earlier WATCH was refused.
    pub(super) fn begin_watch(&mut self) {
        if self.watch == Watch::None {
            self.watch = Watch::Watching;
        }
    }

    /// WATCH was refused.
    pub(super) fn refuse_watch(&mut self) {
        self.watch = Watch::Refused;
    }

    /// Whether keys may be watched.
    pub(super) fn is_watching(&self) -> bool {
        self.watch != Watch::None
    }

    /// UNWATCH.
    pub(super) fn end_watch(&mut self) {
        self.watch = Watch::None;
    }
}

/// Whether a subscriber that speaks RESP2 may send the command.
fn is_heard_of_subscribers(command: &Command) -> bool {
    matches!(
        command.action,
        CommandAction::PubSub(PubSub::Subscribe(_) | PubSub::Unsubscribe(_))
            | CommandAction::Local(LocalCommand::Ping | LocalCommand::Quit | LocalCommand::Reset)
    )
}

/// Whether the command reads or changes data.
fn uses_database(command: &Command) -> bool {
    matches!(
        command.action,
        CommandAction::Forward
            | CommandAction::Wait
            | CommandAction::Split(_)
            | CommandAction::Keyspace(_)
            | CommandAction::Flush
    ) || matches!(command.action, CommandAction::Unsupported(why) if why.is_several_servers())
}
