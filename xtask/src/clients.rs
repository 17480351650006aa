//! Client libraries of other languages, in `target/clients`, with versions pinned by the files of
//! `tests/clients`.

use std::fs;
use std::path::{Path, PathBuf};

use crate::packages::{has_node, has_python_venv};
use crate::run::{at_root, is_installed, root, run};

/// Installs the pinned libraries; returns what cannot be installed here and why.
pub(crate) fn install() -> Vec<String> {
    let python = match has_python_venv() {
        true => install_when_stale("py", &["requirements.txt"], python),
        false => Err("no python3 with venv".to_string()),
    };
    let node = match has_node() && is_installed("npm") {
        true => install_when_stale("node", &["package.json", "package-lock.json"], node),
        false => Err("no npm with Node.js 20 or newer".to_string()),
    };
    let named = |libraries: &'static str| move |reason| format!("{libraries}: {reason}");
    let absent = [
        python.map_err(named("redis-py and pymemcache")),
        node.map_err(named("node-redis and ioredis")),
    ];
    absent.into_iter().filter_map(Result::err).collect()
}

/// Installs into `target/clients/NAME` unless that was done with the same pins.
fn install_when_stale(
    name: &str,
    pins: &[&str],
    install: fn(&Path, &Path) -> Result<(), String>,
) -> Result<(), String> {
    let source = root().join("tests/clients");
    let target = root().join("target/clients").join(name);
    let stamp = target.join("installed-from");
    let wanted = pinned_text(&source, pins)?;
    if fs::read_to_string(&stamp).is_ok_and(|had| had == wanted) {
        return Ok(());
    }
    // Incomplete or outdated: start again.
    let _ = fs::remove_dir_all(&target);
    fs::create_dir_all(&target).map_err(|error| format!("{}: {error}", target.display()))?;
    install(&source, &target)?;
    fs::write(&stamp, wanted).map_err(|error| format!("{}: {error}", stamp.display()))
}

fn pinned_text(source: &Path, pins: &[&str]) -> Result<String, String> {
    pins.iter()
        .map(|name| {
            let file: PathBuf = source.join(name);
            fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))
        })
        .collect()
}

fn python(source: &Path, target: &Path) -> Result<(), String> {
    run(at_root("python3").args(["-m", "venv"]).arg(target))?;
    let pip = target.join("bin/pip");
    run(at_root(&pip.to_string_lossy())
        .args(["install", "--quiet", "--disable-pip-version-check"])
        .args(["--require-hashes", "--requirement"])
        .arg(source.join("requirements.txt")))
}

fn node(source: &Path, target: &Path) -> Result<(), String> {
    for name in ["package.json", "package-lock.json"] {
        fs::copy(source.join(name), target.join(name))
            .map_err(|error| format!("{name}: {error}"))?;
    }
    run(at_root("npm").current_dir(target).args([
        "ci",
        "--no-audit",
        "--no-fund",
        "--ignore-scripts",
    ]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_library_is_pinned_to_one_version() {
        let source = root().join("tests/clients");
        let python = pinned_text(&source, &["requirements.txt"]).unwrap();
        for library in ["redis==8.", "pymemcache==4."] {
            assert!(python.contains(library), "{library}");
        }
        assert!(python.contains("--hash=sha256:"));
        let node = pinned_text(&source, &["package-lock.json"]).unwrap();
        for library in ["node_modules/redis\"", "node_modules/ioredis\""] {
            assert!(node.contains(library), "{library}");
        }
    }

    #[test]
    fn a_missing_pin_file_is_named() {
        let error = pinned_text(Path::new("."), &["no-such-file"]).unwrap_err();
        assert!(error.contains("no-such-file"));
    }
}
