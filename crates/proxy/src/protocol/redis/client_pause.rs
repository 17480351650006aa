//! CLIENT PAUSE and UNPAUSE: requests of the pool's clients wait for a while, whichever worker has them.

use std::time::Duration;

use redis_proto::command::{Action as CommandAction, Admin, Command, Flags, LocalCommand};
use redis_proto::command::{PubSub, Scripts, Transaction};
use redis_proto::encode;

use super::client::RedisClient;
use super::request::Request;
use crate::limits::MAX_PAUSE;
use crate::protocol::decision::{DecisionOutput, Route};
use crate::protocol::report::Pause;
use crate::time::Time;

/// The route of CLIENT PAUSE, which is checked here.
pub(super) fn route(request: &Request<'_>, output: &mut DecisionOutput) -> Route {
    match read(request, Time::ZERO) {
        Ok(_) => Route::Workers,
        Err(error) => {
            encode::error(&mut output.reply, &error);
            Route::Local
        }
    }
}

/// The pause that is asked for, from `now` on.
pub(super) fn read(request: &Request<'_>, now: Time) -> Result<Pause, String> {
    let time = std::str::from_utf8(request.arg(2)).ok();
    let time = time.and_then(|text| text.parse::<u64>().ok());
    let time = time.ok_or("ERR timeout is not an integer or out of range")?;
    let time = Duration::from_millis(time);
    if time > MAX_PAUSE {
        let most = MAX_PAUSE.as_millis();
        return Err(format!(
            "ERR timeout is too long: the proxy pauses clients for at most {most} ms"
        ));
    }
    let writes_only = match request.arg(3).to_ascii_lowercase().as_slice() {
        b"" if request.args.len() == 3 => false,
        b"all" if request.args.len() == 4 => false,
        b"write" if request.args.len() == 4 => true,
        _ if request.args.len() > 4 => return Err("ERR syntax error".into()),
        _ => return Err("ERR CLIENT PAUSE mode must be WRITE or ALL".into()),
    };
    let until = now + time;
    Ok(Pause { until, writes_only })
}

/// Whether a command of the client waits for the end of a pause. Who has begun it can end it, or change it, meanwhile.
pub(super) fn waits(command: &Command, client: &RedisClient, writes_only: bool) -> bool {
    match command.action {
        CommandAction::Admin(Admin::Pause | Admin::Unpause)
        | CommandAction::Local(LocalCommand::Quit) => false,
        _ if !writes_only => true,
        // What is held for EXEC is sent with it.
        CommandAction::Transaction(asked) => {
            asked == Transaction::Exec && client.in_force.is_within_transaction()
        }
        _ if client.in_force.is_within_transaction() => false,
        CommandAction::Forward
        | CommandAction::Wait
        | CommandAction::Split(_)
        | CommandAction::Placeholder => !command.flags.contains(Flags::READONLY),
        CommandAction::Flush | CommandAction::PubSub(PubSub::Publish) => true,
        CommandAction::Scripts(asked) => !is_question(asked),
        CommandAction::Local(_)
        | CommandAction::Acknowledged
        | CommandAction::Keyspace(_)
        | CommandAction::PubSub(_)
        | CommandAction::Admin(_)
        | CommandAction::Unsupported(_) => false,
    }
}

/// Whether it changes nothing of the scripts and functions that servers know.
fn is_question(asked: Scripts) -> bool {
    use Scripts::{DumpLibraries, Exist, Kill, LibraryStatistics, ListLibraries, Show};
    matches!(
        asked,
        Exist | ListLibraries | LibraryStatistics | Kill | DumpLibraries | Show
    )
}
