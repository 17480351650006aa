//! Whole configurations: which are refused and where, which are accepted and with what meaning.

mod accepted;
mod commands;
mod effective;
mod failure;
mod guardrails;
mod overlay;
mod redis_db;
mod refused;
mod replicas;
mod schema;
mod secrets;
mod sources;
mod users;

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
    let overlay_file = overlay.map(|text| write("o.yml", text));
    let loaded = load(&file, overlay_file.as_deref(), overrides);
    if loaded.is_ok() {
        schema::assert_takes(text, false);
        if let Some(text) = overlay {
            schema::assert_takes(text, true);
        }
    }
    loaded
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
