//! The page of the manual that tells what becomes of each Redis command. It is made from the table.

use redis_proto::command::{
    self, Action as CommandAction, Admin, Channels, Command, Flags, Join, Keyspace, LocalCommand,
    PubSub, Scripts, Transaction, Why,
};
use redis_proto::describe;

use crate::limits::MAX_JOINED;

const HEAD: &str = "\
<!-- Generated from the table of commands: `nuthatch docs redis` prints this page. -->
# Redis and Valkey commands

What becomes of each command of Redis (up to 8.12, with its modules) and Valkey (up to 9.2) in a pool with `redis: true`.
`COMMAND DOCS` and the HELP of commands with subcommands tell it to clients.

- A command *goes to the server of its key* as the client has sent it, and the server's reply is passed on as it comes. What
  the server does not know, it refuses itself.
- What is *split* is sent to each server with its keys, and the replies become one. It is not atomic over several servers.
  If a server fails, its error is the reply.
- Keys of *several servers* in a command that cannot be split: see [`cross_shard`](configuration.md#cross_shard). A common part
  in braces keeps keys together, with [`hash_tag`](configuration.md#hash_tag) `\"{}\"`.
- What is *refused* gets an error that says why, and the connection goes on.
- A pool of *one server* serves what the server serves: nothing is split, keys, scripts without keys, databases and search
  indexes are all there, and a transaction may be about all keys (KEYS, SCAN, FLUSHALL ...).
- Settings: [`allow_scripts`](configuration.md#allow_scripts), [`keyless_scripts`](configuration.md#keyless_scripts),
  [`allow_flush`](configuration.md#allow_flush), [`admin_commands`](configuration.md#admin_commands),
  [`transactions`](configuration.md#transactions). What is missing here can be added:
  [`commands`](configuration.md#commands).
- Between MULTI and EXEC there may be what goes to the server of its key or is split, and PING, ECHO and TIME: commands that
  change nothing but data.
";

/// Types that documents have no group for.
const NEWER: &str = "newer";

/// The groups, in the order of the page, and their headings.
const GROUPS: &[(&str, &str)] = &[
    ("string", "Strings"),
    ("bitmap", "Bitmaps"),
    ("hyperloglog", "HyperLogLogs"),
    ("hash", "Hashes"),
    ("list", "Lists"),
    ("set", "Sets"),
    ("sorted-set", "Sorted sets"),
    ("geo", "Geography"),
    ("stream", "Streams"),
    (NEWER, "Arrays, path hashes and vector sets"),
    ("generic", "Keys"),
    ("transactions", "Transactions"),
    ("scripting", "Scripts and functions"),
    ("pubsub", "Publish and subscribe"),
    ("connection", "Connection"),
    ("server", "Server"),
    ("module", "Modules, and types that were modules"),
];

/// The page.
pub(crate) fn page() -> String {
    let mut page = String::from(HEAD);
    for (group, heading) in GROUPS {
        let rows = rows().filter(|row| group_of(row) == *group);
        section(&mut page, heading, rows);
    }
    page
}

/// Every command and subcommand but those that only have subcommands.
fn rows() -> impl Iterator<Item = &'static Command> {
    let with_subs = |row: &'static Command| [row].into_iter().chain(row.subs);
    let has_subs = |row: &Command| row.action == CommandAction::Unsupported(Why::Subcommand);
    let rows = command::all().iter().flat_map(with_subs);
    rows.filter(move |row| !has_subs(row))
}

/// The group of a command; a subcommand is in that of its container.
fn group_of(row: &Command) -> &'static str {
    let container = row.name.split('|').next().unwrap_or_default();
    let container = command::lookup(container.as_bytes()).unwrap_or(row);
    let group = describe::group(container);
    if group == "server" && container.single_key().is_some() {
        return NEWER;
    }
    match GROUPS.iter().find(|(known, _)| *known == group) {
        Some((known, _)) => known,
        None => "server",
    }
}

/// One table: what becomes of commands, and of which ones, in the order in which the first of each comes.
fn section(page: &mut String, heading: &str, rows: impl Iterator<Item = &'static Command>) {
    let mut rows: Vec<_> = rows.collect();
    rows.sort_by_key(|row| row.name);
    let mut found: Vec<(String, Vec<String>)> = Vec::new();
    for row in rows {
        let (handling, name) = (handling(row), shown(row));
        match found.iter_mut().find(|(known, _)| *known == handling) {
            Some((_, names)) => names.push(name),
            None => found.push((handling, vec![name])),
        }
    }
    page.push_str(&format!(
        "\n## {heading}\n\n| commands | what becomes of them |\n|---|---|\n"
    ));
    for (handling, names) in found {
        page.push_str(&format!("| {} | {handling} |\n", names.join(", ")));
    }
}

fn shown(row: &Command) -> String {
    let name = row.name.to_ascii_uppercase().replace('|', " ");
    match row.subs {
        [] => format!("`{name}`"),
        _ if matches!(
            row.action,
            CommandAction::Unsupported(_) | CommandAction::Admin(_)
        ) =>
        {
            format!("`{name}` and its subcommands")
        }
        _ => format!("`{name}` alone"),
    }
}

/// What becomes of a command.
fn handling(row: &Command) -> String {
    match row.action {
        CommandAction::Forward => forwarded(row),
        CommandAction::Wait => {
            "waits at the server of its keys, over a connection of its own (`leased_connections`); keys of several servers are refused (`-CROSSSLOT`)".into()
        }
        CommandAction::Acknowledged => {
            "goes to every server that the client has written to, over connections of their own; the least of their numbers".into()
        }
        CommandAction::Placeholder => "goes to one of the servers, always the same".into(),
        CommandAction::Split(join) => split(join).into(),
        CommandAction::Local(LocalCommand::Help) => {
            "lists the subcommands and what becomes of them".into()
        }
        CommandAction::Local(LocalCommand::Config) => {
            "is answered by the proxy itself; if the pool has `admin_commands: true` by every server: what all have alike, and an error for a name (not a pattern) whose values differ".into()
        }
        CommandAction::Local(LocalCommand::Lastsave) => {
            "is answered by the proxy itself; by the server of a pool of one if it has `admin_commands: true`".into()
        }
        CommandAction::Local(_) => "is answered by the proxy itself".into(),
        CommandAction::Keyspace(asked) => keyspace(asked),
        CommandAction::Scripts(asked) => scripts(asked).into(),
        CommandAction::Admin(asked) => admin(asked).into(),
        CommandAction::PubSub(asked) => pubsub(asked).into(),
        CommandAction::Flush => {
            "goes to every server, if the pool has `allow_flush: true`; `OK` if all say so".into()
        }
        CommandAction::Transaction(Transaction::Watch) => {
            "goes to the server of its keys, over a connection of its own, which the transaction is sent on; keys of several servers are refused (`-CROSSSLOT`)".into()
        }
        CommandAction::Transaction(_) => {
            "is answered by the proxy itself: commands are held until EXEC, and then sent as one block".into()
        }
        CommandAction::Unsupported(why) => refused(why),
    }
}

fn forwarded(row: &Command) -> String {
    let is_script = row.flags.contains(Flags::SCRIPT);
    let mut text = match () {
        () if is_script => String::from(
            "runs at the server of its keys, unless the pool has `allow_scripts: false`",
        ),
        () if row.single_key().is_some() => return "goes to the server of its key".into(),
        () => String::from("goes to the server of its keys"),
    };
    text.push_str(match row.flags.contains(Flags::LEGACY) {
        true => "; keys of several servers: `cross_shard`",
        false => "; keys of several servers are refused (`-CROSSSLOT`)",
    });
    if is_script {
        text.push_str("; without keys: `keyless_scripts`");
    }
    if row.flags.contains(Flags::BLOCK_OPTION) {
        text.push_str("; where it waits (BLOCK), over a connection of its own");
    }
    text
}

fn pubsub(asked: PubSub) -> &'static str {
    match asked {
        PubSub::Publish => "goes to the server of the channel's name; the number is that server's",
        PubSub::Subscribe(Channels::Pattern) => {
            "subscribes at every server; confirmed when all servers in use have confirmed"
        }
        PubSub::Subscribe(_) => {
            "subscribes at the server of the channel's name (keyspace notifications: at every server); confirmed when it has confirmed"
        }
        PubSub::Unsubscribe(_) => "is answered by the proxy itself",
        PubSub::Names => "goes to every server; the channels of all",
        PubSub::Subscribers(_) | PubSub::Patterns => {
            "is answered by the proxy itself, of the clients of all its workers"
        }
    }
}

fn split(join: Join) -> &'static str {
    match join {
        Join::Array => "is split by server; elements in the order of the keys",
        Join::Sum => "is split by server; the numbers are added",
        Join::Ok => "is split by server; `OK` if all say so",
        Join::Least => {
            "is split by server; 1 if all say 1. With NX or XX, keys of several servers are refused (`-CROSSSLOT`)"
        }
    }
}

fn keyspace(asked: Keyspace) -> String {
    let megabytes = MAX_JOINED >> 20;
    match asked {
        Keyspace::Size => "goes to every server; the numbers are added".into(),
        Keyspace::Names => {
            format!("goes to every server; the names of all, up to {megabytes} MB")
        }
        Keyspace::Random => "goes to every server; one of their replies".into(),
        Keyspace::Scan => "goes from server to server; the cursor tells where it goes on".into(),
    }
}

fn scripts(asked: Scripts) -> &'static str {
    match asked {
        Scripts::Load => {
            "goes to every server in use, unless the pool has `allow_scripts: false`, and is remembered for servers that lack it later"
        }
        Scripts::Exist => "goes to every server in use; 1 where all of them know the script",
        Scripts::Flush => "goes to every server in use, and empties the proxy's memory of scripts",
        Scripts::LoadLibrary => {
            "goes to every server in use, unless the pool has `allow_scripts: false`; not remembered: load it again when a server is new"
        }
        Scripts::DeleteLibrary => "goes to every server in use",
        Scripts::ListLibraries => {
            "goes to every server in use; the libraries that all of them have"
        }
        Scripts::LibraryStatistics => {
            "goes to every server in use; the reply of one that runs a function, or else of the first"
        }
        Scripts::Kill => {
            "goes to every server, in use or not, over connections of its own; `OK` if one has ended something"
        }
        Scripts::DumpLibraries => "goes to one of the servers, always the same",
        Scripts::Show => "goes to every server in use; the reply of one that knows the script",
        Scripts::FlushLibraries | Scripts::RestoreLibraries => {
            "goes to every server in use, if the pool has `admin_commands: true`"
        }
    }
}

fn admin(asked: Admin) -> &'static str {
    match asked {
        Admin::EveryServer => {
            "goes to every server, if the pool has `admin_commands: true`; `OK` if all say so"
        }
        Admin::OnlyServer => {
            "goes to the server of a pool of one, over a connection of its own, if the pool has `admin_commands: true`; otherwise it is refused"
        }
        Admin::HotKeys => {
            "is answered by the proxy itself, which counts the bytes of keys, if the pool has `admin_commands: true`"
        }
        Admin::Kill => {
            "closes clients of the proxy, whichever worker has them, if the pool has `admin_commands: true`"
        }
        Admin::Pause => {
            "has the requests of the pool's clients wait, or those that may change data (`WRITE`), for 10 minutes at most, if the pool has `admin_commands: true`"
        }
        Admin::Unpause => "ends that, if the pool has `admin_commands: true`",
    }
}

