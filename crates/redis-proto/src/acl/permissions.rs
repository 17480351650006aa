//! What a user's rules come to for a request.

use std::collections::HashSet;

use super::{Acl, KeyPattern, What};
use crate::arg::Arg;
use crate::command::{Action, Channels, Command, LocalCommand, PubSub, Why, all};
use crate::describe;
use crate::glob::matches_exactly;
use crate::keys::is_set_get;
use crate::words::Words;

/// What a user may do, found out for every command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permissions {
    /// The names of the commands that it may use.
    commands: HashSet<&'static str>,
    /// It may do everything, so that no request need be checked.
    is_whole: bool,
    keys: Access<KeyPattern>,
    channels: Access<Box<[u8]>>,
}

/// Which keys or channels it may use.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Access<T> {
    All,
    Matching(Box<[T]>),
}

/// Why a request is not allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denied {
    /// The user may not use this command.
    Command(&'static str),
    /// One of its keys.
    Key,
    /// One of its channels.
    Channel,
    /// The option BY or GET of SORT, by which keys are read that cannot be told before.
    SortPattern,
}

/// Commands that run what their client sends, at a server that does not know which user that is.
const SCRIPTS: [&str; 6] = [
    "eval",
    "eval_ro",
    "evalsha",
    "evalsha_ro",
    "fcall",
    "fcall_ro",
];

impl Permissions {
    /// Those of a user, for the commands of the table and those that settings have added.
    pub fn new<'c>(acl: &Acl, added: impl Iterator<Item = &'c Command>) -> Self {
        let with_subs = |row: &'static Command| [row].into_iter().chain(row.subs);
        let mut rows: Vec<&Command> = all().iter().flat_map(with_subs).collect();
        rows.extend(added);
        let keys = keys_of(acl);
        let channels = match acl.channels.iter().any(|pattern| **pattern == b"*"[..]) {
            true => Access::All,
            false => Access::Matching(acl.channels.clone().into()),
        };
        let has_commands = rows.iter().all(|row| is_allowed(acl, row, true));
        let is_whole =
            has_commands && matches!(keys, Access::All) && matches!(channels, Access::All);
        let commands = rows.iter().filter(|row| is_allowed(acl, row, is_whole));
        Self {
            commands: commands.map(|row| row.name).collect(),
            is_whole,
            keys,
            channels,
        }
    }

    /// Those of a user of a protocol that has these commands, each with its categories (and their `@`), and no channels.
    pub fn of_commands<'c>(
        acl: &Acl,
        all: impl Iterator<Item = (&'static str, &'c [&'c str])>,
    ) -> Self {
        let keys = keys_of(acl);
        let (mut commands, mut is_whole) = (HashSet::new(), matches!(keys, Access::All));
        for (name, categories) in all {
            match acl.rule_of(name, categories).is_some_and(|rule| rule.allow) {
                true => drop(commands.insert(name)),
                false => is_whole = false,
            }
        }
        Self {
            commands,
            is_whole,
            keys,
            channels: Access::All,
        }
    }

    /// Whether the command of this name is allowed, whatever its keys are.
    pub fn allows_name(&self, name: &str) -> bool {
        self.is_whole || self.commands.contains(name)
    }

    /// Whether a key may be used by a request that tells what is stored there, or changes that, or both.
    pub fn allows_key(&self, key: &[u8], reads: bool, writes: bool) -> bool {
        match &self.keys {
            Access::All => true,
            Access::Matching(patterns) => {
                let mut patterns = patterns.iter();
                patterns.any(|pattern| pattern.allows(key, reads, writes))
            }
        }
    }

    /// Whether everything is allowed.
    pub fn is_whole(&self) -> bool {
        self.is_whole
    }

    /// Whether every channel is allowed that `other` allows.
    pub fn has_channels_of(&self, other: &Self) -> bool {
        match (&self.channels, &other.channels) {
            (Access::All, _) => true,
            (Access::Matching(_), Access::All) => false,
            (Access::Matching(own), Access::Matching(theirs)) => {
                theirs.iter().all(|pattern| own.contains(pattern))
            }
        }
    }

    /// Whether a command is allowed, whatever its keys are.
    pub fn allows(&self, command: &Command) -> bool {
        self.is_whole || is_always_allowed(command) || self.commands.contains(command.name)
    }

    /// Checks a request whose number of arguments is right. Of one whose keys cannot be found, because something else is
    /// wrong with it, only the command is checked. `indices` is a buffer.
    ///
    /// # Errors
    ///
    /// Why it is not allowed.
    pub fn check(
        &self,
        command: &Command,
        text: &[u8],
        args: &[Arg],
        indices: &mut Vec<usize>,
    ) -> Result<(), Denied> {
        if self.is_whole {
            return Ok(());
        }
        if !self.allows(command) {
            return Err(Denied::Command(command.name));
        }
        let request = Words { text, args };
        if let Action::PubSub(asked) = command.action {
            return self.check_channels(asked, &request);
        }
        let Access::Matching(patterns) = &self.keys else {
            return Ok(());
        };
        indices.clear();
        command.key_patterns(text, args, indices);
        if !indices.is_empty() {
            return Err(Denied::SortPattern);
        }
        if command.keys(text, args, indices).is_err() {
            return Ok(());
        }
        match indices
            .iter()
            .all(|index| may_use(patterns, command, &request, *index))
        {
            true => Ok(()),
            false => Err(Denied::Key),
        }
    }

    fn check_channels(&self, asked: PubSub, request: &Words<'_>) -> Result<(), Denied> {
        let Access::Matching(patterns) = &self.channels else {
            return Ok(());
        };
        let (names, is_pattern) = match asked {
            PubSub::Publish => (1..2, false),
            PubSub::Subscribe(kind) => (1..request.args.len(), kind == Channels::Pattern),
            PubSub::Unsubscribe(_) | PubSub::Names | PubSub::Subscribers(_) | PubSub::Patterns => {
                return Ok(());
            }
        };
        let is_allowed = |name: &[u8]| {
            patterns.iter().any(|pattern| match is_pattern {
                // Whether one pattern covers another is not found out, as in Redis.
                true => **pattern == *name,
                false => matches_exactly(pattern, name),
            })
        };
        let mut names = names.map(|index| request.bytes(index));
        match names.all(|name| name.is_some_and(is_allowed)) {
            true => Ok(()),
            false => Err(Denied::Channel),
        }
    }
}

