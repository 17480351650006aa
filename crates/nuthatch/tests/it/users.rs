//! Users of a pool before real servers: who is told what, in the words of a real server with the same users.

use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use testkit::{Client, Server, redis};

use crate::admin;
use crate::need;
use crate::rig::{BIN, Rig, text, wait_for};

/// `printf %s secret | sha256sum`
const SECRET: &str = "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b";

/// The same users here and there: name, whether it has the password, and rules.
const USERS: [(&str, bool, &str); 4] = [
    ("default", false, "off"),
    (
        "app",
        true,
        "~cart:* %R~ro:* %W~wo:* &news:* +@all -@admin -@dangerous -@scripting +sort +acl|whoami",
    ),
    ("reader", true, "~* +@read +@connection +ping -@dangerous"),
    ("open", false, "nopass ~* &* +@all"),
];

fn lines() -> Vec<String> {
    let user = |(name, has_password, rules): &(&str, bool, &str)| {
        let password = match has_password {
            true => format!("password_sha256: {SECRET}, "),
            false => String::new(),
        };
        format!("  - {{name: {name}, {password}acl: \"{rules}\"}}")
    };
    let users = USERS.iter().map(user);
    ["users:".to_owned()].into_iter().chain(users).collect()
}

fn rig(servers: usize, args: &[&str]) -> Option<Rig> {
    let lines = lines();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    Rig::redis_with(servers, &lines, args)
}

/// A server that has these users itself.
fn server() -> Option<Server> {
    let server = redis()?;
    let mut client = server.client();
    for (name, has_password, rules) in USERS.iter().rev() {
        let password = format!("#{SECRET}");
        let mut words = vec!["ACL", "SETUSER", name, "reset"];
        match *rules {
            "off" => words.push("off"),
            _ => words.push("on"),
        }
        words.extend(has_password.then_some(password.as_str()));
        words.extend(rules.split(' ').filter(|rule| *rule != "off"));
        assert_eq!(client.ask(&words), "+OK\r\n", "{rules}");
    }
    Some(server)
}

/// What clients send one after the other. The proxy and the server must say the same.
const CONVERSATION: &str = "\
GET cart:1|PING|ACL WHOAMI|HELLO 3|HELLO 2|AUTH app wrong|AUTH nobody secret|AUTH secret|AUTH app|AUTH app secret\
|ACL WHOAMI|SET cart:1 a|GET cart:1|GET other|SET other x|MGET cart:1 ro:1|MGET cart:1 other|MSET cart:1 a other b\
|DEL cart:1 other|EXISTS wo:1|EXISTS other|GET ro:1|SET ro:1 x|GET wo:1|SET wo:1 x|SET wo:1 x GET|GETDEL wo:1|GETDEL cart:9\
|FLUSHALL|KEYS *|CONFIG GET save|CONFIG SET save x|EVAL return 1 0|SCRIPT LOAD x|CLIENT LIST|CLIENT KILL ID 1\
|PUBLISH news:1 hi|PUBLISH other hi|SUBSCRIBE other|PSUBSCRIBE news:1*|SORT cart:l BY w_*|SORT cart:l GET w_*|SORT cart:l\
|MULTI|SET cart:2 a|GET other|SET cart:3 b|EXEC|EXISTS cart:2 cart:3|MULTI|FLUSHALL|EXEC|MULTI|SET cart:2 a|EXEC|WATCH other\
|GET|GET cart:1 b|AUTH reader wrong|ACL WHOAMI|COPY cart:2 wo:2|COPY wo:2 cart:2|BITFIELD ro:1 GET u8 0\
|BITFIELD ro:1 SET u8 0 1|ZUNIONSTORE cart:z 2 cart:a other|XREAD COUNT 1 STREAMS cart:x other 0 0|OBJECT ENCODING other\
|ACL CAT nosuch|ACL GETUSER other|HELLO 2 AUTH app wrong|HELLO 2 AUTH app secret SETNAME me|CLIENT GETNAME|RESET|GET cart:1\
|AUTH reader secret|GET other|SET other x|DEL other|MULTI|EXEC|SUBSCRIBE news:1|PING|HELLO 2 AUTH open anything|SET other x|GET other\
|ACL WHOAMI|AUTH default secret|DEL other";

