//! Global settings given on the command line or in the environment, which come before any file.

use std::collections::BTreeMap;

use super::fault::Fault;
use super::kind::{Value, is_true, read_text};
use super::table::Setting;

/// The settings that were given outside of the files.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    values: BTreeMap<&'static str, Value>,
}

impl Overrides {
    /// Sets `setting` to what `text` says. What is set later holds; a text that is no such value
    /// changes nothing.
    pub fn set(&mut self, setting: &'static Setting, text: &str) -> Result<(), Fault> {
        let (value, _) = read_text(&setting.kind, text)?;
        self.values.insert(setting.name, value);
        Ok(())
    }

    /// Whether `setting` was set.
    pub fn has(&self, setting: &Setting) -> bool {
        self.values.contains_key(setting.name)
    }

    /// Whether the boolean setting called `name` was set to `true`.
    pub fn is_true(&self, name: &str) -> bool {
        self.get(name).is_some_and(is_true)
    }

    /// What was set for the setting called `name`.
    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        self.values.get(name)
    }
}
