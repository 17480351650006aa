//! Commands that administer real servers, and end what keeps them busy.

use std::time::{Duration, Instant};

use testkit::Client;

use crate::need;
use crate::rig::{Rig, text, wait_for};

const ENDLESS: &str = "while true do end";

/// Servers that call a script slow after 100 ms.
fn impatient(servers: usize, lines: &[&str], args: &[&str]) -> Option<Rig> {
    let rig = Rig::redis_with(servers, lines, args)?;
    for server in &rig.servers {
        let told = server
            .client()
            .ask(&["CONFIG", "SET", "lua-time-limit", "100"]);
        assert_eq!(told, "+OK\r\n");
    }
    Some(rig)
}

/// Ends what runs, once it runs for long enough.
fn end(client: &mut Client, container: &str) {
    wait_for("something is ended", || {
        let told = client.ask(&[container, "KILL"]);
        assert!(told == "+OK\r\n" || told.starts_with("-NOTBUSY"), "{told}");
        told == "+OK\r\n"
    });
}

#[test]
fn an_endless_script_is_ended_through_the_proxy() {
    for (servers, workers) in [(1, "1"), (3, "2")] {
        let rig = impatient(servers, &[], &["--workers", workers]);
        let rig = need!(rig, "redis-server");
        let key = rig.keys().remove(servers - 1);
        let mut runs = rig.client();
        let mut held_up = rig.client();
        let mut kills: Vec<Client> = (0..2).map(|_| rig.client()).collect();
        assert!(kills[0].ask(&["SCRIPT", "KILL"]).starts_with("-NOTBUSY"));
        for kills in &mut kills {
            runs.command(&[b"EVAL", ENDLESS.as_bytes(), b"1", key.as_bytes()]);
            std::thread::sleep(Duration::from_millis(150));
            held_up.command(&[b"GET", key.as_bytes()]);
            end(kills, "SCRIPT");
            let told = text(&runs.reply());
            assert!(told.contains("killed"), "{told}");
            // Over another connection than the script's the server has refused it meanwhile.
            let told = text(&held_up.reply());
            assert!(told == "$1\r\nv\r\n" || told.starts_with("-BUSY"), "{told}");
        }
        let mut client = rig.client();
        assert_eq!(client.ask(&["GET", &key]), "$1\r\nv\r\n");
    }
}

#[test]
fn an_endless_function_is_ended_and_one_that_has_written_is_not() {
    let rig = need!(impatient(2, &[], &[]), "redis-server");
    let mut client = rig.client();
    let code = "#!lua name=lib\nredis.register_function('spin', function() while true do end end)";
    assert_eq!(client.ask(&["FUNCTION", "LOAD", code]), "$3\r\nlib\r\n");
    let dump = client.ask(&["FUNCTION", "DUMP"]);
    assert!(dump.starts_with('$') && dump.contains("lib"), "{dump:?}");
    let mut runs = rig.client();
    runs.command(&[b"FCALL", b"spin", b"1", b"k"]);
    end(&mut client, "FUNCTION");
    let told = text(&runs.reply());
    assert!(told.contains("killed"), "{told}");

    let script = "redis.call('SET', KEYS[1], '1') local t = redis.call('TIME')[1] \
        while redis.call('TIME')[1] - t < 3 do end return 'done'";
    runs.command(&[b"EVAL", script.as_bytes(), b"1", b"k"]);
    wait_for("it is refused", || {
        client.ask(&["SCRIPT", "KILL"]).starts_with("-UNKILLABLE")
    });
    assert_eq!(text(&runs.reply()), "$4\r\ndone\r\n");
}

#[test]
fn a_script_is_ended_at_a_server_that_was_ejected_because_of_it() {
    let lines = [
        "timeout: 300",
        "auto_eject_hosts: true",
        "server_failure_limit: 1",
        "server_retry_timeout: 60000",
    ];
    let rig = need!(impatient(2, &lines, &[]), "redis-server");
    let key = rig.keys().remove(1);
    let mut runs = rig.client();
    runs.command(&[b"EVAL", ENDLESS.as_bytes(), b"1", key.as_bytes()]);
    let told = text(&runs.reply());
    assert!(told.starts_with("-ERR Connection timed out"), "{told}");
    wait_for("it is ejected", || {
        rig.server_stat(1, "server_ejected_at") > 0
    });
    end(&mut rig.client(), "SCRIPT");
    // The server answers the request to end it before it has ended it.
    wait_for("the script has ended", || {
        rig.servers[1].client().ask(&["PING"]) == "+PONG\r\n"
    });
}

