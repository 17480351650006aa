//! An embedded Redis server: strings with expiry, in RESP2 and RESP3.

mod data;

use std::io;
use std::time::Instant;

use redis_proto::encode::{self, Version};
use redis_proto::{Progress, RequestLimits, RequestParser};

use crate::embedded::{ConnectionHandler, Next, Output, SharedStore, open};
use crate::store::MAX_VALUE;
use data::{Refusal, Work, value_or_null};

const LIMITS: RequestLimits = RequestLimits {
    max_args: 8192,
    max_bulk: MAX_VALUE as u64,
    max_inline: 64 << 10,
    // Arguments are collected in one buffer: none is longer than a value.
    divert: MAX_VALUE,
    max_request: 4 * MAX_VALUE as u64,
    is_unauthenticated: false,
};

/// One connection.
pub(crate) struct RedisHandler {
    store: SharedStore,
    parser: RequestParser,
    version: Version,
    name: Vec<u8>,
}

impl RedisHandler {
    pub(crate) fn new(store: SharedStore) -> RedisHandler {
        RedisHandler {
            store,
            parser: RequestParser::default(),
            version: Version::Resp2,
            name: Vec::new(),
        }
    }
}

impl ConnectionHandler for RedisHandler {
    fn answer(&mut self, input: &mut Vec<u8>, out: &mut Output) -> io::Result<Next> {
        let mut done = 0;
        let next = loop {
            match self.parser.parse(&LIMITS, &input[done..]) {
                Ok(Progress::Skip { len }) => done += len,
                Ok(Progress::Complete { len }) => {
                    let text = &input[done..];
                    let text = self.parser.inline().unwrap_or(text).to_vec();
                    let spans = self.parser.args().iter();
                    let args: Vec<&[u8]> = spans.filter_map(|arg| arg.bytes(&text)).collect();
                    done += len;
                    if self.command(&args, out)? == Next::Close {
                        break Next::Close;
                    }
                    out.spill()?;
                }
                // With these limits nothing is diverted.
                Ok(Progress::Partial | Progress::Body { .. }) => break Next::Continue,
                Err(error) => {
                    encode::error(&mut out.bytes, &format!("ERR {error}"));
                    break Next::Close;
                }
            }
        };
        input.drain(..done);
        Ok(next)
    }
}

impl RedisHandler {
    /// Executes one command. The name is always present, and an argument is never diverted.
    fn command(&mut self, args: &[&[u8]], out: &mut Output) -> io::Result<Next> {
        let name = args[0].to_ascii_uppercase();
        let now = Instant::now();
        if let (b"MGET", keys @ [_, ..]) = (&*name, &args[1..]) {
            return self.mget(keys, now, out).map(|()| Next::Continue);
        }
        let reply = &mut out.bytes;
        let outcome = match (&*name, &args[1..]) {
            (b"QUIT", _) => {
                encode::simple(reply, "OK");
                return Ok(Next::Close);
            }
            (b"HELLO", asked) => self.hello(asked, reply),
            (b"CLIENT", [what, rest @ ..]) => self.client(what, rest, reply),
            (b"RESET", []) => {
                self.version = Version::Resp2;
                self.name.clear();
                encode::simple(reply, "RESET");
                Ok(())
            }
            (name, rest) => match connection_command(name, rest, reply) {
                Some(outcome) => outcome,
                None => {
                    let mut work = Work {
                        store: &mut open(&self.store),
                        now,
                        version: self.version,
                        reply: &mut *reply,
                    };
                    let known = work.command(name, rest);
                    known.unwrap_or_else(|| Err(unknown(args)))
                }
            },
        };
        if let Err(refusal) = outcome {
            encode::error(reply, &refusal);
        }
        Ok(Next::Continue)
    }

    /// The store is locked for each key separately, so that writing to a slow client blocks nobody else.
    fn mget(&self, keys: &[&[u8]], now: Instant, out: &mut Output) -> io::Result<()> {
        encode::array_header(&mut out.bytes, keys.len());
        for key in keys {
            let value = open(&self.store).get(key, now).map(|i| i.value.clone());
            value_or_null(&mut out.bytes, value.as_deref(), self.version);
            out.spill()?;
        }
        Ok(())
    }

