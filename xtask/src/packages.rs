//! Debian packages: servers, clients and the proxies for comparison.

use std::fs;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::run::{at_root, is_installed, output_of, run, succeeds};

/// A program (or a file, by its full path) that tests or benches need, and its Debian package.
pub(crate) struct Need<'a> {
    program: &'a str,
    package: &'a str,
}

impl<'a> Need<'a> {
    pub(crate) const fn new(program: &'a str, package: &'a str) -> Need<'a> {
        Need { program, package }
    }

    /// A package without a program, and a file that it brings.
    pub(crate) const fn file(path: &'a str, package: &'a str) -> Need<'a> {
        Need::new(path, package)
    }
}

const NEEDS: [Need<'_>; 13] = [
    Need::new("redis-server", "redis-server"),
    Need::new("redis-cli", "redis-tools"),
    Need::new("memcached", "memcached"),
    Need::new("memccapable", "libmemcached-tools"),
    Need::new("nutcracker", "nutcracker"),
    Need::new("haproxy", "haproxy"),
    Need::new("prometheus", "prometheus"),
    Need::new("promtool", "prometheus"),
    Need::new("chromium", "chromium"),
    Need::new("openssl", "openssl"),
    Need::new("stunnel4", "stunnel4"),
    Need::new("setpriv", "util-linux"),
    Need::new("groff", "groff-base"),
];

/// The first release of Node.js that the client libraries under test support.
const NODE_AT_LEAST: u32 = 20;

/// Debian consults this program before it starts a service on installation.
const POLICY: &str = "/usr/sbin/policy-rc.d";

/// Installs what the tests need; returns what remains missing and why.
pub(crate) fn install() -> Vec<String> {
    let mut wanted = packages_of(&NEEDS);
    if !has_python_venv() {
        wanted.extend(["python3", "python3-venv"]);
    }
    if !is_installed("npm") && debian_node_is_new_enough() {
        wanted.extend(["nodejs", "npm"]);
    }
    install_packages(&NEEDS, &wanted)
}

/// Installs the packages of missing programs; returns what remains missing and why.
pub(crate) fn install_programs(needs: &[Need<'_>]) -> Vec<String> {
    install_packages(needs, &packages_of(needs))
}

fn install_packages(needs: &[Need<'_>], wanted: &[&str]) -> Vec<String> {
    if wanted.is_empty() {
        return Vec::new();
    }
    let outcome = match not_permitted() {
        Some(reason) => Err(reason.to_string()),
        None => NoServiceStarts::declare(Path::new(POLICY)).and_then(|_quiet| apt_install(wanted)),
    };
    let mut absent = still_absent(needs);
    if let Err(reason) = outcome {
        absent.push(format!(
            "{reason}; to install: apt-get install {}",
            wanted.join(" ")
        ));
    }
    absent
}

fn packages_of<'a>(needs: &[Need<'a>]) -> Vec<&'a str> {
    absent(needs).map(|need| need.package).collect()
}

fn absent<'n, 'a>(needs: &'n [Need<'a>]) -> impl Iterator<Item = &'n Need<'a>> {
    needs.iter().filter(|need| !is_there(need.program))
}

fn is_there(program: &str) -> bool {
    match program.starts_with('/') {
        true => Path::new(program).exists(),
        false => is_installed(program),
    }
}

fn still_absent(needs: &[Need<'_>]) -> Vec<String> {
    absent(needs)
        .map(|need| format!("{} (package {})", need.program, need.package))
        .collect()
}

/// Why packages cannot be installed here, if so.
fn not_permitted() -> Option<&'static str> {
    if !is_installed("apt-get") {
        Some("no apt-get on this machine")
    } else if !rustix::process::geteuid().is_root() {
        Some("installing packages needs root")
    } else {
        None
    }
}

/// Whether there is a Python that can create virtual environments.
pub(crate) fn has_python_venv() -> bool {
    succeeds(at_root("python3").args(["-c", "import venv, ensurepip"]))
}