fn refused(why: Why) -> String {
    let refused = match why.is_several_servers() {
        true => "goes to the server of a pool of one; where there are several it is refused",
        false => "is refused",
    };
    match instead(why) {
        "" => format!("{refused}: {why}"),
        instead => format!("{refused}: {why}. {instead}"),
    }
}

/// What to do instead, if the reason does not say it.
fn instead(why: Why) -> &'static str {
    match why {
        Why::Keyspace => "Instead: SCAN, which goes over all servers",
        Why::Database => "Instead: a pool for each database (`redis_db`)",
        Why::Cluster => "Nothing need be done instead: the pool finds the servers of keys",
        Why::Search => "Instead: ask each server directly",
        Why::Connection => "Instead: connect to the server directly",
        Why::Admin | Why::Replication | Why::Subcommand | Why::Other => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_is_there_once() {
        let page = page();
        for row in rows() {
            let cell = shown(row);
            let cells = page.lines().filter_map(|line| line.strip_prefix("| "));
            let names = cells.filter_map(|line| line.split(" | ").next());
            let found = names
                .flat_map(|names| names.split(", "))
                .filter(|name| *name == cell);
            assert_eq!(found.count(), 1, "{cell}");
        }
    }

    #[test]
    fn nothing_else_is_said_of_a_command_than_happens() {
        let of = |name: &str| {
            let row = rows().find(|row| row.name == name).expect(name);
            handling(row)
        };
        assert_eq!(of("get"), "goes to the server of its key");
        assert_eq!(of("object|encoding"), "goes to the server of its key");
        assert_eq!(
            of("rename"),
            "goes to the server of its keys; keys of several servers are refused (`-CROSSSLOT`)"
        );
        assert_eq!(
            of("rpoplpush"),
            "goes to the server of its keys; keys of several servers: `cross_shard`"
        );
        assert_eq!(
            of("mget"),
            "is split by server; elements in the order of the keys"
        );
        assert!(
            of("eval").ends_with(
                "keys of several servers: `cross_shard`; without keys: `keyless_scripts`"
            )
        );
        assert!(
            of("move").starts_with("goes to the server of a pool of one; where there are several")
        );
        assert!(of("function|flush").contains("admin_commands: true"));
    }
}
