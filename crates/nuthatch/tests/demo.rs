//! The demo as users run it: its output, its exit status, and what it leaves behind.

#![allow(clippy::unwrap_used)] // a panic is how these tests fail

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use testkit::{Client, Process, Signal, Tool, eventually};

/// Enough for a tour on a busy machine; a tour takes about five seconds.
const LIMIT: Duration = Duration::from_secs(60);

/// The demo with a temporary directory of its own.
fn demo(arguments: &[&str], scratch: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nuthatch"));
    command.arg("demo").args(arguments).env("TMPDIR", scratch);
    command
}

fn is_empty(dir: &Path) -> bool {
    fs::read_dir(dir).unwrap().next().is_none()
}

/// Runs the tour to its end and returns its output.
fn tour(mut command: Command, scratch: &Path) -> String {
    command.arg("--once");
    let mut process = Process::spawn(command);
    let status = process.wait_exit(LIMIT);
    let story = process.stdout();
    assert_eq!(status.code(), Some(0), "{story}{}", process.stderr());
    assert!(!story.contains("[FAILED]"), "{story}");
    assert!(is_empty(scratch), "the demo left files behind");
    // Nothing listens any more, and the configuration is removed.
    let scratch = scratch.to_str().unwrap();
    for invitation in ["Try it", "redis-cli", "nc 127", "Serving", scratch] {
        assert!(!story.contains(invitation), "{invitation}: {story}");
    }
    let last = story.trim_end().lines().last().unwrap();
    assert!(last.contains("are stopped"), "{last}");
    story
}

#[test]
fn the_tour_holds_with_the_servers_that_are_there() {
    let scratch = tempfile::tempdir().unwrap();
    let story = tour(demo(&[], scratch.path()), scratch.path());
    for pool in ["redis", "memcached"] {
        for scene in ["twelve keys", "2 is killed", "2 is back"] {
            let title = format!("== {pool}: ");
            let shown = |line: &str| line.starts_with(&title) && line.contains(scene);
            assert!(story.lines().any(shown), "{pool}, {scene}:\n{story}");
        }
    }
    assert_eq!(story.matches("[ok]").count(), 21, "{story}");
    for (server, pool) in [
        ("redis-server", "redis-1..3"),
        ("memcached", "memcached-1..3"),
    ] {
        let line = story.lines().find(|line| line.contains(pool)).unwrap();
        let expected = match Tool::find(server) {
            Some(tool) => tool.path().display().to_string(),
            None => "embedded".to_string(),
        };
        assert!(line.contains(&expected), "{line}");
    }
}

#[test]
fn the_tour_holds_with_embedded_servers() {
    let scratch = tempfile::tempdir().unwrap();
    let no_programs = tempfile::tempdir().unwrap();
    let mut command = demo(&[], scratch.path());
    command.env("PATH", no_programs.path());
    let story = tour(command, scratch.path());
    assert_eq!(story.matches("embedded").count(), 2, "{story}");
}

/// A demo that keeps serving, and what it printed about itself.
struct Serving {
    process: Process,
    story: String,
    redis: u16,
    memcached: u16,
    proxy_pid: u32,
}

fn serve(scratch: &Path) -> Serving {
    let mut process = Process::spawn(demo(&[], scratch));
    let ready = eventually(LIMIT, || {
        assert_eq!(
            process.exited(),
            None,
            "{}{}",
            process.stdout(),
            process.stderr()
        );
        process
            .stdout()
            .contains("Serving until Ctrl-C")
            .then(|| process.stdout())
    });
    let story = ready.expect("the demo serves after its tour");
    let line = story.lines().find(|line| line.contains(", pid ")).unwrap();
    let words: Vec<&str> = line.split([' ', ',', ':']).collect();
    let after = |word: &str| words[words.iter().position(|w| *w == word).unwrap() + 1];
    let ports: BTreeMap<&str, u16> = words
        .windows(3)
        .filter(|w| w[1] == "on")
        .map(|w| (w[0], w[2].parse().unwrap()))
        .collect();
    Serving {
        redis: ports["redis"],
        memcached: ports["memcached"],
        proxy_pid: after("pid").parse().unwrap(),
        process,
        story,
    }
}

