//! MULTI, EXEC, DISCARD, WATCH and UNWATCH, and what becomes of commands in between.
//!
//! A transaction is held by the proxy until EXEC. It goes to its server on a connection that other clients use, too, so
//! that only commands may be in it that change nothing but data: no other database, user or version of the protocol, no
//! subscription, no mode of replies.

use redis_proto::command::{
    Action as CommandAction, Command, LocalCommand, PubSub, Transaction, Why,
};
use redis_proto::response::{ReplyKind, error_code};
use redis_proto::{Version, encode};

use super::client::RedisClient;
use super::pubsub;
use super::refusal::{refuse, refuse_subcommand};
use super::request::Request;
use super::state::Redis;
use crate::limits::MAX_WATCHED;
use crate::protocol::decision::{DecisionOutput, Key, Route, TransactionStep};
use crate::protocol::transaction::Transactions;
use crate::settings::{TransactionLimits, TransactionScope};

impl Transactions for Redis {
    const BEGIN: &'static [u8] = b"*1\r\n$5\r\nMULTI\r\n";
    const END: &'static [u8] = b"*1\r\n$4\r\nEXEC\r\n";
    const TRIAL: &'static [u8] =
        b"*1\r\n$5\r\nMULTI\r\n*1\r\n$4\r\nEXEC\r\n*1\r\n$7\r\nDISCARD\r\n";

    const UNWATCH: &'static [u8] = b"*1\r\n$7\r\nUNWATCH\r\n";

    fn splits_transactions(&self) -> bool {
        self.settings.transactions == TransactionScope::PerShard
    }

    fn is_status(kind: ReplyKind) -> bool {
        kind == ReplyKind::Status
    }

    /// EXEC is answered by what the commands have returned, by null if a watched key has changed, or by an error. Only
    /// with -EXECABORT that has ended the transaction.
    fn ends_transaction(kind: ReplyKind, start: &[u8]) -> bool {
        kind != ReplyKind::Error || error_code(start) == b"EXECABORT"
    }

    fn is_aborted(line: &[u8]) -> bool {
        error_code(line) == b"EXECABORT"
    }

    const WATCHED: &'static [u8] = b"+OK\r\n";

    fn refuse_watch(client: &mut RedisClient) {
        client.in_force.refuse_watch();
    }

    fn watch_failed(client: &RedisClient, out: &mut Vec<u8>) {
        match client.version {
            Version::Resp2 => out.extend_from_slice(b"*-1\r\n"),
            Version::Resp3 => encode::null(out, Version::Resp3),
        }
    }

    fn too_many_watched(out: &mut Vec<u8>) {
        let (keys, bytes) = MAX_WATCHED;
        let error = format!("ERR too many keys are watched: at most {keys}, of {bytes} bytes");
        encode::error(out, &error);
    }

    fn abort(client: &mut RedisClient) {
        client.in_force.abort_transaction();
    }

    fn transaction_limits(&self) -> TransactionLimits {
        self.settings.transaction_limits
    }

    fn transaction_too_large(&self, out: &mut Vec<u8>) {
        let TransactionLimits { commands, bytes } = self.settings.transaction_limits;
        encode::error(
            out,
            &format!(
                "ERR transaction is too large: the proxy holds at most {commands} commands (transaction_commands) and {bytes} bytes (transaction_bytes) until EXEC"
            ),
        );
    }

    fn transaction_elsewhere(out: &mut Vec<u8>) {
        encode::error(
            out,
            "EXECABORT Transaction discarded because its keys are served by the failover pool now, which gets no transactions",
        );
    }

    fn transaction_apart(out: &mut Vec<u8>) {
        encode::error(
            out,
            "EXECABORT Transaction discarded because its keys belong to several servers since one was ejected or came back",
        );
    }

    fn transaction_refused(line: &[u8], out: &mut Vec<u8>) {
        let line = String::from_utf8_lossy(line.strip_prefix(b"-").unwrap_or(line));
        encode::error(
            out,
            &format!(
                "EXECABORT Transaction discarded because of: its server answers MULTI and EXEC with '{line}'"
            ),
        );
    }
}

impl Redis {
    /// The route of a command of transactions.
    pub(super) fn route_transaction(
        &self,
        command: &'static Command,
        asked: Transaction,
        request: &Request<'_>,
        client: &mut RedisClient,
        output: &mut DecisionOutput,
    ) -> Route {
        let (in_force, out) = (&mut client.in_force, &mut output.reply);
        let is_open = in_force.is_within_transaction();
        match asked {
            Transaction::Multi if is_open => {
                encode::error(out, "ERR MULTI calls can not be nested")
            }
            Transaction::Multi => {
                in_force.begin_transaction();
                encode::simple(out, "OK");
                return Route::Transaction(TransactionStep::Begin);
            }
            Transaction::Watch if is_open => {
                encode::error(out, "ERR WATCH inside MULTI is not allowed");
            }
            Transaction::Watch => return self.watch(command, request, client, output),
            // What was sent before is to be executed before it, and it goes over another connection.
            Transaction::Exec if is_open && in_force.is_watching() && !request.is_idle => {
                return Route::WhenIdle;
            }
            Transaction::Exec if is_open => return execute(client, output),
            Transaction::Exec => encode::error(out, "ERR EXEC without MULTI"),
            Transaction::Discard if is_open => {
                in_force.end_transaction();
                encode::simple(out, "OK");
                return Route::Transaction(TransactionStep::Unwatch);
            }
            Transaction::Discard => encode::error(out, "ERR DISCARD without MULTI"),
            Transaction::Unwatch => {
                in_force.end_watch();
                encode::simple(out, "OK");
                return Route::Transaction(TransactionStep::Unwatch);
            }
        }
        Route::Local
    }

