//! `/metrics` as Prometheus takes it: its own linter, and a scrape.

use std::fs;
use std::process::{Command, Stdio};

use std::io::Write;
use testkit::{Process, Tool, free_port};

use crate::admin::{ask, rig, send};
use crate::need;
use crate::rig::wait_for;

/// Names of a pool that have to be escaped, each as YAML.
const HOSTILE: &str = "'a\"b\\c{}'";

#[test]
fn promtool_finds_nothing_wrong() {
    let promtool = need!(
        Tool::find("promtool"),
        "promtool (Debian's package prometheus)"
    );
    let (rig, port) = need!(rig(2, &[], &[]), "redis-server");
    rig.keys();
    let page = ask(port, "/metrics", &[]);
    assert!(
        page.head
            .contains("content-type: text/plain; version=0.0.4"),
        "{}",
        page.head
    );
    let mut check = promtool.command();
    check.args(["check", "metrics"]);
    check
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut check = check.spawn().expect("promtool runs");
    let mut input = check.stdin.take().expect("its input");
    input.write_all(page.body.as_bytes()).expect("it reads");
    drop(input);
    let done = check.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&[done.stdout, done.stderr].concat()).into_owned();
    assert!(done.status.success() && said.is_empty(), "{said}");
}

#[test]
fn prometheus_scrapes_it() {
    let prometheus = need!(Tool::find("prometheus"), "prometheus (Debian's package)");
    let listen = free_port();
    let more = format!(
        "{HOSTILE}:\n  listen: 127.0.0.1:{listen}\n  servers:\n    - 127.0.0.1:1:1 s\"\\1\n"
    );
    let port = free_port();
    let admin = format!("--admin=127.0.0.1:{port}");
    let server = need!(testkit::redis(), "redis-server");
    let rig = crate::rig::Rig::start(vec![server], &["redis: true"], &[&admin], true, &more);
    let key = rig.keys().remove(0);
    assert_eq!(rig.client().ask(&["GET", &key]), "$1\r\nv\r\n");

    let dir = tempfile::tempdir().expect("a folder");
    let conf = dir.path().join("prometheus.yml");
    let text = format!(
        "global:\n  scrape_interval: 1s\nscrape_configs:\n  - job_name: nuthatch\n    static_configs:\n      \
         - targets: ['127.0.0.1:{port}']\n"
    );
    fs::write(&conf, text).expect("the file");
    let web = free_port();
    let mut command = Command::new(prometheus.path());
    command.arg(format!("--config.file={}", conf.display()));
    command.arg(format!(
        "--storage.tsdb.path={}",
        dir.path().join("data").display()
    ));
    command.arg(format!("--web.listen-address=127.0.0.1:{web}"));
    let _prometheus = Process::spawn(command);

    let found = |query: &str| {
        let path = format!("/api/v1/query?query={query}");
        let request = format!("GET {path} HTTP/1.0\r\n\r\n");
        std::net::TcpStream::connect(("127.0.0.1", web))
            .map(|_| send(web, &request).body)
            .unwrap_or_default()
    };
    wait_for("a scrape that succeeds", || {
        found("up").contains(&format!(
            "\"instance\":\"127.0.0.1:{port}\",\"job\":\"nuthatch\"}},\"value\":["
        )) && found("up==1").contains("nuthatch")
    });
    let requests = found("nuthatch_server_requests_total");
    assert!(
        requests.contains(r#""pool":"pool""#) && requests.contains(r#""server":"s0""#),
        "{requests}"
    );
    assert!(requests.contains(r#""pool":"a\"b\\c{}""#), "{requests}");
    assert!(requests.contains(r#""server":"s\"\\1""#), "{requests}");
    let dropped = found("scrape_samples_post_metric_relabeling-scrape_samples_scraped");
    assert!(dropped.contains(",\"0\"]"), "{dropped}");
    for name in [
        "process_open_fds",
        "process_resident_memory_bytes",
        "nuthatch_build_info",
    ] {
        assert!(found(name).contains("\"value\":["), "{name}");
    }
}
