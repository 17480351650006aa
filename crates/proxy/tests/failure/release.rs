//! Which release clients are told, and how servers are asked for theirs.

use proxy::metrics::ServerMetric;
use proxy::settings::{PoolSettings, ProtocolSettings, RedisSettings};
use proxy::{Cause, Release};

use crate::plans::moved;
use crate::stage::{ConnectResult, Stage, redis_pool};
use crate::words::{get, redis};

/// A pool whose servers are asked for their releases.
fn asking(servers: usize) -> PoolSettings {
    let mut settings = redis_pool(servers);
    settings.protocol = ProtocolSettings::Redis(RedisSettings {
        ask_release: true,
        ..RedisSettings::default()
    });
    settings.auto_eject_hosts = true;
    settings
}

fn info(release: &str) -> String {
    let text = format!("# Server\r\nredis_version:{release}\r\nredis_mode:standalone\r\n");
    format!("${}\r\n{text}\r\n", text.len())
}

/// Makes a connection to a server, by a request of a client; returns it and the connection that asks.
fn connect(stage: &mut Stage, client: usize, server: usize) -> [usize; 2] {
    let key = stage.key(server);
    stage.say(client, get(&key));
    let links = stage.links(server);
    let [first, question] = links[..] else {
        panic!("{} connections", links.len());
    };
    assert_eq!(stage.heard(first), get(&key));
    assert_eq!(stage.heard(question), redis(&["INFO", "server"]));
    stage.answer(first, "$1\r\nv\r\n");
    assert_eq!(stage.hear(client), "$1\r\nv\r\n");
    [first, question]
}

/// The release as INFO and HELLO tell it.
fn told(stage: &mut Stage, client: usize) -> String {
    let info = stage.ask(client, "INFO server\r\n");
    let hello = stage.ask(client, "HELLO 2\r\n");
    let mut lines = info.lines();
    let release = lines.find_map(|line| line.strip_prefix("redis_version:"));
    let release = release.expect("INFO tells it").to_owned();
    let field = format!("$7\r\nversion\r\n${}\r\n{release}\r\n", release.len());
    assert!(hello.contains(&field), "{hello}");
    release
}

#[test]
fn clients_are_told_the_lowest_that_is_known() {
    let mut stage = Stage::new(asking(3));
    let client = stage.client();
    assert_eq!(told(&mut stage, client), "7.0.0", "nothing is known");
    for (server, release, lowest) in [
        (0, "7.2.4", "7.2.4"),
        (1, "6.2.14", "6.2.14"),
        (2, "7.0.15", "6.2.14"),
    ] {
        let [first, question] = connect(&mut stage, client, server);
        let gauge = ServerMetric::ServerConnections;
        assert_eq!(
            stage.count_at(server, gauge),
            1,
            "the question is not counted"
        );
        stage.answer(question, info(release));
        assert_eq!(stage.count_at(server, gauge), 1);
        assert_eq!(stage.count_at(server, ServerMetric::ServerTotal), 1);
        assert!(!stage.is_open(question) && stage.is_open(first));
        assert_eq!(told(&mut stage, client), lowest);
    }
}

#[test]
fn nobody_waits_for_the_answer_and_a_refusal_is_no_failure() {
    let refusals: [&[&str]; 4] = [
        &["-NOPERM this user has no permissions to run the 'info' command\r\n"],
        &["-LOADING Redis is loading the dataset in memory\r\n"],
        &["$4\r\n", "none\r\n"],
        &["?\r\n"],
    ];
    for pieces in refusals {
        let mut stage = Stage::new(asking(1));
        let client = stage.client();
        let [first, question] = connect(&mut stage, client, 0);
        pieces
            .iter()
            .for_each(|piece| stage.answer(question, piece));
        assert!(
            !stage.is_open(question) && stage.is_open(first),
            "{pieces:?}"
        );
        assert!(stage.is_live(0), "{pieces:?}");
        assert_eq!(told(&mut stage, client), "7.0.0", "{pieces:?}");
    }
}