/// Whether a process with that id runs (one that has exited but was not reaped does not).
fn runs(pid: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/stat"));
    status.is_ok_and(|text| !text.rsplit(')').next().unwrap_or("").starts_with(" Z"))
}

#[test]
fn it_serves_until_a_signal_and_then_everything_is_gone() {
    let scratch = tempfile::tempdir().unwrap();
    let mut serving = serve(scratch.path());
    let mut redis = Client::to_port(serving.redis);
    assert_eq!(redis.ask(&["SET", "greeting", "hello"]), "+OK\r\n");
    assert_eq!(redis.ask(&["GET", "greeting"]), "$5\r\nhello\r\n");
    let mut memcached = Client::to_port(serving.memcached);
    memcached.send(b"set greeting 0 0 5\r\nhello\r\nget greeting\r\n");
    let replies = memcached.until(b"END\r\n");
    assert_eq!(replies, b"STORED\r\nVALUE greeting 0 5\r\nhello\r\nEND\r\n");

    let dashboard = serving.story.lines().find_map(|line| {
        let url = line.strip_prefix("Dashboard:")?.trim();
        let port = url.strip_prefix("http://127.0.0.1:")?.strip_suffix('/')?;
        port.parse().ok()
    });
    let dashboard: u16 = dashboard.expect("the address of the dashboard");
    let mut browser = Client::to_port(dashboard);
    let request =
        format!("GET / HTTP/1.1\r\nHost: 127.0.0.1:{dashboard}\r\nConnection: close\r\n\r\n");
    browser.send(request.as_bytes());
    let page = String::from_utf8(browser.rest()).unwrap();
    assert!(page.contains("<title>Nuthatch</title>"), "{page}");

    serving.process.signal(Signal::INT);
    assert_eq!(serving.process.wait_exit(LIMIT).code(), Some(0));
    assert!(!runs(serving.proxy_pid), "the proxy outlived the demo");
    for port in [serving.redis, serving.memcached, dashboard] {
        assert!(Client::try_connect(&testkit::Endpoint::loopback(port)).is_err());
    }
    assert!(is_empty(scratch.path()));
}

/// The tour computes the places of keys itself; its table must agree with the command that it names.
#[test]
fn the_tour_names_the_servers_that_locate_names() {
    let scratch = tempfile::tempdir().unwrap();
    let mut serving = serve(scratch.path());
    let after = |label: &str| {
        let line = serving.story.lines().find_map(|l| l.strip_prefix(label));
        line.expect(label).trim().to_owned()
    };
    let config = after("Configuration:");
    let mut shown = 0;
    for pool in ["redis", "memcached"] {
        let (_, table) = serving
            .story
            .split_once(&format!("{pool}: twelve"))
            .unwrap();
        let rows = table
            .lines()
            .skip_while(|line| !line.contains("locate says"));
        for row in rows.skip(1).take_while(|line| line.starts_with("   user:")) {
            let words: Vec<&str> = row.split_whitespace().collect();
            let mut locate = Command::new(env!("CARGO_BIN_EXE_nuthatch"));
            locate.args(["locate", "-c", &config, "--json", "--pool", pool, words[0]]);
            let output = locate.output().unwrap();
            let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
            assert_eq!(answer[0]["server"], words[1], "{row}: {answer}");
            shown += 1;
        }
    }
    assert_eq!(shown, 24, "{}", serving.story);
    serving.process.signal(Signal::INT);
    assert_eq!(serving.process.wait_exit(LIMIT).code(), Some(0));
}

#[test]
fn a_killed_demo_takes_its_children_along() {
    if Tool::find("setpriv").is_none() {
        testkit::skip!("setpriv (util-linux) is not installed");
    }
    let scratch = tempfile::tempdir().unwrap();
    let mut serving = serve(scratch.path());
    serving.process.kill();
    let gone = eventually(LIMIT, || (!runs(serving.proxy_pid)).then_some(()));
    assert!(gone.is_some(), "the proxy outlived the demo");
}
