//! Servers that are found while clients are served.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use testkit::{Client, Endpoint, Process, Server, free_port};

use crate::latency::ctl;
use crate::need;
use crate::rig::{BIN, wait_for};
use crate::tool::Done;

/// A proxy with one Redis pool, in a folder of its own.
pub(crate) struct Seat {
    dir: tempfile::TempDir,
    pub(crate) port: u16,
    _proxy: Process,
}

impl Seat {
    /// A pool with these lines; the folder may have files already.
    pub(crate) fn start_in(dir: tempfile::TempDir, lines: &str) -> Self {
        let (port, stats) = (free_port(), free_port());
        fs::write(dir.path().join("n.yml"), conf(port, lines)).expect("a file");
        let mut command = Command::new(BIN);
        command.current_dir(dir.path());
        command.args([
            "-c",
            "n.yml",
            "-a",
            "127.0.0.1",
            "-o",
            "log",
            "--control",
            "control",
        ]);
        command.arg("-s").arg(stats.to_string());
        let seat = Self {
            _proxy: Process::spawn(command),
            dir,
            port,
        };
        wait_for("it serves", || {
            Client::try_connect(&Endpoint::loopback(port)).is_ok()
        });
        seat
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.path("log")).expect("a log")
    }

    pub(crate) fn ctl(&self, words: &[&str]) -> Done {
        ctl(&self.path("control"), words)
    }

    pub(crate) fn pool(&self) -> Value {
        let done = self.ctl(&["--json", "status"]);
        let status: Value = serde_json::from_str(&done.stdout).expect("JSON");
        status["pools"][0].clone()
    }

    /// The servers in use, as `name@port`.
    pub(crate) fn servers(&self) -> Vec<String> {
        let pool = self.pool();
        let server = |server: &Value| {
            let (name, address) = (&server["name"], &server["address"]);
            let port = address.as_str().and_then(|it| it.rsplit(':').next());
            format!(
                "{}@{}",
                name.as_str().expect("a name"),
                port.expect("a port")
            )
        };
        pool["servers"]
            .as_array()
            .expect("servers")
            .iter()
            .map(server)
            .collect()
    }

    pub(crate) fn client(&self) -> Client {
        Client::to_port(self.port)
    }

    pub(crate) fn reload(&self, lines: &str) -> String {
        fs::write(self.path("n.yml"), conf(self.port, lines)).expect("a file");
        let done = self.ctl(&["reload"]);
        assert_eq!(done.status, Some(0), "{}", done.stderr);
        done.stdout
    }
}

fn conf(port: u16, lines: &str) -> String {
    format!("pool:\n  listen: 127.0.0.1:{port}\n  redis: true\n{lines}")
}

/// The lines of a file, for servers called `a`, `b` ...
fn list(servers: &[(&str, &Server)]) -> String {
    let line = |(name, server): &(&str, &Server)| format!("127.0.0.1:{}:1 {name}\n", server.port());
    servers.iter().map(line).collect()
}

fn names(servers: &[(&str, &Server)]) -> Vec<String> {
    let name = |(name, server): &(&str, &Server)| format!("{name}@{}", server.port());
    servers.iter().map(name).collect()
}

/// Writes a file as configuration management does: beside the old one, then in its place.
fn replace(path: &Path, text: &str) {
    let beside = path.with_extension("new");
    fs::write(&beside, text).expect("a file");
    fs::rename(&beside, path).expect("a file");
}

fn redis(count: usize) -> Option<Vec<Server>> {
    (0..count).map(|_| testkit::redis()).collect()
}

const FROM_FILE: &str = "  servers: {file: servers}\n";

#[test]
fn a_file_of_servers_is_followed() {
    let redis = need!(redis(4), "redis-server");
    let [a, b, c, d] = [0, 1, 2, 3].map(|at| (["a", "b", "c", "d"][at], &redis[at]));
    let dir = tempfile::tempdir().expect("a directory");
    fs::write(dir.path().join("servers"), list(&[a, b]) + "# two\n").expect("a file");
    let seat = Seat::start_in(dir, FROM_FILE);
    assert_eq!(seat.servers(), names(&[a, b]));
    let mut client = seat.client();
    for key in 0..50 {
        assert_eq!(client.ask(&["SET", &format!("k{key}"), "v"]), "+OK\r\n");
    }

    // The same server under the same name elsewhere moves no key.
    let before: Vec<String> = holders(&mut client, &redis[..2]);
    replace(&seat.path("servers"), &list(&[a, ("b", &redis[2])]));
    wait_for("b is elsewhere", || {
        seat.servers() == names(&[a, ("b", &redis[2])])
    });
    for (key, holder) in before.iter().enumerate() {
        let key = format!("k{key}");
        let expected = if holder == "0" {
            "$1\r\nv\r\n"
        } else {
            "$-1\r\n"
        };
        assert_eq!(client.ask(&["GET", &key]), expected, "{key}");
    }

    // As Kubernetes does with a ConfigMap: a link to a folder is replaced.
    fs::create_dir(seat.path("1")).expect("a folder");
    fs::create_dir(seat.path("2")).expect("a folder");
    fs::write(seat.path("1/servers"), list(&[a, b])).expect("a file");
    fs::write(seat.path("2/servers"), list(&[a, b, c, d])).expect("a file");
    symlink("1", seat.path("data")).expect("a link");
    fs::remove_file(seat.path("servers")).expect("a file");
    wait_for("it is told that the file is gone", || {
        seat.pool()["discovery"]["problem"] == "the file is not there"
    });
    symlink("data/servers", seat.path("servers")).expect("a link");
    wait_for("the file is there again", || {
        seat.servers() == names(&[a, b])
    });
    assert_eq!(seat.pool()["discovery"]["problem"], Value::Null);
    symlink("2", seat.path("data.new")).expect("a link");
    fs::rename(seat.path("data.new"), seat.path("data")).expect("a link");
    wait_for("the link leads elsewhere", || {
        seat.servers() == names(&[a, b, c, d])
    });
    assert!(
        seat.log()
            .contains("pool 'pool' has 4 servers now (file servers): added c, d")
    );
}

