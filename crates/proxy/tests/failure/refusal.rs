//! Requests that depend on a refused command are not executed as if it had succeeded.

use std::sync::Arc;

use proxy::metrics::PoolMetric;
use proxy::settings::{PoolSettings, ProtocolSettings, RedisSettings};

use crate::stage::{Stage, redis_pool};
use crate::words::bulk;

const ABORTED: &str = "-EXECABORT Transaction discarded because of previous errors.\r\n";
const NO_MULTI: &str = "-ERR EXEC without MULTI\r\n";
const SELECT_REFUSED: &str =
    "-ERR DB index is out of range: a pool has one database, see redis_db and databases\r\n";
const IN_DATABASE_1: &str =
    "-ERR not executed: the SELECT 1 before it was refused; SELECT 0 or RESET ends it\r\n";

/// A client that sends inline requests to a pool with one server.
struct Talk {
    stage: Stage,
    client: usize,
}

impl Talk {
    fn new() -> Self {
        Self::with(redis_pool(1))
    }

    fn with(settings: PoolSettings) -> Self {
        let mut stage = Stage::new(settings);
        let client = stage.client();
        Self { stage, client }
    }

    fn ask(&mut self, line: &str) -> String {
        self.stage.ask(self.client, format!("{line}\r\n"))
    }

    /// Nothing has been sent to the server.
    fn assert_nothing_sent(&self) {
        assert_eq!(self.stage.links_ever(0), 0);
    }

    /// The request reaches the server, and its reply reaches the client.
    fn assert_served(&mut self, line: &str) {
        let key = self.stage.key(0);
        assert_eq!(self.ask(&line.replace("KEY", &key)), "", "{line}");
        let link = self.stage.link(0);
        assert_ne!(self.stage.heard(link), "", "{line}");
        self.stage.answer(link, ":42\r\n");
        assert_eq!(self.stage.hear(self.client), ":42\r\n", "{line}");
    }
}

#[test]
fn without_a_multi_there_is_nothing_to_end() {
    let mut talk = Talk::new();
    assert_eq!(talk.ask("EXEC"), NO_MULTI);
    assert_eq!(talk.ask("DISCARD"), "-ERR DISCARD without MULTI\r\n");
    assert_eq!(talk.ask("UNWATCH"), "+OK\r\n");
    let wrong = "-ERR wrong number of arguments for 'multi' command\r\n";
    assert_eq!(talk.ask("MULTI x"), wrong);
    assert_eq!(talk.ask("EXEC"), NO_MULTI, "none was begun");
    talk.assert_served("INCR KEY");
}

#[test]
fn after_a_refused_select_no_transaction_is_executed() {
    let mut talk = Talk::new();
    talk.ask("SELECT 1");
    assert_eq!(talk.ask("MULTI"), "+OK\r\n");
    assert_eq!(talk.ask("SET KEY v"), IN_DATABASE_1);
    assert_eq!(talk.ask("EXEC"), ABORTED);
    talk.assert_nothing_sent();
    talk.ask("SELECT 0");
    talk.assert_served("GET KEY");
}

#[test]
fn after_a_refused_select_nothing_happens_to_another_database() {
    let mut talk = Talk::new();
    assert_eq!(talk.ask("SELECT 1"), SELECT_REFUSED);
    for line in [
        "GET KEY",
        "SET KEY v",
        "MGET a b c",
        "MSET a 1 b 2",
        "DEL a b",
        "SINTER a b",
        "EVAL x 1 KEY",
        "FLUSHALL",
        "FLUSHDB",
    ] {
        assert_eq!(talk.ask(line), IN_DATABASE_1, "{line}");
    }
    talk.assert_nothing_sent();
    assert_eq!(talk.ask("PING"), "+PONG\r\n");
    assert_eq!(talk.ask("CLIENT SETNAME me"), "+OK\r\n");
    assert_eq!(talk.ask("UNWATCH"), "+OK\r\n");
    let no_number = "-ERR value is not an integer or out of range\r\n";
    assert_eq!(talk.ask("SELECT x"), no_number);
    assert_eq!(talk.ask("SET KEY v"), IN_DATABASE_1);
    assert_eq!(talk.ask("SELECT 2"), SELECT_REFUSED);
    let two = IN_DATABASE_1.replace("SELECT 1", "SELECT 2");
    assert_eq!(talk.ask("SET KEY v"), two);
    talk.assert_nothing_sent();
    assert_eq!(talk.ask("SELECT 0"), "+OK\r\n");
    talk.assert_served("SET KEY v");
    talk.ask("SELECT 1");
    assert_eq!(talk.ask("RESET"), "+RESET\r\n");
    talk.assert_served("SET KEY v");
}

