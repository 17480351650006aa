//! A fake Redis server: parses requests with its own code, and replies as their keys ask.
//!
//! Letters in a key: `b` bulk string, `n` null, `i` integer, `s` status, `e` error, `o` out of memory, `l`
//! loading, `a` nested array, `m` map, `t` attribute before a bulk string, `d` set, `z` empty values, `w` a
//! write (its size is the value's), `x` a weight for commands that count.

use std::collections::VecDeque;

use crate::keys::{self, KeyText};
use crate::redis_client::SCRIPT;
use crate::scenario::Scenario;
use crate::server_requests::split;
use crate::server_transactions::Multi;
use crate::waiting::{self, Leased};

/// A step of the handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    Auth,
    /// The question whether the server supports limiting a TTL.
    Limit,
    /// The question for the number of the connection.
    Number,
    /// Another step, or none.
    Other,
}

/// A request as parsed by a server, with its reply.
#[derive(Debug)]
pub(crate) struct Incoming {
    /// The keys that determined its server.
    pub(crate) keys: Vec<Vec<u8>>,
    pub(crate) reply: Vec<u8>,
    /// AUTH, HELLO or SELECT, or a probe: sent by the proxy itself.
    pub(crate) handshake: bool,
    /// Which step of the handshake it is.
    pub(crate) step: Step,
    /// It may be a probe.
    pub(crate) probe: bool,
    /// Limits the TTL of what the request before has written.
    pub(crate) limit: bool,
    /// A part of a transaction before its end. Its keys are those of EXEC.
    pub(crate) part: bool,
    /// Ends the wait of the link with this number.
    pub(crate) unblocks: Option<usize>,
}

/// Errors that make a connection unusable and count as failures of the server, and what clients get if they answer
/// AUTH: nothing that might quote the password.
pub(crate) const UNWELL: [(&str, &str); 4] = [
    (
        "LOADING not yet",
        "LOADING the server cannot serve at present",
    ),
    (
        "BUSY in a script",
        "BUSY the server cannot serve at present",
    ),
    (
        "MASTERDOWN link is down",
        "MASTERDOWN the server cannot serve at present",
    ),
    (
        "ERR max number of clients reached",
        "ERR max number of clients reached",
    ),
];
/// Errors that make it unusable and do not count, and the same for AUTH.
pub(crate) const UNWILLING: [(&str, &str); 2] = [
    (
        "NOPERM not this user",
        "NOPERM the server refused the password of the pool",
    ),
    (
        "ERR not in the mood for sesame",
        "ERR the server refused the password of the pool",
    ),
];

/// A server's state of one connection.
#[derive(Debug, Default)]
pub(crate) struct RedisTalk {
    authenticated: bool,
    asked_hello: bool,
    pub(crate) version3: bool,
    selected: bool,
    requests: usize,
    /// A probe has arrived: it must be the last request here.
    probed: bool,
    /// HELLO was refused on this connection: the proxy may close it.
    pub(crate) refused_hello: bool,
    /// A step of the handshake was refused with this error: only the rest of the handshake may follow.
    pub(crate) refusal: Option<&'static str>,
    /// Was asked whether it supports limiting a TTL, as servers of a failover pool are.
    asked_limit: bool,
    pub(crate) refused_limit: bool,
    /// Transactions on this connection.
    pub(crate) multi: Multi,
    /// The script was loaded on this connection: its server has forgotten what it learnt on others.
    knows_script: bool,
    pub(crate) leased: Leased,
    /// Keys that were written with too long a TTL: the next requests must limit each of them.
    unlimited: VecDeque<Vec<u8>>,
}

