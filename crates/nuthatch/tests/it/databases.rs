//! `databases`: real servers with several databases.

use crate::need;
use crate::rig::Rig;

#[test]
fn what_a_client_stores_is_in_the_database_that_it_has_selected() {
    let rig = need!(
        Rig::redis_with(
            3,
            &["databases: 16", "allow_flush: true"],
            &["--workers", "2"]
        ),
        "redis-server"
    );
    let mut clients: Vec<_> = (0..4).map(|_| rig.client()).collect();
    for (number, client) in clients.iter_mut().enumerate() {
        assert_eq!(client.ask(&["SELECT", &number.to_string()]), "+OK\r\n");
        for key in 0..30 {
            let (key, value) = (format!("{key}:key"), format!("{number}"));
            assert_eq!(client.ask(&["SET", &key, &value]), "+OK\r\n");
        }
    }
    for (number, client) in clients.iter_mut().enumerate() {
        assert_eq!(client.ask(&["DBSIZE"]), ":30\r\n");
        let value = format!("$1\r\n{number}\r\n");
        let got = client.ask(&["MGET", "0:key", "17:key", "29:key"]);
        assert_eq!(got, format!("*3\r\n{}", value.repeat(3)));
        assert_eq!(client.ask(&["MULTI"]), "+OK\r\n");
        assert_eq!(client.ask(&["GET", "5:key"]), "+QUEUED\r\n");
        assert_eq!(client.ask(&["EXEC"]), format!("*1\r\n{value}"));
    }
    assert_eq!(clients[2].ask(&["FLUSHDB"]), "+OK\r\n");
    let sizes = clients.iter_mut().map(|client| client.ask(&["DBSIZE"]));
    let sizes: Vec<String> = sizes.collect();
    assert_eq!(sizes, [":30\r\n", ":30\r\n", ":0\r\n", ":30\r\n"]);
    let direct: Vec<String> = (0..3)
        .map(|server| rig.servers[server].client().ask(&["INFO", "keyspace"]))
        .collect();
    assert!(
        direct
            .iter()
            .all(|info| info.contains("db3:keys=") && !info.contains("db2:"))
    );
}
