//! Users of a memcached pool before real servers, beside a real server that runs with `-Y`; and servers that run so.

use std::fs;
use std::path::Path;
use std::process::Command;

use testkit::{Client, Server, memcached, memcached_with};

use crate::need;
use crate::rig::{BIN, Rig, memcached_ask, pool, text, wait_for};

/// `printf %s secret | sha256sum`
const SECRET: &str = "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b";

/// A memcached that runs with `-Y`, and has these users.
fn guarded(dir: &Path, users: &str) -> Option<Server> {
    let file = dir.join("users");
    fs::write(&file, users).expect("a file");
    memcached_with(&["-Y", file.to_str().expect("its path is text")])
}

fn users(rules: &str) -> String {
    format!("users: [{{name: app, password_sha256: {SECRET}, acl: \"{rules}\"}}]")
}

/// What clients send one after the other, and how many lines are the answer. The proxy and the server must say the same.
const CONVERSATION: &[(&str, usize)] = &[
    ("get a\r\n", 1),
    ("gets a\r\n", 1),
    ("mg a v\r\n", 1),
    ("mn\r\n", 1),
    ("version\r\n", 1),
    ("quit\r\n", 1),
    ("stats\r\n", 1),
    ("\r\n", 1),
    ("nonsense\r\n", 1),
    ("SET x 0 0 10\r\n", 1),
    ("set x 0 10\r\n", 1),
    ("set x\r\n", 1),
    ("set x 0 0 ten\r\n", 1),
    ("set x 0 0 -1\r\n", 1),
    ("cas x 0 0 10 1\r\n", 1),
    ("set x 0 0 9\r\napp wrong\r\n", 1),
    ("set x 0 0 10\r\nfoo secret\r\n", 1),
    ("set x 0 0 11\r\napp secretx\r\n", 1),
    ("set x 0 0 9\r\nappsecret\r\n", 1),
    ("set x 0 0 0\r\n\r\n", 1),
    ("set x 0 0 10\r\napp secretXX", 1),
    ("set x 0 0 9 noreply\r\napp wrong\r\n", 1),
    ("get x\r\n", 1),
    ("set x 0 0 10\r\napp secret\r\nget x\r\nversion\r\n", 3),
    ("set x 0 0 10\r\napp secret\r\n", 1),
    ("get x\r\n", 3),
    ("set x 0 0 10 noreply\r\napp wrong!\r\nget x\r\n", 3),
];

/// Each of them is right, as a whole.
const LOGINS: &[&str] = &[
    "set x 0 0 10\r\napp secret\r\n",
    "set x 0 0 10\napp secret\r\n",
    " set  x 0 0 10 \r\napp secret\r\n",
    "set x y z 10\r\napp secret\r\n",
    "set x 0 0 10 noreply\r\napp secret\r\n",
    "set x 0 0 10 a b c\r\napp secret\r\n",
    "set x 0 0 14\r\n app  secret x\r\n",
];

#[test]
fn what_clients_are_told_is_what_memcached_tells_them() {
    let rig = need!(Rig::memcached(2, &[&users("+@all allkeys")]), "memcached");
    let dir = tempfile::tempdir().expect("a directory");
    let server = need!(guarded(dir.path(), "app:secret\n"), "memcached");
    let (mut here, mut there) = (rig.client(), server.client());
    let ask = |client: &mut Client, request: &str, lines: usize| -> String {
        client.send(request.as_bytes());
        (0..lines).map(|_| text(&client.line())).collect()
    };
    for (request, lines) in CONVERSATION {
        let ours = ask(&mut here, request, *lines);
        assert_eq!(ours, ask(&mut there, request, *lines), "{request}");
    }
    let long = format!("set x{} 0 0 10\r\napp secret\r\n", "x".repeat(1_000));
    let spaced = format!("set x 0 0 2048\r\napp secret{}\r\n", " ".repeat(2_038));
    for login in LOGINS.iter().copied().chain([&long[..], &spaced]) {
        for mut client in [rig.client(), server.client()] {
            assert_eq!(ask(&mut client, login, 1), "STORED\r\n", "{login}");
            assert_eq!(ask(&mut client, "get nothing\r\n", 1), "END\r\n");
        }
    }
    for mut client in [rig.client(), server.client()] {
        client.send("k".repeat(2_100).as_bytes());
        let rest = text(&client.rest());
        assert!(
            rest.is_empty() || rest.starts_with("CLIENT_ERROR line is longer"),
            "{rest}"
        );
    }
    assert_eq!(rig.pool_stat("login_failures"), 4);
}

fn ctl(socket: &Path, command: &str) -> String {
    let output = Command::new(BIN)
        .args(["ctl", "--control"])
        .arg(socket)
        .arg(command)
        .output();
    let output = output.expect("the program can be run");
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout)
}

