//! A pool of one real server serves what the server serves.

use crate::need;
use crate::rig::Rig;

#[test]
fn commands_about_all_keys_and_databases_are_served() {
    let lines = ["databases: 2", "allow_flush: true"];
    let rig = need!(Rig::redis(1, &lines), "redis-server");
    let mut client = rig.client();
    client.ask(&["MSET", "a", "1", "b", "2"]);
    assert_eq!(client.ask(&["MOVE", "b", "1"]), ":1\r\n");
    assert_eq!(client.ask(&["SWAPDB", "0", "1"]), "+OK\r\n");
    // Every client sees it, whichever connection its requests go over.
    let mut other = rig.client();
    assert_eq!(other.ask(&["KEYS", "*"]), "*1\r\n$1\r\nb\r\n");
    assert_eq!(other.ask(&["SELECT", "1"]), "+OK\r\n");
    assert_eq!(other.ask(&["GET", "a"]), "$1\r\n1\r\n");
    assert_eq!(
        client.ask(&["SWAPDB", "0", "99"]),
        "-ERR DB index is out of range\r\n"
    );
    let refused = client.ask(&["FT.SEARCH", "index", "hello"]);
    assert!(refused.starts_with("-ERR unknown command"), "{refused}");
    client.ask(&["MULTI"]);
    for command in [
        &["SWAPDB", "0", "1"][..],
        &["DBSIZE"],
        &["SCAN", "0"],
        &["FLUSHALL"],
    ] {
        assert_eq!(client.ask(command), "+QUEUED\r\n");
    }
    let executed = client.ask(&["EXEC"]);
    let expected = "*4\r\n+OK\r\n:1\r\n*2\r\n$1\r\n0\r\n*1\r\n$1\r\na\r\n+OK\r\n";
    assert_eq!(executed, expected);
    assert_eq!(client.ask(&["DBSIZE"]), ":0\r\n");
}

#[test]
fn what_is_refused_does_not_speak_of_several_servers() {
    let rig = need!(Rig::redis(1, &[]), "redis-server");
    let mut client = rig.client();
    for command in ["FLUSHALL", "FLUSHDB"] {
        let told = client.ask(&[command]);
        assert!(told.contains("allow_flush: true"), "{told}");
        assert!(!told.contains("every server"), "{told}");
    }
}
