//! One client of both proxies: sends the same bytes to both, and returns both answers.

use std::collections::HashMap;
use std::thread;
use std::time::Duration;

use crate::frames;
use crate::proxy_pair::Ports;
use crate::request::{CAS, Protocol, Replies, Request, shown};
use crate::wire::{Answer, End, Manner, Wire};

/// The answers of both proxies to the same bytes.
#[derive(Debug)]
pub(crate) struct Answers {
    pub(crate) theirs: Answer,
    pub(crate) ours: Answer,
}

/// A connection to each proxy.
pub(crate) struct Line {
    protocol: Protocol,
    ports: Ports,
    /// Sent first on every new connection.
    greeting: Exchange,
    /// Its reply shows that everything before it has been answered.
    probe: Exchange,
    theirs: Side,
    ours: Side,
}

/// Bytes and their known answer.
#[derive(Debug, Clone, Default)]
pub(crate) struct Exchange {
    pub(crate) ask: Vec<u8>,
    pub(crate) answer: Vec<u8>,
}

struct Side {
    wire: Wire,
    /// The latest cas unique of each key: servers number their items in the order of arrival.
    uniques: HashMap<Vec<u8>, Vec<u8>>,
}

impl Line {
    /// Connects to both proxies; `name` is part of this client's keys, so it must be unique.
    pub(crate) fn open(protocol: Protocol, ports: Ports, name: &str) -> Line {
        let mut line = Line::open_with(protocol, ports, Exchange::default(), probe(protocol, name));
        line.make_sure(&planting(protocol, name));
        line
    }

    /// Connects to both proxies, sends `greeting` (for example a password) and asks `probe` to see that
    /// everything has been answered.
    pub(crate) fn open_with(
        protocol: Protocol,
        ports: Ports,
        greeting: Exchange,
        probe: Exchange,
    ) -> Line {
        let mut line = Line {
            protocol,
            ports,
            greeting,
            probe,
            theirs: Side::connect(ports.theirs),
            ours: Side::connect(ports.ours),
        };
        line.greet();
        line
    }

    pub(crate) fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// Sends requests and a probe, and reads until the probe's reply or the end.
    pub(crate) fn exchange(&mut self, requests: &[Request], manner: &Manner) -> Answers {
        let probe = &self.probe;
        let ask = |side: &mut Side| {
            let mut bytes = side.spell(requests);
            bytes.extend_from_slice(&probe.ask);
            side.wire.exchange(&bytes, &probe.answer, manner)
        };
        let answers = Answers {
            theirs: ask(&mut self.theirs),
            ours: ask(&mut self.ours),
        };
        self.theirs
            .remember_uniques(self.protocol, requests, &answers.theirs);
        self.ours
            .remember_uniques(self.protocol, requests, &answers.ours);
        answers
    }

    /// Sends requests and a FIN on both sides, and reads until both have closed.
    pub(crate) fn leave(&mut self, requests: &[Request], manner: &Manner) -> Answers {
        let ask = |side: &mut Side| {
            let bytes = side.spell(requests);
            side.wire.finish(&bytes, manner)
        };
        Answers {
            theirs: ask(&mut self.theirs),
            ours: ask(&mut self.ours),
        }
    }

    /// Sends requests without reading anything.
    pub(crate) fn send(&mut self, requests: &[Request]) {
        for side in [&mut self.theirs, &mut self.ours] {
            let bytes = side.spell(requests);
            side.wire.send(&bytes);
        }
    }

    /// Repeats a request until both answer it equally twice in a row and keep the connection.
    pub(crate) fn settle(&mut self, request: &Request) {
        let mut alike = 0;
        for _ in 0..500 {
            let answers = self.exchange(std::slice::from_ref(request), &Manner::plain());
            let open = answers.theirs.end == End::Open && answers.ours.end == End::Open;
            alike = if open && answers.theirs == answers.ours {
                alike + 1
            } else {
                0
            };
            if alike == 2 {
                return;
            }
            if !open {
                self.reconnect();
            }
            thread::sleep(Duration::from_millis(10));
        }
        panic!("no common answer to {}", shown(&request.bytes));
    }

