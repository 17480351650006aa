//! `cargo xtask deb`: the Debian packages, and a check that installs, upgrades and removes them.

mod check;

use std::path::{Path, PathBuf};

use crate::bench::build_released;
use crate::manual;
use crate::packages::{Need, install_programs};
use crate::run::{self, at_root, root};

/// Pinned, so that a new release cannot break an old commit.
const CARGO_DEB: &str = "3.8.0";

/// What reads the libraries that a program needs.
const NEEDS: [Need<'_>; 1] = [Need::new("dpkg-shlibdeps", "dpkg-dev")];

/// Where the packages are written, below the top directory.
const PACKAGES: &str = "target/debian";

/// The packages, and the variants of `crates/nuthatch/Cargo.toml` that describe them.
const VARIANTS: [(&str, Option<&str>); 2] = [
    ("nuthatch", None),
    ("nuthatch-nutcracker", Some("nutcracker")),
];

/// Builds the packages, and checks them if that is asked for.
///
/// # Errors
///
/// When something does not build, or the packages do not do what they should.
pub(crate) fn packages(words: &[&str]) -> Result<(), String> {
    let is_check = match words {
        [] => false,
        ["--check"] => true,
        _ => return Err("deb takes --check, or nothing".into()),
    };
    let packages = build()?;
    for package in &packages {
        println!("deb: {}", package.display());
    }
    match is_check {
        true => check::check(&packages),
        false => Ok(()),
    }
}

fn build() -> Result<Vec<PathBuf>, String> {
    let absent = install_programs(&NEEDS);
    if !absent.is_empty() {
        return Err(format!("missing: {}", absent.join(", ")));
    }
    manual::write(None)?;
    build_released(&["nuthatch"], &["nuthatch"])?;
    let tool = run::installed("cargo-deb", CARGO_DEB)?;
    let folder = root().join(PACKAGES);
    std::fs::create_dir_all(&folder).map_err(|error| format!("{PACKAGES}: {error}"))?;
    VARIANTS
        .iter()
        .map(|(name, variant)| package(&tool, &folder, name, *variant))
        .collect()
}

fn package(
    tool: &Path,
    folder: &Path,
    name: &str,
    variant: Option<&str>,
) -> Result<PathBuf, String> {
    let file = folder.join(format!("{name}.deb"));
    let mut command = at_root(&tool.to_string_lossy());
    command.args(["--package", "nuthatch", "--no-build", "--strip", "--output"]);
    command.arg(&file);
    if let Some(variant) = variant {
        command.args(["--variant", variant]);
    }
    run::run(&mut command)?;
    Ok(file)
}
