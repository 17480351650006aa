//! `nuthatch top`, in a terminal and without one.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::process::Signal;
use testkit::{Client, free_port};

use crate::need;
use crate::rig::{BIN, Rig, nuthatch, wait_for};
use crate::terminal::Terminal;
use crate::tool::run;

const SOCKET: &str = "--control=control.sock";

fn top(socket: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(BIN);
    command.arg("top").arg("--control").arg(socket).args(args);
    command
}

/// A client that asks for keys all the time.
struct Asking {
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Asking {
    fn start(port: u16, keys: Vec<String>) -> Asking {
        let is_over = Arc::new(AtomicBool::new(false));
        let over = Arc::clone(&is_over);
        let thread = thread::spawn(move || {
            let mut client = Client::to_port(port);
            while !over.load(Ordering::Relaxed) {
                for key in &keys {
                    client.ask(&["GET", key]);
                }
                thread::sleep(Duration::from_millis(1));
            }
        });
        Asking {
            is_over,
            thread: Some(thread),
        }
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        let thread = self.thread.take().expect("it is dropped once");
        assert!(thread.join().is_ok(), "the client was disconnected");
    }
}

/// The cells of the row with this name.
fn cells<'l>(lines: &'l [String], name: &str) -> Option<Vec<&'l str>> {
    let rows = lines
        .iter()
        .map(|line| line.split_whitespace().collect::<Vec<_>>());
    rows.into_iter().find(|row| row.first() == Some(&name))
}

/// A number as it is shown.
fn number(cell: &str) -> Option<f64> {
    let (digits, times) = match cell.strip_suffix('k') {
        Some(digits) => (digits, 1e3),
        None => (cell, 1.0),
    };
    Some(digits.parse::<f64>().ok()? * times)
}

/// Whether a row has a number above zero in the column at this place.
fn counts(lines: &[String], name: &str, cell: usize) -> bool {
    let row = cells(lines, name);
    let cell = row.and_then(|row| number(row.get(cell)?));
    cell.is_some_and(|number| number > 0.0)
}

/// Whether a row has a time above zero in the column at this place.
fn is_time(lines: &[String], name: &str, cell: usize) -> bool {
    let row = cells(lines, name);
    let cell = row.and_then(|row| row.get(cell).copied());
    let digits = cell.and_then(|cell| cell.strip_suffix("us").or(cell.strip_suffix("ms")));
    digits.is_some_and(|digits| digits.parse::<f64>().is_ok_and(|time| time > 0.0))
}

#[test]
fn it_lives_in_a_terminal_and_obeys_its_keys() {
    let lines = [
        "auto_eject_hosts: true",
        "server_failure_limit: 1",
        "server_retry_timeout: 60000",
    ];
    let mut rig = need!(Rig::redis_with(2, &lines, &[SOCKET]), "redis-server");
    let _asking = Asking::start(rig.port, rig.keys());
    let socket = rig.proxy.dir().join("control.sock");
    let terminal = Terminal::run(&top(&socket, &[]), 80, 24);
    let mut terminal = need!(terminal, "setsid (util-linux)");
    terminal.wait_for("rates of pool and servers", |lines| {
        // Name, state (of the pool in two words), requests.
        counts(lines, "pool", 3) && counts(lines, "s0", 2) && counts(lines, "s1", 2)
    });
    let lines = terminal.lines();
    assert_eq!(lines.len(), 24);
    assert!(
        lines[0].starts_with("nuthatch ") && lines[0].contains(", 1 clients, "),
        "{lines:#?}"
    );
    let titles = [
        "STATE", "REQ/S", "ERR/S", "P50", "P99", "CONN", "FLIGHT", "QUEUE",
    ];
    assert!(
        titles.iter().all(|title| lines[2].contains(title)),
        "{lines:#?}"
    );
    terminal.wait_for("latencies", |lines| {
        is_time(lines, "s0", 4) && is_time(lines, "pool", 6)
    });
    assert_eq!(cells(&lines, "pool").unwrap()[1..3], ["2/2", "live"]);

    terminal.press("ss");
    terminal.wait_for("the key", |lines| lines[23].contains("s sort: requests"));
    terminal.press("r");
    terminal.wait_for("the mark", |lines| lines[2].contains("REQ/S▲"));
    terminal.press("?");
    terminal.wait_for("the help", |lines| {
        lines.iter().any(|line| line.contains("Ctrl-C"))
    });
    terminal.press("x/zzz\r");
    terminal.wait_for("no pool of that name", |lines| {
        cells(lines, "pool").is_none() && lines[23].contains("only: zzz")
    });
    terminal.press("\u{1b}");
    terminal.wait_for("all pools", |lines| cells(lines, "pool").is_some());
    terminal.resize(60, 10);
    terminal.wait_for("the smaller size", |lines| {
        lines.len() == 10 && lines[9].starts_with("q quit") && cells(lines, "s1").is_some()
    });
    terminal.resize(100, 30);
    terminal.wait_for("the larger size", |lines| {
        lines[29].starts_with("q quit") && lines[2].contains("IN/S")
    });

    rig.servers[0].kill();
    terminal.wait_for("the ejection", |lines| {
        cells(lines, "s0").is_some_and(|row| row[1] == "ejected")
            && cells(lines, "pool").is_some_and(|row| row[1] == "1/2")
    });
    terminal.press("q");
    assert_eq!(terminal.wait_exit().code(), Some(0));
}

