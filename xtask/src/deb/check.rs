//! Installs the packages, upgrades Debian's nutcracker to them, goes back, and removes them: in a copy of this machine.
//!
//! The copy is a layer over the root file system (overlayfs) in memory, in namespaces of its own: what is installed and started
//! there is gone afterwards, and the machine has not changed. There is no systemd in it. What a unit does is read from it, and
//! done by hand.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::packages::{Need, install_programs};
use crate::run::{at_root, run};

const NEEDS: [Need<'_>; 5] = [
    Need::new("unshare", "util-linux"),
    Need::new("setpriv", "util-linux"),
    Need::new("ip", "iproute2"),
    Need::new("logrotate", "logrotate"),
    Need::new("systemd-analyze", "systemd"),
];

/// Makes the copy, and runs the steps in it.
const OUTSIDE: &str = include_str!("outside.sh");

/// The steps.
const INSIDE: &str = include_str!("inside.sh");

/// Checks the packages.
///
/// # Errors
///
/// When a step fails, or there cannot be such a copy: that needs root.
pub(super) fn check(packages: &[PathBuf]) -> Result<(), String> {
    if !rustix::process::geteuid().is_root() {
        return Err(
            "deb --check needs root, for namespaces and a layer over the root file system".into(),
        );
    }
    let absent = install_programs(&NEEDS);
    if !absent.is_empty() {
        return Err(format!("missing: {}", absent.join(", ")));
    }
    let place = tempfile::tempdir().map_err(|error| format!("a temporary folder: {error}"))?;
    let debs = place.path().join("debs");
    fs::create_dir(&debs).map_err(|error| format!("{}: {error}", debs.display()))?;
    for package in packages {
        copy(package, &debs)?;
    }
    write(&debs.join("inside.sh"), INSIDE)?;
    let outside = place.path().join("outside.sh");
    write(&outside, OUTSIDE)?;
    // What users have today.
    run(download_of("nutcracker").current_dir(&debs))?;
    let mut command = at_root("unshare");
    command.args([
        "--mount",
        "--net",
        "--pid",
        "--fork",
        "--kill-child",
        "sh",
        "-eu",
    ]);
    run(command.arg(&outside).arg(place.path()))?;
    println!("deb: installed, upgraded, taken back and removed without a fault");
    Ok(())
}

fn download_of(package: &str) -> Command {
    let mut command = at_root("apt-get");
    // As root: the folder of this check belongs to root.
    command.args(["-q", "-o", "APT::Sandbox::User=root", "download", package]);
    command
}

fn copy(file: &Path, folder: &Path) -> Result<(), String> {
    let name = file.file_name().ok_or("a package has a name")?;
    fs::copy(file, folder.join(name))
        .map(drop)
        .map_err(|error| format!("{}: {error}", file.display()))
}

fn write(file: &Path, text: &str) -> Result<(), String> {
    fs::write(file, text).map_err(|error| format!("{}: {error}", file.display()))
}