    fn hello(&mut self, asked: &[&[u8]], reply: &mut Vec<u8>) -> Result<(), Refusal> {
        self.version = match asked.first().copied() {
            None => self.version,
            Some(b"2") => Version::Resp2,
            Some(b"3") => Version::Resp3,
            Some(_) => return Err("NOPROTO unsupported protocol version".into()),
        };
        let mut rest = asked.get(1..).unwrap_or_default();
        while let [word, after @ ..] = rest {
            rest = match (&*word.to_ascii_uppercase(), after) {
                (b"AUTH", [_, _, after @ ..]) => after,
                (b"SETNAME", [name, after @ ..]) => {
                    self.name = name.to_vec();
                    after
                }
                _ => return Err("ERR Syntax error in HELLO".into()),
            };
        }
        encode::map_header(reply, 4, self.version);
        for (field, value) in [
            ("server", "redis"),
            ("version", "7.0.0"),
            ("mode", "standalone"),
        ] {
            encode::bulk(reply, field.as_bytes());
            encode::bulk(reply, value.as_bytes());
        }
        encode::bulk(reply, b"proto");
        encode::integer(reply, if self.version == Version::Resp3 { 3 } else { 2 });
        Ok(())
    }

    fn client(&mut self, what: &[u8], rest: &[&[u8]], reply: &mut Vec<u8>) -> Result<(), Refusal> {
        match (&*what.to_ascii_uppercase(), rest) {
            (b"SETNAME", [name]) => {
                self.name = name.to_vec();
                encode::simple(reply, "OK");
            }
            (b"SETINFO", [_, _]) => encode::simple(reply, "OK"),
            (b"GETNAME", []) if self.name.is_empty() => encode::null(reply, self.version),
            (b"GETNAME", []) => encode::bulk(reply, &self.name),
            (b"ID", []) => encode::integer(reply, 1),
            _ => return Err("ERR unknown subcommand of CLIENT".into()),
        }
        Ok(())
    }
}

/// Commands about the connection; `None` if it is another command.
fn connection_command(
    name: &[u8],
    args: &[&[u8]],
    reply: &mut Vec<u8>,
) -> Option<Result<(), Refusal>> {
    match (name, args) {
        (b"PING", []) => encode::simple(reply, "PONG"),
        (b"PING" | b"ECHO", [text]) => encode::bulk(reply, text),
        (b"SELECT", [b"0"]) => encode::simple(reply, "OK"),
        (b"SELECT", [_]) => return Some(Err("ERR DB index is out of range".into())),
        (b"AUTH", [_] | [_, _]) => {
            let text = "ERR AUTH called without any password configured for the default user";
            return Some(Err(text.into()));
        }
        (b"COMMAND", _) => encode::array_header(reply, 0),
        (b"INFO", _) => {
            let text = "# Server\r\nredis_version:7.0.0\r\nredis_mode:standalone\r\n";
            encode::bulk(reply, text.as_bytes());
        }
        _ => return None,
    }
    Some(Ok(()))
}

