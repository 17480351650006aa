//! What the user of a client may not do, in pools with users.

use redis_proto::acl::Denied;
use redis_proto::command::{Action as CommandAction, Command, LocalCommand, Transaction};
use redis_proto::encode;

use super::client::RedisClient;
use super::request::Request;
use super::state::Redis;
use crate::event::{Event, UserEvent};
use crate::limits::KEEP_KEYS;
use crate::protocol::decision::{DecisionOutput, Route, TransactionStep};

impl Redis {
    /// The route of a request that its client's user may not send; `None` if it may. Nothing of it is sent, and what it means
    /// for later ones is remembered.
    pub(super) fn deny(
        &self,
        command: &'static Command,
        request: &Request<'_>,
        client: &mut RedisClient,
        output: &mut DecisionOutput,
    ) -> Option<Route> {
        let user = client.user.as_ref()?;
        let mut indices = self.indices.take();
        let (text, args) = (request.text, request.args);
        let checked = user.permissions().check(command, text, args, &mut indices);
        indices.clear();
        indices.shrink_to(KEEP_KEYS);
        self.indices.set(indices);
        let denied = checked.err()?;
        output.event = Some(Event::User(UserEvent::NotPermitted {
            user: user.name().into(),
            reason: reason(denied, command),
        }));
        let error = error(denied, command, request);
        let is_within = client.in_force.is_within_transaction();
        if let CommandAction::Transaction(Transaction::Exec) = command.action
            && is_within
        {
            // As in Redis, the error ends the transaction.
            client.in_force.end_transaction();
            let error = format!("EXECABORT Transaction discarded because of: {error}");
            encode::error(&mut output.reply, &error);
            return Some(Route::Transaction(TransactionStep::Drop));
        }
        encode::error(&mut output.reply, &error);
        note_refused(command, request, client);
        Some(Route::Local)
    }
}

/// The words of redis-server 7.0.
fn error(denied: Denied, command: &Command, request: &Request<'_>) -> String {
    match denied {
        Denied::Command(name) => {
            format!("NOPERM this user has no permissions to run the '{name}' command")
        }
        Denied::Key => {
            "NOPERM this user has no permissions to access one of the keys used as arguments".into()
        }
        Denied::Channel => {
            "NOPERM this user has no permissions to access one of the channels used as arguments"
                .into()
        }
        Denied::SortPattern => {
            let mut patterns = Vec::new();
            command.key_patterns(request.text, request.args, &mut patterns);
            let first = patterns.first().map_or(0, |index| index - 1);
            let option = match request.arg(first).eq_ignore_ascii_case(b"by") {
                true => "BY",
                false => "GET",
            };
            format!("ERR {option} option of SORT denied due to insufficient ACL permissions.")
        }
    }
}

/// What is logged, without any key.
fn reason(denied: Denied, command: &Command) -> String {
    let what = match denied {
        Denied::Command(_) => "",
        Denied::Key => ": one of its keys is not permitted",
        Denied::Channel => ": one of its channels is not permitted",
        Denied::SortPattern => ": BY and GET need all keys",
    };
    format!("'{}'{what}", command.name.replace('|', " "))
}

/// Remembers what a refusal means for later commands of the client, which it may have sent already. What follows MULTI is
/// not executed one by one.
pub(super) fn note_refused(command: &Command, request: &Request<'_>, client: &mut RedisClient) {
    let is_within = client.in_force.is_within_transaction();
    match command.action {
        CommandAction::Transaction(Transaction::Multi) if !is_within => {
            client.in_force.begin_transaction();
        }
        CommandAction::Transaction(Transaction::Watch) if !is_within => {
            client.in_force.refuse_watch();
        }
        CommandAction::Local(LocalCommand::Select) if !is_within => {
            let database = std::str::from_utf8(request.arg(1)).unwrap_or_default();
            if let Ok(database) = database.parse() {
                client.in_force.refuse_database(database);
            }
        }
        _ => {}
    }
    client.in_force.abort_transaction();
}
