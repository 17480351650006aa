//! Compares this crate with a real server: the command table with its `COMMAND`, keys with `COMMAND GETKEYS`,
//! and the parsing of requests, including malformed ones, with its replies.

#![allow(clippy::unwrap_used)] // a panic is how these tests fail

use std::collections::BTreeSet;
use std::fmt::Write;

use redis_proto::command::{Action, Arity, Command, Flags};
use redis_proto::describe::{self, Begin, Find, KeySpec};
use redis_proto::{Progress, RequestLimits, RequestParser, encode, lookup};
use testkit::Client;

/// Starts a server and runs the test against it.
macro_rules! client_or_skip {
    ($server:ident, $client:ident) => {
        let Some($server) = testkit::redis_unix(&[]) else {
            testkit::skip!("neither redis-server nor valkey-server is installed");
        };
        let mut $client = $server.client();
    };
}

#[test]
fn the_table_knows_every_command_of_the_server() {
    client_or_skip!(server, client);
    client.command(&[b"COMMAND"]);
    let rows = read_array(&client.reply());
    assert!(rows.len() > 200, "only {} commands", rows.len());
    let mut differences = String::new();
    for row in rows.iter().map(Theirs::read) {
        let Some(ours) = lookup(row.name.as_bytes()) else {
            writeln!(differences, "{} is unknown", row.name).unwrap();
            continue;
        };
        row.compare(ours, &mut differences);
        row.compare_description(ours, &mut differences);
        for theirs in &row.subs {
            match ours.subs.iter().find(|sub| sub.name == theirs.name) {
                Some(ours) => {
                    theirs.compare(ours, &mut differences);
                    theirs.compare_description(ours, &mut differences);
                }
                // The subcommands of what is refused whatever they are.
                None if theirs.range == (0, 0, 0) && ours.subs.len() == 1 => {}
                None => writeln!(differences, "{} is unknown", theirs.name).unwrap(),
            }
        }
    }
    assert_eq!(differences, "");
}

/// One row of the server's `COMMAND` reply.
struct Theirs {
    name: String,
    arity: i64,
    flags: BTreeSet<String>,
    range: (i64, i64, i64),
    categories: BTreeSet<String>,
    tips: Vec<String>,
    /// As [`spec_text`] writes them.
    specs: Vec<String>,
    subs: Vec<Theirs>,
}

impl Theirs {
    fn read(value: &Value) -> Theirs {
        let fields = value.array();
        Theirs {
            name: fields[0].text(),
            arity: fields[1].integer(),
            flags: fields[2].array().iter().map(Value::text).collect(),
            range: (
                fields[3].integer(),
                fields[4].integer(),
                fields[5].integer(),
            ),
            categories: fields[6].array().iter().map(Value::text).collect(),
            tips: fields[7]
                .array()
                .iter()
                .map(Value::text)
                .filter(|tip| !tip.contains("_policy:"))
                .collect(),
            specs: fields[8].array().iter().map(Value::spec).collect(),
            subs: fields[9].array().iter().map(Theirs::read).collect(),
        }
    }

    fn compare_description(&self, ours: &Command, differences: &mut String) {
        let (name, description) = (&self.name, describe::of(ours));
        let set = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect();
        let flags: BTreeSet<String> = set(&description.flags);
        if flags != self.flags {
            writeln!(
                differences,
                "{name}: flags {:?}, here {flags:?}",
                self.flags
            )
            .unwrap();
        }
        let categories: BTreeSet<String> = set(&description.categories);
        if categories != self.categories {
            let theirs = &self.categories;
            writeln!(
                differences,
                "{name}: categories {theirs:?}, here {categories:?}"
            )
            .unwrap();
        }
        // Policies have been added since, and are compared with a newer list (published_table.rs).
        let tips = description.tips.iter();
        let tips = tips.filter(|tip| !tip.contains("_policy:"));
        let tips: Vec<&str> = tips.copied().collect();
        if tips != self.tips {
            let (theirs, ours) = (&self.tips, tips);
            writeln!(differences, "{name}: tips {theirs:?}, here {ours:?}").unwrap();
        }
        let specs: Vec<String> = description.keys.iter().map(spec_text).collect();
        if specs != self.specs {
            let theirs = &self.specs;
            writeln!(differences, "{name}: keys {theirs:?}, here {specs:?}").unwrap();
        }
    }