impl RedisTalk {
    /// The request at the start of `input` and its length; `None` if it is incomplete. Anything that a real
    /// server would reject is an error.
    pub(crate) fn next(
        &mut self,
        server: usize,
        scenario: &Scenario,
        input: &[u8],
    ) -> Result<Option<(usize, Incoming)>, String> {
        let Some((len, args)) = split(input)? else {
            return Ok(None);
        };
        let name = String::from_utf8_lossy(&args[0]).to_ascii_uppercase();
        if self.refused_limit {
            return Err(format!("{name} to a server that cannot limit a life"));
        }
        if self.probed {
            return Err(format!("{name} after a probe"));
        }
        let incoming = match name.as_str() {
            "PEXPIRE" => self.pexpire(scenario.limit_at(server), scenario, &args)?,
            _ if !self.unlimited.is_empty() => return Err(format!("{name} before a limit")),
            "PING" => self.ping(scenario, &args)?,
            "AUTH" => self.auth(scenario, &args)?,
            "HELLO" => self.hello(scenario, &args)?,
            "SELECT" => self.select(scenario, &args)?,
            "MULTI" | "EXEC" | "DISCARD" if scenario.limit_at(server).is_some() => {
                return Err(format!("{name} to a server of the failover pool"));
            }
            "MULTI" => self.multi.begin(scenario, args.len())?,
            "EXEC" => self.multi.execute()?,
            "DISCARD" => self.multi.discard(scenario)?,
            "WATCH" => self.multi.watch(&args, self.leased.is_leased)?,
            "UNWATCH" => self.multi.unwatch()?,
            _ if self.multi.expects_more() => return Err(format!("{name} within a trial")),
            "SCRIPT" => self.load(&args)?,
            _ if self.multi.is_open() => {
                let incoming = self.request(server, scenario, &name, &args)?;
                self.multi.queue(incoming, &args)?
            }
            "CLIENT" => {
                let whole = self.is_whole(scenario) && self.refusal.is_none();
                let is_fresh = self.is_whole(scenario) && self.requests == 0;
                self.requests += usize::from(args.len() > 2);
                self.client(&args, whole, is_fresh)?
            }
            _ => self.request(server, scenario, &name, &args)?,
        };
        Ok(Some((len, incoming)))
    }

    /// Whether every step of the handshake has been asked.
    fn is_whole(&self, scenario: &Scenario) -> bool {
        (scenario.password.is_none() || self.authenticated) && (scenario.db == 0 || self.selected)
    }

    fn auth(&mut self, scenario: &Scenario, args: &[Vec<u8>]) -> Result<Incoming, String> {
        let expected = scenario
            .password
            .ok_or("AUTH sent to a server without password")?;
        if self.authenticated || self.asked_hello || self.selected || self.requests > 0 {
            return Err("AUTH is not the first of the handshake".into());
        }
        if args.len() != 2 || args[1] != expected.as_bytes() {
            return Err(format!("AUTH with wrong arguments {args:?}"));
        }
        self.authenticated = true;
        let refusal = b"-ERR Client sent AUTH, but no password is set\r\n".as_slice();
        let reply = match scenario.servers_grumble {
            true => refusal,
            false => b"+OK\r\n",
        };
        Ok(Incoming {
            step: Step::Auth,
            ..handshake(reply)
        })
    }

    fn hello(&mut self, scenario: &Scenario, args: &[Vec<u8>]) -> Result<Incoming, String> {
        if scenario.password.is_some() && !self.authenticated {
            return Err("HELLO before AUTH".into());
        }
        if self.asked_hello || self.selected || self.requests > 0 {
            return Err("HELLO out of turn".into());
        }
        if args.get(1).map(Vec::as_slice) != Some(b"3") {
            return Err(format!("HELLO with arguments {args:?}"));
        }
        self.asked_hello = true;
        if !scenario.resp3 {
            return Err("HELLO 3 although the pool has resp3 off".into());
        }
        if !scenario.servers_speak_resp3 {
            self.refused_hello = true;
            return Ok(handshake(
                b"-ERR unknown command 'HELLO', with args beginning with: '3' \r\n",
            ));
        }
        self.version3 = true;
        Ok(handshake(
            b"%3\r\n$6\r\nserver\r\n$4\r\nfake\r\n$5\r\nproto\r\n:3\r\n$7\r\nmodules\r\n*0\r\n",
        ))
    }