#[test]
fn settings_of_all_servers_are_changed_and_compared() {
    let rig = need!(Rig::redis(2, &["admin_commands: true"]), "redis-server");
    let mut client = rig.client();
    for version in ["2", "3"] {
        client.ask(&["HELLO", version]);
        assert_eq!(
            client.ask(&["CONFIG", "SET", "maxmemory", "100mb"]),
            "+OK\r\n"
        );
        let header = if version == "2" { "*2" } else { "%1" };
        let alike = format!("{header}\r\n$9\r\nmaxmemory\r\n$9\r\n104857600\r\n");
        assert_eq!(client.ask(&["CONFIG", "GET", "maxmemory"]), alike);
        let mut direct = rig.servers[1].client();
        direct.ask(&["CONFIG", "SET", "maxmemory", "0"]);
        assert_eq!(
            client.ask(&["CONFIG", "GET", "maxmemory"]),
            "-ERR 'maxmemory' is '104857600' at server 's0' and '0' at 's1'\r\n"
        );
        let all = client.ask(&["CONFIG", "GET", "*"]);
        assert!(
            all.contains("maxmemory-policy") && !all.contains("$4\r\nport\r\n"),
            "{all}"
        );
        let refused = client.ask(&["CONFIG", "SET", "nosuch", "1"]);
        assert!(refused.starts_with("-ERR server 's0': ERR "), "{refused}");
        assert_eq!(client.ask(&["CONFIG", "RESETSTAT"]), "+OK\r\n");
    }
    let refused = client.ask(&["SAVE"]);
    assert!(refused.contains("the pool has several"), "{refused}");
}

#[test]
fn the_only_server_is_administered() {
    let mut rig = need!(
        Rig::redis(1, &["admin_commands: true", "timeout: 400"]),
        "redis-server"
    );
    let mut client = rig.client();
    client.ask(&["SET", "k", "v"]);
    assert_eq!(client.ask(&["SAVE"]), "+OK\r\n");
    let saved = client.ask(&["LASTSAVE"]);
    assert_eq!(saved, rig.servers[0].client().ask(&["LASTSAVE"]));
    for command in [
        &["BGREWRITEAOF"][..],
        &["MEMORY", "PURGE"],
        &["REPLICAOF", "NO", "ONE"],
    ] {
        let told = client.ask(command);
        assert!(told.starts_with('+'), "{told}");
    }
    let told = client.ask(&["DEBUG", "SLEEP", "0"]);
    assert!(
        told == "+OK\r\n" || told.contains("DEBUG command not allowed"),
        "{told}"
    );
    assert_eq!(client.ask(&["GET", "k"]), "$1\r\nv\r\n");

    let told = client.ask(&["SHUTDOWN", "NOSAVE"]);
    assert!(told.starts_with("-ERR "), "{told}");
    rig.servers[0].kill();
    rig.servers[0].restart();
    wait_for("it is reached", || client.ask(&["DBSIZE"]).starts_with(':'));
}

#[test]
fn a_client_of_the_proxy_is_closed_by_another() {
    let rig = need!(Rig::redis(2, &["admin_commands: true"]), "redis-server");
    let (mut idle, mut waits, mut asks) = (rig.client(), rig.client(), rig.client());
    let number = |client: &mut Client| {
        let told = client.ask(&["CLIENT", "ID"]);
        told.trim_start_matches(':').trim_end().to_owned()
    };
    let (first, second) = (number(&mut idle), number(&mut waits));
    waits.command(&[b"BLPOP", b"queue", b"0"]);
    for id in [&first, &second] {
        assert_eq!(asks.ask(&["CLIENT", "KILL", "ID", id]), ":1\r\n");
    }
    let began = Instant::now();
    assert_eq!((idle.rest(), waits.rest()), (Vec::new(), Vec::new()));
    assert!(began.elapsed() < Duration::from_secs(5));
    let list = asks.ask(&["CLIENT", "LIST"]);
    assert_eq!(list.matches("id=").count(), 1, "{list}");
}