#[test]
fn a_server_would_stay_in_its_database_after_these_and_so_does_the_client() {
    let mut talk = Talk::new();
    for line in ["SELECT x", "SELECT -1", "SELECT", "SELECT 1 2"] {
        assert!(talk.ask(line).starts_with("-ERR "), "{line}");
        talk.assert_served("SET KEY v");
    }
    let mut settings = redis_pool(1);
    settings.servers[0].db = 3;
    let mut talk = Talk::with(settings);
    assert_eq!(talk.ask("SELECT 1"), SELECT_REFUSED);
    assert_eq!(talk.ask("GET KEY"), IN_DATABASE_1);
    assert_eq!(talk.ask("SELECT 3"), "+OK\r\n");
    assert_eq!(talk.ask("GET KEY"), "");
}

#[test]
fn whoever_may_not_begin_one_has_not_begun_one() {
    let mut settings = redis_pool(1);
    settings.protocol = ProtocolSettings::Redis(RedisSettings {
        auth: Some(Arc::from(&b"secret"[..])),
        ..RedisSettings::default()
    });
    let mut talk = Talk::with(settings);
    let denied = "-NOAUTH Authentication required\r\n";
    for line in ["MULTI", "WATCH a", "SELECT 1", "EXEC"] {
        assert_eq!(talk.ask(line), denied, "{line}");
    }
    assert_eq!(talk.ask("AUTH secret"), "+OK\r\n");
    assert_eq!(talk.ask("EXEC"), NO_MULTI, "as a server has it");
    assert_eq!(talk.ask("PING"), "+PONG\r\n");
    talk.ask("MULTI");
    assert_eq!(talk.ask("RESET"), "+RESET\r\n");
    assert_eq!(talk.ask("EXEC"), denied);
}

#[test]
fn replies_and_requests_stay_in_pairs_however_a_pipeline_is_cut() {
    let lines = [
        "GET a",
        "MULTI",
        "GET",
        "EXEC",
        "GET c",
        "SELECT 1",
        "GET d",
        "SELECT 0",
        "GET e",
        "CLIENT REPLY SKIP",
        "GET f",
        "GET g",
        "CLIENT REPLY OFF",
        "MULTI",
        "GET h",
        "DISCARD",
        "GET i",
        "ECHO j",
        "CLIENT REPLY ON",
        "GET k",
        "",
    ];
    let pipeline = lines.join("\r\n");
    let expected = [
        &bulk("a"),
        "+OK\r\n",
        "-ERR wrong number of arguments for 'get' command\r\n",
        ABORTED,
        &bulk("c"),
        SELECT_REFUSED,
        IN_DATABASE_1,
        "+OK\r\n",
        &bulk("e"),
        &bulk("g"),
        "+OK\r\n",
        &bulk("k"),
    ];
    let served = ["a", "c", "e", "f", "g", "i", "k"];
    let sent: String = served.iter().map(|key| format!("GET {key}\r\n")).collect();
    let answers: String = served.iter().map(|key| bulk(key)).collect();
    for cut in 0..pipeline.len() {
        let mut stage = Stage::new(redis_pool(1));
        let client = stage.client();
        stage.say(client, &pipeline[..cut]);
        stage.say(client, &pipeline[cut..]);
        let link = stage.link(0);
        let heard = stage.heard(link);
        assert_eq!(inline(&heard), sent, "cut at {cut}");
        stage.answer(link, &answers);
        assert_eq!(stage.hear(client), expected.concat(), "cut at {cut}");
    }
}

/// Requests as inline commands.
fn inline(requests: &str) -> String {
    let words = requests
        .split("\r\n")
        .filter(|line| !line.starts_with(['*', '$']));
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    words
        .chunks(2)
        .map(|pair| pair.join(" ") + "\r\n")
        .collect()
}

#[test]
fn what_nothing_depends_on_is_refused_alone() {
    let mut talk = Talk::new();
    for line in ["AUTH x", "HELLO 4", "ASKING", "READONLY", "MONITOR"] {
        assert!(talk.ask(line).starts_with('-'), "{line}");
        talk.assert_served("GET KEY");
    }
    assert_eq!(talk.stage.count(PoolMetric::Unheard), 0);
}