    fn select(&mut self, scenario: &Scenario, args: &[Vec<u8>]) -> Result<Incoming, String> {
        if scenario.password.is_some() && !self.authenticated {
            return Err("SELECT before AUTH".into());
        }
        if self.selected || self.requests > 0 {
            return Err("SELECT out of turn".into());
        }
        if args.len() != 2 || args[1] != scenario.db.to_string().as_bytes() {
            return Err(format!("SELECT with arguments {args:?}"));
        }
        self.selected = true;
        Ok(handshake(if scenario.servers_grumble {
            b"-ERR DB index is out of range\r\n"
        } else {
            b"+OK\r\n"
        }))
    }

    /// Clients' PINGs are answered by the proxy, so this can only be a probe.
    fn ping(&mut self, scenario: &Scenario, args: &[Vec<u8>]) -> Result<Incoming, String> {
        if !scenario.policy.probe || !scenario.auto_eject || args.len() > 1 {
            return Err(format!("a probe that is none: {args:?}"));
        }
        if self.requests > 0 || self.version3 {
            return Err("a probe on a connection of clients".into());
        }
        if !self.is_whole(scenario) {
            return Err("a probe before the handshake".into());
        }
        self.probed = true;
        Ok(Incoming {
            probe: true,
            ..handshake(b"+PONG\r\n")
        })
    }

    /// Only the proxy sends it: first as a question, and then directly after writes whose TTL must be
    /// limited.
    fn pexpire(
        &mut self,
        limit: Option<u32>,
        scenario: &Scenario,
        args: &[Vec<u8>],
    ) -> Result<Incoming, String> {
        let seconds = limit.ok_or("a limit where nothing needs one")?;
        if !self.asked_limit {
            let options: Vec<&[u8]> = args[3.min(args.len())..]
                .iter()
                .map(Vec::as_slice)
                .collect();
            if !self.is_whole(scenario) || self.requests > 0 || options != [&b"LT"[..], b"GT"] {
                return Err(format!("asked in the wrong way or place: {args:?}"));
            }
            self.asked_limit = true;
            self.refused_limit = scenario
                .gutter
                .as_ref()
                .is_some_and(|gutter| gutter.too_old);
            let reply: &[u8] = match self.refused_limit {
                true => b"-ERR wrong number of arguments for 'pexpire' command\r\n",
                false => b"-ERR GT and LT options at the same time are not compatible\r\n",
            };
            return Ok(Incoming {
                step: Step::Limit,
                ..handshake(reply)
            });
        }
        let key = self.unlimited.pop_front().ok_or("a limit for nothing")?;
        let millis = format!("{}000", seconds);
        let wanted = [
            b"PEXPIRE".to_vec(),
            key.clone(),
            millis.into(),
            b"LT".to_vec(),
        ];
        if args != wanted {
            return Err(format!("{args:?} instead of {wanted:?}"));
        }
        Ok(Incoming {
            keys: vec![key],
            reply: b":1\r\n".to_vec(),
            handshake: false,
            step: Step::Other,
            probe: false,
            limit: true,
            part: false,
            unblocks: None,
        })
    }

    /// On a server of the failover pool, nothing may be written with too long a TTL.
    fn check_limit(
        &mut self,
        server: usize,
        scenario: &Scenario,
        name: &str,
        args: &[Vec<u8>],
    ) -> Result<(), String> {
        let Some(seconds) = scenario.limit_at(server) else {
            return Ok(());
        };
        if !self.asked_limit || self.refused_limit {
            return Err(format!(
                "{name}, and nobody knows whether it can be limited"
            ));
        }
        let number =
            |at: usize| -> Option<u32> { std::str::from_utf8(args.get(at)?).ok()?.parse().ok() };
        let given = match name {
            "FLUSHALL" | "FLUSHDB" => return Err("another pool's data is destroyed".into()),
            "SET" if args.get(3).is_some_and(|word| word == b"EX") => number(4),
            "SETEX" => number(2),
            "SET" if args.len() == 4 && args[3] == b"KEEPTTL" => None,
            "SET" => Some(u32::MAX),
            "APPEND" | "LPUSH" | "SETNX" | "GETSET" | "EVAL" | "EVALSHA" | "MSET" => None,
            _ => return Ok(()),
        };
        match given {
            Some(given) if given <= seconds => return Ok(()),
            Some(given) => return Err(format!("{name} for {given} s, more than {seconds}")),
            None => {}
        }
        let keys = args[1..].iter().filter(|arg| keys::read(arg).is_some());
        self.unlimited.extend(keys.cloned());
        Ok(())
    }

