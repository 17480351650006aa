//! Short constructors, so that each command is one line of the table.

pub(super) use crate::command::Arity::{self, AtLeast, Between, Exact, Pairs};
pub(super) use crate::command::{
    Action, Admin, Channels, Command, Flags, Join, Keys, Keyspace, LocalCommand, PubSub, Scripts,
    Transaction, Why, Wording,
};

/// The argument after the name.
pub(super) const KEY: Keys = range(1, 1, 1);
/// The two arguments after the name.
pub(super) const TWO: Keys = range(1, 2, 1);
/// All arguments.
pub(super) const EVERY: Keys = range(1, -1, 1);
/// Every other argument: key value key value.
pub(super) const EVERY_PAIR: Keys = range(1, -1, 2);
/// The argument after a subcommand's name.
pub(super) const SUB_KEY: Keys = range(2, 2, 1);

pub(super) const fn range(first: u8, last: i8, step: u8) -> Keys {
    Keys::Range { first, last, step }
}

/// `numkeys key [key ...]`, numkeys being argument `count_at`.
pub(super) const fn counted(count_at: u8, wording: Wording) -> Keys {
    Keys::Counted {
        dest: 0,
        count_at,
        first: count_at + 1,
        step: 1,
        wording,
    }
}

/// `destination numkeys key [key ...]`
pub(super) const fn counted_into_first(wording: Wording) -> Keys {
    Keys::Counted {
        dest: 1,
        count_at: 2,
        first: 3,
        step: 1,
        wording,
    }
}

pub(super) const fn read(name: &'static str, arity: Arity, keys: Keys) -> Command {
    row(name, arity, keys, Action::Forward, Flags::READONLY).only_data()
}

pub(super) const fn write(name: &'static str, arity: Arity, keys: Keys) -> Command {
    row(name, arity, keys, Action::Forward, Flags::WRITE).only_data()
}

/// It waits for other clients.
pub(super) const fn wait(name: &'static str, arity: Arity, keys: Keys) -> Command {
    row(name, arity, keys, Action::Wait, Flags::WRITE)
}

/// It administers servers or clients.
pub(super) const fn admin(name: &'static str, arity: Arity, command: Admin) -> Command {
    row(name, arity, Keys::None, Action::Admin(command), Flags::NONE)
}

/// It waits for replicas.
pub(super) const fn acknowledged(name: &'static str, arity: Arity) -> Command {
    let action = Action::Acknowledged;
    row(name, arity, Keys::None, action, Flags::SMALL_REPLY)
}

pub(super) const fn local(name: &'static str, arity: Arity, command: LocalCommand) -> Command {
    row(name, arity, Keys::None, Action::Local(command), Flags::NONE)
}

pub(super) const fn keyspace(name: &'static str, arity: Arity, command: Keyspace) -> Command {
    read(name, arity, Keys::None).action(Action::Keyspace(command))
}

pub(super) const fn scripts(name: &'static str, arity: Arity, command: Scripts) -> Command {
    let action = Action::Scripts(command);
    row(name, arity, Keys::None, action, Flags::SMALL_REPLY)
}

/// About scripts, with a reply that may be large.
pub(super) const fn lists(name: &'static str, arity: Arity, command: Scripts) -> Command {
    row(
        name,
        arity,
        Keys::None,
        Action::Scripts(command),
        Flags::NONE,
    )
}

pub(super) const fn pubsub(name: &'static str, arity: Arity, command: PubSub) -> Command {
    let action = Action::PubSub(command);
    row(name, arity, Keys::None, action, Flags::NONE)
}

pub(super) const fn transaction(name: &'static str, arity: Arity, command: Transaction) -> Command {
    let action = Action::Transaction(command);
    row(name, arity, Keys::None, action, Flags::NONE)
}

pub(super) const fn refuse(name: &'static str, arity: Arity, why: Why) -> Command {
    row(
        name,
        arity,
        Keys::None,
        Action::Unsupported(why),
        Flags::NONE,
    )
}

/// A command whose subcommands have rows of their own. Subcommands without a row are refused.
pub(super) const fn container(name: &'static str, subs: &'static [Command]) -> Command {
    let row = refuse(name, AtLeast(2), Why::Subcommand);
    Command { subs, ..row }
}

/// HELP of a container.
pub(super) const fn help(name: &'static str) -> Command {
    local(name, Exact(2), LocalCommand::Help)
}

const fn row(
    name: &'static str,
    arity: Arity,
    keys: Keys,
    action: Action,
    flags: Flags,
) -> Command {
    Command {
        name,
        arity,
        keys,
        action,
        flags,
        subs: &[],
    }
}

impl Command {
    /// One of the commands that nutcracker knows.
    pub(super) const fn legacy(self) -> Self {
        self.flag(Flags::LEGACY)
    }

    /// Its reply is small whatever the key's value.
    pub(super) const fn small(self) -> Self {
        self.flag(Flags::SMALL_REPLY)
    }

    /// Its work may be long though request and reply are short.
    pub(super) const fn long(self) -> Self {
        self.flag(Flags::LONG_WORK)
    }

    /// It changes nothing of its connection.
    pub(super) const fn only_data(self) -> Self {
        self.flag(Flags::ONLY_DATA)
    }

    pub(super) const fn flag(self, flag: Flags) -> Self {
        Self {
            flags: self.flags.with(flag),
            ..self
        }
    }

    pub(super) const fn action(self, action: Action) -> Self {
        Self { action, ..self }
    }

    /// It has subcommands.
    pub(super) const fn with(self, subs: &'static [Command]) -> Self {
        Self { subs, ..self }
    }

    pub(super) const fn keyed(self, keys: Keys) -> Self {
        Self { keys, ..self }
    }
}
