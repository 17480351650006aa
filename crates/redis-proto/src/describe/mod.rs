//! What the reply to COMMAND says of each command, beyond what a proxy itself goes by: flags, categories of access,
//! tips, and where its keys are, in the words of Redis.

mod lists;
mod specs;

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::OnceLock;

pub use specs::{Begin, Find, KeySpec};

use crate::command::{Command, Flags, RequestPolicy, ResponsePolicy, all};
use lists::has_word;

/// A command as COMMAND describes it.
#[derive(Debug, Clone)]
pub struct Description {
    /// Its flags.
    pub flags: Vec<&'static str>,
    /// Its categories of access, each beginning with `@`.
    pub categories: Vec<&'static str>,
    /// Tips for clients and proxies.
    pub tips: Vec<&'static str>,
    /// Where its keys are.
    pub keys: Vec<KeySpec>,
}

/// What COMMAND says of a command or subcommand.
pub fn of(command: &Command) -> Cow<'static, Description> {
    match descriptions().get(command.name) {
        Some(known) => Cow::Borrowed(known),
        // One that is not in the table.
        None => Cow::Owned(describe(command, &HashMap::new(), &HashMap::new())),
    }
}

/// The categories of access that there are, each beginning with `@`.
pub fn categories() -> impl Iterator<Item = &'static str> {
    lists::CATEGORIES.iter().map(|(category, _)| *category)
}

/// The group of commands that documents put this one into.
pub fn group(command: &Command) -> &'static str {
    let description = of(command);
    let categories = &description.categories;
    let is_of = |category: &str| categories.contains(&category);
    if let [first, ..] = command.subs {
        return group(first);
    }
    match GROUPS.iter().find(|(category, _)| is_of(category)) {
        // SORT and SORT_RO are of several types.
        _ if command.name.starts_with("sort") => "generic",
        Some((_, group)) => group,
        None if command.name.contains('.') => "module",
        None => "server",
    }
}

/// The first that fits counts.
const GROUPS: &[(&str, &str)] = &[
    ("@transaction", "transactions"),
    ("@scripting", "scripting"),
    ("@pubsub", "pubsub"),
    ("@connection", "connection"),
    ("@hyperloglog", "hyperloglog"),
    ("@bitmap", "bitmap"),
    ("@geo", "geo"),
    ("@stream", "stream"),
    ("@keyspace", "generic"),
    ("@string", "string"),
    ("@hash", "hash"),
    ("@list", "list"),
    ("@set", "set"),
    ("@sortedset", "sorted-set"),
];

/// All of them, made at the first question.
fn descriptions() -> &'static HashMap<&'static str, Description> {
    static ALL: OnceLock<HashMap<&'static str, Description>> = OnceLock::new();
    ALL.get_or_init(|| {
        let flags = names_by_word(lists::FLAGS);
        let categories = names_by_word(lists::CATEGORIES);
        let with_subs = |command: &'static Command| [command].into_iter().chain(command.subs);
        let commands = all().iter().flat_map(with_subs);
        commands
            .map(|command| (command.name, describe(command, &flags, &categories)))
            .collect()
    })
}

/// For each name the words whose lists it is in, in their order.
fn names_by_word(
    lists: &'static [(&'static str, &'static str)],
) -> HashMap<&'static str, Vec<&'static str>> {
    let mut found: HashMap<_, Vec<_>> = HashMap::new();
    for (word, names) in lists {
        for name in names.split_ascii_whitespace() {
            found.entry(name).or_default().push(*word);
        }
    }
    found
}

fn describe(
    command: &Command,
    flags: &HashMap<&str, Vec<&'static str>>,
    categories: &HashMap<&str, Vec<&'static str>>,
) -> Description {
    let mut own = flags.get(command.name).cloned().unwrap_or_default();
    if let Some(flag) = access(command)
        && !own.contains(&flag)
    {
        own.insert(0, flag);
    }
    if command.has_movable_keys() {
        own.push("movablekeys");
    }
    let explicit = categories.get(command.name);
    let implied = implied_categories(&own, is_script(command.name));
    let in_it = |category: &&str| {
        implied.contains(category) || explicit.is_some_and(|own| own.contains(category))
    };
    Description {
        categories: self::categories().filter(in_it).collect(),
        flags: own,
        tips: tips(command),
        keys: specs::of(command),
    }
}

fn tips(command: &Command) -> Vec<&'static str> {
    let named = lists::TIPS.iter();
    let named = named.filter(|(_, names)| has_word(names, command.name));
    let (request, response) = command.policies();
    let policies = [
        request.map(RequestPolicy::tip),
        response.map(ResponsePolicy::tip),
    ];
    named
        .map(|(tip, _)| *tip)
        .chain(policies.into_iter().flatten())
        .collect()
}

/// Whether a command that has a key writes or reads. The effect of a script is its own.
fn access(command: &Command) -> Option<&'static str> {
    match () {
        () if is_script(command.name) && !command.flags.contains(Flags::READONLY) => None,
        () if command.flags.contains(Flags::WRITE) => Some("write"),
        () if command.flags.contains(Flags::READONLY) => Some("readonly"),
        () => None,
    }
}

fn is_script(name: &str) -> bool {
    ["eval", "fcall"]
        .iter()
        .any(|start| name.starts_with(start))
}

fn implied_categories(flags: &[&str], is_script: bool) -> Vec<&'static str> {
    let has = |flag: &str| flags.contains(&flag);
    let rows = [
        (has("write"), "@write"),
        (has("readonly") && !is_script, "@read"),
        (has("admin"), "@admin"),
        (has("admin"), "@dangerous"),
        (has("pubsub"), "@pubsub"),
        (has("blocking"), "@blocking"),
        (has("fast"), "@fast"),
        (!has("fast"), "@slow"),
    ];
    let implied = rows.into_iter().filter(|(implied, _)| *implied);
    implied.map(|(_, category)| category).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_name_commands_that_there_are() {
        let keys = lists::KEYS.iter().map(|(_, names)| *names);
        let tips = lists::TIPS.iter().map(|(_, names)| *names);
        let flags = lists::FLAGS.iter().map(|(_, names)| *names);
        let categories = lists::CATEGORIES.iter().map(|(_, names)| *names);
        for names in keys.chain(tips).chain(flags).chain(categories) {
            for name in names.split_ascii_whitespace() {
                assert!(descriptions().contains_key(name), "{name}");
            }
        }
    }

    #[test]
    fn groups_are_those_of_the_documents() {
        for (name, expected) in [
            ("get", "string"),
            ("del", "generic"),
            ("hget", "hash"),
            ("xadd", "stream"),
            ("zadd", "sorted-set"),
            ("json.get", "module"),
            ("eval", "scripting"),
            ("info", "server"),
            ("ping", "connection"),
            ("sort", "generic"),
        ] {
            let command = crate::lookup(name.as_bytes()).unwrap();
            assert_eq!(group(command), expected, "{name}");
        }
    }
}