    fn compare(&self, ours: &Command, differences: &mut String) {
        let name = &self.name;
        if ours.key_range() != self.range {
            let ours = ours.key_range();
            writeln!(differences, "{name}: keys {:?}, here {ours:?}", self.range).unwrap();
        }
        if ours.has_movable_keys() != self.flags.contains("movablekeys") {
            writeln!(differences, "{name}: movable keys differ").unwrap();
        }
        // The arity of nutcracker's commands is nutcracker's; a range cannot be expressed in Redis's form.
        let own_arity =
            ours.flags.contains(Flags::LEGACY) || matches!(ours.arity, Arity::Between(..));
        // Since Redis 7.2 the command that is asked about needs no arguments.
        let own_arity = own_arity || name.starts_with("command|getkeys");
        if !own_arity && ours.arity.as_redis() != self.arity {
            writeln!(
                differences,
                "{name}: arity {}, here {:?}",
                self.arity, ours.arity
            )
            .unwrap();
        }
        let forwarded = matches!(ours.action, Action::Forward | Action::Split(_));
        for (flag, ours) in [
            ("write", ours.flags.contains(Flags::WRITE)),
            ("readonly", ours.flags.contains(Flags::READONLY)),
        ] {
            // Redis does not know the effect of a script either; here it counts as a write.
            let script = ["eval", "evalsha", "fcall"].contains(&&**name);
            if forwarded && !script && ours != self.flags.contains(flag) {
                writeln!(differences, "{name}: {flag} differs").unwrap();
            }
        }
    }
}

/// A key specification in one line.
fn spec_text(spec: &KeySpec) -> String {
    let begin = match spec.begin {
        Begin::Index(index) => format!("index index {index}"),
        Begin::Keyword(word, from) => format!("keyword keyword {word} startfrom {from}"),
        Begin::Unknown => "unknown".to_owned(),
    };
    let find = match spec.find {
        Find::Range { last, step, limit } => {
            format!("range lastkey {last} keystep {step} limit {limit}")
        }
        Find::Number { first, step } => {
            format!("keynum keynumidx 0 firstkey {first} keystep {step}")
        }
        Find::Unknown => "unknown".to_owned(),
    };
    format!("{}: {begin}: {find}", spec.flags)
}

#[test]
fn keys_are_those_that_the_server_sees() {
    client_or_skip!(server, client);
    let requests = [
        "get k",
        "mset a 1 b 2",
        "msetnx a 1 b 2",
        "bitop and d a b",
        "copy a b",
        "lcs a b",
        "object encoding k",
        "memory usage k",
        "xgroup create k g $",
        "xinfo stream k",
        "eval s 2 a b c",
        "fcall f 1 a b",
        "zunion 2 a b",
        "zinter 1 a",
        "zunionstore d 2 a b weights 1 2",
        "zdiffstore d 1 a",
        "sintercard 2 a b limit 1",
        "zintercard 1 a",
        "lmpop 2 a b left",
        "zmpop 1 a min",
        "blmpop 0 2 a b left",
        "blpop a b 0",
        "xread streams a b 0 0",
        "xread count 2 block 0 streams a 0",
        "xreadgroup group streams block streams a >",
        "sort k",
        "sort k by w_* get store limit 0 1 store d",
        "georadius k 0 0 1 m store d",
        "georadiusbymember k m 1 m storedist d",
        "geosearchstore d s frommember m byradius 1 m",
        "migrate h 1 k 0 10",
        "migrate h 1 '' 0 10 keys a b",
        "pfmerge d a b",
        "sdiffstore d a b",
        "smove a b m",
        "rename a b",
        "rpoplpush a b",
        "zrangestore d s 0 1",
        "watch a b",
    ];
    for request in requests {
        let mut parser = RequestParser::default();
        let line = format!("{request}\n");
        parser
            .parse(&RequestLimits::default(), line.as_bytes())
            .unwrap();
        let text = parser.inline().unwrap();
        let args: Vec<&[u8]> = parser
            .args()
            .iter()
            .map(|arg| arg.bytes(text).unwrap())
            .collect();
        let mut keys = Vec::new();
        let command = lookup(args[0]).unwrap().resolve(text, parser.args());
        command.keys(text, parser.args(), &mut keys).unwrap();
        let ours: BTreeSet<Vec<u8>> = keys.iter().map(|&key| args[key].to_vec()).collect();

        client.command(&[&[&b"COMMAND"[..], b"GETKEYS"], &args[..]].concat());
        let reply = client.reply();
        assert_eq!(reply[0], b'*', "{request}: {}", reply.escape_ascii());
        let theirs = read_array(&reply)
            .iter()
            .map(|key| key.text().into_bytes())
            .collect();
        assert_eq!(ours, theirs, "{request}");
    }
}

/// Where the parser is deliberately stricter than the server, the unit tests say so; here they agree.
#[test]
fn malformed_requests_get_the_servers_answer() {
    client_or_skip!(server, _client);
    let digits = "1".repeat(70_000);
    let rows: [&[u8]; 23] = [
        b"*00\r\n",
        b"*01\r\n$4\r\nPING\r\n",
        b"*+1\r\n",
        b"* 1\r\n",
        b"*\r\n",
        b"*x\r\n",
        b"*-0\r\n",
        b"*2147483648\r\n",
        b"*99999999999999999999\r\n",
        b"*1\r\n$-1\r\n",
        b"*1\r\n$\r\n",
        b"*1\r\n$04\r\nPING\r\n",
        b"*1\r\n$+4\r\nPING\r\n",
        b"*1\r\n$536870913\r\n",
        b"*1\r\n$abc\r\n",
        b"*1\r\nxPING\r\n",
        b"*1\r\n\r\n",
        b"ECHO \"abc\r\n",
        b"ECHO \"abc\"d\r\n",
        b"ECHO 'a'b\r\n",
        &[b"*", digits.as_bytes()].concat(),
        &[b"*1\r\n$", digits.as_bytes()].concat(),
        digits.as_bytes(),
    ];
    for row in rows {
        let ours = RequestParser::default()
            .parse(&RequestLimits::default(), row)
            .unwrap_err();
        let mut client = server.client();
        client.send(row);
        let theirs = String::from_utf8(client.line()).unwrap();
        assert_eq!(
            theirs,
            format!("-ERR {ours}\r\n"),
            "{}",
            row[..row.len().min(40)].escape_ascii()
        );
    }
}

