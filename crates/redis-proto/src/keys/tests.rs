//! Keys of requests, and the errors when there are none.

use crate::arg::Arg;
use crate::command::{Command, lookup};
use crate::request::{Progress, RequestLimits, RequestParser};

/// Parses an inline command and passes on its row, text and arguments.
fn with_request<T>(line: &str, use_it: impl FnOnce(&Command, &[u8], &[Arg]) -> T) -> T {
    let mut parser = RequestParser::default();
    let text = format!("{line}\n");
    let progress = parser.parse(&RequestLimits::default(), text.as_bytes());
    assert_eq!(
        progress,
        Ok(Progress::Complete { len: text.len() }),
        "{line}"
    );
    let text = parser.inline().unwrap();
    let command = lookup(parser.args()[0].bytes(text).unwrap()).unwrap();
    use_it(command.resolve(text, parser.args()), text, parser.args())
}

fn keys(line: &str) -> Result<Vec<usize>, String> {
    with_request(line, |command, text, args| {
        let mut keys = vec![usize::MAX];
        command
            .keys(text, args, &mut keys)
            .map(|()| keys)
            .map_err(|error| error.to_string())
    })
}

#[test]
fn keys_are_found() {
    let rows: [(&str, &[usize]); 54] = [
        ("PING", &[]),
        ("GET k", &[1]),
        ("SET k v EX 10", &[1]),
        ("MGET a b c", &[1, 2, 3]),
        ("MSET a 1 b 2", &[1, 3]),
        ("MSETNX a 1", &[1]),
        ("COPY a b", &[1, 2]),
        ("COPY a", &[1]),
        ("LCS a b LEN", &[1, 2]),
        ("BITOP AND d a b", &[2, 3, 4]),
        ("OBJECT ENCODING k", &[2]),
        ("XGROUP CREATE k g $", &[2]),
        ("MEMORY USAGE k SAMPLES 5", &[2]),
        ("EVAL s 2 a b c", &[3, 4]),
        ("FCALL_RO f 1 a", &[3]),
        ("ZUNION 2 a b WITHSCORES", &[2, 3]),
        ("ZUNIONSTORE d 2 a b WEIGHTS 1 2", &[1, 3, 4]),
        ("ZDIFFSTORE d 1 a", &[1, 3]),
        ("SINTERCARD 2 a b LIMIT 1", &[2, 3]),
        ("LMPOP 2 a b LEFT", &[2, 3]),
        ("ZMPOP 1 a MIN", &[2]),
        ("MSETEX 2 a 1 b 2 EX 10", &[2, 4]),
        ("XREAD STREAMS a b 0 0", &[2, 3]),
        ("XREAD COUNT 2 BLOCK 0 STREAMS a 0", &[6]),
        ("XREAD COUNT streams STREAMS a 0", &[4]),
        ("XREADGROUP GROUP streams block STREAMS a >", &[5]),
        ("XREADGROUP GROUP g c NOACK CLAIM 5 STREAMS streams >", &[8]),
        ("XREADGROUP GROUP g c CLAIM streams STREAMS a >", &[7]),
        ("SORT k", &[1]),
        ("SORT k BY w_* GET store LIMIT 0 store STORE d", &[1, 10]),
        ("SORT k STORE d STORE e", &[1, 5]),
        ("SORT k STORE", &[1]),
        ("SORT_RO k BY w_* STORE d", &[1]),
        ("GEORADIUS k 0 0 1 m STORE a STOREDIST b", &[1, 9]),
        ("GEORADIUS k 0 0 1 STORE", &[1]),
        ("GEORADIUSBYMEMBER k store 1 m STORE d", &[1, 6]),
        ("GEORADIUS_RO k 0 0 1 m", &[1]),
        ("GEOSEARCHSTORE d s FROMMEMBER m BYBOX 1 1 m", &[1, 2]),
        ("MIGRATE h 1 k 0 10", &[3]),
        ("MIGRATE h 1 '' 0 10 AUTH p KEYS a b", &[9, 10]),
        ("BLPOP a b 0", &[1, 2]),
        ("BLMPOP 0 2 a b LEFT", &[3, 4]),
        ("PFMERGE d a b", &[1, 2, 3]),
        ("SDIFFSTORE d a", &[1, 2]),
        ("SMOVE a b m", &[1, 2]),
        ("RENAME a b", &[1, 2]),
        ("ZRANGESTORE d s 0 -1", &[1, 2]),
        ("JSON.MGET a b $", &[1, 2]),
        ("JSON.MSET a $ 1 b $ 2", &[1, 4]),
        ("JSON.DEBUG MEMORY k", &[2]),
        ("TS.MADD a 1 2 b 1 2", &[1, 4]),
        ("TS.CREATERULE a b AGGREGATION avg 10", &[1, 2]),
        ("CMS.MERGE d 2 a b WEIGHTS 1 2", &[1, 3, 4]),
        ("VSIM k ELE e", &[1]),
    ];
    for (line, expected) in rows {
        assert_eq!(keys(line), Ok(expected.to_vec()), "{line}");
    }
}

