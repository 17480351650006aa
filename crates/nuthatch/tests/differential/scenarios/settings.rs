//! Effects of certain settings: passwords, databases, several connections per server, and how failures are
//! counted.

use std::time::Duration;

use testkit::eventually;

use super::{NO_NUTCRACKER, NO_SERVERS, Play};
use crate::excuses::IDLE_END;
use crate::line::{Exchange, Line, planting, probe};
use crate::proxy_pair::{self, Pool, Ports, ProxyPair, ServerSets};
use crate::redis_traffic::RedisTraffic;
use crate::request::{Protocol, Request, shown};
use crate::seed::Rng;
use crate::wire::{Manner, Wire};

const PASSWORD: &str = "s\u{e9}cret";

pub(crate) fn play(play: &mut Play) -> Result<(), &'static str> {
    passwords(play)?;
    databases(play)?;
    several_connections(play)?;
    idle_end(play)?;
    large_value(play)
}

/// Clients that have not sent the password, send a wrong one, or send it again.
fn passwords(play: &mut Play) -> Result<(), &'static str> {
    let server_sets = ServerSets::start_with(Protocol::Redis, 2, &["--requirepass", PASSWORD])
        .ok_or(NO_SERVERS)?;
    let pool = Pool::new(Protocol::Redis, 2).with(&format!("redis_auth: {PASSWORD}"));
    let (theirs, ours) = server_sets.ports();
    let pair = ProxyPair::start(&[pool], &theirs, &ours).ok_or(NO_NUTCRACKER)?;
    // Each sequence ends with the password, whatever came before.
    let auth = Exchange {
        ask: Request::redis(&["AUTH", PASSWORD]).bytes,
        answer: b"+OK\r\n".to_vec(),
    };
    let (plant, ask) = (
        planting(Protocol::Redis, "auth"),
        probe(Protocol::Redis, "auth"),
    );
    let probe = Exchange {
        ask: [&auth.ask[..], &plant.ask, &ask.ask].concat(),
        answer: [&auth.answer[..], &plant.answer, &ask.answer].concat(),
    };
    let mut line = Line::open_with(Protocol::Redis, pair.ports[0], Exchange::default(), probe);
    let requests: Vec<Request> = AUTH_REQUESTS
        .iter()
        .map(|text| Request::redis_line(text))
        .collect();
    for request in &requests {
        // Before the password, after it, and after a wrong one.
        line.reconnect();
        play.ask(&mut line, std::slice::from_ref(request), &Manner::plain());
        play.ask(&mut line, std::slice::from_ref(request), &Manner::plain());
        let wrong = [Request::redis_line("AUTH wrong"), request.clone()];
        play.ask(&mut line, &wrong, &Manner::plain());
    }
    Ok(())
}

const AUTH_REQUESTS: &[&str] = &[
    "GET a",
    "SET a b",
    "MGET a b c",
    "DEL a b c",
    "PING",
    "LOLWUT",
    "COMMAND",
    "AUTH wrong",
    "AUTH s",
    "NOSUCH",
    "GET",
    "CONFIG GET x",
    "SELECT 0",
    "QUIT",
];

/// Data must be found in the database where nutcracker has put it.
fn databases(play: &mut Play) -> Result<(), &'static str> {
    for (password, settings) in [
        (None, vec!["redis_db: 3".to_owned()]),
        (
            Some(PASSWORD),
            vec!["redis_db: 3".to_owned(), format!("redis_auth: {PASSWORD}")],
        ),
    ] {
        let extra: Vec<&str> = password
            .iter()
            .flat_map(|password| ["--requirepass", password])
            .collect();
        let servers = proxy_pair::servers(Protocol::Redis, 2, &extra).ok_or(NO_SERVERS)?;
        let mut pool = Pool::new(Protocol::Redis, 2);
        pool.settings.extend(settings);
        let ports = proxy_pair::ports(&servers);
        let pair = ProxyPair::start(&[pool], &ports, &ports).ok_or(NO_NUTCRACKER)?;
        let greeting = password.map(|password| Exchange {
            ask: Request::redis(&["AUTH", password]).bytes,
            answer: b"+OK\r\n".to_vec(),
        });
        let greeting = greeting.unwrap_or_default();
        for (writer, reader) in [
            (pair.ports[0].theirs, pair.ports[0].ours),
            (pair.ports[0].ours, pair.ports[0].theirs),
        ] {
            let name = format!("by{writer}");
            let both = [
                (writer, planting(Protocol::Redis, &name)),
                (reader, probe(Protocol::Redis, &name)),
            ];
            for (port, exchange) in both {
                let mut wire = Wire::connect(port);
                wire.exchange(&greeting.ask, &greeting.answer, &Manner::plain());
                let got =
                    wire.exchange(&exchange.ask, &exchange.answer, &Manner::with_short_wait());
                if !got.bytes.is_empty() {
                    play.fail(
                        &format!("redis_db, password {password:?}"),
                        &shown(&got.bytes),
                    );
                }
            }
        }
    }
    Ok(())
}

