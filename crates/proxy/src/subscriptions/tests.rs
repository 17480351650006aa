//! What becomes of channels, clients and servers, step by step.

use std::time::Duration;

use super::registry::{Due, Expected, Name, Subscriptions, Why, Wish};
use crate::cause::Cause;
use crate::id::{ConnectionId, ServerId, SessionId, Table};
use crate::limits::MAX_CHANNELS;
use crate::protocol::channel::{Change, ChannelKind};
use crate::protocol::grammar::Reply;
use crate::time::Time;

const PLAIN: ChannelKind = ChannelKind::Plain;

fn at(millis: u64) -> Time {
    Time::from_micros(millis * 1_000)
}

fn name(text: &str) -> Name {
    text.as_bytes().into()
}

/// A registry with as many clients, servers and connections as are needed. Every channel is at the first server.
struct Play {
    registry: Subscriptions,
    clients: Vec<SessionId>,
    servers: Vec<ServerId>,
    connections: Vec<ConnectionId>,
    /// Where channels are to be from now on.
    home: usize,
}

fn ids<I: crate::id::Id>(count: usize) -> Vec<I> {
    let mut table = Table::new();
    (0..count).map(|_| table.insert_with(|_| ())).collect()
}

impl Play {
    fn new() -> Self {
        Self {
            registry: Subscriptions::default(),
            clients: ids(3),
            servers: ids(2),
            connections: ids(4),
            home: 0,
        }
    }

    fn subscribe(&mut self, client: usize, names: &[&str], now: Time) {
        let wish = Wish {
            client: self.clients[client],
            slot: 0,
            reply: Reply::Wanted,
            kind: PLAIN,
            names: names.iter().map(|text| name(text)).collect(),
        };
        let home = self.servers[self.home];
        self.registry.subscribe(wish, now, &mut |_| Ok(vec![home]));
    }

    /// The connection of this number to a server is ready.
    fn connect(&mut self, server: usize, connection: usize, now: Time) {
        let (server, id) = (self.servers[server], self.connections[connection]);
        assert!(self.registry.due(now).contains(&(server, Due::Connect)));
        self.registry.note_opening(server, id);
        let patience = Duration::from_secs(5);
        self.registry.note_ready(server, id, patience, now);
    }

    /// What a server is asked.
    fn asked(&mut self, server: usize, now: Time) -> Vec<String> {
        let mut asked = Vec::new();
        while let Some((change, _, name)) = self.registry.next_question(self.servers[server], now) {
            let sign = match change {
                Change::Subscribe => '+',
                Change::Unsubscribe => '-',
            };
            asked.push(format!("{sign}{}", String::from_utf8_lossy(&name)));
        }
        asked
    }

    /// A server answers its next question, with this error if there is one.
    fn answer(&mut self, server: usize, error: Option<&str>, now: Time) -> Expected {
        let server = self.servers[server];
        let (expected, asked) = self.registry.take_asked(server).expect("it was asked");
        let error = error.map(str::as_bytes);
        self.registry.note_answer(server, &asked, error, now);
        expected
    }

    /// The clients whose requests are granted, each with the numbers that confirm them.
    fn settled(&mut self) -> Vec<(usize, Vec<usize>)> {
        let mut settled = Vec::new();
        while let Some(it) = self.registry.next_settled() {
            let client = self.clients.iter().position(|id| *id == it.wish.client);
            settled.push((client.expect("one of them"), it.numbers));
        }
        settled
    }

    fn audience(&self, server: usize, channel: &str) -> usize {
        let audience = self
            .registry
            .audience(self.servers[server], PLAIN, channel.as_bytes());
        audience.map_or(0, |clients| clients.len())
    }
}