    /// Closes both connections and connects again.
    pub(crate) fn reconnect(&mut self) {
        self.theirs.wire = Wire::connect(self.ports.theirs);
        self.ours.wire = Wire::connect(self.ports.ours);
        self.greet();
    }

    fn greet(&mut self) {
        let greeting = self.greeting.clone();
        self.make_sure(&greeting);
    }

    /// Sends the same on both sides and checks the known answer.
    fn make_sure(&mut self, exchange: &Exchange) {
        for side in [&mut self.theirs, &mut self.ours] {
            let got = side
                .wire
                .exchange(&exchange.ask, &exchange.answer, &Manner::plain());
            assert_eq!(
                got.end,
                End::Open,
                "{} is answered: {got:?}",
                shown(&exchange.ask)
            );
        }
    }
}

impl Side {
    fn connect(port: u16) -> Side {
        Side {
            wire: Wire::connect(port),
            uniques: HashMap::new(),
        }
    }

    /// The requests as this side gets them.
    fn spell(&self, requests: &[Request]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for request in requests {
            match request.words.first().map(Vec::as_slice) {
                Some(b"cas") => bytes.extend(self.with_unique(request)),
                _ => bytes.extend_from_slice(&request.bytes),
            }
        }
        bytes
    }

    fn with_unique(&self, request: &Request) -> Vec<u8> {
        let known = request.words.get(1).and_then(|key| self.uniques.get(key));
        // One that matches no item, if none has been seen.
        let unique = known.map_or(&b"999999999"[..], Vec::as_slice);
        let at = request
            .bytes
            .windows(CAS.len())
            .position(|part| part == CAS);
        match at {
            Some(at) => [
                &request.bytes[..at],
                unique,
                &request.bytes[at + CAS.len()..],
            ]
            .concat(),
            None => request.bytes.clone(),
        }
    }

    fn remember_uniques(&mut self, protocol: Protocol, requests: &[Request], answer: &Answer) {
        if protocol == Protocol::Redis || !requests.iter().any(|request| request.name() == "gets") {
            return;
        }
        let (frames, _) = frames::split(protocol, requests, &answer.bytes);
        let owed = requests
            .iter()
            .filter(|request| request.replies == Replies::One);
        for (request, frame) in owed.zip(frames) {
            let [name, key] = &request.words[..] else {
                continue;
            };
            let header = frame
                .split(|byte| *byte == b'\r')
                .next()
                .unwrap_or_default();
            let unique = header.split(|byte| *byte == b' ').nth(4);
            if let (b"gets", Some(unique)) = (&name[..], unique) {
                self.uniques.insert(key.clone(), unique.to_vec());
            }
        }
    }
}

/// Asks for the client's own key.
pub(crate) fn probe(protocol: Protocol, name: &str) -> Exchange {
    let (key, value) = (probe_key(name), probe_value(name));
    let len = value.len();
    match protocol {
        Protocol::Redis => Exchange {
            ask: Request::redis(&["GET", &key]).bytes,
            answer: format!("${len}\r\n{value}\r\n").into_bytes(),
        },
        Protocol::Memcached => Exchange {
            ask: format!("get {key}\r\n").into_bytes(),
            answer: format!("VALUE {key} 0 {len}\r\n{value}\r\nEND\r\n").into_bytes(),
        },
    }
}

/// Stores the key that the probe asks for.
pub(crate) fn planting(protocol: Protocol, name: &str) -> Exchange {
    let (key, value) = (probe_key(name), probe_value(name));
    match protocol {
        Protocol::Redis => Exchange {
            ask: Request::redis(&["SET", &key, &value]).bytes,
            answer: b"+OK\r\n".to_vec(),
        },
        Protocol::Memcached => Exchange {
            ask: format!("set {key} 0 0 {}\r\n{value}\r\n", value.len()).into_bytes(),
            answer: b"STORED\r\n".to_vec(),
        },
    }
}

/// The key that the probe asks for.
pub(crate) fn probe_key(name: &str) -> String {
    format!("{name}:probe")
}

fn probe_value(name: &str) -> String {
    format!("<{name}: all answered>")
}
