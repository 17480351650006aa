//! Requests before and after their TTL is limited.

use proptest::prelude::*;

use super::*;
use crate::command::{self, Action, Keys};
use crate::request::{Progress, RequestLimits, RequestParser};

const SECONDS: u32 = 60;

/// Parses one whole request.
fn parse(text: &[u8], divert: usize) -> (RequestParser, Vec<u8>, Vec<Vec<u8>>) {
    let limits = RequestLimits {
        divert,
        ..RequestLimits::default()
    };
    let mut parser = RequestParser::default();
    let (mut held, mut bodies) = (Vec::new(), Vec::<Vec<u8>>::new());
    let (mut missing, mut rest) = (0, text);
    while !rest.is_empty() {
        let (next, after) = rest.split_at(1);
        rest = after;
        if missing > 0 {
            bodies.last_mut().expect("one is missing").extend(next);
            missing -= 1;
            continue;
        }
        held.extend(next);
        match parser.parse(&limits, &held).expect("well-formed") {
            Progress::Complete { len } => assert_eq!((len, rest.len()), (held.len(), 0)),
            Progress::Body { at, len } => {
                bodies.push(held.split_off(at));
                missing = len - bodies.last().map_or(0, Vec::len);
            }
            Progress::Partial => {}
            Progress::Skip { .. } => panic!("nothing was asked"),
        }
    }
    (parser, held, bodies)
}

fn args_of(text: &[u8]) -> Vec<String> {
    let (parser, held, _) = parse(text, usize::MAX);
    let text = parser.inline().unwrap_or(&held);
    let bytes = |arg: &Arg| arg.bytes(text).expect("in the text").to_vec();
    let args = parser.args().iter().map(bytes);
    args.map(|arg| String::from_utf8(arg).expect("text"))
        .collect()
}

fn request(args: &[&str]) -> Vec<u8> {
    let mut text = Vec::new();
    let args: Vec<&[u8]> = args.iter().map(|arg| arg.as_bytes()).collect();
    encode::command(&mut text, &args);
    text
}

/// The request with its edits and diverted arguments applied, and its follow-ups.
fn capped(text: &[u8], divert: usize) -> (Vec<u8>, Cap, Vec<String>) {
    let (parser, held, bodies) = parse(text, divert);
    let (text, args) = (parser.inline().unwrap_or(&held), parser.args());
    let name = args[0].bytes(text).expect("a name");
    let command = command::lookup(name).expect("known").resolve(text, args);
    let mut edits: Vec<(Range<usize>, Vec<u8>)> = Vec::new();
    let cap = command.cap(text, args, SECONDS, &mut |range, with| {
        edits.push((range, with))
    });
    let diverted = args.iter().filter(|arg| arg.diverted);
    let ats = diverted.map(|arg| arg.start as usize);
    edits.extend(ats.zip(bodies).map(|(at, body)| (at..at, body)));
    edits.sort_by_key(|(range, _)| range.start);
    let (mut out, mut pos) = (Vec::new(), 0);
    for (range, with) in edits {
        assert!(range.start >= pos, "edits overlap");
        out.extend(&text[pos..range.start]);
        out.extend(with);
        pos = range.end;
    }
    out.extend(&text[pos..]);
    let mut indices = Vec::new();
    if cap == Cap::Limits {
        command
            .written_keys(text, args, &mut indices)
            .expect("keys can be told");
    }
    let key = |index: usize| args[index].bytes(text).expect("a key").to_vec();
    let keys = indices.into_iter().map(key);
    let keys = keys.map(|key| String::from_utf8(key).expect("text"));
    (out, cap, keys.collect())
}

fn check(line: &str, expected: &str) {
    let words: Vec<&str> = line.split(' ').collect();
    let text = request(&words);
    // Both long enough to be diverted, as large values are, and short.
    for divert in [usize::MAX, 30] {
        let (out, cap, keys) = capped(&text, divert);
        let after: String = keys.iter().map(|key| format!(" +{key}")).collect();
        let got = args_of(&out).join(" ") + &after;
        assert_eq!(got, expected, "{line}");
        let is_same = out == text && expected == line;
        assert_eq!(cap == Cap::Nothing, is_same, "{line}");
    }
}

