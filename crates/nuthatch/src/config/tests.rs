//! Whole configurations: which are refused and where, which are accepted and with what meaning.

mod accepted;
mod commands;
mod effective;
mod failure;
mod overlay;
mod redis_db;
mod refused;
mod secrets;

use std::fs;
use std::path::{Path, PathBuf};

use super::{Config, Overrides, Report, load};

/// Checks a text as the file `n.yml`.
fn load_text(text: &str) -> Result<Config, Report> {
    load_texts(text, None, &Overrides::default())
}

/// Checks a text as the file `n.yml`, and an overlay as `o.yml`.
fn load_texts(text: &str, overlay: Option<&str>, overrides: &Overrides) -> Result<Config, Report> {
    let temp = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| -> PathBuf {
        let file = temp.path().join(name);
        fs::write(&file, text).expect("the file");
        file
    };
    let file = write("n.yml", text);
    let overlay = overlay.map(|text| write("o.yml", text));
    load(&file, overlay.as_deref(), overrides)
}

/// A report as lines: `n.yml:LINE:COLUMN: MESSAGE` for each problem.
fn lines(report: &Report) -> Vec<String> {
    let line = |problem: &super::Problem| match &problem.position {
        Some(position) => {
            let name = Path::new(&position.source.name)
                .file_name()
                .expect("a name");
            format!(
                "{}:{}:{}: {}",
                name.display(),
                position.line,
                position.column,
                problem.message
            )
        }
        None => problem.message.clone(),
    };
    report.problems().iter().map(line).collect()
}