#[test]
fn clients_are_told_by_their_users_without_secrets_and_a_reload_closes_them() {
    let dir = tempfile::tempdir().expect("a directory");
    let socket = dir.path().join("control.sock");
    let path = socket.to_str().expect("its path is text");
    let server = need!(memcached(), "memcached");
    let args = ["-v", "11", "--control", path];
    let users = users("+@all -@admin ~a*");
    let lines = [&users[..], "access_log: 1", "slow_log: 0"];
    let rig = Rig::before_memcached(vec![server], &lines, &args);
    let mut client = rig.client();
    let wrong = memcached_ask(&mut client, "set x 0 0 11\r\napp hunter2\r\n");
    assert_eq!(wrong, "CLIENT_ERROR authentication failure\r\n");
    let short = memcached_ask(&mut client, "set x 0 0 10\r\napp hunter2\r\n");
    assert_eq!(short, "CLIENT_ERROR bad command line termination\r\n");
    // The rest of it, a line feed, is a line.
    assert_eq!(text(&client.line()), "CLIENT_ERROR unauthenticated\r\n");
    assert_eq!(
        memcached_ask(&mut client, "set x 0 0 10\r\napp secret\r\n"),
        "STORED\r\n"
    );
    assert_eq!(
        memcached_ask(&mut client, "set a 0 0 1\r\nv\r\n"),
        "STORED\r\n"
    );
    let refused = memcached_ask(&mut client, "flush_all\r\n");
    assert_eq!(
        refused,
        "CLIENT_ERROR not permitted: user 'app' may not use 'flush_all'\r\n"
    );
    assert_eq!(rig.pool_stat("not_permitted"), 1);
    let clients = ctl(&socket, "clients");
    assert!(clients.contains("app"), "{clients}");
    let line = "user 'app' may not send 'flush_all'";
    wait_for(line, || rig.proxy.stderr().contains(line));
    let log = rig.proxy.stderr();
    for told in [clients, log] {
        for secret in ["hunter2", "secret", &SECRET[..16]] {
            assert!(!told.contains(secret), "{secret} in {told}");
        }
    }
    let conf = fs::read_to_string(rig.proxy.conf()).expect("the file can be read");
    let other = conf.replace("name: app", "name: another");
    fs::write(rig.proxy.conf(), other).expect("it can be written");
    ctl(&socket, "reload");
    assert_eq!(text(&client.rest()), "");
}

fn login_line(file: &Path) -> String {
    format!("server_login: {{user: app, file: {}}}", file.display())
}

#[test]
fn servers_that_want_a_login_are_given_one() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("password");
    fs::write(&file, "hunter2\n").expect("a file");
    let server = need!(guarded(dir.path(), "app:opensesame\n"), "memcached");
    let rig = Rig::before_memcached(vec![server], &[&login_line(&file)], &[]);
    let mut client = rig.client();
    let refused = "SERVER_ERROR the server refused the name or the password of the pool\r\n";
    assert_eq!(memcached_ask(&mut client, "get a\r\n"), refused);
    let line = "the server refused AUTH: SERVER_ERROR the server refused the name or the password of the pool";
    wait_for(line, || rig.proxy.stderr().contains(line));
    fs::write(&file, "opensesame\n").expect("a file");
    wait_for("the new password is given", || {
        memcached_ask(&mut client, "set a 0 0 1\r\nv\r\n") == "STORED\r\n"
    });
    let log = rig.proxy.stderr();
    assert!(
        !log.contains("hunter2") && !log.contains("opensesame"),
        "{log}"
    );
}

/// It would be there for everybody.
#[test]
fn a_server_that_wants_no_login_keeps_nothing_of_it() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("password");
    fs::write(&file, "opensesame\n").expect("a file");
    let server = need!(memcached(), "memcached");
    let mut direct = server.client();
    let rig = Rig::before_memcached(vec![server], &[&login_line(&file)], &[]);
    assert_eq!(memcached_ask(&mut rig.client(), "get a\r\n"), "END\r\n");
    assert_eq!(
        memcached_ask(&mut direct, "get nuthatch:server_login\r\n"),
        "END\r\n"
    );
    direct.send(b"stats\r\n");
    let stats = text(&direct.until(b"END\r\n"));
    assert!(stats.contains("STAT cmd_set 1\r\n"), "{stats}");
}

#[test]
fn a_login_without_a_user_is_told_at_the_start() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("password");
    fs::write(&file, "opensesame\n").expect("a file");
    let endpoint = testkit::Endpoint::loopback(testkit::free_port());
    let line = format!("server_login: {{file: {}}}", file.display());
    let path = dir.path().join("n.yml");
    fs::write(&path, pool("p", "127.0.0.1:1", &[&endpoint], &[&line])).expect("a file");
    let output = Command::new(BIN).args(["-t", "-c"]).arg(&path).output();
    let said = text(&output.expect("it runs").stderr);
    assert!(
        said.contains("has a password without a user in line 1"),
        "{said}"
    );
    assert!(
        said.contains("n.yml:3:") && said.contains("USER PASSWORD"),
        "{said}"
    );
    assert!(!said.contains("opensesame"), "{said}");
}
