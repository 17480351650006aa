//! Global settings from the command line or the environment, which override those in files.

use std::collections::BTreeMap;

use super::fault::Fault;
use super::kind::{Value, read_text};
use super::table::Setting;
use super::table::globals::{LOG_FORMAT, STATS_EXTENDED};
use super::types::LogFormat;

/// The settings that were given outside of the files.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    values: BTreeMap<&'static str, Value>,
}

impl Overrides {
    /// Sets `setting` to the parsed `text`, replacing an earlier value. An invalid text changes nothing.
    pub fn set(&mut self, setting: &'static Setting, text: &str) -> Result<(), Fault> {
        let (value, _) = read_text(&setting.kind, text)?;
        self.values.insert(setting.name, value);
        Ok(())
    }

    /// Whether `setting` was set.
    pub fn has(&self, setting: &Setting) -> bool {
        self.values.contains_key(setting.name)
    }

    /// Whether the extended statistics were asked for.
    pub fn stats_extended(&self) -> bool {
        let given = self.get(&STATS_EXTENDED);
        STATS_EXTENDED.value(given).unwrap_or_default()
    }

    /// The form of the log that was asked for. The log is started before the files are read.
    pub fn log_format(&self) -> Option<LogFormat> {
        LOG_FORMAT.read(self.get(&LOG_FORMAT)?)
    }

    /// What was set for a setting.
    pub(super) fn get(&self, setting: &Setting) -> Option<&Value> {
        self.values.get(setting.name)
    }
}
