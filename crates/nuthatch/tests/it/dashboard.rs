//! The dashboard in a real browser: `tests/clients/dashboard.cjs` drives Chromium.

use std::process::Command;
use std::time::Duration;

use testkit::{Process, Tool, free_port};

use crate::need;
use crate::rig::nuthatch;
use crate::tool::in_project;

/// It takes ten seconds on an idle machine; a browser on a busy one takes long to start.
const LIMIT: Duration = Duration::from_secs(120);

/// Node.js with playwright-core, which `cargo xtask setup` installs.
fn node() -> Option<Command> {
    let modules = in_project("target/clients/node/node_modules");
    let mut command = Tool::find("node")?.command();
    command.env("NODE_PATH", &modules);
    modules.join("playwright-core").is_dir().then_some(command)
}

#[test]
fn the_dashboard_lives_and_shows_names_as_text() {
    let chromium = need!(Tool::find("chromium"), "chromium (Debian's package)");
    let mut node = need!(node(), "playwright-core (cargo xtask setup)");
    let servers: Option<Vec<_>> = (0..3).map(|_| testkit::redis()).collect();
    let servers = need!(servers, "redis-server");
    let [listen, other, admin] = [free_port(), free_port(), free_port()];
    let names = [
        "plain",
        "<img/src=x/onerror=alert(1)>",
        "\"><script>alert(2)</script>",
    ];
    // A name is one word; a pool's may be anything.
    let lines = servers.iter().zip(names).map(|(server, name)| {
        let line = format!("{}:1 {name}", server.endpoint());
        format!("    - '{line}'\n")
    });
    let lines: String = lines.collect();
    let conf = format!(
        "a:\n  listen: 127.0.0.1:{listen}\n  redis: true\n  slow_log: 0\n  hot_keys: 1\n  auto_eject_hosts: true\n  server_failure_limit: 1\n  \
         server_retry_timeout: 60000\n  servers:\n{}\
         \"<b onclick='alert(3)'>b</b>\":\n  listen: 127.0.0.1:{other}\n  servers:\n    - 127.0.0.1:1:1\n",
        lines
    );
    let admin_flag = format!("--admin=127.0.0.1:{admin}");
    let proxy = nuthatch(&[&admin_flag, "--control=control.sock"], &conf);
    node.arg(in_project("tests/clients/dashboard.cjs"));
    node.arg(chromium.path());
    node.arg(format!("http://127.0.0.1:{admin}/"));
    node.args([listen.to_string(), servers[0].pid().to_string()]);
    node.arg(proxy.dir().join("control.sock"));
    // For docs/: pictures of the dashboard are put there.
    node.args(std::env::var_os("DASHBOARD_PICTURES"));
    let mut script = Process::spawn(node);
    let status = script.wait_exit(LIMIT);
    let said = script.stdout() + &script.stderr();
    assert_eq!(status.code(), Some(0), "{said}{}", proxy.stderr());
    assert!(said.ends_with("ok dashboard\n"), "{said}");
}
