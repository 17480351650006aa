//! Which scripts were loaded over a connection.

use std::collections::HashSet;

use crate::limits::MAX_SCRIPTS;

/// The scripts that need not be loaded again over a connection, by their numbers.
#[derive(Debug, Default)]
pub(crate) struct LoadedScripts(HashSet<u64>);

impl LoadedScripts {
    /// Notes that a script is being loaded; false if it was noted before.
    pub(crate) fn note(&mut self, number: u64) -> bool {
        // Most of them have been forgotten then; loading the others once more does no harm.
        if self.0.len() >= 2 * MAX_SCRIPTS {
            self.0.clear();
        }
        self.0.insert(number)
    }

    /// The server has forgotten its scripts.
    pub(crate) fn forget(&mut self) {
        self.0 = HashSet::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_loaded_once_until_the_server_has_forgotten_it() {
        let mut loaded = LoadedScripts::default();
        assert!(loaded.note(1) && loaded.note(2) && !loaded.note(1));
        loaded.forget();
        assert!(loaded.note(1));
        for number in 0..10 * MAX_SCRIPTS as u64 {
            loaded.note(number);
            assert!(loaded.0.len() <= 2 * MAX_SCRIPTS);
        }
    }
}
