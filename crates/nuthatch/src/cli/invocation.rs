//! What a command line asks for.

use std::ffi::OsString;
use std::path::PathBuf;

use nuthatch_demo::DemoOptions;

use super::output::Output;
use crate::config::Overrides;
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
    /// `demo`.
    Demo(DemoOptions),
    /// `locate`.
    Locate(LocateOptions),
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
    /// The configuration file.
    pub conf_file: PathBuf,
    /// The overlay: a second file with settings.
    pub overlay: Option<PathBuf>,
}

/// Options of `locate`.
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
    /// The keys, at least one.
    pub keys: Vec<OsString>,
}