/// Whether the Node.js on PATH is supported by the client libraries.
pub(crate) fn has_node() -> bool {
    output_of(at_root("sh").args(["-c", "node --version 2>&1 || true"]))
        .is_ok_and(|version| major_version(&version) >= NODE_AT_LEAST)
}

fn debian_node_is_new_enough() -> bool {
    output_of(at_root("sh").args(["-c", "apt-cache policy nodejs 2>&1 || true"]))
        .is_ok_and(|policy| candidate_major(&policy) >= NODE_AT_LEAST)
}

/// The major version of the candidate in the output of `apt-cache policy`; 0 without one.
fn candidate_major(policy: &str) -> u32 {
    policy
        .lines()
        .find_map(|line| line.trim().strip_prefix("Candidate:"))
        .map_or(0, major_version)
}

/// The number at the start of a version such as `v20.1.0` or `20.1.0-1`; 0 if there is none.
fn major_version(version: &str) -> u32 {
    let digits = version.trim().trim_start_matches('v');
    let end = digits.find(|c: char| !c.is_ascii_digit());
    digits[..end.unwrap_or(digits.len())].parse().unwrap_or(0)
}

fn apt_install(packages: &[&str]) -> Result<(), String> {
    run(apt_get().arg("update"))?;
    run(apt_get()
        .args(["install", "-y", "--no-install-recommends"])
        .args(packages))
}

fn apt_get() -> std::process::Command {
    let mut command = at_root("apt-get");
    command.arg("-q").env("DEBIAN_FRONTEND", "noninteractive");
    command
}

/// While it lives, Debian starts no service because its package is installed.
///
/// Running services are not affected, and an existing policy stays as it is. If this process is killed, the
/// remaining file allows everything again, because it checks whether our process exists.
struct NoServiceStarts {
    file: Option<PathBuf>,
}

impl NoServiceStarts {
    fn declare(file: &Path) -> Result<NoServiceStarts, String> {
        let pid = std::process::id();
        let script = format!("#!/bin/sh\nkill -0 {pid} 2>&- || exit 0\nexit 101\n");
        let mut options = fs::OpenOptions::new();
        options.write(true).create_new(true).mode(0o755);
        match options.open(file) {
            Ok(mut open) => {
                let ours = NoServiceStarts {
                    file: Some(file.to_path_buf()),
                };
                open.write_all(script.as_bytes())
                    .map_err(|error| format!("{}: {error}", file.display()))?;
                Ok(ours)
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                Ok(NoServiceStarts { file: None })
            }
            Err(error) => Err(format!("{}: {error}", file.display())),
        }
    }
}

impl Drop for NoServiceStarts {
    fn drop(&mut self) {
        if let Some(file) = &self.file {
            // Harmless if it remains: see above.
            let _ = fs::remove_file(file);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn versions_are_read_from_every_form() {
        assert_eq!(major_version("v20.20.2\n"), 20);
        assert_eq!(major_version("18.20.4+dfsg-1~deb12u3"), 18);
        assert_eq!(major_version("sh: node: not found"), 0);
        assert_eq!(
            candidate_major("nodejs:\n  Installed: (none)\n  Candidate: 22.1-1\n"),
            22
        );
        assert_eq!(candidate_major("N: Unable to locate package nodejs"), 0);
    }

    #[test]
    fn the_policy_denies_starts_only_while_we_live() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("policy-rc.d");
        let quiet = NoServiceStarts::declare(&file).unwrap();
        assert_eq!(Command::new(&file).status().unwrap().code(), Some(101));
        let ours = format!("kill -0 {} ", std::process::id());
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.contains(&ours));
        drop(quiet);
        assert!(!file.exists());

        // Left behind by a killed process: this process id does not exist.
        let orphan = text.replace(&ours, "kill -0 4194305 ");
        let run = Command::new("sh").args(["-c", &orphan]).status().unwrap();
        assert_eq!(run.code(), Some(0));
    }

    #[test]
    fn a_policy_of_somebody_else_stays() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("policy-rc.d");
        fs::write(&file, "theirs").unwrap();
        drop(NoServiceStarts::declare(&file).unwrap());
        assert_eq!(fs::read_to_string(&file).unwrap(), "theirs");
    }
}
