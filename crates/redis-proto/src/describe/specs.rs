//! Where the keys of a command are, as rules for clients that have no table of their own (key specifications).

use super::lists::{self, has_word};
use crate::command::{Command, Flags, Keys};

/// Where some of a command's keys are, and what it does with them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeySpec {
    /// Words such as `RO access`.
    pub flags: &'static str,
    /// Where to begin.
    pub begin: Begin,
    /// Which keys there are from there.
    pub find: Find,
}

/// Where to begin looking for keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begin {
    /// At an argument.
    Index(i64),
    /// Behind a word, which is looked for from an argument on (backwards from the end if it is negative).
    Keyword(&'static str, i64),
    /// No rule tells.
    Unknown,
}

/// Which arguments are keys, counted from where the search began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Find {
    /// Up to the last, by steps; a negative `last` counts from the end, and only the first part of them is keys
    /// where `limit` is above 1.
    Range {
        /// The last key.
        last: i64,
        /// Distance between keys.
        step: i64,
        /// Into how many parts the arguments fall, the first being keys; 0 if all are.
        limit: i64,
    },
    /// As many as the first argument says.
    Number {
        /// The first key.
        first: i64,
        /// Distance between keys.
        step: i64,
    },
    /// No rule tells.
    Unknown,
}

const ONE: Find = Find::Range {
    last: 0,
    step: 1,
    limit: 0,
};

/// The rules for a command.
pub(super) fn of(command: &Command) -> Vec<KeySpec> {
    let flags = flags(command);
    places(command, flags.len())
        .into_iter()
        .enumerate()
        .map(|(nth, (begin, find))| KeySpec {
            flags: flags.get(nth).or(flags.last()).copied().unwrap_or_default(),
            begin,
            find,
        })
        .collect()
}

impl Command {
    /// What the command does with the key that is argument `index`, as words such as `RO access`.
    pub fn key_flags(&self, index: usize) -> &'static str {
        let nth = match self.keys {
            Keys::Range { first, .. } => usize::from(index > usize::from(first)),
            Keys::Counted { dest: 0, .. } | Keys::Streams | Keys::SortReadOnly | Keys::None => 0,
            Keys::Counted { dest, .. } => usize::from(index > usize::from(dest)),
            Keys::Sort => 2 * usize::from(index > 1),
            Keys::Store { .. } => usize::from(index > 1),
            Keys::Migrate => usize::from(index > 3),
        };
        let flags = flags(self);
        flags.get(nth).or(flags.last()).copied().unwrap_or_default()
    }
}

/// What is done with the keys, for each group of them.
fn flags(command: &Command) -> &'static [&'static str] {
    let mut rows = lists::KEYS.iter();
    match rows.find(|(_, names)| has_word(names, command.name)) {
        Some((flags, _)) => flags,
        None if command.flags.contains(Flags::READONLY) => &["RO access"],
        None => &["RW update"],
    }
}

/// Where the keys are, in so many groups.
fn places(command: &Command, groups: usize) -> Vec<(Begin, Find)> {
    match command.keys {
        Keys::None => vec![],
        Keys::Range { first, last, step } => ranges(first.into(), last.into(), step.into(), groups),
        Keys::Counted {
            dest,
            count_at,
            first,
            step,
            ..
        } => {
            let find = Find::Number {
                first: i64::from(first) - i64::from(count_at),
                step: step.into(),
            };
            let counted = (Begin::Index(count_at.into()), find);
            match dest {
                0 => vec![counted],
                _ => vec![(Begin::Index(dest.into()), ONE), counted],
            }
        }
        Keys::Streams => {
            let find = Find::Range {
                last: -1,
                step: 1,
                limit: 2,
            };
            let from = if command.name == "xread" { 1 } else { 4 };
            vec![(Begin::Keyword("STREAMS", from), find)]
        }
        Keys::Sort | Keys::SortReadOnly => {
            let unknown = (Begin::Unknown, Find::Unknown);
            let mut places = vec![(Begin::Index(1), ONE)];
            places.resize(groups, unknown);
            places
        }
        Keys::Store { from } => {
            let behind = |word| (Begin::Keyword(word, from.into()), ONE);
            vec![(Begin::Index(1), ONE), behind("STORE"), behind("STOREDIST")]
        }
        Keys::Migrate => {
            let find = Find::Range {
                last: -1,
                step: 1,
                limit: 0,
            };
            vec![(Begin::Index(3), ONE), (Begin::Keyword("KEYS", -2), find)]
        }
    }
}

/// Where the keys of a range are: the first may be a group of its own.
fn ranges(first: i64, last: i64, step: i64, groups: usize) -> Vec<(Begin, Find)> {
    let range = |from: i64| {
        let last = if last < 0 { last } else { last - from };
        (
            Begin::Index(from),
            Find::Range {
                last,
                step,
                limit: 0,
            },
        )
    };
    match groups {
        2 => vec![(Begin::Index(first), ONE), range(first + 1)],
        _ => vec![range(first)],
    }
}