    /// Clients load no scripts: only the proxy does, ahead of the first call on a connection.
    fn load(&mut self, args: &[Vec<u8>]) -> Result<Incoming, String> {
        let wanted = [&b"SCRIPT"[..], b"LOAD", SCRIPT.0];
        if args != wanted || self.knows_script || self.multi.is_open() {
            return Err(format!(
                "a script is loaded in the wrong place, or again: {args:?}"
            ));
        }
        if self.refusal.is_some() {
            return Err("a script is loaded after a refusal".into());
        }
        self.requests += 1;
        self.knows_script = true;
        Ok(Incoming {
            handshake: false,
            limit: true,
            ..handshake(&[b"$40\r\n", SCRIPT.1, b"\r\n"].concat())
        })
    }

    fn request(
        &mut self,
        server: usize,
        scenario: &Scenario,
        name: &str,
        args: &[Vec<u8>],
    ) -> Result<Incoming, String> {
        self.requests += 1;
        if let Some(refusal) = self.refusal {
            return Err(format!("{name} after a handshake that got {refusal}"));
        }
        if scenario.password.is_some() && !self.authenticated {
            return Err(format!("{name} before AUTH"));
        }
        if scenario.db > 0 && !self.selected {
            return Err(format!("{name} before SELECT {}", scenario.db));
        }
        let keys: Vec<Vec<u8>> = args[1..]
            .iter()
            .filter(|arg| keys::read(arg).is_some())
            .cloned()
            .collect();
        check_values(name, args)?;
        if name == "EVALSHA" && !self.knows_script {
            return Err("a script is called that was not loaded on the connection".into());
        }
        self.check_lease(name)?;
        self.check_limit(server, scenario, name, args)?;
        let reply = reply_to(server, name, &keys, self.version3)?;
        let keys = if is_split(name) || self.multi.is_open() {
            keys
        } else {
            keys.into_iter().take(1).collect()
        };
        Ok(Incoming {
            keys,
            reply,
            handshake: false,
            step: Step::Other,
            probe: false,
            limit: false,
            part: false,
            unblocks: None,
        })
    }
}

pub(crate) fn handshake(reply: &[u8]) -> Incoming {
    Incoming {
        keys: Vec::new(),
        reply: reply.to_vec(),
        handshake: true,
        step: Step::Other,
        probe: false,
        limit: false,
        part: false,
        unblocks: None,
    }
}

/// Every value must match its key, byte for byte.
fn check_values(name: &str, args: &[Vec<u8>]) -> Result<(), String> {
    for (at, arg) in args.iter().enumerate() {
        let Some(key) = keys::read(arg).filter(|key| key.mark == b'w') else {
            continue;
        };
        let found = match name {
            "MSET" => args.get(at + 1),
            "SET" => args.get(2),
            _ => args.last(),
        };
        let expected = keys::value(arg, key.size);
        if found != Some(&expected) {
            let got = found.map_or(0, Vec::len);
            return Err(format!(
                "{name}: value of {} is wrong ({got} of {} bytes)",
                String::from_utf8_lossy(arg),
                expected.len()
            ));
        }
    }
    Ok(())
}

/// Whether each key of the command is sent to its own server; otherwise the first key decides.
fn is_split(name: &str) -> bool {
    matches!(
        name,
        "MGET" | "MSET" | "DEL" | "UNLINK" | "TOUCH" | "EXISTS"
    )
}

