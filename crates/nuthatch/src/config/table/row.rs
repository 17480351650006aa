//! A row of the table of settings.

use std::ops::Deref;

use proxy::settings::{MemcachedSettings, ProtocolSettings, RedisSettings};

use super::super::choice::Choice;
use super::super::kind::{Kind, Value, read_text};
use super::super::typed::{Typed, choice};
use super::super::types::{Globals, PoolConfig};

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
#[derive(Debug, Clone, Copy)]
pub enum Absent {
    /// It must be given.
    Required,
    /// Nothing: the feature is off.
    Nothing,
    /// As if this were written.
    Value(&'static str),
    /// As if this name were written, which is that of the type's default.
    Choice(fn() -> &'static str),
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

/// A setting that is read as a `T`.
pub(crate) struct Row<T> {
    setting: Setting,
    read: fn(&Value) -> Option<T>,
    fill: Fill<T>,
}

/// What a setting is the value of.
enum Fill<T> {
    /// No field alone: it is used together with others.
    Nothing,
    Pool(fn(&mut PoolConfig, T)),
    Redis(fn(&mut RedisSettings, T)),
    Memcached(fn(&mut MemcachedSettings, T)),
    Globals(fn(&mut Globals, T)),
}

/// A row of whatever type.
pub(crate) trait AnyRow: Sync {
    /// What holds for every type.
    fn setting(&self) -> &Setting;

    /// Writes what is `given`, else the default if there is one, to the field of the pool that the setting
    /// is for. Nothing is written where it is for none, or for the other protocol.
    fn fill_pool(&self, given: Option<&Value>, pool: &mut PoolConfig);

    /// The same for a setting of the whole process.
    fn fill_globals(&self, given: Option<&Value>, globals: &mut Globals);
}

/// Makes a static of every row, and `ROWS` of all of them, in the order of the manual.
macro_rules! rows {
    ($($name:ident: $type:ty = $row:expr;)+) => {
        $(pub(crate) static $name: Row<$type> = $row;)+

        /// The rows of this file.
        pub(super) static ROWS: &[&dyn AnyRow] = &[$(&$name),+];

        #[cfg(test)]
        pub(super) static NAMES: &[&str] = &[$(stringify!($name)),+];
    };
}

pub(super) use rows;

impl Setting {
    /// The text that holds when nothing is written, if there is one.
    pub(crate) fn default_text(&self) -> Option<&'static str> {
        match self.absent {
            Absent::Value(text) => Some(text),
            Absent::Choice(name) => Some(name()),
            Absent::Required | Absent::Nothing | Absent::Computed(_) => None,
        }
    }
}

impl<T> Deref for Row<T> {
    type Target = Setting;

    fn deref(&self) -> &Setting {
        &self.setting
    }
}

impl<T> AnyRow for Row<T> {
    fn setting(&self) -> &Setting {
        &self.setting
    }

    fn fill_pool(&self, given: Option<&Value>, pool: &mut PoolConfig) {
        let Some(value) = self.value(given) else {
            return;
        };
        match (&self.fill, &mut pool.settings.protocol) {
            (Fill::Pool(fill), _) => fill(pool, value),
            (Fill::Redis(fill), ProtocolSettings::Redis(redis)) => fill(redis, value),
            (Fill::Memcached(fill), ProtocolSettings::Memcached(memcached)) => {
                fill(memcached, value);
            }
            _ => {}
        }
    }

    fn fill_globals(&self, given: Option<&Value>, globals: &mut Globals) {
        if let (Fill::Globals(fill), Some(value)) = (&self.fill, self.value(given)) {
            fill(globals, value);
        }
    }
}

impl<T> Row<T> {
    /// A setting of nutcracker's.
    pub(super) const fn theirs(
        name: &'static str,
        typed: Typed<T>,
        absent: Absent,
        doc: &'static str,
    ) -> Self {
        Self {
            setting: Setting {
                name,
                scope: Scope::Pool,
                origin: Origin::Nutcracker,
                kind: typed.kind,
                absent,
                only: None,
                outside: None,
                doc,
            },
            read: typed.read,
            fill: Fill::Nothing,
        }
    }

    /// A setting of ours in a pool.
    pub(super) const fn ours(
        name: &'static str,
        typed: Typed<T>,
        absent: Absent,
        doc: &'static str,
    ) -> Self {
        let mut row = Self::theirs(name, typed, absent, doc);
        row.setting.origin = Origin::Nuthatch;
        row
    }

    /// A setting of ours for the whole process.
    pub(super) const fn global(
        name: &'static str,
        typed: Typed<T>,
        absent: Absent,
        outside: Outside,
        doc: &'static str,
    ) -> Self {
        let mut row = Self::ours(name, typed, absent, doc);
        row.setting.scope = Scope::Global;
        row.setting.outside = Some(outside);
        row
    }

    /// The same for Redis pools only.
    pub(super) const fn only_redis(mut self) -> Self {
        self.setting.only = Some(Only::Redis);
        self
    }

    /// With the field of a pool that it is for.
    pub(super) const fn fills(mut self, fill: fn(&mut PoolConfig, T)) -> Self {
        self.fill = Fill::Pool(fill);
        self
    }

    /// With the field that it is for, which only Redis pools have.
    pub(super) const fn fills_redis(mut self, fill: fn(&mut RedisSettings, T)) -> Self {
        self.fill = Fill::Redis(fill);
        self.only_redis()
    }

    /// With the field that it is for, which only memcached pools have.
    pub(super) const fn fills_memcached(mut self, fill: fn(&mut MemcachedSettings, T)) -> Self {
        self.fill = Fill::Memcached(fill);
        self.setting.only = Some(Only::Memcached);
        self
    }

    /// With the field of the whole process that it is for.
    pub(super) const fn fills_globals(mut self, fill: fn(&mut Globals, T)) -> Self {
        self.fill = Fill::Globals(fill);
        self
    }

    /// What `value` says, which is of this setting.
    pub(crate) fn read(&self, value: &Value) -> Option<T> {
        (self.read)(value)
    }

    /// What is `given`, else what holds when nothing is written, if there is anything.
    pub(crate) fn value(&self, given: Option<&Value>) -> Option<T> {
        match given {
            Some(value) => self.read(value),
            None => {
                let (value, _) = read_text(&self.kind, self.default_text()?).ok()?;
                self.read(&value)
            }
        }
    }
}

impl<T: Choice> Row<T> {
    /// A setting of nutcracker's that has names for values.
    pub(super) const fn their_choice(name: &'static str, doc: &'static str) -> Self {
        Self::theirs(name, choice(), Absent::Choice(|| T::default().name()), doc)
    }

    /// A setting of ours in a pool that has names for values.
    pub(super) const fn our_choice(name: &'static str, doc: &'static str) -> Self {
        Self::ours(name, choice(), Absent::Choice(|| T::default().name()), doc)
    }
}