#[test]
fn a_time_that_is_set_is_made_less_and_never_more() {
    check("SET k v", "SET k v EX 60");
    check("set k v NX GET", "set k v NX GET EX 60");
    check("SET k v EX 10", "SET k v EX 10");
    check("SET k v xx ex 61", "SET k v xx ex 60");
    check("SET k v PX 60000", "SET k v PX 60000");
    check("SET k v PX 60001 NX", "SET k v PX 60000 NX");
    check("SETEX k 100 value", "SETEX k 60 value");
    check("SETEX k 60 v", "SETEX k 60 v");
    check("PSETEX k 100000 value", "PSETEX k 60000 value");
    check("GETEX k", "GETEX k");
    check("GETEX k EX 3600", "GETEX k EX 60");
    check("GETEX k PX 5", "GETEX k PX 5");
    check("EXPIRE k 100", "EXPIRE k 60");
    check("EXPIRE k -1", "EXPIRE k -1");
    check("PEXPIRE k 1000000", "PEXPIRE k 60000");
}

#[test]
fn a_large_value_is_left_where_it_is() {
    let large = "x".repeat(40);
    for (line, expected) in [
        ("SET k {} EX 100 NX", "SET k {} EX 60 NX"),
        ("SET k {}", "SET k {} EX 60"),
        ("SET k {} KEEPTTL", "SET k {} KEEPTTL +k"),
        ("SETEX k 100 {}", "SETEX k 60 {}"),
        ("MSETNX a {} b {}", "MSETNX a {} b {} +a +b"),
    ] {
        check(&line.replace("{}", &large), &expected.replace("{}", &large));
    }
}

#[test]
fn what_cannot_be_edited_is_followed() {
    check("SET k v KEEPTTL", "SET k v KEEPTTL +k");
    check("SET k v EXAT 1999999999", "SET k v EXAT 1999999999 +k");
    check("SET k v EX 10 PX 10", "SET k v EX 10 PX 10 +k");
    check("SET k v IFEQ w", "SET k v IFEQ w +k");
    check("SET k v EX", "SET k v EX +k");
    check("SET k v EX 007", "SET k v EX 007 +k");
    check(
        "SET k v EX 9223372036854775807",
        "SET k v EX 9223372036854775807 +k",
    );
    check("EXPIRE k 100 GT", "EXPIRE k 100 GT +k");
    check("EXPIREAT k 1999999999", "EXPIREAT k 1999999999 +k");
    check("GETEX k PERSIST", "GETEX k PERSIST +k");
    check("PERSIST k", "PERSIST k +k");
    check("HSET k f v", "HSET k f v +k");
    check("INCR k", "INCR k +k");
    check("MSETNX a 1 b 2", "MSETNX a 1 b 2 +a +b");
    check("EVAL return 2 a b x", "EVAL return 2 a b x +a +b");
    check(
        "XGROUP CREATE k g $ MKSTREAM",
        "XGROUP CREATE k g $ MKSTREAM +k",
    );
}

#[test]
fn keys_that_are_only_read_are_left_alone() {
    check("COPY a b", "COPY a b +b");
    check("RENAME a b", "RENAME a b +a +b");
    check("SUNIONSTORE d a b", "SUNIONSTORE d a b +d");
    check("ZUNIONSTORE d 2 a b", "ZUNIONSTORE d 2 a b +d");
    check("BITOP AND d a b", "BITOP AND d a b +d");
    check("SORT k STORE d", "SORT k STORE d +d");
    check(
        "GEORADIUS k 1 2 3 m STORE d",
        "GEORADIUS k 1 2 3 m STORE d +d",
    );
    let (_, cap, keys) = capped(&request(&["SORT", "k"]), usize::MAX);
    assert_eq!((cap, keys), (Cap::Limits, Vec::new()));
}

#[test]
fn reads_and_what_only_deletes_go_as_they_are() {
    for line in [
        "GET k",
        "DEL a b",
        "UNLINK k",
        "GETDEL k",
        "EXISTS k",
        "EVAL_RO s 1 k",
    ] {
        check(line, line);
    }
}