/// Which of the servers has each of the keys k0 to k49.
fn holders(client: &mut Client, servers: &[Server]) -> Vec<String> {
    let mut direct: Vec<Client> = servers.iter().map(Server::client).collect();
    let mut holder = |key: usize| {
        let key = format!("k{key}");
        assert_eq!(client.ask(&["GET", &key]), "$1\r\nv\r\n");
        let holder = direct
            .iter_mut()
            .position(|it| it.ask(&["EXISTS", &key]) == ":1\r\n");
        holder.expect("one has it").to_string()
    };
    (0..50).map(&mut holder).collect()
}

#[test]
fn a_bad_list_and_a_sudden_change_are_held_back() {
    let redis = need!(redis(1), "redis-server");
    let it = |name| (name, &redis[0]);
    let all = ["a", "b", "c", "d"].map(it);
    let dir = tempfile::tempdir().expect("a directory");
    fs::write(dir.path().join("servers"), list(&all)).expect("a file");
    let seat = Seat::start_in(dir, FROM_FILE);

    replace(
        &seat.path("servers"),
        "127.0.0.1:1:1 a\n  127.0.0.1:x:1 b\n",
    );
    let problem = "line 2, column 13: server `127.0.0.1:x:1 b` has an invalid port";
    wait_for("the mistake is told", || {
        seat.pool()["discovery"]["problem"] == problem
    });
    replace(&seat.path("servers"), "# nothing\n");
    wait_for("it is told that there is none", || {
        seat.pool()["discovery"]["problem"] == "it lists no server"
    });
    assert_eq!(seat.servers(), names(&all));

    replace(&seat.path("servers"), &list(&[it("a"), it("x")]));
    wait_for("it is held back", || {
        !seat.pool()["discovery"]["held_back"].is_null()
    });
    // A reload, even of other settings of the pool, does not put it in force.
    let text = seat.reload(&format!("  timeout: 1000\n{FROM_FILE}"));
    assert!(
        text.contains("timeout") && !text.contains("server"),
        "{text}"
    );
    assert_eq!(seat.servers(), names(&all));
    let shown = seat.ctl(&["status"]).stdout;
    assert!(
        shown.contains("servers from file servers: 2 servers found"),
        "{shown}"
    );
    assert!(
        shown.contains("3 of 4 are missing in the new list of 2 (b, c, d)"),
        "{shown}"
    );

    assert_eq!(
        seat.ctl(&["accept-servers", "--pool", "pol"]).status,
        Some(1)
    );
    assert_eq!(seat.ctl(&["accept-servers"]).status, Some(0));
    wait_for("it is in force", || {
        seat.servers() == names(&[it("a"), it("x")])
    });
    let done = seat.ctl(&["accept-servers"]);
    assert_eq!(
        done.stderr.trim(),
        "nuthatch: nothing was held back: see `nuthatch ctl status`"
    );
    let log = seat.log();
    let told = |text: &str| log.matches(text).count();
    assert_eq!(
        (told(problem), told("stay as they are: 3 of 4")),
        (1, 1),
        "{log}"
    );
}

#[test]
fn a_reload_changes_where_servers_are_found() {
    let redis = need!(redis(1), "redis-server");
    let it = |name| (name, &redis[0]);
    let dir = tempfile::tempdir().expect("a directory");
    fs::write(dir.path().join("servers"), list(&[it("a"), it("x")])).expect("a file");
    let seat = Seat::start_in(dir, FROM_FILE);

    // The guard can be switched off, and the servers can be listed after all.
    seat.reload(&format!("  discovery_max_removed: 100\n{FROM_FILE}"));
    replace(&seat.path("servers"), &list(&[it("z")]));
    wait_for("all is replaced", || seat.servers() == names(&[it("z")]));
    let listed = format!("  servers:\n  - 127.0.0.1:{}:1 l\n", redis[0].port());
    seat.reload(&listed);
    assert_eq!(seat.servers(), names(&[it("l")]));
    replace(&seat.path("servers"), &list(&[it("a")]));
    std::thread::sleep(std::time::Duration::from_millis(2_500));
    assert_eq!(
        seat.servers(),
        names(&[it("l")]),
        "the file is no longer looked at"
    );
    assert_eq!(seat.pool()["discovery"], Value::Null);
}

#[test]
fn a_file_that_is_missing_or_wrong_at_the_start_is_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    fs::write(dir.path().join("n.yml"), conf(1, FROM_FILE)).expect("a file");
    let check = || {
        let mut command = Command::new(BIN);
        command.current_dir(dir.path()).args(["check", "n.yml"]);
        let output = command.output().expect("the program can be run");
        crate::rig::text(&output.stderr) + &crate::rig::text(&output.stdout)
    };
    let said = check();
    assert!(
        said.contains("the file 'servers' cannot be read: No such file"),
        "{said}"
    );
    fs::write(dir.path().join("servers"), "a:1:1 n\nb:1:1 n\n").expect("a file");
    let said = check();
    assert!(
        said.contains("servers:2:1") && said.contains("same name `n`"),
        "{said}"
    );
    fs::write(dir.path().join("servers"), "#\n").expect("a file");
    assert!(check().contains("the file 'servers' lists no server"));
}
