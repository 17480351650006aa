//! `cargo xtask test`: runs all tests, or those of one part.

use crate::libraries;
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

/// Runs tests of real Clusters, replicas and Sentinels with a Valkey of today in place of `redis-server`, or those with these
/// names.
///
/// # Errors
///
/// When there is no such server for this machine, or a test failed.
pub(crate) fn with_valkey(names: &[&str]) -> Result<(), String> {
    setup::run();
    let folder = libraries::valkey()?;
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let paths = std::iter::once(folder).chain(std::env::split_paths(&paths));
    let paths = std::env::join_paths(paths).map_err(|error| error.to_string())?;
    let names = match names {
        [] => &["cluster::", "replicas::", "sentinel::"],
        names => names,
    };
    let mut command = cargo();
    command.args(["test", "--package", "nuthatch", "--test", "it", "--"]);
    run(command.args(names).env("PATH", paths))
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
