//! Any input, cut anywhere, comes to the same; and what was put into a request is found in it.

use memcached_proto::cap::LONGEST_SPAN;
use memcached_proto::{Progress, RequestLimits, RequestParser, Verb, check, encode};
use proptest::prelude::*;

/// Words that requests are made of, good and bad.
const WORDS: &[&str] = &[
    "get",
    "gets",
    "gat",
    "gats",
    "set",
    "add",
    "cas",
    "append",
    "delete",
    "incr",
    "touch",
    "version",
    "verbosity",
    "flush_all",
    "stats",
    "quit",
    "ms",
    "mg",
    "noreply",
    "k",
    "key2",
    "0",
    "1",
    "2",
    "5",
    "-1",
    "+1",
    "9",
    "10",
    "64",
    "65",
    "4294967296",
    "99999999999999999999",
    "S3",
    "T0",
    "q",
    "x",
    "\r",
    "\0",
    "\t",
    "",
];

/// Pieces that replies are made of, good and bad.
const REPLIES: &[&str] = &[
    "STORED\r\n",
    "END\r\n",
    "VALUE k 0 3\r\nabc\r\n",
    "VALUE k 0 3 9\r\nEND\r\n",
    "VALUE k 0 0\r\n\r\n",
    "VALUE k 0 20\r\n01234567890123456789\r\n",
    "VALUE k 0 ",
    "STAT pid 1\r\n",
    "STAT ",
    "ITEM k [1 b]\r\n",
    "ERROR\r\n",
    "CLIENT_ERROR x\r\n",
    "SERVER_ERROR\r\n",
    "VERSION 1\r\n",
    "17\r\n",
    "OK\r\n",
    "RESET\r\n",
    "NOT_FOUND\r\n",
    "\r\n",
    "\n",
    "\r",
    "x",
    "END",
    "ERROR: no\r\n",
];

fn request_lines() -> impl Strategy<Value = Vec<u8>> {
    let line = (
        prop::collection::vec(prop::sample::select(WORDS), 0..8),
        prop::sample::select(&["\r\n", "\n", "\r\nab\r\n", "\r\n\r\n", "", "\r\nabcde\r\n"][..]),
    );
    prop::collection::vec(line, 1..6).prop_map(|lines| {
        let spelt = lines.into_iter().map(|(words, end)| words.join(" ") + end);
        spelt.collect::<String>().into_bytes()
    })
}

/// A good storage command with a data block of its announced length.
fn stored() -> impl Strategy<Value = Vec<u8>> {
    let data = prop::collection::vec(any::<u8>(), 0..80);
    (
        prop::sample::select(&["set", "add", "cas", "frob"][..]),
        data,
        any::<bool>(),
    )
        .prop_map(|(word, data, quiet)| {
            let cas = if word == "cas" { " 7" } else { "" };
            let noreply = if quiet { " noreply" } else { "" };
            let line = format!("{word} k 0 -1 {}{cas}{noreply}\r\n", data.len());
            [line.as_bytes(), &data, b"\r\n"].concat()
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn random_bytes_from_a_client(data in prop::collection::vec(any::<u8>(), 0..200)) {
        check::requests(&data);
    }

    #[test]
    fn nearly_good_requests(data in request_lines()) {
        check::requests(&data);
    }

    #[test]
    fn good_requests_among_others(
        parts in prop::collection::vec(prop_oneof![stored(), request_lines()], 1..4)
    ) {
        check::requests(&parts.concat());
    }

    #[test]
    fn random_bytes_from_a_server(data in prop::collection::vec(any::<u8>(), 0..200)) {
        check::replies(&data);
    }

    #[test]
    fn nearly_good_replies(parts in prop::collection::vec(prop::sample::select(REPLIES), 0..12)) {
        check::replies(parts.concat().as_bytes());
    }

    /// The encoder's form is read back as what was put in.
    #[test]
    fn what_is_put_into_a_retrieval_is_found_in_it(
        verb in prop::sample::select(&[Verb::Get, Verb::Gets, Verb::Gat, Verb::Gats][..]),
        exptime in any::<i64>(),
        keys in prop::collection::vec("[^ \r\n\0]{1,60}", 1..20),
    ) {
        let exptime = exptime.to_string();
        let given = verb.touches().then_some(exptime.as_bytes());
        let mut text = Vec::new();
        encode::retrieval(&mut text, verb, given, keys.iter().map(String::as_bytes));
        let mut parser = RequestParser::default();
        let progress = parser.parse(&RequestLimits::default(), &text);
        let Ok(Progress::Complete { len, request }) = progress else {
            panic!("{progress:?}");
        };
        prop_assert_eq!((len, request.verb), (text.len(), verb));
        prop_assert_eq!(parser.exptime().map(|arg| arg.of(&text)), given);
        let found: Vec<&[u8]> = parser.keys().iter().map(|key| key.of(&text)).collect();
        prop_assert_eq!(found, keys.iter().map(String::as_bytes).collect::<Vec<_>>());
    }

    /// A request whose exptime was capped parses, and differs from what it was in its exptime only.
    #[test]
    fn a_capped_request_differs_in_its_exptime_only(
        verb in prop::sample::select(&[Verb::Set, Verb::Add, Verb::Cas, Verb::Touch, Verb::Gat, Verb::Append][..]),
        exptime in prop_oneof![any::<i64>(), -5i64..200, Just(0)],
        seconds in 1u32..=LONGEST_SPAN,
        key in "[a-z]{1,20}",
        noreply in any::<bool>(),
    ) {
        let name = verb.name();
        let end = if noreply && verb != Verb::Gat { " noreply\r\n" } else { "\r\n" };
        let text = match verb {
            Verb::Touch => format!("{name} {key} {exptime}{end}"),
            Verb::Gat => format!("{name} {exptime} {key}{end}"),
            Verb::Cas => format!("{name} {key} 7 {exptime} 2 99{end}ab\r\n"),
            _ => format!("{name} {key} 7 {exptime} 2{end}ab\r\n"),
        };
        let mut parser = RequestParser::default();
        let parsed = parser.parse(&RequestLimits::default(), text.as_bytes());
        let is_whole = matches!(parsed, Ok(Progress::Complete { len, .. }) if len == text.len());
        prop_assert!(is_whole);
        let at = parser.exptime().expect("it has one").range();
        let capped = verb.capped_exptime(text[at.clone()].as_bytes(), seconds);
        let now = capped.map_or(exptime, i64::from);
        let is_over = exptime < 0 || verb == Verb::Append;
        prop_assert!(is_over || (now > 0 && now <= i64::from(seconds)));
        prop_assert!(now <= exptime || exptime == 0);
        let edited = format!("{}{now}{}", &text[..at.start], &text[at.end..]);
        let parsed = parser.parse(&RequestLimits::default(), edited.as_bytes());
        let Ok(Progress::Complete { len, request }) = parsed else {
            panic!("{parsed:?}");
        };
        prop_assert_eq!((len, request.verb), (edited.len(), verb));
        prop_assert_eq!(request.noreply.is_some(), end.len() > 2);
        prop_assert_eq!(parser.keys()[0].of(edited.as_bytes()), key.as_bytes());
        let found = parser.exptime().expect("it has one").range();
        prop_assert_eq!(&edited[found], now.to_string());
    }
}
