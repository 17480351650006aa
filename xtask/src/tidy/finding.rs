//! The result of a rule.

use super::files::ProjectFile;

/// One violation of one rule.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Finding {
    /// A path, `path:line`, or the name of a package.
    pub(super) at: String,
    /// What is wrong and how to fix it.
    pub(super) says: String,
}

impl Finding {
    pub(super) fn new(at: impl Into<String>, says: impl Into<String>) -> Finding {
        Finding {
            at: at.into(),
            says: says.into(),
        }
    }

    pub(super) fn on_line(file: &ProjectFile, line: usize, says: impl Into<String>) -> Finding {
        Finding::new(format!("{}:{line}", file.path), says)
    }
}