fn reply_to(
    server: usize,
    name: &str,
    keys: &[Vec<u8>],
    version3: bool,
) -> Result<Vec<u8>, String> {
    let failing = keys
        .iter()
        .find(|key| keys::read(key).is_some_and(|key| matches!(key.mark, b'e' | b'o' | b'l')));
    match (name, keys, failing) {
        ("LOLWUT", [], _) => Ok(lolwut(server)),
        ("FLUSHALL" | "FLUSHDB", [], _) => Ok(b"+OK\r\n".to_vec()),
        (_, [], _) => Err(format!("{name} came without a key")),
        (_, _, Some(key)) if is_split(name) => Ok(answer(server, key, version3)),
        ("MGET", _, _) => Ok(elements(server, keys, version3)),
        ("DEL" | "UNLINK" | "TOUCH" | "EXISTS", _, _) => {
            Ok(format!(":{}\r\n", weight(keys)).into_bytes())
        }
        ("BLPOP", [key], _) => Ok(waiting::popped(server, key)),
        ("MSET", _, _) => Ok(b"+OK\r\n".to_vec()),
        (_, [first, ..], _) => Ok(answer(server, first, version3)),
    }
}

/// What a server sends unasked on a RESP3 connection.
pub(crate) const PUSH: &[u8] = b">2\r\n$10\r\ninvalidate\r\n*1\r\n$3\r\nkey\r\n";

/// `server`'s reply to LOLWUT.
pub(crate) fn lolwut(server: usize) -> Vec<u8> {
    bulk(format!("s{server} drawn").as_bytes())
}

/// The sum of the keys' weights.
pub(crate) fn weight(keys: &[Vec<u8>]) -> usize {
    keys.iter()
        .filter_map(|key| keys::read(key))
        .map(|key| key.size)
        .sum()
}

/// An array with the replies to `keys`.
pub(crate) fn elements(server: usize, keys: &[Vec<u8>], version3: bool) -> Vec<u8> {
    let mut reply = format!("*{}\r\n", keys.len()).into_bytes();
    keys.iter()
        .for_each(|key| reply.extend(answer(server, key, version3)));
    reply
}

/// `server`'s reply to a command on `key`; the server, the join of fragments and the oracle share nothing
/// else.
pub(crate) fn answer(server: usize, key: &[u8], version3: bool) -> Vec<u8> {
    let Some(wish) = keys::read(key) else {
        return b"-ERR not a key\r\n".to_vec();
    };
    let name = String::from_utf8_lossy(key);
    let text = |text: String| text.into_bytes();
    match wish.mark {
        b'b' => bulk(&keys::payload(server, key, wish.size)),
        b'n' => null(version3).to_vec(),
        b'i' => text(format!(":{}\r\n", keys::stamp(server, &wish))),
        b's' | b'w' | b'x' => text(format!("+OK s{server} {name}\r\n")),
        b'e' => text(format!("-ERR s{server} {name}\r\n")),
        b'o' => text(format!("-OOM s{server} {name}\r\n")),
        b'l' => text(format!("-LOADING s{server} {name}\r\n")),
        b'z' => empty(wish.size, version3),
        _ => nested(server, key, &wish, version3),
    }
}

fn empty(which: usize, version3: bool) -> Vec<u8> {
    let all: [&[u8]; 5] = [
        b"$0\r\n\r\n",
        b"*0\r\n",
        b":0\r\n",
        b"+\r\n",
        if version3 { b"%0\r\n" } else { b"*-1\r\n" },
    ];
    all[which % all.len()].to_vec()
}

fn nested(server: usize, key: &[u8], wish: &KeyText, version3: bool) -> Vec<u8> {
    let item = bulk(&keys::payload(server, key, wish.size.min(200)));
    let head: &[u8] = match (wish.mark, version3) {
        (b'm', true) => b"%1\r\n+pair\r\n",
        (b't', true) => b"|1\r\n+ttl\r\n*2\r\n:3\r\n#t\r\n",
        (b'd', true) => b"~3\r\n,3.25\r\n(12345678901234567890\r\n",
        (b'm', false) => b"*2\r\n+pair\r\n",
        (b't', false) => b"",
        _ => b"*3\r\n:-7\r\n*2\r\n*1\r\n+deep\r\n$-1\r\n",
    };
    [head, &item].concat()
}

fn null(version3: bool) -> &'static [u8] {
    if version3 { b"_\r\n" } else { b"$-1\r\n" }
}

pub(crate) fn bulk(bytes: &[u8]) -> Vec<u8> {
    [format!("${}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()
}
