//! `cargo xtask test`: runs all tests, or those of one part.

use crate::run::{cargo, run};
use crate::setup;
use crate::tidy::metadata::{Metadata, Package};

/// Installs what the tests need and runs all of them.
///
/// # Errors
///
/// When a test failed.
pub(crate) fn everything() -> Result<(), String> {
    setup::run();
    run(cargo().args(["test", "--workspace", "--locked", "--no-fail-fast"]))
}

/// Runs the tests of one crate or of one test file; `rest` goes to the test program.
///
/// # Errors
///
/// When there is no crate or test file called `name`, or a test failed.
pub(crate) fn only(name: &str, rest: &[&str]) -> Result<(), String> {
    let metadata = Metadata::load()?;
    let selection = select(&metadata.workspace_packages(), name)?;
    setup::run();
    run(cargo().arg("test").args(selection).arg("--").args(rest))
}

/// Cargo's arguments that select `name`.
fn select(packages: &[&Package], name: &str) -> Result<Vec<String>, String> {
    if packages.iter().any(|package| package.name == name) {
        return Ok(vec!["--package".into(), name.into()]);
    }
    for package in packages {
        if package.test_targets.iter().any(|target| target == name) {
            let words = ["--package", &package.name, "--test", name];
            return Ok(words.map(String::from).to_vec());
        }
    }
    let crates = packages.iter().map(|package| package.name.clone());
    let files = packages.iter().flat_map(|p| p.test_targets.clone());
    let known: Vec<String> = crates.chain(files).collect();
    Err(format!(
        "no crate or test file is called {name}; there are: {}",
        known.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crates_and_test_files_are_found_by_name() {
        let package = Package {
            name: "proxy".into(),
            test_targets: vec!["sim".into()],
            ..Package::default()
        };
        let packages = [&package];
        assert_eq!(select(&packages, "proxy").unwrap(), ["--package", "proxy"]);
        let sim = ["--package", "proxy", "--test", "sim"];
        assert_eq!(select(&packages, "sim").unwrap(), sim);
        let error = select(&packages, "smi").unwrap_err();
        assert!(error.contains("proxy, sim"), "{error}");
    }
}
