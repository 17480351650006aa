//! Commands that administer the servers (`admin_commands`), and how replies of several are joined then.

use redis_proto::command::{Admin, Command, LocalCommand};
use redis_proto::response::ReplyKind;
use redis_proto::{Version, encode};

use super::handshake::error_text;
use super::refusal::refuse;
use super::request::Request;
use super::state::Redis;
use super::{client_kill, client_pause};
use crate::flow::buffer::Rope;
use crate::limits::MAX_ASKED;
use crate::protocol::decision::{AdminStep, DecisionOutput, JoinKind, Route};
use crate::protocol::fanout::About;
use crate::protocol::pending_join::{Fragment, JoinOutcome, PendingJoin};

/// Why a command is refused without `admin_commands`.
const NOT_ALLOWED: &str =
    "it is for who administers the servers; to allow it set admin_commands: true in the pool";

/// Why it is refused in a pool of several servers.
const ONE_SERVER: &str =
    "it administers one server, and the pool has several: connect to that server directly";

/// What begins the refusal of a server at which nothing is to be ended.
const NOT_BUSY: &[u8] = b"-NOTBUSY";

impl Redis {
    pub(super) fn route_admin(
        &self,
        command: &'static Command,
        asked: Admin,
        request: &Request<'_>,
        output: &mut DecisionOutput,
    ) -> Route {
        let has_one_server = self.has_one_server();
        match asked {
            Admin::OnlyServer if !has_one_server => refuse(command, ONE_SERVER, output),
            _ if !self.settings.admin_commands => refuse(command, NOT_ALLOWED, output),
            Admin::EveryServer if has_one_server => Route::Placeholder,
            Admin::EveryServer => Route::Broadcast {
                join: JoinKind::Done,
            },
            Admin::OnlyServer if is_about_connection(command, request) => {
                refuse(command, CONNECTION, output)
            }
            // What was sent before is to be executed before it, and it goes over another connection.
            Admin::OnlyServer if !request.is_idle => Route::WhenIdle,
            Admin::OnlyServer => Route::Admin(AdminStep::OnlyServer),
            Admin::Kill => client_kill::route(self, request, output),
            Admin::Pause => client_pause::route(request, output),
            Admin::Unpause => Route::Workers,
            Admin::HotKeys => Route::Report,
        }
    }

    /// The route of a question that the proxy would answer for itself, but the servers are asked where they may be
    /// administered.
    pub(super) fn route_question(&self, local: LocalCommand, request: &Request<'_>) -> Route {
        match local {
            _ if self.has_one_server() => Route::Placeholder,
            LocalCommand::Config => {
                let is_name = |index| !request.arg(index).iter().any(|byte| b"*?[".contains(byte));
                let exact = request.args.len() <= MAX_ASKED && (2..request.args.len()).all(is_name);
                let join = JoinKind::Alike { exact };
                Route::Broadcast { join }
            }
            _ => Route::Report,
        }
    }
}

/// Why a subcommand of DEBUG is refused.
const CONNECTION: &str = "it sends what answers no request";

/// Whether it is about what is sent on the connection, not about the server: DEBUG PROTOCOL.
fn is_about_connection(command: &Command, request: &Request<'_>) -> bool {
    command.name == "debug" && request.arg(1).eq_ignore_ascii_case(b"protocol")
}

/// The reply of a server that does not refuse the request; if all do, that of one at which there was something to end.
pub(super) fn one(join: &mut PendingJoin<ReplyKind>, out: &mut Rope) -> JoinOutcome {
    let is_good =
        |it: &Fragment<_>| matches!(it.outcome, Some(Ok(kind)) if kind != ReplyKind::Error);
    if let Some(good) = join.fragments.iter().position(is_good) {
        out.append(&mut join.fragments[good].reply);
        return JoinOutcome::Done;
    }
    let refuses = |it: &Fragment<_>| {
        let mut start = [0; NOT_BUSY.len()];
        let is_idle = it.reply.peek(&mut start) == start.len() && start == *NOT_BUSY;
        !is_idle && !join.is_missing(it)
    };
    JoinOutcome::Failed(join.fragments.iter().position(refuses).unwrap_or_default())
}