#[test]
fn an_inline_request_is_edited_in_its_canonical_form() {
    let (out, cap, _) = capped(b"set k 'v w'\r\n", usize::MAX);
    assert_eq!(args_of(&out), ["set", "k", "v w", "EX", "60"]);
    assert_eq!(cap, Cap::Edits);
}

/// Ensures that every write can be followed.
#[test]
fn every_write_that_is_passed_on_has_keys() {
    let rows = command::all().iter().flat_map(|row| {
        let subs = row.subs.iter();
        std::iter::once(row).chain(subs)
    });
    for row in rows {
        let passed_on = matches!(row.action, Action::Forward | Action::Split(_));
        let writes = row.flags.contains(Flags::WRITE);
        let reads = row.flags.contains(Flags::READONLY);
        assert!(!passed_on || (writes != reads), "{}", row.name);
        assert!(
            !passed_on || !writes || row.keys != Keys::None,
            "{}",
            row.name
        );
    }
}

#[test]
fn servers_are_asked_whether_they_know_it() {
    let mut text = Vec::new();
    question(&mut text);
    assert_eq!(args_of(&text), ["PEXPIRE", "nuthatch", "1", "LT", "GT"]);
    assert!(knows_limit(
        b"-ERR GT and LT options at the same time are not compatible\r\n"
    ));
    assert!(!knows_limit(
        b"-ERR wrong number of arguments for 'pexpire' command\r\n"
    ));
    assert!(!knows_limit(
        b"-NOPERM this user has no permissions to run the 'pexpire' command\r\n"
    ));
    text.clear();
    limit(&mut text, b"k", 60);
    assert_eq!(args_of(&text), ["PEXPIRE", "k", "60000", "LT"]);
}

fn word() -> impl Strategy<Value = String> {
    prop_oneof![
        proptest::sample::select(vec![
            "EX", "px", "EXAT", "PXAT", "NX", "xx", "GET", "KEEPTTL", "PERSIST", "0", "-5", "7",
            "60", "61", "100000", "", "STORE", "2",
        ])
        .prop_map(str::to_owned),
        "[a-z]{0,12}",
        (-100i64..10_000_000).prop_map(|number| number.to_string()),
    ]
}

fn command_name() -> impl Strategy<Value = &'static str> {
    proptest::sample::select(vec![
        "SET", "setex", "PSETEX", "GETEX", "EXPIRE", "PEXPIRE", "APPEND", "GET",
    ])
}

proptest! {
    /// An edited request parses, and differs from the original in its TTL only: in one number that exceeded
    /// the limit, or in an EX added at the end.
    #[test]
    fn only_the_time_differs(name in command_name(), words in proptest::collection::vec(word(), 1..7), divert in 0usize..20) {
        let words: Vec<&str> = std::iter::once(name).chain(words.iter().map(String::as_str)).collect();
        let text = request(&words);
        prop_assume!(command::lookup(name.as_bytes()).is_some_and(|row| row.arity.check(words.len())));
        let divert = if words[0].len() > divert || words[1].len() > divert { usize::MAX } else { divert };
        let (out, cap, _) = capped(&text, divert);
        let after = args_of(&out);
        match cap {
            Cap::Nothing | Cap::Limits => prop_assert_eq!(&out, &text),
            Cap::Edits if after.len() == words.len() + 2 => {
                prop_assert_eq!(&after[..words.len()], &words[..]);
                prop_assert_eq!(&after[words.len()..], &["EX", "60"]);
                let kinds = ["nx", "xx", "get"];
                let is_kind = |word: &&str| kinds.contains(&word.to_ascii_lowercase().as_str());
                prop_assert!(words.iter().skip(3).all(is_kind));
            }
            Cap::Edits => {
                prop_assert_eq!(after.len(), words.len());
                let changed: Vec<usize> = (0..words.len()).filter(|at| after[*at] != words[*at]).collect();
                prop_assert_eq!(changed.len(), 1);
                let (was, is): (i64, i64) = (words[changed[0]].parse().unwrap(), after[changed[0]].parse().unwrap());
                prop_assert!(was > is && (is == 60 || is == 60_000));
            }
        }
    }
}