    /// The route of WATCH. Its keys go to a connection of the client's own, so that nothing that it has sent may be
    /// outstanding elsewhere.
    fn watch(
        &self,
        command: &'static Command,
        request: &Request<'_>,
        client: &mut RedisClient,
        output: &mut DecisionOutput,
    ) -> Route {
        if let Some(route) = self.collect_keys(command, request, output) {
            client.in_force.refuse_watch();
            return route;
        }
        if !request.is_idle {
            return Route::WhenIdle;
        }
        client.in_force.begin_watch();
        Route::Transaction(TransactionStep::Watch)
    }
}

fn execute(client: &mut RedisClient, output: &mut DecisionOutput) -> Route {
    match client.in_force.end_transaction() {
        None => {
            // As long as nothing was held.
            encode::array_header(&mut output.reply, 0);
            Route::Transaction(TransactionStep::Execute)
        }
        Some(why) => {
            let line = format!("EXECABORT Transaction discarded because of{why}");
            encode::error(&mut output.reply, &line);
            Route::Transaction(TransactionStep::Drop)
        }
    }
}

impl Redis {
    /// The route of a command between MULTI and EXEC.
    pub(super) fn route_within_transaction(
        &self,
        command: &'static Command,
        request: &Request<'_>,
        client: &mut RedisClient,
        output: &mut DecisionOutput,
    ) -> Route {
        let (mut has_unknown_keys, mut split) = (false, None);
        match self.keys_within_transaction(command, request, client, output) {
            Some(Route::Key(range) | Route::Script(range)) if output.keys.is_empty() => {
                output.keys.push(Key::of(range));
            }
            Some(Route::SameServer {
                has_unknown_keys: others,
                ..
            }) => has_unknown_keys = others,
            Some(Route::Split { join }) => split = Some(join),
            // All keys are in the output, or there are none.
            Some(Route::Key(_) | Route::Script(_) | Route::Wait) | None => {}
            // A script without keys, which belongs to no other server.
            Some(Route::Placeholder) if self.has_one_server() => {}
            Some(Route::Placeholder) => {
                client.in_force.abort_transaction();
                return refuse(command, self.not_queued(), output);
            }
            // It is refused.
            Some(other) => {
                client.in_force.abort_transaction();
                return other;
            }
        }
        encode::simple(&mut output.reply, "QUEUED");
        match client.in_force.is_aborted() {
            true => Route::Local,
            false => Route::Transaction(TransactionStep::Hold {
                has_unknown_keys,
                split,
            }),
        }
    }

    /// The route that a command would have outside a transaction, for its keys; `None` if it has none.
    fn keys_within_transaction(
        &self,
        command: &'static Command,
        request: &Request<'_>,
        client: &mut RedisClient,
        output: &mut DecisionOutput,
    ) -> Option<Route> {
        let route = match command.action {
            CommandAction::Forward | CommandAction::Split(_) if !command.changes_only_data() => {
                refuse(command, MAY_CHANGE_MORE, output)
            }
            CommandAction::Forward => self.route_forward(command, request, client, output),
            CommandAction::Split(join) => self.route_split(command, join, request, client, output),
            // It does not wait there.
            CommandAction::Wait => self.route_wait(command, request, client, output),
            CommandAction::PubSub(asked @ PubSub::Publish) => {
                pubsub::route(command, asked, request, output)
            }
            CommandAction::Local(LocalCommand::Ping | LocalCommand::Echo | LocalCommand::Time)
            | CommandAction::Transaction(Transaction::Unwatch) => return None,
            CommandAction::Unsupported(Why::Subcommand) => {
                refuse_subcommand(command, request, output)
            }
            CommandAction::Keyspace(_) | CommandAction::Placeholder if self.has_one_server() => {
                Route::Placeholder
            }
            CommandAction::Flush if self.has_one_server() => match self.allow_flush {
                true => Route::Placeholder,
                false => self.route_flush(command, output),
            },
            CommandAction::Unsupported(why)
                if why.is_several_servers() && self.has_one_server() =>
            {
                self.route_to_only_server(command, request, client, output)
            }
            CommandAction::Unsupported(why) => refuse(command, why.reason(), output),
            _ => refuse(command, self.not_queued(), output),
        };
        Some(route)
    }

    /// Why a command that is served otherwise is not served in a transaction.
    fn not_queued(&self) -> &'static str {
        match self.has_one_server() {
            true => {
                "the proxy does not send it within a transaction, as it is about more than data"
            }
            false => {
                "the proxy does not send it within a transaction, as it is about more than the keys of one server"
            }
        }
    }
}

/// Why a command that settings have added is not served in a transaction.
const MAY_CHANGE_MORE: &str = "nothing tells that it changes nothing of the connection that it is sent on, which a transaction shares with other clients";
