//! The process: its files, signals, log and exit.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use tempfile::TempDir;
use testkit::{Client, Endpoint, Process, free_port};

use crate::need;
use crate::rig::{BIN, Rig, TIME_LIMIT, pool, text, wait_for};
use crate::tool::{self, Done};

/// A directory with a configuration file whose pool has a server that is never used.
pub(crate) struct Home {
    dir: TempDir,
    port: u16,
}

impl Home {
    pub(crate) fn new() -> Home {
        let home = Home {
            dir: TempDir::new().expect("a folder"),
            port: free_port(),
        };
        let listen = format!("127.0.0.1:{}", home.port);
        home.write(
            "c.yml",
            &pool("p", &listen, &[&Endpoint::loopback(1)], &["redis: true"]),
        );
        home
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).expect("the folder can be written");
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// The proxy in this directory with `-c c.yml`, a free statistics port and `args`.
    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(BIN);
        command.current_dir(self.dir.path());
        command.args([
            "-c",
            "c.yml",
            "-a",
            "127.0.0.1",
            "-s",
            &free_port().to_string(),
        ]);
        command.args(args);
        command
    }

    fn run(&self, args: &[&str]) -> Done {
        tool::run(self.command(args), &[])
    }

    fn start(&self, args: &[&str]) -> Process {
        let process = Process::spawn(self.command(args));
        wait_for("the proxy listens", || self.listens());
        process
    }

    pub(crate) fn listens(&self) -> bool {
        Client::try_connect(&Endpoint::loopback(self.port)).is_ok()
    }
}

/// A process that is not a child of this one; killed when dropped.
struct Orphan(Pid);

impl Orphan {
    fn from_file(text: &str) -> Orphan {
        let raw = text
            .parse()
            .expect("a pid file holds a number and nothing else");
        Orphan(Pid::from_raw(raw).expect("a pid is not zero"))
    }

    fn lives(&self) -> bool {
        test_kill_process(self.0).is_ok()
    }
}

impl Drop for Orphan {
    fn drop(&mut self) {
        // It may have exited already.
        let _ = kill_process(self.0, Signal::KILL);
    }
}

#[test]
fn a_mistyped_command_starts_nothing_though_there_is_a_default_file() {
    let home = Home::new();
    fs::create_dir(home.path("conf")).expect("the folder can be written");
    fs::rename(home.path("c.yml"), home.path("conf/nutcracker.yml")).expect("it is there");
    let stats = free_port().to_string();
    for args in [
        &["chekc", "conf/nutcracker.yml"][..],
        &["reload"],
        &["-s", &stats, "check", "conf/nutcracker.yml"],
        &["-d", "-p", "n.pid", "conf/nutcracker.yml"],
    ] {
        let mut command = Command::new(BIN);
        command.current_dir(home.path(""));
        let done = tool::run(command, args);
        assert_eq!(done.status, Some(1), "{args:?}: {}", done.output());
        let lines: Vec<&str> = done.stderr.lines().collect();
        assert_eq!(lines.len(), 2, "{args:?}: {}", done.stderr);
        assert!(lines[1].contains("nuthatch --help"), "{args:?}: {lines:?}");
        assert!(!home.listens() && !home.path("n.pid").exists(), "{args:?}");
    }
}

#[test]
fn the_pid_file_holds_the_pid_and_goes_with_the_process() {
    for signal in [Signal::TERM, Signal::INT] {
        let home = Home::new();
        let mut process = home.start(&["-p", "n.pid"]);
        // It exists before it is written.
        let pid = process.pid().to_string();
        wait_for("the pid is written", || home.read("n.pid") == pid);
        process.signal(signal);
        assert_eq!(process.wait_exit(TIME_LIMIT).code(), Some(0), "{signal:?}");
        assert!(!home.path("n.pid").exists());
        assert!(!home.listens());
    }
}

#[test]
fn a_pid_file_that_leads_elsewhere_is_refused_and_its_target_left_alone() {
    let home = Home::new();
    home.write("precious", "data");
    symlink(home.path("precious"), home.path("n.pid")).expect("the folder can be written");
    for args in [&["-p", "n.pid"][..], &["-d", "-p", "n.pid"]] {
        let done = home.run(args);
        assert_eq!(done.status, Some(1), "{}", done.output());
        let reason =
            "it is a symbolic link, which is not followed; a pid file must be a regular file";
        assert!(done.stderr.contains("n.pid"), "{}", done.stderr);
        assert!(done.stderr.contains(reason), "{}", done.stderr);
        assert_eq!(home.read("precious"), "data");
    }
    assert!(!home.listens());
}

