//! Fake clients that subscribe. Each checks all that it gets.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use proxy::SessionId;

use super::server::{array, bulk, matches, value};
use super::{CHANNELS, Counts, PATTERNS};
use crate::rng::Rng;

/// A subscription: the word of its messages, and the name of the channel or pattern.
type Subscription = (&'static str, String);

/// One client.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) worker: usize,
    pub(super) id: SessionId,
    pub(super) rng: Rng,
    pub(super) is_gone: bool,
    /// What it has sent and the proxy has not read.
    pub(super) sent: VecDeque<u8>,
    heard: Vec<u8>,
    version3: bool,
    owed: VecDeque<Owed>,
    /// What it is subscribed to, by the confirmations that it got.
    subscribed: BTreeSet<Subscription>,
    /// Messages that it is to get, and for which subscription.
    due: BTreeSet<(Subscription, u64)>,
    /// The last message of each subscription, channel and server.
    last: BTreeMap<(Subscription, String, String), u64>,
}

/// What it waits for.
#[derive(Debug)]
enum Owed {
    /// Confirmations of a request, of which so many have come.
    Confirmed {
        word: &'static str,
        kind: &'static str,
        names: Vec<String>,
        done: usize,
    },
    /// A reply that is known.
    Text(String),
    /// A reply, or an error where servers fail.
    Reply(String),
    Hello,
}

impl Client {
    pub(super) fn new(worker: usize, id: SessionId, rng: Rng) -> Self {
        Self {
            worker,
            id,
            rng,
            is_gone: false,
            sent: VecDeque::new(),
            heard: Vec::new(),
            version3: false,
            owed: VecDeque::new(),
            subscribed: BTreeSet::new(),
            due: BTreeSet::new(),
            last: BTreeMap::new(),
        }
    }

    pub(super) fn is_answered(&self) -> bool {
        self.owed.is_empty() && self.heard.is_empty()
    }

    pub(super) fn subscriptions(&self) -> usize {
        match self.is_gone {
            true => 0,
            false => self.subscribed.len(),
        }
    }

    /// How many messages it was to get and did not.
    pub(super) fn take_missing(&mut self) -> usize {
        std::mem::take(&mut self.due).len()
    }

    /// A message is published to a channel, at its home or elsewhere.
    pub(super) fn expect(&mut self, channel: &str, number: u64, is_home: bool) {
        for it in &self.subscribed {
            let is_to_come = match it.0 {
                "message" => it.1 == channel && is_home,
                _ => matches(&it.1, channel),
            };
            if is_to_come {
                self.due.insert((it.clone(), number));
            }
        }
    }

    /// Sends a request, unless it waits for many.
    pub(super) fn talk(&mut self) {
        if self.owed.len() > 3 {
            return;
        }
        // With RESP2 a subscriber may not do everything, and it may be one soon.
        let may_subscribe = |owed: &Owed| matches!(owed, Owed::Confirmed { .. });
        let is_free =
            self.version3 || (self.subscribed.is_empty() && !self.owed.iter().any(may_subscribe));
        match self.rng.below(10) {
            0..=2 => self.subscribe("subscribe", "message", &CHANNELS),
            3 => self.subscribe("psubscribe", "pmessage", &PATTERNS),
            4 => self.unsubscribe("unsubscribe", "message", &CHANNELS),
            5 => self.unsubscribe("punsubscribe", "pmessage", &PATTERNS),
            6 if is_free && self.owed.is_empty() && !self.version3 => {
                self.say(&["HELLO", "3"]);
                self.owed.push_back(Owed::Hello);
            }
            7 | 8 if is_free => {
                let key = format!("key{}", self.rng.below(1_000));
                self.say(&["GET", &key]);
                self.owed.push_back(Owed::Reply(bulk(&value(&key))));
            }
            9 if is_free => {
                let channel = self.rng.pick(&CHANNELS);
                self.say(&["PUBLISH", channel, "x"]);
                self.owed.push_back(Owed::Reply(":1\r\n".into()));
            }
            _ if self.version3 => {
                self.say(&["PING"]);
                self.owed.push_back(Owed::Text("+PONG\r\n".into()));
            }
            _ => {}
        }
    }

    fn say(&mut self, words: &[&str]) {
        self.sent.extend(array(words, words.len()).as_bytes());
    }

    fn subscribe(&mut self, word: &'static str, kind: &'static str, all: &[&str]) {
        let names: Vec<String> = (0..self.rng.between(1, 3))
            .map(|_| self.rng.pick(all).to_owned())
            .collect();
        self.ask(word, kind, names);
    }

    fn unsubscribe(&mut self, word: &'static str, kind: &'static str, all: &[&str]) {
        let name = self.rng.pick(all).to_owned();
        // From here on it may miss messages.
        self.due.retain(|((of, it), _)| (*of, it) != (kind, &name));
        self.ask(word, kind, vec![name]);
    }