impl KeyPattern {
    fn allows(&self, key: &[u8], reads: bool, writes: bool) -> bool {
        (self.read || !reads) && (self.write || !writes) && matches_exactly(&self.pattern, key)
    }
}

fn keys_of(acl: &Acl) -> Access<KeyPattern> {
    match acl.keys.iter().any(KeyPattern::is_all) {
        true => Access::All,
        false => Access::Matching(acl.keys.clone().into()),
    }
}

/// Whether the rules allow a command. To run scripts, a user that may not do everything needs a rule of its own: a server
/// that runs one does not know whose it is, and keeps it from nothing.
fn is_allowed(acl: &Acl, command: &Command, is_whole: bool) -> bool {
    let description = describe::of(command);
    let Some(rule) = acl.rule_of(command.name, &description.categories) else {
        return false;
    };
    let is_meant = match &rule.what {
        What::All => false,
        What::Category(category) => *category == "@scripting",
        What::Command(_) => true,
    };
    rule.allow && (is_whole || is_meant || !SCRIPTS.contains(&command.name))
}

/// What any client may send, and a container's name without a subcommand that there is, which is an error.
fn is_always_allowed(command: &Command) -> bool {
    use LocalCommand::{Auth, Hello, Quit, Reset};
    matches!(
        command.action,
        Action::Local(Auth | Hello | Quit | Reset) | Action::Unsupported(Why::Subcommand)
    )
}

/// Whether the request may use the key that is this argument. One that is not in the text is not looked at.
fn may_use(patterns: &[KeyPattern], command: &Command, request: &Words<'_>, index: usize) -> bool {
    let Some(key) = request.bytes(index) else {
        return false;
    };
    let is_split = patterns
        .iter()
        .any(|pattern| !(pattern.read && pattern.write));
    let (reads, writes) = match is_split {
        true => access(command, request, index),
        false => (false, false),
    };
    patterns
        .iter()
        .any(|pattern| pattern.allows(key, reads, writes))
}

/// Whether the request tells its client what is stored at a key, and whether it changes that. One that only asks whether
/// there is such a key does neither.
fn access(command: &Command, request: &Words<'_>, index: usize) -> (bool, bool) {
    let flags = command.key_flags(index).split_ascii_whitespace();
    let has = |word: &[&str]| flags.clone().any(|flag| word.contains(&flag));
    let changes = || {
        let mut rest = 2..request.args.len();
        rest.any(|index| request.is(index, "set") || request.is(index, "incrby"))
    };
    match command.name {
        "set" => (is_set_get(request.text, request.args), true),
        "bitfield" => (true, changes()),
        _ => (has(&["access"]), has(&["insert", "delete", "update"])),
    }
}
