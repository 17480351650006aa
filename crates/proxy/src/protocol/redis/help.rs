//! HELP of the commands that have subcommands: what becomes of each here.

use redis_proto::command::{self, Action as CommandAction, Command, LocalCommand, Why};
use redis_proto::encode;

/// `command` is the subcommand HELP.
pub(super) fn help(command: &Command, out: &mut Vec<u8>) {
    let container = command.name.split('|').next().unwrap_or_default();
    let Some(container) = command::lookup(container.as_bytes()) else {
        return;
    };
    let lines = lines(container);
    encode::array_header(out, lines.len());
    lines.iter().for_each(|line| encode::simple(out, line));
}

fn lines(container: &Command) -> Vec<String> {
    let name = container.name.to_ascii_uppercase();
    let mut lines = vec![format!(
        "{name} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"
    )];
    for sub in container.subs {
        lines.push(sub.sub_name().to_ascii_uppercase());
        lines.push(format!("    {}.", treatment(sub)));
    }
    if let CommandAction::Unsupported(why) = container.action
        && container.subs.len() == 1
    {
        lines.push(format!("Others are not served: {why}."));
    }
    lines
}

/// What becomes of a command, as a sentence without its full stop.
pub(super) fn treatment(command: &Command) -> String {
    match command.action {
        CommandAction::Forward => "Answered by the server that has the key".into(),
        CommandAction::Placeholder => "Answered by one of the servers".into(),
        CommandAction::Split(_) => {
            "Answered by the servers that have the keys; their replies are joined".into()
        }
        CommandAction::Local(LocalCommand::Help) => "Print this help".into(),
        CommandAction::Local(_) => "Answered by the proxy itself".into(),
        CommandAction::Flush => "Answered by every server, if the pool has allow_flush".into(),
        CommandAction::Transaction(_) => "Not served: transactions are not supported".into(),
        CommandAction::Unsupported(Why::Subcommand) => "Has subcommands".into(),
        CommandAction::Unsupported(why) => format!("Not served: {why}"),
    }
}
