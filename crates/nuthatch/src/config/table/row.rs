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
    /// Its key in a configuration file.
    pub name: &'static str,
    /// Where it is allowed.
    pub scope: Scope,
    /// nutcracker's or ours.
    pub origin: Origin,
    /// The kind of value.
    pub kind: Kind,
    /// Its default.
    pub absent: Absent,
    /// The only protocol that has it, unless both do.
    pub only: Option<Only>,
    /// Its command-line option and environment variable, for global settings.
    pub outside: Option<Outside>,
    /// Its description in the manual.
    pub doc: &'static str,
}

/// Where a setting is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// In a pool.
    Pool,
    /// Under the top-level key `nuthatch:`.
    Global,
}

/// Where a setting comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Known to nutcracker, with the same meaning.
    Nutcracker,
    /// Ours; nutcracker refuses a file that has it, so it may stand in the overlay instead.
    Nuthatch,
}

/// The only protocol that has a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Only {
    /// `redis: true`.
    Redis,
    /// `redis: false`.
    Memcached,
}

/// The default of a setting.
#[derive(Debug, Clone, Copy)]
pub enum Absent {
    /// None: the setting is required.
    Required,
    /// None: the feature is off.
    Nothing,
    /// This text.
    Value(&'static str),
    /// This name, which is that of the type's `Default`.
    Choice(fn() -> &'static str),
    /// A value that depends on the machine, described by this text.
    Computed(&'static str),
}

/// Ways to give a global setting outside of the files.
#[derive(Debug, Clone, Copy)]
pub struct Outside {
    /// Long option, without the dashes.
    pub flag: &'static str,
    /// Environment variable.
    pub env: &'static str,
    /// Placeholder of the value in the help text.
    pub argument: &'static str,
    /// Its line in the help text.
    pub help: &'static str,
}

/// A setting whose value has type `T`.
pub(crate) struct Row<T> {
    setting: Setting,
    read: fn(&Value) -> Option<T>,
    fill: Fill<T>,
}

/// The field that a setting fills.
enum Fill<T> {
    /// No field: it is used together with other settings.
    Nothing,
    Pool(fn(&mut PoolConfig, T)),
    Redis(fn(&mut RedisSettings, T)),
    Memcached(fn(&mut MemcachedSettings, T)),
    Globals(fn(&mut Globals, T)),
}

/// A row, whatever its type.
pub(crate) trait AnyRow: Sync {
    /// The part that does not depend on the type.
    fn setting(&self) -> &Setting;

    /// Writes the `given` value, or else the default, to the setting's field of the pool. Writes nothing if
    /// the setting has no such field or belongs to the other protocol.
    fn fill_pool(&self, given: Option<&Value>, pool: &mut PoolConfig);

    /// The same for a setting of the whole process.
    fn fill_globals(&self, given: Option<&Value>, globals: &mut Globals);
}

/// Defines a static for every row, and `ROWS` with all of them in the order of the manual.
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
    /// The default as text, if there is one.
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
    /// A setting that nutcracker has.
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

    /// A pool setting of our own.
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

    /// A global setting of our own.
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

    /// A global setting that only files may hold: a secret that a list of processes would show.
    pub(super) const fn global_in_files(
        name: &'static str,
        typed: Typed<T>,
        absent: Absent,
        doc: &'static str,
    ) -> Self {
        let mut row = Self::ours(name, typed, absent, doc);
        row.setting.scope = Scope::Global;
        row
    }

    /// The same, for Redis pools only.
    pub(super) const fn only_redis(mut self) -> Self {
        self.setting.only = Some(Only::Redis);
        self
    }

    /// Sets the pool's field that it fills.
    pub(super) const fn fills(mut self, fill: fn(&mut PoolConfig, T)) -> Self {
        self.fill = Fill::Pool(fill);
        self
    }

    /// Sets the field that it fills, which only Redis pools have.
    pub(super) const fn fills_redis(mut self, fill: fn(&mut RedisSettings, T)) -> Self {
        self.fill = Fill::Redis(fill);
        self.only_redis()
    }

    /// Sets the field that it fills, which only memcached pools have.
    pub(super) const fn fills_memcached(mut self, fill: fn(&mut MemcachedSettings, T)) -> Self {
        self.fill = Fill::Memcached(fill);
        self.setting.only = Some(Only::Memcached);
        self
    }

    /// Sets the global field that it fills.
    pub(super) const fn fills_globals(mut self, fill: fn(&mut Globals, T)) -> Self {
        self.fill = Fill::Globals(fill);
        self
    }

    /// Converts `value`, which must be of this setting's kind.
    pub(crate) fn read(&self, value: &Value) -> Option<T> {
        (self.read)(value)
    }

    /// The `given` value, else the default, if there is one.
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
    /// A nutcracker setting whose value is one of some names.
    pub(super) const fn their_choice(name: &'static str, doc: &'static str) -> Self {
        Self::theirs(name, choice(), Absent::Choice(|| T::default().name()), doc)
    }

    /// A pool setting of our own whose value is one of some names.
    pub(super) const fn our_choice(name: &'static str, doc: &'static str) -> Self {
        Self::ours(name, choice(), Absent::Choice(|| T::default().name()), doc)
    }
}
