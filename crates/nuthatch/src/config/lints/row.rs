//! A row of the table of lints, and what its rule looks at.

use super::super::file::ReadPool;
use super::super::report::Position;
use super::super::table::Setting;
use super::super::types::{Config, PoolConfig};

/// A row of the table.
pub struct Lint {
    /// Its name: words of small letters with `-` between them.
    pub name: &'static str,
    /// What it looks for.
    pub finds: &'static str,
    /// What happens if it is left as it is.
    pub consequence: &'static str,
    /// What to do.
    pub cure: &'static str,
    pub(super) check: Check,
}

/// How a lint looks for what it finds.
pub(super) enum Check {
    /// In each pool.
    Pool(fn(&Subject<'_>) -> Vec<Evidence>),
    /// In the whole configuration.
    Whole(fn(&Subjects<'_>) -> Vec<Evidence>),
    /// What is warned of at start, too.
    Start,
}

/// A place and what was found there.
pub(super) struct Evidence {
    pub(super) pool: Option<String>,
    pub(super) position: Position,
    pub(super) text: String,
    /// What to do here, if that is more than the lint's row says.
    pub(super) cure: Option<String>,
}

/// A pool, as read and as checked.
pub(super) struct Subject<'c> {
    pub(super) read: &'c ReadPool,
    pub(super) pool: &'c PoolConfig,
    pub(super) config: &'c Config,
}

/// All pools.
pub(super) struct Subjects<'c> {
    pub(super) pools: Vec<Subject<'c>>,
    pub(super) config: &'c Config,
    pub(super) descriptors: u64,
}

impl Subject<'_> {
    /// Evidence at the setting if it is given, else at the pool's name.
    pub(super) fn at(&self, setting: &Setting, text: impl Into<String>) -> Evidence {
        let given = self.read.values.given(setting);
        let position = given.map_or(&self.read.position, |given| &given.key);
        self.at_position(position, text)
    }

    pub(super) fn at_position(&self, position: &Position, text: impl Into<String>) -> Evidence {
        Evidence {
            pool: Some(self.read.name.clone()),
            position: position.clone(),
            text: text.into(),
            cure: None,
        }
    }

    /// Whether there are several servers.
    pub(super) fn has_several(&self) -> bool {
        self.pool.settings.servers.len() > 1
    }

    /// Whether keys have servers of their own.
    pub(super) fn has_places(&self) -> bool {
        !self.pool.settings.placement.distribution.is_drawn()
    }
}

impl Evidence {
    pub(super) fn cured_by(self, cure: impl Into<String>) -> Self {
        let cure = Some(cure.into());
        Self { cure, ..self }
    }
}

/// A share of 0 to 1 in percent.
pub(super) fn percent(share: f64) -> String {
    format!("{:.1}%", share * 100.0)
}

/// A time in words.
pub(super) fn time(time: std::time::Duration) -> String {
    match time.as_millis() {
        millis if millis % 1_000 == 0 => format!("{} s", millis / 1_000),
        millis => format!("{millis} ms"),
    }
}
