//! Configuration: twemproxy's YAML file, the overlay, and what the command line says on top.
//!
//! It is held twice: [`written`] is the text with its places, [`Config`] what the proxy may rely on.
//! Between the two stands [`table`], one row for every setting. All errors are found before the first
//! is reported; the reader mends a file in one go.

mod address;
mod checked;
pub mod docs;
mod number;
mod overlay;
mod overrides;
mod pool;
mod report;
mod servers;
pub mod table;
mod values;
mod written;

#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

pub use address::{Fault, Listen, ServerAddress};
pub use checked::{Config, Globals};
pub use number::{NotANumber, digits};
pub use overrides::Overrides;
pub use pool::PoolConfig;
pub use report::{Place, Problem, Report, Source};
pub use values::Workers;

use report::printable;
use values::Findings;

/// Largest file that is read: room for some 50,000 servers.
const FILE_MAX: u64 = 4 << 20;

/// Reads and checks the configuration in `file`, with `overlay` and then `overrides` on top. Hosts in
/// `listen` are resolved, which may block; those of servers are not.
pub fn load(file: &Path, overlay: Option<&Path>, overrides: &Overrides) -> Result<Config, Report> {
    let mut findings = Findings::default();
    let base = read(file, "configuration", &mut findings);
    let over = overlay.map(|overlay| read(overlay, "overlay", &mut findings));
    let config = match (base, over) {
        (Ok(base), None) => checked::check(base, None, overrides, &mut findings),
        (Ok(base), Some(Ok(over))) => checked::check(base, over, overrides, &mut findings),
        // Nothing sensible can be said of what could not be opened.
        _ => None,
    };
    match config {
        Some(config) if findings.problems.is_empty() => Ok(config),
        _ => Err(Report::new(findings.problems)),
    }
}

/// Reads a file into its tree; an error, which is reported, when there is no text to speak of.
fn read(path: &Path, what: &str, findings: &mut Findings) -> Result<Option<written::Node>, ()> {
    let text = match open(path) {
        Ok(text) => text,
        Err(reason) => {
            let shown = printable(&path.display().to_string());
            let message = format!("failed to open {what} '{shown}': {reason}");
            findings.problems.push(Problem::of_file(message));
            return Err(());
        }
    };
    let source = Source::new(path.display().to_string(), text);
    Ok(written::read(&source, &mut findings.problems))
}

/// The text of a file, or why there is none.
fn open(path: &Path) -> Result<String, String> {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|error| reason(&error))?;
    // One byte more than allowed tells a file that is too large from one that just fits.
    file.take(FILE_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| reason(&error))?;
    if bytes.len() as u64 > FILE_MAX {
        return Err(format!("it is larger than {FILE_MAX} bytes"));
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(text.to_owned()),
        Err(error) => {
            let line = 1 + bytes[..error.valid_up_to()]
                .iter()
                .filter(|byte| **byte == b'\n')
                .count();
            Err(format!("it is not UTF-8 text (line {line})"))
        }
    }
}

/// An error of the system in its own words, without the number that Rust appends.
fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    match text.split_once(" (os error") {
        Some((words, _)) => words.to_owned(),
        None => text,
    }
}
