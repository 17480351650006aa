//! Runs other programs to their end, with a time limit.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use testkit::{Process, Tool};

/// How long any of them may take.
const LIMIT: Duration = Duration::from_secs(40);

/// The result of a program.
pub(crate) struct Done {
    pub(crate) status: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Done {
    /// Both outputs.
    pub(crate) fn output(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }

    /// The standard output of a program that must have succeeded.
    #[track_caller]
    pub(crate) fn success(self) -> String {
        assert_eq!(self.status, Some(0), "{}", self.output());
        self.stdout
    }
}

/// Runs a command to its end.
pub(crate) fn run(mut command: Command, args: &[&str]) -> Done {
    command.args(args);
    let mut process = Process::spawn(command);
    let status = process.wait_exit(LIMIT).code();
    Done {
        status,
        stdout: process.stdout(),
        stderr: process.stderr(),
    }
}

/// Runs a tool to its end; `None` when it is not installed.
pub(crate) fn run_tool(name: &str, args: &[&str]) -> Option<Done> {
    Some(run(Tool::find(name)?.command(), args))
}

/// A directory of the project, relative to the top directory.
pub(crate) fn in_project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .join(path)
}
