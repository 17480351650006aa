//! Fake servers that know channels. They parse requests and match patterns with code of their own.

use std::collections::{BTreeSet, VecDeque};

use proxy::ConnectionId;

/// A connection to a server.
pub(super) struct Link {
    pub(super) worker: usize,
    pub(super) id: ConnectionId,
    pub(super) server: usize,
    pub(super) is_connected: bool,
    /// What the server has sent and the proxy has not read.
    pub(super) sent: VecDeque<u8>,
    pub(super) was_subscribed: bool,
    received: Vec<u8>,
    /// Channels, patterns, shard channels.
    subscribed: [BTreeSet<String>; 3],
}

impl Link {
    pub(super) fn new(worker: usize, id: ConnectionId, server: usize) -> Self {
        Self {
            worker,
            id,
            server,
            is_connected: false,
            sent: VecDeque::new(),
            was_subscribed: false,
            received: Vec::new(),
            subscribed: Default::default(),
        }
    }

    pub(super) fn has_subscriptions(&self) -> bool {
        self.subscribed.iter().any(|names| !names.is_empty())
    }

    /// Takes bytes of the proxy and carries out what is complete. Returns the channels that were published to.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Vec<String> {
        self.received.extend_from_slice(bytes);
        let mut published = Vec::new();
        while let Some((words, len)) = request(&self.received) {
            self.received.drain(..len);
            if let Some(channel) = self.carry_out(&words) {
                published.push(channel);
            }
        }
        published
    }

    fn say(&mut self, text: &str) {
        self.sent.extend(text.as_bytes());
    }

    fn carry_out(&mut self, words: &[String]) -> Option<String> {
        let name = words[0].to_ascii_uppercase();
        let (is_new, kind) = match name.as_str() {
            "SUBSCRIBE" => (true, 0),
            "PSUBSCRIBE" => (true, 1),
            "SSUBSCRIBE" => (true, 2),
            "UNSUBSCRIBE" => (false, 0),
            "PUNSUBSCRIBE" => (false, 1),
            "SUNSUBSCRIBE" => (false, 2),
            _ => return self.carry_out_other(&name, words),
        };
        assert_eq!(words.len(), 2, "each by itself: {words:?}");
        let names = &mut self.subscribed[kind];
        let has_changed = match is_new {
            true => names.insert(words[1].clone()),
            false => names.remove(&words[1]),
        };
        assert!(has_changed, "nothing is asked for twice: {words:?}");
        self.was_subscribed = true;
        let count: usize = self.subscribed.iter().map(BTreeSet::len).sum();
        let reply = array(&[&name.to_lowercase(), &words[1]], 3);
        self.say(&format!("{reply}:{count}\r\n"));
        None
    }

    fn carry_out_other(&mut self, name: &str, words: &[String]) -> Option<String> {
        match name {
            "HELLO" => self.say("%1\r\n$5\r\nproto\r\n:3\r\n"),
            "GET" => {
                assert!(!self.was_subscribed, "a request among subscriptions");
                self.say(&bulk(&value(&words[1])));
            }
            "PING" if self.has_subscriptions() => self.say("*2\r\n$4\r\npong\r\n$0\r\n\r\n"),
            "PING" => self.say("+PONG\r\n"),
            "INFO" => self.say(&bulk("redis_version:7.0.0")),
            "PUBLISH" => {
                self.say(":1\r\n");
                return Some(words[1].clone());
            }
            _ => panic!("a server was sent {words:?}"),
        }
        None
    }
}

/// Sends a message to all who are subscribed at a server.
pub(super) fn publish(links: &mut [Link], server: usize, channel: &str, text: &str) {
    for link in links.iter_mut().filter(|link| link.server == server) {
        if link.subscribed[0].contains(channel) {
            link.say(&array(&["message", channel, text], 3));
        }
        let patterns: Vec<String> = link.subscribed[1].iter().cloned().collect();
        for pattern in patterns.iter().filter(|pattern| matches(pattern, channel)) {
            link.say(&array(&["pmessage", pattern, channel, text], 4));
        }
    }
}

/// Whether a pattern whose only `*` is at its end matches.
pub(super) fn matches(pattern: &str, channel: &str) -> bool {
    let start = pattern.strip_suffix('*');
    start.is_some_and(|start| channel.starts_with(start))
}

/// The value of a key.
pub(super) fn value(key: &str) -> String {
    format!("<{}>", key.repeat(key.len() * 7 % 90))
}

pub(super) fn bulk(text: &str) -> String {
    format!("${}\r\n{text}\r\n", text.len())
}

/// An array of `count` elements that begins with these.
pub(super) fn array(words: &[&str], count: usize) -> String {
    let words: String = words.iter().map(|word| bulk(word)).collect();
    format!("*{count}\r\n{words}")
}

/// The request at the beginning, and its length, if it is whole.
fn request(bytes: &[u8]) -> Option<(Vec<String>, usize)> {
    let (count, mut at) = header(bytes, 0, b'*')?;
    let mut words = Vec::new();
    for _ in 0..count {
        let (len, start) = header(bytes, at, b'$')?;
        let word = bytes.get(start..start + len)?;
        words.push(String::from_utf8_lossy(word).into_owned());
        at = start + len + 2;
    }
    (at <= bytes.len()).then_some((words, at))
}

/// The number of a line that begins at `at`, and where the next one begins.
pub(super) fn header(bytes: &[u8], at: usize, sigil: u8) -> Option<(usize, usize)> {
    let line = bytes.get(at..)?;
    let end = line.iter().position(|byte| *byte == b'\n')?;
    assert_eq!(line[0], sigil, "{}", String::from_utf8_lossy(line));
    let number = std::str::from_utf8(&line[1..end - 1]).ok()?.parse().ok()?;
    Some((number, at + end + 1))
}