/// OK if all servers say so. Otherwise the error tells of how many it is true, as those have done it.
pub(super) fn done(
    join: &PendingJoin<ReplyKind>,
    about: &About<'_>,
    out: &mut Rope,
) -> JoinOutcome {
    let is_done = |it: &&Fragment<_>| it.is(ReplyKind::Status);
    let count = join.fragments.iter().filter(is_done).count();
    let Some(failed) = join.fragments.iter().find(|it| !is_done(it)) else {
        out.extend(b"+OK\r\n");
        return JoinOutcome::Done;
    };
    let why = match &failed.outcome {
        Some(Ok(ReplyKind::Error)) => error_text(&text_of(failed)),
        Some(Err(cause)) => cause.detail().to_string(),
        _ => return JoinOutcome::Mismatch,
    };
    let (server, all) = ((about.name_of)(failed.server), join.fragments.len());
    let error = format!("ERR server '{server}': {why}; {count} of {all} servers have done it");
    out.extend_with(|out| encode::error(out, &error));
    JoinOutcome::Done
}

/// Those names that all servers know, with the values that are the same at all.
pub(super) fn alike(
    join: &PendingJoin<ReplyKind>,
    exact: bool,
    version: Version,
    about: &About<'_>,
    out: &mut Rope,
) -> JoinOutcome {
    let is_list = |it: &Fragment<_>| it.is(ReplyKind::Array) || it.is(ReplyKind::Map);
    let texts: Vec<_> = join.fragments.iter().map(text_of).collect();
    let tables: Option<Vec<_>> = texts.iter().map(|text| pairs(text)).collect();
    let Some(tables) = tables.filter(|_| join.fragments.iter().all(is_list)) else {
        return JoinOutcome::Mismatch;
    };
    let mut kept = Vec::new();
    for (name, value) in &tables[0] {
        let other = tables
            .iter()
            .position(|table| !table.contains(&(name, value)));
        match other {
            None => kept.push((name, value)),
            Some(other) if exact => {
                let known = tables[other].iter().find(|(known, _)| known == name);
                let shown = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
                let at = |fragment: usize| (about.name_of)(join.fragments[fragment].server);
                let there = match known {
                    Some((_, value)) => format!("'{}'", shown(value)),
                    None => "unknown".into(),
                };
                let (name, value) = (shown(name), shown(value));
                let error = format!(
                    "ERR '{name}' is '{value}' at server '{}' and {there} at '{}'",
                    at(0),
                    at(other)
                );
                out.extend_with(|out| encode::error(out, &error));
                return JoinOutcome::Done;
            }
            Some(_) => {}
        }
    }
    out.extend_with(|out| {
        encode::map_header(out, kept.len(), version);
        for (name, value) in kept {
            encode::bulk(out, name);
            encode::bulk(out, value);
        }
    });
    JoinOutcome::Done
}

fn text_of(fragment: &Fragment<ReplyKind>) -> Vec<u8> {
    fragment.reply.slices().flatten().copied().collect()
}

/// The names and values in a flat reply of bulk strings; `None` if it is anything else.
fn pairs(reply: &[u8]) -> Option<Vec<(&[u8], &[u8])>> {
    let mut rest = behind_line(reply)?;
    let mut found = Vec::new();
    while !rest.is_empty() {
        let (name, after) = bulk(rest)?;
        let (value, after) = bulk(after)?;
        found.push((name, value));
        rest = after;
    }
    Some(found)
}

fn behind_line(text: &[u8]) -> Option<&[u8]> {
    let end = text.iter().position(|byte| *byte == b'\n')?;
    Some(&text[end + 1..])
}

/// The bulk string at the beginning, and what is behind it.
fn bulk(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let rest = behind_line(text)?;
    let header = text.get(..text.len() - rest.len())?;
    let len = header.strip_prefix(b"$")?.strip_suffix(b"\r\n")?;
    let len: usize = std::str::from_utf8(len).ok()?.parse().ok()?;
    Some((rest.get(..len)?, rest.get(len.checked_add(2)?..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_read_from_flat_replies_only() {
        let found = pairs(b"*2\r\n$1\r\na\r\n$2\r\nxy\r\n").expect("a pair");
        assert_eq!(found, [(&b"a"[..], &b"xy"[..])]);
        assert_eq!(pairs(b"%0\r\n").expect("none"), []);
        for odd in [
            &b"*2\r\n$1\r\na\r\n"[..],
            b"*2\r\n$1\r\na\r\n:1\r\n",
            b"*2\r\n$1\r\na\r\n$9\r\nxy\r\n",
            b"",
        ] {
            assert_eq!(pairs(odd), None);
        }
    }
}