/// The server echoes the argument of an inline command; the parser must have found the same.
#[test]
fn inline_words_are_those_that_the_server_sees() {
    client_or_skip!(server, client);
    let words: [&[u8]; 11] = [
        b"ab",
        b"\"a b\"",
        b"\"a\\x41\\n\\r\\t\\b\\a\\q\\\"b\"",
        b"'a\\'b\\n'",
        b"a\"b c\"",
        b"\"\"",
        b"a\\n",
        b"a\x0bb",
        b"\x0cab \t",
        b"\"\\xzz\\x4\"",
        b"'\xff\xfe'",
    ];
    for word in words {
        let line = [b" ECHO ", word, b"\r\n"].concat();
        let mut parser = RequestParser::default();
        let progress = parser.parse(&RequestLimits::default(), &line);
        assert_eq!(
            progress,
            Ok(Progress::Complete { len: line.len() }),
            "{}",
            word.escape_ascii()
        );
        let ours = parser.args()[1].bytes(parser.inline().unwrap()).unwrap();
        let mut expected = Vec::new();
        encode::bulk(&mut expected, ours);
        client.send(&line);
        assert_eq!(client.reply(), expected, "{}", word.escape_ascii());
        assert_skipped(&mut client);
    }
}

/// Text that the parser skips gets no reply.
fn assert_skipped(client: &mut Client) {
    for nothing in [
        &b"\r\n"[..],
        b"\n",
        b"  \r\n",
        b"*0\r\n",
        b"*-1\r\n",
        b"*-5\r\n",
    ] {
        let progress = RequestParser::default().parse(&RequestLimits::default(), nothing);
        assert_eq!(progress, Ok(Progress::Skip { len: nothing.len() }));
        client.send(nothing);
    }
    assert_eq!(client.ask(&["PING"]), "+PONG\r\n");
}

/// A RESP2 value, as far as these tests need it.
#[derive(Debug)]
enum Value {
    Text(String),
    Integer(i64),
    Array(Vec<Value>),
}

impl Value {
    fn text(&self) -> String {
        match self {
            Value::Text(text) => text.clone(),
            other => panic!("{other:?} is no text"),
        }
    }

    fn integer(&self) -> i64 {
        match self {
            Value::Integer(integer) => *integer,
            other => panic!("{other:?} is no integer"),
        }
    }

    /// All that it holds, in one line.
    fn flat(&self) -> String {
        match self {
            Value::Text(text) => text.clone(),
            Value::Integer(integer) => integer.to_string(),
            Value::Array(values) => {
                let words: Vec<String> = values.iter().map(Value::flat).collect();
                words.join(" ")
            }
        }
    }

    /// What a map of the server has under a name.
    fn field(&self, name: &str) -> &Value {
        let mut pairs = self.array().chunks(2);
        let pair = pairs.find(|pair| pair[0].text() == name);
        &pair.unwrap_or_else(|| panic!("no {name} in {self:?}"))[1]
    }

    /// A key specification, as [`spec_text`] writes it.
    fn spec(&self) -> String {
        let rule = |name| {
            let rule = self.field(name);
            let (kind, numbers) = (rule.field("type").text(), rule.field("spec").flat());
            format!("{kind} {numbers}").trim_end().to_owned()
        };
        let flags = self.field("flags").flat();
        format!("{flags}: {}: {}", rule("begin_search"), rule("find_keys"))
    }

    fn array(&self) -> &[Value] {
        match self {
            Value::Array(values) => values,
            other => panic!("{other:?} is no array"),
        }
    }
}

fn read_array(reply: &[u8]) -> Vec<Value> {
    match read(&mut { reply }) {
        Value::Array(values) => values,
        other => panic!("{other:?} is no array"),
    }
}

fn read(text: &mut &[u8]) -> Value {
    let end = text.windows(2).position(|pair| pair == b"\r\n").unwrap();
    let line = std::str::from_utf8(&text[1..end]).unwrap().to_owned();
    let sigil = text[0];
    *text = &text[end + 2..];
    match sigil {
        b'+' => Value::Text(line),
        b':' => Value::Integer(line.parse().unwrap()),
        b'$' => {
            let (body, rest) = text.split_at(line.parse().unwrap());
            *text = &rest[2..];
            Value::Text(String::from_utf8(body.to_vec()).unwrap())
        }
        b'*' => Value::Array((0..line.parse().unwrap()).map(|_| read(text)).collect()),
        other => panic!("no value begins with {}", other.escape_ascii()),
    }
}