fn unknown(args: &[&[u8]]) -> Refusal {
    let name = args[0][..args[0].len().min(64)].escape_ascii();
    let count = args.len() - 1;
    format!("ERR unknown command '{name}' with {count} arguments (this is the demo's small server)")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The server's output for `input`, and whether it then closes.
    fn answer_to(handler: &mut RedisHandler, input: &[u8]) -> (String, Next) {
        let mut out = Output::new(io::sink());
        let mut input = input.to_vec();
        let next = handler.answer(&mut input, &mut out).unwrap();
        (String::from_utf8(out.bytes).unwrap(), next)
    }

    /// A session of inline commands, each with its reply.
    fn session(rows: &[(&str, &str)]) {
        let mut handler = RedisHandler::new(SharedStore::default());
        for (command, expected) in rows {
            let line = format!("{command}\r\n");
            let (reply, next) = answer_to(&mut handler, line.as_bytes());
            assert_eq!((&*reply, next), (*expected, Next::Continue), "{command}");
        }
    }

    #[test]
    fn strings_and_numbers() {
        session(&[
            ("PING", "+PONG\r\n"),
            ("echo hi", "$2\r\nhi\r\n"),
            ("GET k", "$-1\r\n"),
            ("SET k v", "+OK\r\n"),
            ("GET k", "$1\r\nv\r\n"),
            ("APPEND k w", ":2\r\n"),
            ("STRLEN k", ":2\r\n"),
            ("MSET a 1 b 2", "+OK\r\n"),
            ("MGET a none b", "*3\r\n$1\r\n1\r\n$-1\r\n$1\r\n2\r\n"),
            ("INCR a", ":2\r\n"),
            ("DECRBY a 5", ":-3\r\n"),
            ("INCR k", "-ERR value is not an integer or out of range\r\n"),
            ("SET n 9223372036854775807", "+OK\r\n"),
            ("INCR n", "-ERR increment or decrement would overflow\r\n"),
            (
                "DECRBY n -9223372036854775808",
                "-ERR value is not an integer or out of range\r\n",
            ),
            ("SETNX a 9", ":0\r\n"),
            ("EXISTS a b c", ":2\r\n"),
            ("TYPE a", "+string\r\n"),
            ("GETDEL a", "$2\r\n-3\r\n"),
            ("DEL a b k", ":2\r\n"),
            ("DBSIZE", ":1\r\n"),
            ("FLUSHALL", "+OK\r\n"),
            ("DBSIZE", ":0\r\n"),
        ]);
    }

    #[test]
    fn set_options_and_expiry() {
        session(&[
            ("SET k v EX 100", "+OK\r\n"),
            ("TTL k", ":100\r\n"),
            ("SET k w KEEPTTL", "+OK\r\n"),
            ("TTL k", ":100\r\n"),
            ("SET k x XX GET", "$1\r\nw\r\n"),
            ("TTL k", ":-1\r\n"),
            ("SET k y NX", "$-1\r\n"),
            (
                "SET k y EX 0",
                "-ERR invalid expire time in 'set' command\r\n",
            ),
            ("SET k y EX", "-ERR syntax error\r\n"),
            ("EXPIRE k 50", ":1\r\n"),
            ("PERSIST k", ":1\r\n"),
            ("PERSIST k", ":0\r\n"),
            ("EXPIRE k -1", ":1\r\n"),
            ("TTL k", ":-2\r\n"),
            ("SET k v", "+OK\r\n"),
            (
                "EXPIRE k 9223372036854775807",
                "-ERR invalid expire time in 'expire' command\r\n",
            ),
            ("SETEX k 10 v", "+OK\r\n"),
            ("TTL k", ":10\r\n"),
        ]);
    }

    #[test]
    fn the_version_of_the_protocol_is_the_clients_choice() {
        let map = "%4\r\n$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$5\r\n7.0.0\r\n\
                   $4\r\nmode\r\n$10\r\nstandalone\r\n$5\r\nproto\r\n:3\r\n";
        session(&[
            ("CLIENT GETNAME", "$-1\r\n"),
            ("HELLO 3 AUTH default x SETNAME me", map),
            ("GET none", "_\r\n"),
            ("CLIENT GETNAME", "$2\r\nme\r\n"),
            ("HELLO 4", "-NOPROTO unsupported protocol version\r\n"),
            ("RESET", "+RESET\r\n"),
            ("GET none", "$-1\r\n"),
            ("SELECT 0", "+OK\r\n"),
            ("SELECT 1", "-ERR DB index is out of range\r\n"),
        ]);
    }

    #[test]
    fn what_it_does_not_know_is_said_and_what_it_cannot_read_ends_it() {
        let mut handler = RedisHandler::new(SharedStore::default());
        let (reply, next) = answer_to(&mut handler, b"LPUSH a b\r\nGET\r\n");
        assert!(
            reply.starts_with("-ERR unknown command 'LPUSH' with 2"),
            "{reply}"
        );
        assert_eq!((reply.lines().count(), next), (2, Next::Continue));
        let (reply, next) = answer_to(&mut handler, b"*1\r\n!\r\n");
        assert!(reply.starts_with("-ERR Protocol error"), "{reply}");
        assert_eq!(next, Next::Close);
        let mut handler = RedisHandler::new(SharedStore::default());
        let (reply, next) = answer_to(&mut handler, b"QUIT\r\nPING\r\n");
        assert_eq!((&*reply, next), ("+OK\r\n", Next::Close));
    }

    #[test]
    fn requests_may_be_cut_anywhere_and_values_are_bounded() {
        let mut handler = RedisHandler::new(SharedStore::default());
        let mut out = Output::new(io::sink());
        let mut input = Vec::new();
        for byte in b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$4\r\na\r\nb\r\n*2\r\n$3\r\nGET\r\n$1\r\nk\r\n"
        {
            input.push(*byte);
            assert_eq!(
                handler.answer(&mut input, &mut out).unwrap(),
                Next::Continue
            );
        }
        assert_eq!(out.bytes, b"+OK\r\n$4\r\na\r\nb\r\n");
        let (reply, next) = answer_to(&mut handler, b"*2\r\n$3\r\nGET\r\n$1048577\r\n");
        assert!(reply.contains("invalid bulk length"), "{reply}");
        assert_eq!(next, Next::Close);
    }
}
