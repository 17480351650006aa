//! What became of reloads.

use std::time::SystemTime;

/// What became of reloads.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reloads {
    /// When the last one was tried, and why it was refused if it was.
    pub(crate) last: Option<(SystemTime, Result<(), String>)>,
}