/// With several connections per server nutcracker may reorder one client's requests, so each is answered
/// before the next is sent.
fn several_connections(play: &mut Play) -> Result<(), &'static str> {
    let server_sets = ServerSets::start(Protocol::Redis, 3).ok_or(NO_SERVERS)?;
    let pool = Pool::new(Protocol::Redis, 3).with("server_connections: 4");
    let (theirs, ours) = server_sets.ports();
    let pair = ProxyPair::start(&[pool], &theirs, &ours).ok_or(NO_NUTCRACKER)?;
    let mut line = Line::open(Protocol::Redis, pair.ports[0], "several");
    let mut traffic = RedisTraffic::new(Rng::new(4), "several", None, b"");
    let requests: Vec<Request> = (0..300).map(|_| traffic.request()).collect();
    play.ask_each(&mut line, &requests);
    Ok(())
}

/// A server that closes an idle connection has not failed; nutcracker counts it as failed.
fn idle_end(play: &mut Play) -> Result<(), &'static str> {
    let server_sets = ServerSets::start(Protocol::Redis, 2).ok_or(NO_SERVERS)?;
    let pool = Pool::new(Protocol::Redis, 2)
        .with("auto_eject_hosts: true")
        .with("server_failure_limit: 1")
        .with("server_retry_timeout: 60000");
    let (theirs, ours) = server_sets.ports();
    let pair = ProxyPair::start(&[pool], &theirs, &ours).ok_or(NO_NUTCRACKER)?;
    let mut line = Line::open(Protocol::Redis, pair.ports[0], "idle");
    let set = |n: usize| Request::redis_line(&format!("SET idle:{n} here"));
    play.ask_each(&mut line, &(0..20).map(set).collect::<Vec<_>>());
    for server in [&server_sets.theirs[0], &server_sets.ours[0]] {
        server.client().ask(&["CLIENT", "KILL", "TYPE", "normal"]);
    }
    // nutcracker notices this eventually, and then looks for that server's keys elsewhere.
    let noticed = eventually(Duration::from_secs(5), || {
        let lost = (0..20)
            .filter(|n| lost_by_nutcracker(play, pair.ports[0], *n))
            .count();
        (lost > 0).then_some(())
    });
    if noticed.is_some() {
        play.excuse_counts.note(IDLE_END);
    }
    Ok(())
}

fn lost_by_nutcracker(play: &mut Play, ports: Ports, n: usize) -> bool {
    let get = Request::redis_line(&format!("GET idle:{n}"));
    let mut line = Line::open_with(
        Protocol::Redis,
        ports,
        Exchange::default(),
        Exchange::default(),
    );
    let answers = line.leave(&[get], &Manner::plain());
    if answers.ours.bytes != b"$4\r\nhere\r\n" {
        play.fail(
            "after the end of an idle connection",
            &shown(&answers.ours.bytes),
        );
    }
    answers.theirs.bytes == b"$-1\r\n"
}

/// A value that memcached accepts, and one that it refuses.
fn large_value(play: &mut Play) -> Result<(), &'static str> {
    let server_sets = ServerSets::start(Protocol::Memcached, 2).ok_or(NO_SERVERS)?;
    let (theirs, ours) = server_sets.ports();
    let pool = Pool::new(Protocol::Memcached, 2);
    let pair = ProxyPair::start(&[pool], &theirs, &ours).ok_or(NO_NUTCRACKER)?;
    let mut line = Line::open(Protocol::Memcached, pair.ports[0], "large");
    for len in [900_000, 16 << 20] {
        let data = vec![b'x'; len];
        let set = Request::memcached(format!("set large 0 0 {len}").as_bytes(), Some(&data));
        play.ask_each(&mut line, &[set]);
        line.settle(&Request::memcached(b"get nothing", None));
    }
    Ok(())
}