#[test]
fn what_users_are_told_is_what_redis_tells_them() {
    let rig = need!(rig(1, &[]), "redis-server");
    let server = need!(server(), "redis-server");
    let (mut here, mut there) = (rig.client(), server.client());
    let mut differences = Vec::new();
    for line in CONVERSATION.split('|') {
        let words: Vec<&str> = line.split(' ').collect();
        let (ours, theirs) = (here.ask(&words), there.ask(&words));
        let is_alike = match words[..] {
            // It tells of the server and the connection; the words of its error differ between releases.
            ["HELLO", ..] if theirs.starts_with(['*', '%']) => ours[..1] == theirs[..1],
            ["HELLO", _] => {
                ours.starts_with("-NOAUTH HELLO must be called") && theirs[..7] == ours[..7]
            }
            // It tells of commands, whatever their servers have.
            ["ACL", "CAT", _] => ours.starts_with("-ERR Unknown category"),
            _ => ours == theirs,
        };
        if !is_alike {
            differences.push(format!("{line}: {ours}not {theirs}"));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join(""));
    assert!(rig.pool_stat("not_permitted") > 20);
    // AUTH and HELLO with a wrong name or password.
    assert_eq!(rig.pool_stat("login_failures"), 7);
}

#[test]
fn a_refused_request_of_several_servers_does_nothing() {
    let rig = need!(rig(2, &[]), "redis-server");
    let mut client = rig.client();
    assert_eq!(client.ask(&["AUTH", "open", ""]), "+OK\r\n");
    let keys: Vec<String> = (0..40).map(|number| format!("cart:{number}")).collect();
    let mut mset = vec!["MSET"];
    keys.iter().for_each(|key| mset.extend([key.as_str(), "v"]));
    let mut del: Vec<&str> = vec!["DEL"];
    del.extend(keys.iter().map(String::as_str));
    assert_eq!(client.ask(&mset), "+OK\r\n");
    assert_eq!(client.ask(&["AUTH", "app", "secret"]), "+OK\r\n");
    del.push("other");
    assert!(client.ask(&del).starts_with("-NOPERM "), "{del:?}");
    del.pop();
    assert_eq!(client.ask(&del), ":40\r\n");
}

/// AUTH counts for what is pipelined behind it, wherever the bytes are cut.
#[test]
fn what_is_pipelined_behind_auth_is_sent_by_that_user() {
    let rig = need!(rig(2, &[]), "redis-server");
    let requests: [&[&[u8]]; 6] = [
        &[b"GET", b"cart:1"],
        &[b"AUTH", b"app", b"secret"],
        &[b"SET", b"cart:1", b"a"],
        &[b"AUTH", b"reader", b"secret"],
        &[b"SET", b"cart:1", b"b"],
        &[b"GET", b"cart:1"],
    ];
    let mut bytes = Vec::new();
    for words in requests {
        bytes.extend(format!("*{}\r\n", words.len()).bytes());
        for word in words {
            bytes.extend(format!("${}\r\n", word.len()).bytes());
            bytes.extend_from_slice(word);
            bytes.extend(b"\r\n");
        }
    }
    for cut in (0..bytes.len()).step_by(3) {
        let mut client = rig.client();
        client.send(&bytes[..cut]);
        sleep(Duration::from_millis(1));
        client.send(&bytes[cut..]);
        let replies: String = (0..6).map(|_| text(&client.reply())).collect();
        assert_eq!(
            replies,
            "-NOAUTH Authentication required.\r\n+OK\r\n+OK\r\n+OK\r\n\
             -NOPERM this user has no permissions to run the 'set' command\r\n$1\r\na\r\n",
            "cut at {cut}"
        );
    }
}

#[test]
fn an_address_with_many_failures_is_not_heard_for_a_while() {
    let rig = need!(rig(1, &[]), "redis-server");
    let mut good = rig.client();
    assert_eq!(good.ask(&["AUTH", "app", "secret"]), "+OK\r\n");
    let wrong = "-WRONGPASS invalid username-password pair or user is disabled.\r\n";
    for _ in 0..11 {
        assert_eq!(rig.client().ask(&["AUTH", "app", "guess"]), wrong);
    }
    let mut client = rig.client();
    let refused = client.ask(&["AUTH", "app", "secret"]);
    assert!(
        refused.starts_with("-ERR too many attempts to authenticate from this address"),
        "{refused}"
    );
    let refused = client.ask(&["HELLO", "2", "AUTH", "app", "secret"]);
    assert!(refused.starts_with("-ERR too many attempts"), "{refused}");
    // Whoever is known is served.
    assert_eq!(good.ask(&["SET", "cart:1", "x"]), "+OK\r\n");
    wait_for("the time is over", || {
        client.ask(&["AUTH", "app", "secret"]) == "+OK\r\n"
    });
    assert!(rig.pool_stat("logins_refused") >= 2);
    assert_eq!(rig.pool_stat("login_failures"), 11);
}

#[test]
fn clients_and_their_users_are_told_without_secrets() {
    let log = ["-v", "11"];
    let lines = lines();
    let more = ["access_log: 1", "slow_log: 0"];
    let all: Vec<&str> = lines.iter().map(String::as_str).chain(more).collect();
    let (rig, port) = need!(admin::rig(1, &all, &log), "redis-server");
    let mut client = rig.client();
    let wrong = ["AUTH", "app", "hunter2hunter2"];
    assert!(client.ask(&wrong).starts_with("-WRONGPASS"));
    assert_eq!(
        client
            .ask(&["HELLO", "2", "AUTH", "open", "opensesame"])
            .as_bytes()[0],
        b'*'
    );
    assert_eq!(client.ask(&["AUTH", "app", "secret"]), "+OK\r\n");
    assert!(client.ask(&["FLUSHALL"]).starts_with("-NOPERM"));
    let info = client.ask(&["CLIENT", "INFO"]);
    assert!(info.contains(" user=app "), "{info}");
    let mut open = rig.client();
    assert_eq!(open.ask(&["AUTH", "open", "opensesame"]), "+OK\r\n");
    let own = open.ask(&["ACL", "GETUSER", "open"]);
    assert!(own.contains("nopass") && own.contains("+@all"), "{own}");
    assert!(open.ask(&["ACL", "GETUSER", "app"]).starts_with("-ERR "));
    let clients = open.ask(&["CLIENT", "LIST"]);
    assert!(clients.contains(" user=app "), "{clients}");
    let slow = open.ask(&["SLOWLOG", "GET", "100"]);
    let config = admin::ask(port, "/config", &[]).body;
    let listed = admin::ask(port, "/clients", &[]).body;
    assert!(
        config.contains("cart:*") && config.contains("********"),
        "{config}"
    );
    let log = rig.proxy.stderr();
    assert!(log.contains("user 'app' may not send 'flushall'"), "{log}");
    assert!(
        log.contains("refused a client: wrong name or password"),
        "{log}"
    );
    for told in [info, own, clients, slow, config, listed, log] {
        for secret in ["hunter2", "opensesame", "secret", &SECRET[..16]] {
            assert!(!told.contains(secret), "{secret} in {told}");
        }
    }
}

/// A proxy that is told to reload.
fn reload(socket: &Path) {
    let mut command = Command::new(BIN);
    command.args(["ctl", "--control"]).arg(socket).arg("reload");
    let output = command.output().expect("the program can be run");
    assert!(output.status.success(), "{}", text(&output.stderr));
}

fn logged_in(rig: &Rig, user: &str) -> Client {
    let mut client = rig.client();
    assert_eq!(client.ask(&["AUTH", user, "secret"]), "+OK\r\n");
    client
}

#[test]
fn a_reload_changes_what_users_may_do_and_closes_those_that_are_gone() {
    let dir = tempfile::tempdir().expect("a temporary directory can be made");
    let socket = dir.path().join("control.sock");
    let path = socket.to_str().expect("its path is text").to_owned();
    let rig = need!(rig(1, &["--control", &path]), "redis-server");
    let mut app = logged_in(&rig, "app");
    let mut listening = logged_in(&rig, "app");
    let mut reader = logged_in(&rig, "reader");
    let subscribed = listening.ask(&["SUBSCRIBE", "news:1"]);
    assert!(subscribed.contains("subscribe"), "{subscribed}");
    assert_eq!(app.ask(&["SET", "cart:1", "x"]), "+OK\r\n");
    let conf = std::fs::read_to_string(rig.proxy.conf()).expect("the file can be read");
    let other = "00".repeat(32);
    // The password and the keys of one user, and its channels; another user is gone.
    let conf = conf
        .replacen(SECRET, &other, 1)
        .replace("~cart:*", "~basket:*")
        .replace(" &news:*", "");
    let conf: Vec<&str> = conf
        .lines()
        .filter(|line| !line.contains("reader"))
        .collect();
    std::fs::write(rig.proxy.conf(), conf.join("\n") + "\n").expect("it can be written");
    reload(&socket);
    assert_eq!(
        app.ask(&["SET", "cart:1", "x"]),
        "-NOPERM this user has no permissions to access one of the keys used as arguments\r\n"
    );
    assert_eq!(app.ask(&["SET", "basket:1", "x"]), "+OK\r\n");
    assert!(
        rig.client()
            .ask(&["AUTH", "app", "secret"])
            .starts_with("-WRONGPASS")
    );
    assert_eq!(text(&reader.rest()), "");
    assert_eq!(text(&listening.rest()), "");
}
