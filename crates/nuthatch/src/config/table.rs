//! The table of settings: one row each, from which the parser, the checks, the command line and the
//! manual are fed, so that they cannot disagree.

mod rows;

pub use rows::SETTINGS;

use super::kind::Kind;

/// One setting.
#[derive(Debug)]
pub struct Setting {
    /// Its key in the file.
    pub name: &'static str,
    /// Where it may stand.
    pub scope: Scope,
    /// Whose it is.
    pub origin: Origin,
    /// What may be written.
    pub kind: Kind,
    /// What holds when nothing is written.
    pub absent: Absent,
    /// The only protocol that has it, if it is not for both.
    pub only: Option<Only>,
    /// How else it can be given.
    pub outside: Option<Outside>,
    /// What it means, for the manual.
    pub doc: &'static str,
}

/// Where a setting may stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// In a pool.
    Pool,
    /// Under the top-level key `nuthatch:`.
    Global,
}

/// Whose setting it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Known to nutcracker, with the same meaning.
    Nutcracker,
    /// Ours; nutcracker refuses a file that has it, so it may stand in the overlay instead.
    Nuthatch,
}

/// The protocol to which a setting is confined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Only {
    /// `redis: true`.
    Redis,
    /// `redis: false`.
    Memcached,
}

/// What holds when a setting is not given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Absent {
    /// It must be given.
    Required,
    /// Nothing: the feature is off.
    Nothing,
    /// As if this were written.
    Value(&'static str),
    /// Something that depends on the machine, in these words.
    Computed(&'static str),
}

/// The other ways to give a global setting.
#[derive(Debug, Clone, Copy)]
pub struct Outside {
    /// Long option, without the dashes.
    pub flag: &'static str,
    /// Environment variable.
    pub env: &'static str,
    /// What stands for the value in the help.
    pub argument: &'static str,
    /// One line for the help.
    pub help: &'static str,
}

/// The setting called `name` in `scope`.
pub fn find(scope: Scope, name: &str) -> Option<&'static Setting> {
    of(scope).find(|setting| setting.name == name)
}

/// All settings of a scope, in the order of the manual.
pub fn of(scope: Scope) -> impl Iterator<Item = &'static Setting> {
    SETTINGS
        .iter()
        .filter(move |setting| setting.scope == scope)
}

impl Setting {
    /// A setting of nutcracker's.
    const fn theirs(name: &'static str, kind: Kind, absent: Absent, doc: &'static str) -> Self {
        Self {
            name,
            scope: Scope::Pool,
            origin: Origin::Nutcracker,
            kind,
            absent,
            only: None,
            outside: None,
            doc,
        }
    }

    /// A setting of ours in a pool.
    const fn ours(
        name: &'static str,
        kind: Kind,
        default: &'static str,
        doc: &'static str,
    ) -> Self {
        Self {
            origin: Origin::Nuthatch,
            ..Self::theirs(name, kind, Absent::Value(default), doc)
        }
    }

    /// A setting of ours for the whole process.
    const fn global(
        name: &'static str,
        kind: Kind,
        default: &'static str,
        outside: Outside,
        doc: &'static str,
    ) -> Self {
        Self {
            scope: Scope::Global,
            outside: Some(outside),
            ..Self::ours(name, kind, default, doc)
        }
    }

    const fn redis(self) -> Self {
        Self {
            only: Some(Only::Redis),
            ..self
        }
    }

    const fn memcached(self) -> Self {
        Self {
            only: Some(Only::Memcached),
            ..self
        }
    }
}

#[cfg(test)]
mod tests;