/// Compared with redis-server 7.0.15, which sends this text after `-ERR ` (FCALL's after it found the
/// function).
#[test]
fn bad_numbers_of_keys_are_refused_in_the_words_of_redis() {
    let too_many = "Number of keys can't be greater than number of args";
    let not_integer = "value is not an integer or out of range";
    let not_positive = "numkeys should be greater than 0";
    let unbalanced =
        "Unbalanced XREAD list of streams: for each stream key an ID or '$' must be specified.";
    let rows = [
        ("EVAL s x", not_integer),
        ("EVAL s 01 a", not_integer),
        ("EVAL s -1", "Number of keys can't be negative"),
        ("EVAL s 2 a", too_many),
        ("EVAL s", "wrong number of arguments for 'eval' command"),
        ("FCALL f x", "Bad number of keys provided"),
        ("FCALL f 3 a", too_many),
        ("ZUNION x a", not_integer),
        ("ZUNION 9223372036854775808 a", not_integer),
        (
            "ZUNION 0 a",
            "at least 1 input key is needed for 'zunion' command",
        ),
        (
            "ZUNIONSTORE d -1 a",
            "at least 1 input key is needed for 'zunionstore' command",
        ),
        ("ZUNIONSTORE d 2 a", "syntax error"),
        ("ZINTERCARD 2 a", "syntax error"),
        ("SINTERCARD 0 a", not_positive),
        ("SINTERCARD 01 a", not_positive),
        ("SINTERCARD 2 a", too_many),
        ("LMPOP x a LEFT", not_positive),
        ("LMPOP 2 a LEFT", "syntax error"),
        ("LMPOP 9223372036854775807 a LEFT", "syntax error"),
        ("XREAD COUNT 1 a b", "syntax error"),
        ("XREAD COUNT 1 STREAMS", "syntax error"),
        ("XREAD STREAMS a b c", unbalanced),
        ("XREADGROUP GROUP g c STREAMS a b c", unbalanced),
        ("MSETEX 2 a 1 b", "invalid numkeys value"),
        ("GET", "wrong number of arguments for 'get' command"),
        // Redis runs it; a proxy cannot tell on which server.
        ("EVAL s 0", "'eval' has no keys"),
    ];
    for (line, expected) in rows {
        assert_eq!(keys(line), Err(expected.to_owned()), "{line}");
    }
}

#[test]
fn blocking_is_noticed() {
    let rows = [
        ("XREAD STREAMS block 0", false),
        ("XREAD COUNT 1 BLOCK 0 STREAMS a 0", true),
        ("xread block 0 streams a 0", true),
        ("XREADGROUP GROUP block block STREAMS a >", false),
        ("XREADGROUP GROUP g c BLOCK 5 STREAMS a >", true),
        ("XREADGROUP GROUP g c BLOCK 5 STREAMS a 0", false),
        ("XREADGROUP GROUP g c BLOCK 5 STREAMS a 0-0", false),
        ("XREADGROUP GROUP g c BLOCK 5 STREAMS a b > 1-0", false),
        ("XREADGROUP GROUP g c BLOCK 5 STREAMS > > > >", true),
        ("xreadgroup group > > block 5 streams 0 >", true),
        ("TS.READ block 0", false),
        ("TS.READ k 0 BLOCK 10 1", true),
        ("BLPOP a 0", true),
        ("LPOP block", false),
        ("SET k block", false),
    ];
    for (line, expected) in rows {
        let blocks = with_request(line, |command, text, args| command.blocks(text, args));
        assert_eq!(blocks, expected, "{line}");
    }
}

#[test]
fn patterns_of_keys_are_found() {
    let rows: [(&str, &[usize]); 11] = [
        ("SORT k", &[]),
        ("SORT k BY w_* GET o_*->name get # GET p_*", &[3, 5, 9]),
        ("SORT k BY nosort GET #", &[]),
        ("SORT k by * DESC", &[3]),
        ("SORT k LIMIT 0 get BY x GET *", &[8]),
        ("SORT k STORE by GET w_*", &[5]),
        ("SORT k STORE w_*", &[]),
        ("SORT k BY", &[]),
        ("SORT_RO k GET w_*", &[3]),
        ("SET by * get *", &[]),
        ("SUNION by *", &[]),
    ];
    for (line, expected) in rows {
        let patterns = with_request(line, |command, text, args| {
            let mut patterns = Vec::new();
            command.key_patterns(text, args, &mut patterns);
            patterns
        });
        assert_eq!(patterns, expected, "{line}");
    }
}

#[test]
fn a_pattern_that_is_not_in_the_text_may_name_any_key() {
    let patterns = with_request("SORT k BY w", |command, text, args| {
        let mut args = args.to_vec();
        args[3].diverted = true;
        let mut patterns = Vec::new();
        command.key_patterns(text, &args, &mut patterns);
        patterns
    });
    assert_eq!(patterns, [3]);
}

#[test]
fn a_fixed_single_key_is_known_beforehand() {
    let single = |name: &str| lookup(name.as_bytes()).unwrap().single_key();
    assert_eq!(single("get"), Some(1));
    assert_eq!(single("smove"), None);
    assert_eq!(single("mget"), None);
    assert_eq!(single("sort"), None);
    assert_eq!(single("sort_ro"), None);
    assert_eq!(single("ping"), None);
}

#[test]
fn an_argument_that_is_not_in_the_text_is_no_keyword_and_no_number() {
    let mut args: Vec<Arg> = with_request("EVAL s 1 k", |_, _, args| args.to_vec());
    args[2].diverted = true;
    let mut keys = Vec::new();
    let error = lookup(b"eval")
        .unwrap()
        .keys(b"", &args, &mut keys)
        .unwrap_err();
    assert_eq!(error.to_string(), "value is not an integer or out of range");
}
