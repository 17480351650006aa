//! What the control socket tells of the process.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use crate::admin::View;
use crate::connections::ConnectionCounts;
use crate::stats::Source;

/// What is told of the process.
#[derive(Debug, Clone)]
pub(crate) struct Facts {
    /// Our version.
    pub(crate) version: &'static str,
    /// When the process started.
    pub(crate) started: Instant,
    /// Connection counts.
    pub(crate) counts: Arc<ConnectionCounts>,
    /// The statistics.
    pub(crate) stats: Arc<Source>,
    /// What the admin pages see, whether they are served or not.
    pub(crate) view: Arc<View>,
    /// The configuration file.
    pub(crate) conf_file: PathBuf,
}
