//! The access log: lines of JSON in a file of its own, which a reload and SIGHUP change.

use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use testkit::Signal;

use crate::admin::rig;
use crate::latency::ctl;
use crate::need;
use crate::rig::wait_for;

/// The lines of the file, as far as they are whole.
fn lines(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap_or_default();
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    let read = |line: &str| serde_json::from_str(line).expect("an object");
    whole.lines().map(read).collect()
}

#[test]
fn requests_are_written_where_a_reload_says_and_the_file_can_be_rotated() {
    let args = ["--control=control.sock", "--workers=2"];
    let (mut rig, _) = need!(rig(2, &[], &args), "redis-server");
    let dir = rig.proxy.dir().to_owned();
    let ctl = |words: &[&str]| ctl(&dir.join("control.sock"), words);
    let (file, rotated) = (dir.join("access.log"), dir.join("access.log.1"));
    let before = fs::read_to_string(rig.proxy.conf()).expect("a file");
    let conf = rig.proxy.conf().to_owned();
    let reload = |text: &str| {
        fs::write(&conf, text).expect("a file");
        ctl(&["reload"])
    };
    let logging = before.replace("  redis: true\n", "  redis: true\n  access_log: 1\n");
    let nowhere = format!(
        "nuthatch:\n  access_log_file: {}/no/file\n{logging}",
        dir.display()
    );
    let refused = reload(&nowhere).output();
    assert!(refused.contains("opening the access log"), "{refused}");
    let logging = format!(
        "nuthatch:\n  access_log_file: {}\n{logging}",
        file.display()
    );
    let told = reload(&logging).success();
    assert!(told.contains("access_log"), "{told}");

    let mut client = rig.client();
    client.ask(&["CLIENT", "SETNAME", "app"]);
    client.ask(&["SET", "first\u{1b}", "value"]);
    client.ask(&["INCR", "first\u{1b}"]);
    wait_for("the lines are written", || lines(&file).len() == 2);
    check_lines(&lines(&file));

    fs::rename(&file, &rotated).expect("renamed");
    rig.proxy.signal(Signal::HUP);
    wait_for("the file is there again", || file.exists());
    client.ask(&["GET", "second"]);
    wait_for("the line is written", || lines(&file).len() == 1);
    assert_eq!(lines(&rotated).len(), 2);

    // What is queued is written before the process ends.
    client.ask(&["GET", "third"]);
    reload(&before).success();
    client.ask(&["GET", "fourth"]);
    rig.proxy.signal(Signal::TERM);
    assert!(rig.proxy.wait_exit(Duration::from_secs(20)).success());
    assert_eq!(lines(&file).len(), 2);
}

/// A SET and an INCR that fails, of a client with a name.
fn check_lines(written: &[Value]) {
    for (line, (command, outcome)) in written.iter().zip([("SET", "ok"), ("INCR", "error")]) {
        assert_eq!(
            (&line["command"], &line["outcome"]),
            (&command.into(), &outcome.into())
        );
        assert_eq!(
            (&line["pool"], &line["client_name"]),
            (&"pool".into(), &"app".into())
        );
        assert_eq!(line["key"], "first\\x1b");
        assert!(
            line["server"].as_str().expect("a name").starts_with('s'),
            "{line}"
        );
        assert!(
            line["client"]
                .as_str()
                .expect("an address")
                .starts_with("127.0.0.1:"),
            "{line}"
        );
        for number in ["bytes_in", "bytes_out", "server_us"] {
            assert!(
                line[number].as_u64().expect("a number") > 0,
                "{number}: {line}"
            );
        }
        assert!(line["proxy_us"].is_u64(), "{line}");
    }
}
