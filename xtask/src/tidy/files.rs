//! The project's own files.

use std::fs;

use crate::run::{at_root, output_of, root};

/// A file, by its path relative to the top directory.
#[derive(Debug)]
pub(super) struct ProjectFile {
    pub(super) path: String,
    pub(super) text: String,
}

impl ProjectFile {
    pub(super) fn new(path: impl Into<String>, text: impl Into<String>) -> ProjectFile {
        ProjectFile {
            path: path.into(),
            text: text.into(),
        }
    }

    pub(super) fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    pub(super) fn is_markdown(&self) -> bool {
        self.path.ends_with(".md")
    }

    /// Whether the whole file is test code.
    pub(super) fn is_test(&self) -> bool {
        self.path.contains("/tests/") || self.path.ends_with("/tests.rs")
    }
}

/// Every file that git tracks or would add; ignored files do not belong to the project. One that is not text, such as a
/// picture, has an empty text here: links may lead to it.
///
/// # Errors
///
/// When git cannot list the files.
pub(super) fn load() -> Result<Vec<ProjectFile>, String> {
    let mut list = at_root("git");
    list.args([
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
    ]);
    let names = output_of(&mut list)?;
    let top = root();
    let mut files: Vec<ProjectFile> = names
        .split('\0')
        .filter(|name| !name.is_empty())
        // Files that were just deleted are not checked.
        .filter_map(|name| Some((name, fs::read(top.join(name)).ok()?)))
        .map(|(name, bytes)| (name, String::from_utf8(bytes).unwrap_or_default()))
        .map(|(name, text)| ProjectFile::new(name, text))
        .collect();
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files.dedup_by(|a, b| a.path == b.path);
    Ok(files)
}
