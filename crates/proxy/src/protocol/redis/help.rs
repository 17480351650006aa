//! HELP of the commands that have subcommands: what becomes of each here.

use redis_proto::command::{
    self, Action as CommandAction, Admin, Command, Keyspace, LocalCommand, PubSub, Transaction, Why,
};
use redis_proto::encode;

/// `command` is the subcommand HELP, in a pool of one server or of several.
pub(super) fn help(command: &Command, has_one_server: bool, out: &mut Vec<u8>) {
    let container = command.name.split('|').next().unwrap_or_default();
    let Some(container) = command::lookup(container.as_bytes()) else {
        return;
    };
    let lines = lines(container, has_one_server);
    encode::array_header(out, lines.len());
    lines.iter().for_each(|line| encode::simple(out, line));
}

fn lines(container: &Command, has_one_server: bool) -> Vec<String> {
    let name = container.name.to_ascii_uppercase();
    let mut lines = vec![format!(
        "{name} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"
    )];
    for sub in container.subs {
        lines.push(sub.sub_name().to_ascii_uppercase());
        lines.push(format!("    {}.", treatment(sub, has_one_server)));
    }
    if let CommandAction::Unsupported(why) = container.action
        && why != Why::Subcommand
        && !(why.is_several_servers() && has_one_server)
    {
        lines.push(format!("Others are not served: {why}."));
    }
    if let CommandAction::Admin(_) = container.action {
        lines.push(format!("Others: {}.", treatment(container, has_one_server)));
    }
    lines
}

/// What becomes of a command in a pool of one server or of several, as a sentence without its full stop.
pub(super) fn treatment(command: &Command, has_one_server: bool) -> String {
    match command.action {
        CommandAction::Placeholder
        | CommandAction::Split(_)
        | CommandAction::Keyspace(_)
        | CommandAction::Scripts(_)
        | CommandAction::PubSub(PubSub::Publish | PubSub::Names)
            if has_one_server =>
        {
            "Answered by the server".into()
        }
        CommandAction::Flush if has_one_server => {
            "Answered by the server, if the pool has allow_flush".into()
        }
        CommandAction::Unsupported(why) if why.is_several_servers() && has_one_server => {
            "Answered by the server".into()
        }
        CommandAction::Forward => "Answered by the server that has the key".into(),
        CommandAction::Acknowledged => {
            "Waits for the replicas of the servers that the client has written to".into()
        }
        CommandAction::Wait => "Waits at the server that has all of its keys".into(),
        CommandAction::Placeholder => "Answered by one of the servers".into(),
        CommandAction::Split(_) => {
            "Answered by the servers that have the keys; their replies are joined".into()
        }
        CommandAction::Local(LocalCommand::Help) => "Print this help".into(),
        CommandAction::Local(_) => "Answered by the proxy itself".into(),
        CommandAction::Keyspace(Keyspace::Scan) => "Answered by one server after the other".into(),
        CommandAction::Keyspace(_) | CommandAction::Scripts(_) => {
            "Answered by every server; their replies are joined".into()
        }
        CommandAction::PubSub(PubSub::Publish) => {
            "Answered by the server that the channel's name belongs to".into()
        }
        CommandAction::PubSub(PubSub::Subscribe(_) | PubSub::Unsubscribe(_)) => {
            "Messages come from the server that the channel's name belongs to, or from all".into()
        }
        CommandAction::PubSub(PubSub::Subscribers(_) | PubSub::Patterns) => {
            "Answered by the proxy itself, of its own clients".into()
        }
        CommandAction::PubSub(PubSub::Names) => {
            "Answered by every server; their replies are joined".into()
        }
        CommandAction::Admin(Admin::Kill) => {
            "Closes clients of the worker that is asked, if the pool has admin_commands".into()
        }
        CommandAction::Admin(Admin::HotKeys) => {
            "Answered by the proxy itself, if the pool has admin_commands".into()
        }
        CommandAction::Admin(Admin::OnlyServer) if !has_one_server => {
            "Not served: it administers one server, and the pool has several".into()
        }
        CommandAction::Admin(Admin::EveryServer) if !has_one_server => {
            "Answered by every server, if the pool has admin_commands".into()
        }
        CommandAction::Admin(_) => "Answered by the server, if the pool has admin_commands".into(),
        CommandAction::Flush => "Answered by every server, if the pool has allow_flush".into(),
        CommandAction::Transaction(Transaction::Watch) => {
            "Its keys are watched at their server, over a connection of the client's own".into()
        }
        CommandAction::Transaction(_) => "Answered by the proxy itself".into(),
        CommandAction::Unsupported(Why::Subcommand) => "Has subcommands".into(),
        CommandAction::Unsupported(why) => format!("Not served: {why}"),
    }
}