#[test]
fn an_answer_belongs_to_the_question_that_was_asked_for_it() {
    let mut play = Play::new();
    let now = at(0);
    play.subscribe(0, &["a"], now);
    play.connect(0, 0, now);
    assert_eq!(play.asked(0, now), ["+a"]);
    // The client leaves before the answer, and another comes.
    play.registry.leave(play.clients[0], now);
    play.subscribe(1, &["a"], now);
    assert_eq!(play.asked(0, now), ["-a", "+a"]);
    let subscribed = || Expected::Change(Change::Subscribe, PLAIN, name("a"));
    assert_eq!(play.answer(0, None, now), subscribed());
    assert_eq!(play.settled(), [], "it is about the first question");
    play.answer(0, None, now);
    assert_eq!(play.settled(), []);
    assert_eq!(play.answer(0, None, now), subscribed());
    assert_eq!(play.settled(), [(1, vec![1])]);
    assert_eq!(play.audience(0, "a"), 1);
    assert_eq!(play.audience(1, "a"), 0, "not its server");
}

#[test]
fn after_a_loss_everything_is_asked_for_again_and_who_waits_is_told() {
    let mut play = Play::new();
    play.subscribe(0, &["a", "b"], at(0));
    play.connect(0, 0, at(0));
    assert_eq!(play.asked(0, at(0)), ["+a", "+b"]);
    play.answer(0, None, at(0));
    play.answer(0, None, at(0));
    assert_eq!(play.settled(), [(0, vec![1, 2])]);
    play.subscribe(1, &["a", "c"], at(1));
    assert_eq!(play.asked(0, at(1)), ["+c"]);
    let missed = play
        .registry
        .lose(play.servers[0], &Cause::Reset, at(5_000));
    assert_eq!(missed, 2, "what was confirmed and somebody gets");
    let failed = play.registry.next_failed().expect("one that waited");
    assert_eq!(failed.wish.client, play.clients[1]);
    assert!(matches!(failed.why, Why::Lost(it) if it.cause == Cause::Reset));
    assert_eq!(play.registry.subscribed(), 2);
    // The connection had lasted, so that another is opened at once; those that do not last wait longer each time.
    play.connect(0, 1, at(5_000));
    assert_eq!(play.asked(0, at(5_000)), ["+a", "+b"]);
    for (now, next) in [(5_001, 5_101), (5_101, 5_301), (5_301, 5_701)] {
        let missed = play
            .registry
            .lose(play.servers[0], &Cause::Refused, at(now));
        assert_eq!(missed, 0, "it is the same gap still");
        assert_eq!(play.registry.due(at(next - 1)), []);
        assert_eq!(
            play.registry.due(at(next)),
            [(play.servers[0], Due::Connect)]
        );
    }
    // Whoever asks for what nobody has meanwhile is told at once.
    play.subscribe(2, &["z"], at(5_302));
    assert!(play.registry.next_failed().is_some());
}

#[test]
fn what_a_server_has_refused_is_asked_for_again_by_the_next_who_wants_it() {
    let mut play = Play::new();
    let now = at(0);
    play.subscribe(0, &["a"], now);
    play.connect(0, 0, now);
    play.asked(0, now);
    play.answer(0, Some("-NOPERM\r\n"), now);
    let failed = play.registry.next_failed().expect("it is refused");
    assert!(matches!(failed.why, Why::Refused(line) if &*line == b"-NOPERM\r\n"));
    play.subscribe(1, &["a"], now);
    assert_eq!(play.asked(0, now), ["+a"]);
    play.answer(0, None, now);
    assert_eq!(play.settled(), [(1, vec![1])]);
}

#[test]
fn a_client_has_a_bounded_number_of_channels() {
    let mut play = Play::new();
    let names: Vec<String> = (0..MAX_CHANNELS).map(|number| number.to_string()).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    play.subscribe(0, &names, at(0));
    play.connect(0, 0, at(0));
    let asked = play.asked(0, at(0)).len();
    (0..asked).for_each(|_| drop(play.answer(0, None, at(0))));
    assert_eq!(play.settled().len(), 1);
    play.subscribe(0, &["0"], at(0));
    assert_eq!(play.settled().len(), 1, "it has that already");
    play.subscribe(0, &["one more"], at(0));
    let failed = play.registry.next_failed().expect("too many");
    assert!(matches!(failed.why, Why::TooMany));
    assert!(play.registry.held() > 0);
    play.registry.leave(play.clients[0], at(0));
    assert_eq!((play.registry.held(), play.registry.subscribed()), (0, 0));
}
