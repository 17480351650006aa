//! Parses the tables of docs/compatibility.md.

use std::path::{Path, PathBuf};

/// One row: a difference, and the test that shows it.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) id: String,
    pub(crate) proof: Proof,
}

/// The content of the column `tested by`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Proof {
    /// A predicate of the differential runs.
    Differential,
    /// A test function elsewhere.
    Test { file: PathBuf, function: String },
    /// None, with the reason.
    Unproven,
}

/// The rows of all tables.
///
/// # Panics
///
/// When the document is not in the expected form.
pub(crate) fn rows() -> Vec<Row> {
    let path = root().join("docs/compatibility.md");
    let text = std::fs::read_to_string(&path).expect("docs/compatibility.md is there");
    text.lines()
        .filter(|line| line.starts_with("| `"))
        .map(row)
        .collect()
}

/// The directory of the workspace.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn row(line: &str) -> Row {
    let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
    let [id, _, ours, why, tested_by] = cells[..] else {
        panic!("a row needs five cells: {line}");
    };
    assert!(
        !ours.is_empty() && !why.is_empty(),
        "a cell is empty: {line}"
    );
    let id = id.trim_matches('`');
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    assert!(id.chars().all(plain), "an id is lower-case words: {id}");
    Row {
        id: id.to_owned(),
        proof: proof(tested_by),
    }
}

fn proof(cell: &str) -> Proof {
    if cell == "`differential`" {
        return Proof::Differential;
    }
    if let Some(reason) = cell.strip_prefix("unproven: ") {
        assert!(!reason.is_empty(), "unproven, without a reason");
        return Proof::Unproven;
    }
    let (file, function) = cell
        .trim_matches('`')
        .split_once(' ')
        .unwrap_or_else(|| panic!("neither `differential`, nor a test, nor unproven: {cell}"));
    Proof::Test {
        file: Path::new("crates").join(file),
        function: function.to_owned(),
    }
}