#[test]
fn a_refused_configuration_shows_its_password_nowhere() {
    let home = Home::new();
    let text = home.read("c.yml");
    let text = text.replace("redis: true", "redis: yes\n  redis_auth: hunter2: x");
    home.write("c.yml", &text);
    home.write("o.yml", "p:\n  redis_auth: hunter2\n");
    for args in [
        &["-o", "n.log"][..],
        &["-d", "-o", "n.log"],
        &["-v", "11"],
        &["-t"],
        &["-t", "--overlay", "o.yml"],
    ] {
        let done = home.run(args);
        assert_eq!(done.status, Some(1), "{args:?}: {}", done.output());
        assert!(
            done.stderr.contains("********"),
            "{args:?}: {}",
            done.stderr
        );
        let output = done.output();
        assert!(!output.contains("hunter2"), "{args:?}: {output}");
    }
    let mut check = Command::new(BIN);
    check.current_dir(home.path(""));
    let done = tool::run(check, &["check", "c.yml", "--overlay", "o.yml"]);
    assert!(!done.output().contains("hunter2"), "{}", done.output());
    let log = home.read("n.log");
    assert!(
        log.contains("********") && !log.contains("hunter2"),
        "{log}"
    );
}

#[test]
fn a_socket_that_everybody_may_use_is_warned_of() {
    let home = Home::new();
    let server = [&Endpoint::loopback(1)];
    home.write(
        "c.yml",
        &pool("p", "/tmp/p.sock", &server, &["redis: true"]),
    );
    let mut check = Command::new(BIN);
    check.current_dir(home.path(""));
    for done in [home.run(&["-t"]), tool::run(check, &["check", "c.yml"])] {
        assert_eq!(done.status, Some(0), "{}", done.output());
        let warning =
            "every user may connect (0777, as with twemproxy); add one: `listen: /tmp/p.sock 0660`";
        assert!(done.stderr.contains(warning), "{}", done.stderr);
    }
}

#[test]
fn a_daemon_leaves_its_parent_and_ends_when_told() {
    let home = Home::new();
    let done = home.run(&["-d", "-p", "n.pid", "-o", "n.log"]);
    assert_eq!(done.status, Some(0), "{}", done.output());
    let daemon = Orphan::from_file(&home.read("n.pid"));
    assert!(
        daemon.lives() && home.listens(),
        "it serves when the parent ends"
    );
    let mut client = Client::to_port(home.port);
    assert_eq!(client.ask(&["PING"]), "+PONG\r\n");
    kill_process(daemon.0, Signal::TERM).expect("it runs");
    wait_for("the daemon ends", || !daemon.lives());
    assert!(!home.path("n.pid").exists());
    assert!(home.read("n.log").contains("started on pid"));
}

#[test]
fn a_daemon_that_cannot_start_says_so_by_its_parents_status() {
    let home = Home::new();
    let _busy = std::net::TcpListener::bind(("127.0.0.1", home.port)).expect("it is free");
    let done = home.run(&["-d", "-p", "n.pid"]);
    assert_eq!(done.status, Some(1));
    assert!(
        done.stderr.contains("Address already in use"),
        "{}",
        done.stderr
    );

    home.write("c.yml", "p:\n  listen: 127.0.0.1:1\n  hash: nonsense\n");
    let done = home.run(&["-d", "-p", "n.pid"]);
    assert_eq!(done.status, Some(1));
    assert!(done.stderr.contains("nonsense"), "{}", done.stderr);
    assert!(!home.path("n.pid").exists());
}

#[test]
fn a_missing_configuration_file_is_named() {
    let home = Home::new();
    fs::remove_file(home.path("c.yml")).expect("it is there");
    let done = home.run(&[]);
    assert_eq!(done.status, Some(1));
    assert!(done.stderr.contains("c.yml"), "{}", done.stderr);
    assert!(done.stderr.contains("No such file"), "{}", done.stderr);
}

#[test]
fn test_conf_ends_with_the_verdict_and_prints_the_reasons() {
    let home = Home::new();
    let done = home.run(&["-t"]);
    assert_eq!(done.status, Some(0));
    let verdict = "nuthatch: configuration file 'c.yml' syntax is ok";
    assert_eq!(done.stderr.lines().last(), Some(verdict));

    home.write(
        "c.yml",
        "p:\n  listen: 127.0.0.1:1\n  hash: md6\n  servers:\n    - a:1:1\n",
    );
    let done = home.run(&["-t"]);
    assert_eq!(done.status, Some(1));
    let verdict = "nuthatch: configuration file 'c.yml' syntax is invalid";
    assert_eq!(done.stderr.lines().last(), Some(verdict));
    assert!(done.stderr.contains("c.yml:3:"), "{}", done.stderr);
}

