//! `cargo xtask tidy`: rules that a review may forget.
//!
//! Each rule is a plain function from its input to its findings, with a test that violates it.

mod code;
mod files;
mod finding;
mod graph;
mod licences;
mod links;
pub(crate) mod metadata;
mod std_walls;
mod text;
mod walls;

use files::ProjectFile;
use finding::Finding;
use metadata::Metadata;

/// Checks every rule and prints every finding.
///
/// # Errors
///
/// When there is a finding, or the project could not be read.
pub(crate) fn run() -> Result<(), String> {
    let metadata = Metadata::load()?;
    let files = files::load()?;
    let mut findings = walls::check(&metadata);
    findings.extend(licences::check(&metadata));
    findings.extend(files.iter().flat_map(check_file));
    findings.extend(text::changelog(&files));
    findings.extend(text::lints_inherited(&files));
    findings.extend(links::check(&files));
    findings.extend(graph::check(&files));
    if findings.is_empty() {
        println!(
            "tidy: {} files and {} packages are in order",
            files.len(),
            metadata.len()
        );
        return Ok(());
    }
    for finding in &findings {
        println!("{}: {}", finding.at, finding.says);
    }
    Err(format!("tidy: {} findings", findings.len()))
}

/// Prints which module of a crate names items of which other module.
///
/// # Errors
///
/// When there is no such crate, or the project could not be read.
pub(crate) fn print_graph(name: &str) -> Result<(), String> {
    print!("{}", graph::text(&files::load()?, name)?);
    Ok(())
}

/// The rules that check one file at a time.
fn check_file(file: &ProjectFile) -> Vec<Finding> {
    let mut findings = text::check(file);
    if file.is_rust() {
        match syn::parse_file(&file.text) {
            Ok(parsed) => {
                findings.extend(code::check(file, &parsed));
                findings.extend(std_walls::check(file, &parsed));
            }
            Err(error) => {
                let line = error.span().start().line;
                findings.push(Finding::on_line(file, line, format!("not Rust: {error}")));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_does_not_parse_is_a_finding() {
        let file = ProjectFile::new("crates/proxy/src/a.rs", "//! A.\nfn (\n");
        let findings = check_file(&file);
        assert_eq!(findings.len(), 1);
        assert!(findings[0].says.starts_with("not Rust"), "{findings:?}");
    }

    #[test]
    fn the_project_itself_is_tidy_enough_to_be_read() {
        let files = files::load().unwrap();
        assert!(
            files
                .iter()
                .any(|file| file.path == "xtask/src/tidy/mod.rs")
        );
        assert!(files.iter().all(|file| !file.path.starts_with("target/")));
    }
}
