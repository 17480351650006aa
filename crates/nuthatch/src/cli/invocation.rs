//! What a command line asks for.

use std::ffi::OsString;
use std::path::PathBuf;

use nuthatch_demo::DemoOptions;

use super::output::Output;
use super::top::SortKey;
use crate::config::Overrides;
use crate::control::Request;
use crate::program::Program;
use crate::run::RunOptions;

/// What to do.
#[derive(Debug)]
pub enum Invocation {
    /// Run the proxy.
    Run(RunOptions),
    /// Check the configuration (`-t`).
    TestConf(TestOptions),
    /// Print something and exit.
    Print(Output),
    /// `check`.
    Check(CheckOptions),
    /// `ctl`.
    Ctl(CtlOptions),
    /// `demo`.
    Demo(DemoOptions),
    /// `explain`.
    Explain(LocateOptions),
    /// `locate`.
    Locate(LocateOptions),
    /// `ring diff`.
    RingDiff(RingDiffOptions),
    /// `top`.
    Top(TopOptions),
}

/// Options of `-t`.
#[derive(Debug, Clone)]
pub struct TestOptions {
    /// The name under which the program was called, for the verdict.
    pub program: Program,
    /// The configuration file.
    pub conf_file: PathBuf,
    /// The overlay: a second file with settings.
    pub overlay: Option<PathBuf>,
    /// Global settings from the command line and the environment.
    pub overrides: Overrides,
}

/// Options of `check`.
#[derive(Debug, Clone)]
pub struct CheckOptions {
    /// The configuration file; `-` for standard input.
    pub conf_file: PathBuf,
    /// The overlay: a second file with settings.
    pub overlay: Option<PathBuf>,
    /// Names of lints that are errors; [`ALL_LINTS`] for all.
    pub deny: Vec<String>,
    /// Whether to print JSON.
    pub json: bool,
}

/// What stands for all lints.
pub const ALL_LINTS: &str = "all";

impl CheckOptions {
    /// Whether a lint is an error.
    pub fn denies(&self, lint: &str) -> bool {
        self.deny
            .iter()
            .any(|denied| denied == lint || denied == ALL_LINTS)
    }
}

/// Options of `ctl`.
#[derive(Debug, Clone)]
pub struct CtlOptions {
    /// The control socket; if it is absent, the one of the configuration.
    pub socket: Option<PathBuf>,
    /// The configuration file.
    pub conf_file: PathBuf,
    /// The overlay: a second file with settings.
    pub overlay: Option<PathBuf>,
    /// Whether to print JSON.
    pub json: bool,
    /// What to ask.
    pub(crate) request: Request,
}

/// Options of `top`.
#[derive(Debug, Clone)]
pub struct TopOptions {
    /// The control socket; if it is absent, the one of the configuration.
    pub socket: Option<PathBuf>,
    /// The configuration file.
    pub conf_file: PathBuf,
    /// The overlay: a second file with settings.
    pub overlay: Option<PathBuf>,
    /// Whether to print one table.
    pub once: bool,
    /// What is in the names of the pools to show; all pools when absent.
    pub pool: Option<String>,
    /// By what pools and servers are sorted.
    pub(crate) sort: SortKey,
}

/// Options of `locate` and `explain`.
#[derive(Debug, Clone)]
pub struct LocateOptions {
    /// The configuration file.
    pub conf_file: PathBuf,
    /// The overlay: a second file with settings.
    pub overlay: Option<PathBuf>,
    /// The pool to look in; all pools when absent.
    pub pool: Option<String>,
    /// Whether to print JSON.
    pub json: bool,
    /// Whether the keys have escapes.
    pub escapes: bool,
    /// The keys, at least one.
    pub keys: Vec<OsString>,
}

/// Options of `ring diff`.
#[derive(Debug, Clone)]
pub struct RingDiffOptions {
    /// The old configuration file; `-` for standard input.
    pub old: PathBuf,
    /// The new configuration file; `-` for standard input.
    pub new: PathBuf,
    /// The old file's overlay.
    pub old_overlay: Option<PathBuf>,
    /// The new file's overlay.
    pub new_overlay: Option<PathBuf>,
    /// The pool to compare; all pools when absent.
    pub pool: Option<String>,
    /// A file with keys, one a line, to tell which of them move; `-` for standard input.
    pub keys: Option<PathBuf>,
    /// How much of a pool's keys may move, in percent.
    pub max_move: Option<f64>,
    /// Whether to print JSON.
    pub json: bool,
}
