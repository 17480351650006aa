//! Current client libraries with their default settings: the scripts of `tests/clients`.

use std::path::PathBuf;
use std::process::Command;

use testkit::Tool;

use crate::need;
use crate::rig::{Rig, wait_for};
use crate::tool::{self, in_project};

/// Arguments of a script: protocol version, user and password; `-` omits one.
type Login = [&'static str; 3];

/// Default settings, and each protocol version.
const OPEN: [Login; 3] = [["-", "-", "-"], ["2", "-", "-"], ["3", "-", "-"]];

/// The same with the pool's password, alone and with the name of the default user.
const GUARDED: [Login; 6] = [
    ["-", "-", "secret"],
    ["2", "-", "secret"],
    ["3", "-", "secret"],
    ["-", "default", "secret"],
    ["2", "default", "secret"],
    ["3", "default", "secret"],
];

/// Python with the libraries that `cargo xtask setup` installed.
pub(crate) fn python() -> Option<Command> {
    let python = in_project("target/clients/py/bin/python");
    python.is_file().then(|| Command::new(python))
}

/// Node.js with the libraries that `cargo xtask setup` installed.
pub(crate) fn node() -> Option<Command> {
    let modules: PathBuf = in_project("target/clients/node/node_modules");
    let mut command = Tool::find("node")?.command();
    command.env("NODE_PATH", &modules);
    modules.is_dir().then_some(command)
}

/// Runs a script whose output must end with `ok` and the library's version.
fn run_script(mut interpreter: Command, script: &str, port: u16, login: &Login, version: &str) {
    interpreter.arg(in_project("tests/clients").join(script));
    interpreter.arg(port.to_string()).args(login);
    let done = tool::run(interpreter, &[]);
    assert_eq!(
        done.status,
        Some(0),
        "{script} {login:?}: {}",
        done.output()
    );
    let last = done.stdout.trim_end();
    assert!(
        last.starts_with(&format!("ok {version}")),
        "{script}: {last}"
    );
}

/// Runs a script of a Redis client with every login, with and without a password.
fn run_with_every_login(interpreter: fn() -> Option<Command>, script: &str, version: &str) {
    let open = need!(Rig::redis(3, &[]), "redis-server");
    let server = testkit::redis_with(&["--requirepass", "secret"]);
    let server = need!(server, "redis-server");
    let guarded = Rig::before_redis(vec![server], &["redis_auth: secret"], &[]);
    for (rig, logins) in [(&open, OPEN.as_slice()), (&guarded, &GUARDED)] {
        for login in logins {
            let interpreter = need!(interpreter(), "a client library (cargo xtask setup)");
            run_script(interpreter, script, rig.port, login, version);
        }
    }
}

#[test]
fn redis_py_works_with_every_login_and_version() {
    run_with_every_login(python, "redis_py.py", "8.");
}

#[test]
fn node_redis_works_with_every_login_and_version() {
    run_with_every_login(node, "node_redis.cjs", "6.");
}

#[test]
fn ioredis_works_with_every_login_and_version() {
    run_with_every_login(node, "ioredis.cjs", "6.");
}

#[test]
fn redis_py_subscribes_with_every_login_and_version() {
    run_with_every_login(python, "redis_py_pubsub.py", "8.");
}

#[test]
fn ioredis_subscribes_with_every_login_and_version() {
    run_with_every_login(node, "ioredis_pubsub.cjs", "6.");
}

#[test]
fn pymemcache_works_with_its_default_settings() {
    let rig = need!(Rig::memcached(3, &[]), "memcached");
    let python = need!(python(), "pymemcache (cargo xtask setup)");
    let none: Login = ["-"; 3];
    run_script(python, "pymemcache_client.py", rig.port, &none, "4.");
}

#[test]
fn what_redis_py_is_refused_is_not_done_in_part() {
    run_with_every_login(python, "redis_py_refused.py", "8.");
}

#[test]
fn what_ioredis_is_refused_is_not_done_in_part() {
    run_with_every_login(node, "ioredis_refused.cjs", "6.");
}

/// Runs a script whose keys are on several servers, with each protocol version.
fn run_over_several_servers(interpreter: fn() -> Option<Command>, script: &str, version: &str) {
    let rig = need!(Rig::redis(3, &[]), "redis-server");
    for login in &OPEN {
        let interpreter = need!(interpreter(), "a client library (cargo xtask setup)");
        run_script(interpreter, script, rig.port, login, version);
    }
    assert_eq!(rig.pool_stat("cross_shard"), 0);
}

#[test]
fn redis_py_is_told_of_keys_of_several_servers() {
    run_over_several_servers(python, "redis_py_cross_shard.py", "8.");
}

#[test]
fn ioredis_is_told_of_keys_of_several_servers_and_no_job_is_lost() {
    run_over_several_servers(node, "ioredis_cross_shard.cjs", "6.");
}

#[test]
fn a_flush_that_pymemcache_does_not_wait_for_is_logged_where_it_is_not_allowed() {
    let rig = need!(Rig::memcached(1, &[]), "memcached");
    let python = need!(python(), "pymemcache (cargo xtask setup)");
    run_script(python, "pymemcache_refused.py", rig.port, &["-"; 3], "4.");
    let line = "a request that wants no reply was refused or lost: CLIENT_ERROR flush_all";
    wait_for("it is logged", || rig.proxy.stderr().contains(line));
}

#[test]
fn a_client_says_which_versions_the_pool_refuses_and_works_with_the_other() {
    let rig = need!(Rig::redis(2, &["resp3: off"]), "redis-server");
    let python = need!(python(), "redis-py (cargo xtask setup)");
    run_script(python, "redis_py.py", rig.port, &["2", "-", "-"], "8.");
}
