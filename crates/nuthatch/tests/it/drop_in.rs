//! Tools that are used with nutcracker work with Nuthatch too.

use testkit::{Server, Tool};

use crate::need;
use crate::rig::Rig;
use crate::tool::run_tool;

#[test]
fn redis_cli_works_with_its_default_settings_and_with_resp3() {
    let rig = need!(Rig::redis(3, &[]), "redis-server");
    let port = rig.port.to_string();
    for version in ["-2", "-3"] {
        let ask = |words: &[&str]| {
            let args = [&["-p", &port, version], words].concat();
            Some(run_tool("redis-cli", &args)?.success())
        };
        let mut asked = vec![
            (ask(&["set", "k", "some value"]), "OK\n"),
            (ask(&["get", "k"]), "some value\n"),
            (ask(&["mset", "a", "1", "b", "2", "c", "3"]), "OK\n"),
            (ask(&["mget", "a", "b", "c"]), "1\n2\n3\n"),
            (ask(&["del", "a", "b", "c"]), "3\n"),
            (ask(&["hset", "h", "f", "v"]), "1\n"),
            (ask(&["hget", "h", "f"]), "v\n"),
            (ask(&["del", "h", "k"]), "2\n"),
        ];
        for (got, expected) in asked.drain(..) {
            assert_eq!(need!(got, "redis-cli"), expected, "{version}");
        }
    }
}

#[test]
fn redis_cli_logs_in_with_a_password() {
    let server = testkit::redis_with(&["--requirepass", "secret"]);
    let server = need!(server, "redis-server");
    let rig = Rig::before_redis(vec![server], &["redis_auth: secret"], &[]);
    let port = rig.port.to_string();
    for extra in [["-2"].as_slice(), &["-3"], &["--user", "default"]] {
        let login = ["-p", &port, "--no-auth-warning", "--pass", "secret"];
        let args = [&login, extra, &["set", "k", "v"]].concat();
        assert_eq!(
            need!(run_tool("redis-cli", &args), "redis-cli").success(),
            "OK\n"
        );
    }
    let without = need!(
        run_tool("redis-cli", &["-p", &port, "get", "k"]),
        "redis-cli"
    );
    assert_eq!(without.stdout.trim(), "NOAUTH Authentication required");
}

#[test]
fn redis_benchmark_runs_to_its_end() {
    let rig = need!(Rig::redis(2, &[]), "redis-server");
    let port = rig.port.to_string();
    let tests = "ping_inline,ping_mbulk,set,get,incr,lpush,rpop,sadd,hset,zadd,lrange_100,mset";
    let args = [
        "-p", &port, "-n", "2000", "-P", "8", "-r", "1000", "-q", "-t", tests,
    ];
    let done = need!(run_tool("redis-benchmark", &args), "redis-benchmark");
    let output = done.success();
    // Progress output is overwritten with carriage returns; a line of results ends with its latency.
    let results = output.matches("requests per second, p50=").count();
    assert_eq!(results, 13, "{output}");
    assert!(!output.contains("Error"), "{output}");
}

#[test]
fn the_tools_of_libmemcached_work() {
    let rig = need!(Rig::memcached(3, &["allow_flush: true"]), "memcached");
    let file = rig.proxy.dir().join("a-file");
    std::fs::write(&file, "its content").expect("the folder can be written");
    let path = file.display().to_string();
    let servers = format!("--servers=127.0.0.1:{}", rig.port);
    let ask = |tool: &str, words: &[&str]| {
        run_tool(tool, &[&[servers.as_str()], words].concat())
            .map(|done| (done.status, done.stdout))
    };
    let steps: &[(&str, &[&str], i32, &str)] = &[
        ("memcping", &[], 0, ""),
        ("memccp", &[&path], 0, ""),
        ("memccat", &["a-file"], 0, "its content"),
        ("memcexist", &["a-file"], 0, ""),
        ("memctouch", &["--expire=100", "a-file"], 0, ""),
        ("memcstat", &[], 0, "uptime"),
        (
            "memcslap",
            &["--test=get", "--concurrency=2", "--execute-number=100"],
            0,
            "Time total",
        ),
        ("memcrm", &["a-file"], 0, ""),
        ("memcexist", &["a-file"], 1, ""),
        ("memcflush", &[], 0, ""),
    ];
    for (tool, words, status, output) in steps {
        let (got, stdout) = need!(ask(tool, words), "libmemcached-tools");
        assert_eq!(got, Some(*status), "{tool}: {stdout}");
        assert!(stdout.contains(output), "{tool}: {stdout}");
    }
    for server in &rig.servers {
        assert_empty(server);
    }
}

fn assert_empty(server: &Server) {
    let mut client = server.client();
    client.send(b"get a-file\r\n");
    assert_eq!(client.line(), b"END\r\n");
}

#[test]
fn memccapable_passes_27_of_27() {
    let rig = need!(Rig::memcached(3, &["allow_flush: true"]), "memcached");
    let args = ["-h", "127.0.0.1", "-p", &rig.port.to_string(), "-a"];
    let done = need!(run_tool("memccapable", &args), "memccapable");
    let output = done.success();
    assert_eq!(output.matches("[pass]").count(), 27, "{output}");
    assert!(!output.contains("[FAIL]"), "{output}");
}

#[test]
fn linked_as_nutcracker_it_is_one() {
    let dir = tempfile::TempDir::new().expect("a folder");
    let link = dir.path().join("nutcracker");
    std::os::unix::fs::symlink(crate::rig::BIN, &link).expect("the folder can be written");
    let ours = |args: &[&str]| crate::tool::run(std::process::Command::new(&link), args);
    assert!(
        ours(&["-V"])
            .stderr
            .starts_with("This is nutcracker-0.5.0\n")
    );
    let Some(theirs) = Tool::find("nutcracker") else {
        testkit::skip!("nutcracker is not installed");
    };
    for args in [
        ["-s", "70000"].as_slice(),
        &["-s", "x"],
        &["-v"],
        &["-m", "1"],
        &["-m", "0"],
        &["--conf-file"],
        &["-Z"],
    ] {
        let theirs = crate::tool::run(theirs.command(), args);
        let ours = ours(args);
        assert_eq!(ours.status, theirs.status, "{args:?}");
        // A link may also be called by its path; the message is the same.
        let first = |text: &str| text.lines().next().map(str::to_owned);
        assert_eq!(first(&ours.stderr), first(&theirs.stderr), "{args:?}");
        assert_eq!(ours.stdout, theirs.stdout, "{args:?}");
    }
}