    fn ask(&mut self, word: &'static str, kind: &'static str, names: Vec<String>) {
        let words: Vec<&str> = std::iter::once(word)
            .chain(names.iter().map(String::as_str))
            .collect();
        self.say(&words);
        self.owed.push_back(Owed::Confirmed {
            word,
            kind,
            names,
            done: 0,
        });
    }

    /// It reads bytes.
    pub(super) fn hear(&mut self, bytes: &[u8], may_fail: bool, counts: &mut Counts) {
        self.heard.extend_from_slice(bytes);
        while let Some(len) = frame_len(&self.heard) {
            let frame: Vec<u8> = self.heard.drain(..len).collect();
            let frame = String::from_utf8(frame).expect("text");
            self.take_frame(&frame, may_fail, counts);
        }
    }

    fn take_frame(&mut self, frame: &str, may_fail: bool, counts: &mut Counts) {
        let words: Vec<&str> = frame.split("\r\n").collect();
        let is_push = frame.starts_with('>');
        if is_push || (frame.starts_with('*') && !self.version3) {
            assert_eq!(is_push, self.version3, "{frame}");
            match words[2] {
                "message" => {
                    return self.take_message("message", &[words[4], words[4]], words[6], counts);
                }
                "pmessage" => {
                    return self.take_message("pmessage", &[words[4], words[6]], words[8], counts);
                }
                _ => return self.take_confirmation(&words),
            }
        }
        counts.replies += 1;
        match self.owed.pop_front() {
            Some(Owed::Text(text)) => assert_eq!(frame, text),
            Some(Owed::Hello) if frame.starts_with('%') => self.version3 = true,
            Some(Owed::Reply(text)) if frame == text => {}
            Some(Owed::Confirmed { word, done: 0, .. })
                if may_fail && frame.starts_with("-ERR ") =>
            {
                assert!(!word.contains("unsub"), "{frame}");
                counts.refused += 1;
            }
            Some(Owed::Hello | Owed::Reply(_)) if may_fail && frame.starts_with("-ERR ") => {}
            other => panic!("{frame:?} instead of {other:?}"),
        }
    }

    fn take_confirmation(&mut self, words: &[&str]) {
        let Some(Owed::Confirmed {
            word,
            kind,
            names,
            done,
        }) = self.owed.front_mut()
        else {
            panic!("{words:?} for {:?}", self.owed);
        };
        assert_eq!((words[2], words[4]), (*word, names[*done].as_str()));
        *done += 1;
        let subscription = (*kind, words[4].to_owned());
        match word.contains("unsub") {
            true => drop(self.subscribed.remove(&subscription)),
            false => drop(self.subscribed.insert(subscription.clone())),
        }
        if *done == names.len() {
            self.owed.pop_front();
        }
        let number = format!(":{}", self.subscribed.len());
        assert_eq!(words[5], number, "{words:?}");
        if !self.subscribed.contains(&subscription) {
            // What it may have been promised by a confirmation that came after it had asked to leave.
            self.due.retain(|(it, _)| *it != subscription);
        }
    }

    fn take_message(
        &mut self,
        kind: &'static str,
        names: &[&str; 2],
        text: &str,
        counts: &mut Counts,
    ) {
        let [name, channel] = *names;
        let subscription = (kind, name.to_owned());
        assert!(
            self.subscribed.contains(&subscription),
            "a message of {subscription:?} to {self:?}"
        );
        assert!(kind == "message" || matches(name, channel));
        let parts: Vec<&str> = text.split('/').collect();
        let [server, number, rest] = parts[..] else {
            panic!("{text}");
        };
        assert!(rest.bytes().all(|byte| byte == b'x'), "{rest}");
        let number: u64 = number.parse().expect("a number");
        let key = (subscription.clone(), channel.to_owned(), server.to_owned());
        let last = self.last.insert(key, number);
        assert!(last < Some(number), "{number} after {last:?}");
        self.due.remove(&(subscription, number));
        counts.messages += 1;
    }
}

/// The length of the first frame, if it is whole.
fn frame_len(bytes: &[u8]) -> Option<usize> {
    let (mut at, mut values) = (0, 1usize);
    while values > 0 {
        let line = bytes.get(at..)?;
        let end = line.iter().position(|byte| *byte == b'\n')?;
        let number = || {
            std::str::from_utf8(&line[1..end - 1])
                .ok()?
                .parse::<usize>()
                .ok()
        };
        values -= 1;
        at += end + 1;
        match line[0] {
            b'*' | b'>' => values += number()?,
            b'%' => values += 2 * number()?,
            b'$' => at += number()? + 2,
            b'+' | b'-' | b':' | b'_' => {}
            other => panic!("no frame begins with {}", char::from(other)),
        }
    }
    (at <= bytes.len()).then_some(at)
}
