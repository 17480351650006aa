//! Turns files into a configuration, or into a report of everything that is wrong with them.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use super::checked::{self, Checked};
use super::lints::{self, Finding};
use super::node::Node;
use super::overrides::Overrides;
use super::report::{Findings, Problem, Report, Source, Unread, reason};
use super::system::{REAL, System};
use super::types::Config;
use super::written;

/// Maximum size of a file: room for about 50,000 servers.
const FILE_MAX: u64 = 4 << 20;

/// The name of a file that stands for standard input.
pub const STDIN: &str = "-";

/// What standard input is called in messages.
const STDIN_SHOWN: &str = "<stdin>";

/// Reads and checks the configuration in `file`, with `overlay` and then `overrides` on top. Hosts in
/// `listen` are resolved, which may block; those of servers are not.
pub fn load(file: &Path, overlay: Option<&Path>, overrides: &Overrides) -> Result<Config, Report> {
    let base = Input::open(file, "configuration");
    let overlay = overlay.map(|overlay| Input::open(overlay, "overlay"));
    let checked = checked_inputs(base, overlay, overrides, REAL)?;
    Ok(checked.config)
}

/// Like [`load`], without overrides, for a `file` that is standard input if its name is `-`.
pub fn load_or_read(file: &Path, overlay: Option<&Path>) -> Result<Config, Report> {
    Ok(read_and_check(file, overlay)?.config)
}

/// The same, with the findings of the lints. `descriptors` is how many the proxy may open.
pub fn load_for_check(
    file: &Path,
    overlay: Option<&Path>,
    descriptors: u64,
) -> Result<(Config, Vec<Finding>), Report> {
    let checked = read_and_check(file, overlay)?;
    let findings = lints::look(&checked, descriptors);
    Ok((checked.config, findings))
}

/// What a file is called in messages.
pub fn shown_name(file: &Path) -> String {
    match file == Path::new(STDIN) {
        true => STDIN_SHOWN.into(),
        false => file.display().to_string(),
    }
}

fn read_and_check(file: &Path, overlay: Option<&Path>) -> Result<Checked, Report> {
    let base = match file == Path::new(STDIN) {
        true => Input::read(STDIN_SHOWN.into(), "configuration", io::stdin().lock()),
        false => Input::open(file, "configuration"),
    };
    let overlay = overlay.map(|overlay| Input::open(overlay, "overlay"));
    checked_inputs(base, overlay, &Overrides::default(), REAL)
}

/// Like [`load`], for files that were read already; what they name is asked of `system`.
pub fn load_inputs(
    base: Input,
    overlay: Option<Input>,
    overrides: &Overrides,
    system: System<'_>,
) -> Result<Config, Report> {
    let checked = checked_inputs(Ok(base), overlay.map(Ok), overrides, system)?;
    Ok(checked.config)
}

/// A file as it was read.
pub struct Input {
    /// Its name, for messages.
    name: String,
    /// What it is, for messages.
    what: &'static str,
    /// What is in it.
    bytes: Vec<u8>,
}

/// Checks files, of which some may have failed to be read.
fn checked_inputs(
    base: Result<Input, Problem>,
    overlay: Option<Result<Input, Problem>>,
    overrides: &Overrides,
    system: System<'_>,
) -> Result<Checked, Report> {
    let mut findings = Findings::default();
    let base = base.and_then(|input| input.tree(&mut findings.problems));
    let overlay = overlay.map(|input| input.and_then(|input| input.tree(&mut findings.problems)));
    let checked = match (base, overlay.transpose()) {
        (Ok(base), Ok(overlay)) => {
            checked::check(base, overlay.flatten(), overrides, system, &mut findings)
        }
        // A file that could not be read is the only thing to report.
        (base, overlay) => {
            findings
                .problems
                .extend(base.err().into_iter().chain(overlay.err()));
            None
        }
    };
    match checked {
        Some(checked) if findings.problems.is_empty() => Ok(checked),
        _ => Err(Report::new(findings.problems)),
    }
}

impl Input {
    /// The bytes of a configuration file called `name`.
    pub fn configuration(name: impl Into<String>, bytes: Vec<u8>) -> Self {
        Self::new(name, "configuration", bytes)
    }

    /// The bytes of an overlay called `name`.
    pub fn overlay(name: impl Into<String>, bytes: Vec<u8>) -> Self {
        Self::new(name, "overlay", bytes)
    }

    fn new(name: impl Into<String>, what: &'static str, bytes: Vec<u8>) -> Self {
        let name = name.into();
        Self { name, what, bytes }
    }

    /// Reads the `what` in a file.
    fn open(path: &Path, what: &'static str) -> Result<Self, Problem> {
        let name = path.display().to_string();
        match File::open(path) {
            Ok(file) => Self::read(name, what, file),
            Err(error) => Err(unreadable(&name, what, &reason(&error))),
        }
    }

    /// Reads the `what` that is called `name`.
    fn read(name: String, what: &'static str, from: impl Read) -> Result<Self, Problem> {
        let mut bytes = Vec::new();
        // One byte more than allowed tells a file that is too large from one that just fits.
        match from.take(FILE_MAX + 1).read_to_end(&mut bytes) {
            Ok(_) => Ok(Self::new(name, what, bytes)),
            Err(error) => Err(unreadable(&name, what, &reason(&error))),
        }
    }

    /// The file as a tree, with what is wrong with its YAML; an error when it holds no text.
    fn tree(self, problems: &mut Vec<Problem>) -> Result<Option<Node>, Problem> {
        let refused = |reason: &str| Err(unreadable(&self.name, self.what, reason));
        if self.bytes.len() as u64 > FILE_MAX {
            return refused(&format!("it is larger than {FILE_MAX} bytes"));
        }
        let bytes = self
            .bytes
            .strip_prefix(b"\xef\xbb\xbf")
            .unwrap_or(&self.bytes);
        match std::str::from_utf8(bytes) {
            Ok(text) => Ok(written::read(&Source::new(self.name, text), problems)),
            Err(error) => {
                let sound = &bytes[..error.valid_up_to()];
                let line = 1 + sound.iter().filter(|byte| **byte == b'\n').count();
                refused(&format!("it is not UTF-8 text (line {line})"))
            }
        }
    }
}

fn unreadable(name: &str, what: &'static str, reason: &str) -> Problem {
    let message = format!("failed to open {what} '{name}': {reason}");
    let what = match what {
        "configuration" => "configuration file",
        what => what,
    };
    let name = name.to_owned();
    Problem::unread(Unread { what, name }, message)
}
