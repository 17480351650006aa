//! haproxy in front of the proxy, with the health check of Redis that its documentation shows.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use testkit::{Client, Process, Tool, free_port};

use crate::need;
use crate::rig::{Rig, wait_for};

/// A running haproxy whose only server is the proxy.
struct Haproxy {
    _process: Process,
    port: u16,
    control: PathBuf,
    _dir: tempfile::TempDir,
}

impl Haproxy {
    fn start(server: u16) -> Option<Haproxy> {
        let tool = Tool::find("haproxy")?;
        let dir = tempfile::tempdir().expect("a directory");
        let (port, control) = (free_port(), dir.path().join("control"));
        let conf = dir.path().join("haproxy.cfg");
        fs::write(&conf, configuration(port, server, &control)).expect("a file");
        let mut command = tool.command();
        command.arg("-db").arg("-f").arg(&conf);
        Some(Haproxy {
            _process: Process::spawn(command),
            port,
            control,
            _dir: dir,
        })
    }

    /// The columns `status` and `check_status` of its server, empty until it is checked. While the
    /// next check is under way haproxy writes `* ` before the result of the last one.
    fn health(&self) -> (String, String) {
        let table = self.ask("show stat\n").unwrap_or_default();
        let names = table.lines().next().unwrap_or_default();
        let server = table
            .lines()
            .find(|line| line.starts_with("redis,nuthatch,"));
        let column = |wanted: &str| {
            let at = names.split(',').position(|name| name == wanted);
            let value = at.and_then(|at| server?.split(',').nth(at));
            value.unwrap_or_default().to_owned()
        };
        let result = column("check_status");
        let result = result.trim_start_matches("* ").to_owned();
        (column("status"), result)
    }

    /// Waits until its server has this status after a check whose result begins with `check`.
    fn wait_for_health(&self, status: &str, check: &str) {
        wait_for(&format!("{status} by {check}"), || {
            let (current, result) = self.health();
            current == status && result.starts_with(check)
        });
    }

    fn ask(&self, question: &str) -> std::io::Result<String> {
        let mut stream = UnixStream::connect(&self.control)?;
        stream.write_all(question.as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }
}

fn configuration(port: u16, server: u16, control: &Path) -> String {
    let control = control.display();
    format!(
        "global
  stats socket {control} level admin
defaults
  mode tcp
  timeout connect 5s
  timeout client 1m
  timeout server 1m
  timeout check 10s
listen redis
  bind 127.0.0.1:{port}
  option tcp-check
  tcp-check connect
  tcp-check send PING\\r\\n
  tcp-check expect string +PONG
  tcp-check send info\\ replication\\r\\n
  tcp-check expect string role:master
  tcp-check send QUIT\\r\\n
  tcp-check expect string +OK
  server nuthatch 127.0.0.1:{server} check inter 100ms fall 2 rise 1
"
    )
}

#[test]
fn its_usual_check_of_redis_finds_the_proxy_up_and_clients_are_served() {
    let mut rig = need!(Rig::redis(1, &[]), "redis-server");
    let haproxy = need!(Haproxy::start(rig.port), "haproxy");
    // "L7OK" is a check of the contents that passed in all steps.
    haproxy.wait_for_health("UP", "L7OK");
    let mut client = Client::to_port(haproxy.port);
    assert_eq!(client.ask(&["SET", "k", "v"]), "+OK\r\n");
    assert_eq!(client.ask(&["GET", "k"]), "$1\r\nv\r\n");
    wait_for("many checks", || rig.pool_stat("client_total") > 10);
    assert_eq!(rig.pool_stat("client_err"), 0, "a check ends like a client");
    assert_eq!(haproxy.health(), ("UP".into(), "L7OK".into()));
    rig.proxy.kill();
    haproxy.wait_for_health("DOWN", "L4CON");
}

#[test]
fn a_check_of_redis_finds_a_pool_of_memcached_down() {
    let rig = need!(Rig::memcached(1, &[]), "memcached");
    let haproxy = need!(Haproxy::start(rig.port), "haproxy");
    // The connection is made, and the contents are wrong.
    haproxy.wait_for_health("DOWN", "L7");
}