#[test]
fn a_question_that_is_lost_or_never_answered_is_no_failure() {
    let mut stage = Stage::new(asking(1));
    let client = stage.client();
    let [first, question] = connect(&mut stage, client, 0);
    stage.hang_up(question, Cause::Reset);
    assert!(stage.is_open(first) && stage.is_live(0));

    let mut stage = Stage::new(asking(1));
    let client = stage.client();
    let [first, question] = connect(&mut stage, client, 0);
    stage.wait(60_000);
    assert!(!stage.is_open(question), "it ends some time");
    assert!(stage.is_open(first) && stage.is_live(0));
    assert_eq!(told(&mut stage, client), "7.0.0");
}

#[test]
fn it_is_asked_after_a_connect_by_one_worker_and_once_in_a_while() {
    let mut stage = Stage::with_workers(asking(1), 2, 7);
    let clients = [stage.client_of(0), stage.client_of(1)];
    let [first, question] = connect(&mut stage, clients[0], 0);
    stage.answer(question, info("7.0.15"));
    stage.say(clients[1], get("k"));
    let [_, other] = stage.links(0)[..] else {
        panic!("each has one, and nothing asks");
    };
    stage.answer(other, "$-1\r\n");
    assert_eq!(stage.hear(clients[1]), "$-1\r\n");
    assert_eq!(told(&mut stage, clients[1]), "7.0.15", "both know");
    stage.hang_up(first, Cause::Closed);
    stage.wait(2_000);
    // The server has come back as another one.
    stage.say(clients[0], get("k"));
    let links = stage.links(0);
    let [.., again, question] = links[..] else {
        panic!("{} connections", links.len());
    };
    stage.answer(again, "$-1\r\n");
    assert_eq!(stage.hear(clients[0]), "$-1\r\n");
    assert_eq!(stage.heard(question), redis(&["INFO", "server"]));
    stage.answer(question, info("6.0.16"));
    assert_eq!(told(&mut stage, clients[0]), "6.0.16");
}

#[test]
fn where_a_server_has_moved_to_nothing_is_known_of_it() {
    let mut stage = Stage::new(asking(1));
    let client = stage.client();
    let [_, question] = connect(&mut stage, client, 0);
    stage.answer(question, info("6.2.14"));
    stage.apply(moved(asking(1), 0));
    assert_eq!(told(&mut stage, client), "7.0.0");
    let [_, question] = connect(&mut stage, client, 0);
    stage.answer(question, info("7.4.0"));
    assert_eq!(told(&mut stage, client), "7.4.0");
}

#[test]
fn the_pools_own_setting_is_told_until_then() {
    let mut settings = asking(1);
    settings.protocol = ProtocolSettings::Redis(RedisSettings {
        ask_release: true,
        release: Release::new(6, 0, 9),
        ..RedisSettings::default()
    });
    let mut stage = Stage::new(settings);
    stage.set_connect_result(0, ConnectResult::Open);
    let client = stage.client();
    assert_eq!(told(&mut stage, client), "6.0.9");
    let [_, question] = connect(&mut stage, client, 0);
    stage.answer(question, info("7.0.15"));
    assert_eq!(told(&mut stage, client), "7.0.15");
}

#[test]
fn the_password_comes_first_and_no_database_is_chosen() {
    let mut settings = asking(1);
    settings.protocol = ProtocolSettings::Redis(RedisSettings {
        ask_release: true,
        auth: Some((*b"secret").into()),
        ..RedisSettings::default()
    });
    settings.servers[0].db = 3;
    let mut stage = Stage::new(settings);
    let client = stage.client();
    assert_eq!(stage.ask(client, redis(&["AUTH", "secret"])), "+OK\r\n");
    let key = stage.key(0);
    stage.say(client, get(&key));
    let first = stage.link(0);
    stage.answer(first, "+OK\r\n+OK\r\n");
    let question = stage.links(0)[1];
    let both = redis(&["AUTH", "secret"]) + &redis(&["INFO", "server"]);
    assert_eq!(stage.heard(question), both);
    stage.answer(
        question,
        "-WRONGPASS invalid username-password pair or user is disabled.\r\n",
    );
    assert!(!stage.is_open(question) && stage.is_open(first) && stage.is_live(0));
}
