//! Connections to servers give a user and a password from a file, which is renewed while they are served.

use std::fs;
use std::process::Command;

use testkit::{Server, free_port};

use crate::need;
use crate::rig::{BIN, Rig, pool, text, wait_for};

/// Redis with a user `app`; its default user has a password that the proxy does not know.
fn server(password: &str) -> Option<Server> {
    let server = testkit::redis()?;
    let mut direct = server.client();
    let password = format!(">{password}");
    let rule = [
        "ACL", "SETUSER", "app", "on", &password, "~*", "&*", "+@all",
    ];
    assert_eq!(direct.ask(&rule), "+OK\r\n");
    direct.ask(&["CONFIG", "SET", "requirepass", "other"]);
    Some(server)
}

/// A client of the server itself that may do everything.
fn admin(server: &Server) -> testkit::Client {
    let mut direct = server.client();
    assert_eq!(direct.ask(&["AUTH", "other"]), "+OK\r\n");
    direct
}

#[test]
fn a_renewed_password_is_given_by_further_connections() {
    let server = need!(server("one"), "redis-server");
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("token");
    fs::write(&file, "one\n").expect("a file");
    let mut direct = admin(&server);
    let line = format!("server_login: {{user: app, file: {}}}", file.display());
    let rig = Rig::before_redis(vec![server], &[&line], &[]);
    // Clients need none.
    let mut client = rig.client();
    assert_eq!(client.ask(&["SET", "k", "v"]), "+OK\r\n");
    assert!(direct.ask(&["CLIENT", "LIST"]).contains(" user=app "));
    let expect = |what: &str| wait_for(what, || rig.proxy.stderr().contains(what));
    // Something is wrong with the new one.
    fs::write(&file, "a b c d").expect("a file");
    expect(
        "the file of `server_login` has changed and is not used: it has more than three words in line 1",
    );
    fs::write(&file, "app two\n").expect("a file");
    expect("the logins of its servers were read anew");
    assert_eq!(client.ask(&["GET", "k"]), "$1\r\nv\r\n", "it is still open");
    assert_eq!(
        direct.ask(&["ACL", "SETUSER", "app", ">two", "<one"]),
        "+OK\r\n"
    );
    direct.ask(&["CLIENT", "KILL", "USER", "app"]);
    wait_for("the new password is given", || {
        client.ask(&["GET", "k"]) == "$1\r\nv\r\n"
    });
    let log = rig.proxy.stderr();
    assert!(!log.contains("two\n") && !log.contains("one\n"), "{log}");
}

#[test]
fn each_server_may_have_its_own() {
    let servers = [server("first"), server("second")].into_iter();
    let servers: Vec<Server> = need!(servers.collect::<Option<_>>(), "redis-server");
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("logins");
    fs::write(&file, "# by hand\ns0 app first\ns1 app second\n").expect("a file");
    let lines = [
        format!("server_login: {{file: {}}}", file.display()),
        "redis_auth: for-clients".into(),
    ];
    let lines = [&lines[0][..], &lines[1]];
    let rig = Rig::before_redis(servers, &lines, &[]);
    let mut client = rig.client();
    assert!(client.ask(&["GET", "k"]).starts_with("-NOAUTH"));
    assert_eq!(client.ask(&["AUTH", "for-clients"]), "+OK\r\n");
    for number in 0..20 {
        assert_eq!(client.ask(&["SET", &format!("k{number}"), "v"]), "+OK\r\n");
    }
}

#[test]
fn a_server_without_a_login_is_told_at_the_start() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("logins");
    fs::write(&file, "s1 app secret-word\n").expect("a file");
    let endpoint = testkit::Endpoint::loopback(free_port());
    let line = format!("server_login: {{file: {}}}", file.display());
    let conf = pool("p", "127.0.0.1:1", &[&endpoint], &["redis: true", &line]);
    let path = dir.path().join("n.yml");
    fs::write(&path, conf).expect("a file");
    let output = Command::new(BIN).args(["-t", "-c"]).arg(&path).output();
    let said = text(&output.expect("it runs").stderr);
    assert!(said.contains("has no line for server `s0`"), "{said}");
    assert!(said.contains("n.yml:4:"), "{said}");
    assert!(!said.contains("secret-word"), "{said}");
}