#[test]
fn describe_stats_prints_what_nutcracker_prints() {
    let home = Home::new();
    let link = home.path("nutcracker");
    std::os::unix::fs::symlink(BIN, &link).expect("the folder can be written");
    let as_nutcracker = tool::run(Command::new(&link), &["-D"]);
    let theirs = need!(tool::run_tool("nutcracker", &["-D"]), "nutcracker");
    assert_eq!(as_nutcracker.status, theirs.status);
    assert_eq!(as_nutcracker.stderr, theirs.stderr);

    // Under its own name it has a few more rows.
    let ours = home.run(&["-D"]).stderr;
    let table = &theirs.stderr[theirs.stderr.find("pool stats:").expect("a table")..];
    let mut lines = ours.lines();
    assert!(
        table.lines().all(|line| lines.any(|ours| ours == line)),
        "{ours}"
    );
}

#[test]
fn hup_reopens_the_log() {
    let home = Home::new();
    let mut process = home.start(&["-o", "n.log"]);
    wait_for("the start is logged", || {
        home.read("n.log").contains("started on pid")
    });
    fs::rename(home.path("n.log"), home.path("old.log")).expect("the log is there");
    process.signal(Signal::HUP);
    wait_for("a new log file", || home.path("n.log").exists());
    process.signal(Signal::TTIN);
    wait_for("it is written", || {
        home.read("n.log").contains("up log level to 6")
    });
    let old = home.read("old.log");
    assert!(
        old.contains("signal 1 (SIGHUP) received, reopening log file"),
        "{old}"
    );
    assert!(!old.contains("up log level"), "{old}");
}

#[test]
fn ttin_and_ttou_move_the_log_level() {
    let home = Home::new();
    let mut process = home.start(&["-v", "10", "-o", "n.log"]);
    let (up, down) = (
        "signal 21 (SIGTTIN) received, up logging level",
        "signal 22 (SIGTTOU) received, down logging level",
    );
    for (signal, line, count) in [
        (Signal::TTIN, up, 1),
        (Signal::TTIN, up, 2),
        (Signal::TTOU, down, 1),
        (Signal::TTOU, down, 2),
    ] {
        process.signal(signal);
        wait_for(line, || home.read("n.log").matches(line).count() == count);
    }
    wait_for("the last level", || {
        home.read("n.log").contains("down log level to 9")
    });
    let log = home.read("n.log");
    let levels: Vec<_> = log
        .lines()
        .filter_map(|line| line.split("log level to ").nth(1))
        .collect();
    // 11 is the highest level, so the second step up has no effect.
    assert_eq!(levels, ["11", "10", "9"]);
}

#[test]
fn records_have_nutcrackers_form() {
    let home = Home::new();
    let _process = home.start(&["-o", "n.log"]);
    wait_for("the start is logged", || {
        home.read("n.log").contains("started on pid")
    });
    for line in home.read("n.log").lines() {
        let stamp: String = line.chars().take(25).collect();
        let shape: String = stamp
            .chars()
            .map(|c| if c.is_ascii_digit() { '0' } else { c })
            .collect();
        assert_eq!(shape, "[0000-00-00 00:00:00.000]", "{line}");
    }
}

#[test]
fn requests_in_flight_are_answered_before_the_end() {
    let mut rig = need!(Rig::redis(1, &[]), "redis-server");
    let key = rig.keys().remove(0);
    let mut client = rig.client();
    let mut idle = rig.client();
    assert_eq!(idle.ask(&["PING"]), "+PONG\r\n");
    rig.servers[0].stop();
    client.command(&[b"GET", key.as_bytes()]);
    wait_for("the request is at the server", || {
        rig.server_stat(0, "out_queue") == 1
    });
    rig.proxy.signal(Signal::TERM);
    assert_eq!(text(&idle.rest()), "", "an idle client is let go");
    let port = rig.port;
    wait_for("nobody new is let in", || {
        Client::try_connect(&Endpoint::loopback(port)).is_err()
    });
    rig.servers[0].cont();
    assert_eq!(text(&client.rest()), "$1\r\nv\r\n");
    assert_eq!(rig.proxy.wait_exit(TIME_LIMIT).code(), Some(0));
}

#[test]
fn the_wait_for_requests_in_flight_is_bounded() {
    let rig = Rig::redis_with(1, &[], &["--shutdown-timeout", "300"]);
    let mut rig = need!(rig, "redis-server");
    let key = rig.keys().remove(0);
    let mut client = rig.client();
    rig.servers[0].stop();
    client.command(&[b"GET", key.as_bytes()]);
    wait_for("the request is at the server", || {
        rig.server_stat(0, "out_queue") == 1
    });
    let told = Instant::now();
    rig.proxy.signal(Signal::TERM);
    assert_eq!(rig.proxy.wait_exit(TIME_LIMIT).code(), Some(0));
    assert!(told.elapsed() >= Duration::from_millis(300));
    // Without the setting it is five seconds.
    assert!(told.elapsed() < Duration::from_millis(4500));
}
