//! Debian's systemd unit of nutcracker, unchanged.

use std::fs;
use std::path::Path;
use std::process::Command;

use testkit::{Process, Signal};

use crate::daemon::Home;
use crate::need;
use crate::rig::{BIN, TIME_LIMIT, wait_for};
use crate::tool;

#[test]
fn the_unit_of_debian_starts_it_unchanged() {
    const UNIT: [&str; 2] = [
        "/lib/systemd/system/nutcracker.service",
        "/usr/lib/systemd/system/nutcracker.service",
    ];
    let unit = UNIT.iter().find_map(|unit| fs::read_to_string(unit).ok());
    let unit = need!(unit, "Debian's nutcracker package");
    if !may_make_mounts() {
        testkit::skip!("a private mount namespace cannot be made here");
    }
    let home = Home::new();
    fs::create_dir(home.path("log")).expect("the folder can be written");
    fs::create_dir(home.path("conf")).expect("the folder can be written");
    fs::rename(home.path("c.yml"), home.path("conf/nutcracker.yml")).expect("it is there");
    let mut process = Process::spawn(as_systemd_would(&unit, &home.path("")));
    wait_for("it listens", || {
        assert_eq!(process.exited(), None, "{}", process.stderr());
        home.listens()
    });
    wait_for("it logs where the package does", || {
        home.read("log/nutcracker.log").contains("started on pid")
    });
    process.signal(Signal::TERM);
    assert_eq!(process.wait_exit(TIME_LIMIT).code(), Some(0));
}

/// The unit's command line with its environment file, run with the binary at the package's path, `home`/conf
/// as its configuration and `home`/log as its logs. A mount namespace keeps the machine unchanged.
fn as_systemd_would(unit: &str, home: &Path) -> Command {
    let value = |key: &str| {
        let line = unit.lines().find_map(|line| line.strip_prefix(key));
        line.unwrap_or_else(|| panic!("no {key} in the unit"))
            .trim()
            .to_owned()
    };
    let start = value("ExecStart=");
    let program = start.split(' ').next().expect("a program").to_owned();
    let environment = value("EnvironmentFile=").trim_start_matches('-').to_owned();
    // systemd splits a bare $VARIABLE at blanks, as the shell does.
    let script = format!(
        "set -e
         mount --bind '{home}/conf' /etc/nutcracker
         mount --bind '{home}/log' /var/log/nutcracker
         mount --bind '{BIN}' '{program}'
         if [ -e '{environment}' ]; then . '{environment}'; fi
         exec {start}",
        home = home.display(),
    );
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "sh", "-c", &script])
        .current_dir("/");
    command
}

fn may_make_mounts() -> bool {
    tool::run_tool("unshare", &["--mount", "true"]).is_some_and(|done| done.status == Some(0))
}
