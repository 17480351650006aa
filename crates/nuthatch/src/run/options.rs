//! Options for running the proxy.

use std::path::PathBuf;

use crate::config::Overrides;
use crate::program::Program;

/// Options for running the proxy.
#[derive(Debug, Clone)]
pub struct RunOptions {
    /// The name under which it was called, for messages.
    pub program: Program,
    /// The configuration file; not opened yet.
    pub conf_file: PathBuf,
    /// The log file; `None` is standard error.
    pub log_file: Option<PathBuf>,
    /// Logging level, 0 to 11.
    pub verbosity: u8,
    /// Where the statistics are served: a host, or the path of a unix socket if it begins with `/`.
    pub stats_addr: String,
    /// Port of the statistics, at least 1.
    pub stats_port: u16,
    /// nutcracker's aggregation interval, in milliseconds; 0 is allowed.
    pub stats_interval_ms: u32,
    /// Where the process id is written; `None` writes none.
    pub pid_file: Option<PathBuf>,
    /// Whether to run in the background.
    pub daemonize: bool,
    /// nutcracker's buffer size in bytes; has no effect.
    pub mbuf_size: u32,
    /// The overlay: a second file with settings.
    pub overlay: Option<PathBuf>,
    /// Global settings from the command line and the environment.
    pub overrides: Overrides,
}