#[test]
fn however_it_ends_the_terminal_is_given_back() {
    let rig = need!(Rig::redis_with(1, &[], &[SOCKET]), "redis-server");
    let socket = rig.proxy.dir().join("control.sock");
    let run = || Terminal::run(&top(&socket, &["--sort", "errors"]), 80, 24);
    let mut terminal = need!(run(), "setsid (util-linux)");
    let is_there = |lines: &[String]| lines[23].contains("s sort: errors");
    terminal.wait_for("the screen", is_there);
    terminal.press("\u{3}");
    assert_eq!(terminal.wait_exit().code(), Some(0), "Ctrl-C");
    for signal in [Signal::TERM, Signal::HUP, Signal::INT] {
        let mut terminal = need!(run(), "setsid (util-linux)");
        terminal.wait_for("the screen", is_there);
        terminal.signal(signal);
        assert_eq!(terminal.wait_exit().code(), Some(0), "{signal:?}");
    }
}

#[test]
fn a_proxy_that_goes_and_comes_back_is_told_of() {
    let dir = tempfile::tempdir().expect("a folder");
    let socket = dir.path().join("control.sock");
    let option = format!("--control={}", socket.display());
    let port = free_port();
    let conf = format!("pool:\n  listen: 127.0.0.1:{port}\n  servers:\n    - 127.0.0.1:1:1 s0\n");
    let mut proxy = nuthatch(&[&option], &conf);
    let terminal = Terminal::run(&top(&socket, &[]), 80, 24);
    let mut terminal = need!(terminal, "setsid (util-linux)");
    terminal.wait_for("the server", |lines| cells(lines, "s0").is_some());
    proxy.stop();
    terminal.wait_for("its silence", |lines| {
        lines[1].starts_with("no answer from the proxy since ")
    });
    proxy.cont();
    terminal.wait_for("its answers", |lines| {
        lines[1].starts_with("the proxy answers again since ")
    });
    proxy.kill();
    terminal.wait_for("that it is gone", |lines| {
        lines[1].starts_with("no answer from the proxy since ") && cells(lines, "s0").is_some()
    });
    let _other = nuthatch(&[&option], &conf);
    terminal.wait_for("that it is back", |lines| {
        lines[1].starts_with("the proxy is another process since ")
    });
    terminal.press("q");
    assert_eq!(terminal.wait_exit().code(), Some(0));
}

#[test]
fn without_a_terminal_it_is_one_table() {
    let rig = need!(Rig::redis_with(2, &[], &[SOCKET]), "redis-server");
    let _asking = Asking::start(rig.port, rig.keys());
    let socket = rig.proxy.dir().join("control.sock");
    for args in [&[][..], &["--once", "--sort", "requests"]] {
        let said = run(top(&socket, args), &[]).success();
        let lines: Vec<String> = said.lines().map(str::to_owned).collect();
        assert!(lines[0].starts_with("nuthatch "), "{said}");
        assert!(
            counts(&lines, "pool", 3) && counts(&lines, "s1", 2),
            "{said}"
        );
        assert_eq!(lines.len(), 6, "{said}");
    }
    let none = run(top(&socket, &["--pool", "zzz"]), &[]).success();
    assert_eq!(none.lines().count(), 3, "{none}");
    let wrong = run(top(Path::new("/nonexistent/control.sock"), &[]), &[]);
    assert_eq!(wrong.status, Some(1));
    assert!(
        wrong.stderr.contains("no answer from the control socket"),
        "{}",
        wrong.stderr
    );
    let wrong = run(top(&socket, &["--sort", "nothing"]), &[]);
    assert_eq!(wrong.status, Some(2));
}

#[test]
fn names_do_not_drive_the_terminal() {
    let (port, other) = (free_port(), free_port());
    let conf = format!(
        "\"p\\e]0;owned\\a\\e[2J\\x9b31m\\u202e\":\n  listen: 127.0.0.1:{port}\n  servers:\n    \
         - \"127.0.0.1:1:1 s\\e[31mred\\a\"\nq:\n  listen: 127.0.0.1:{other}\n  servers:\n    - 127.0.0.1:1:1\n"
    );
    let proxy = nuthatch(&[SOCKET], &conf);
    let socket = proxy.dir().join("control.sock");
    wait_for("the socket", || socket.exists());
    let said = run(top(&socket, &[]), &[]).success();
    assert!(
        !said.contains(|c: char| c.is_control() && c != '\n'),
        "{said:?}"
    );
    assert!(
        said.contains(r"p\x1b]0;owned\x07\x1b[2J\x9b31m\u{202e}"),
        "{said}"
    );
    let terminal = Terminal::run(&top(&socket, &[]), 120, 24);
    let mut terminal = need!(terminal, "setsid (util-linux)");
    terminal.wait_for("the names", |lines| {
        lines.iter().any(|line| line.contains(r"s\x1b[31mred\x07"))
    });
    let bytes = terminal.bytes();
    let has = |what: &[u8]| bytes.windows(what.len()).any(|it| it == what);
    for bad in [
        &b"\x1b]0;"[..],
        b"\x07",
        b"\x1b[31mred",
        b"\xc2\x9b",
        "\u{202e}".as_bytes(),
    ] {
        assert!(!has(bad), "{:?}", String::from_utf8_lossy(bad));
    }
    terminal.press("q");
    assert_eq!(terminal.wait_exit().code(), Some(0));
}
