//! What was written into a request is found in it.

use memcached_proto::cap::LONGEST_SPAN;
use memcached_proto::{Progress, ReplyScanner, RequestLimits, RequestParser, Scan, Verb, encode};
use proptest::prelude::*;

/// The words of usual requests, and some like them.
fn word() -> impl Strategy<Value = String> {
    let odd = [
        "get",
        "gets",
        "noreply",
        "-1",
        "02",
        "200",
        "1234567890",
        "",
        "k\0",
    ];
    let odd = prop::sample::select(odd.map(String::from).to_vec());
    prop_oneof![
        3 => Just("get".into()),
        3 => Just("set".into()),
        6 => Just("2".into()),
        3 => Just("k".into()),
        2 => odd,
        1 => "k{248,252}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2048))]

    /// An encoded request is parsed to the words that were encoded.
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

    /// What is nearly of a usual form is read alike whether it comes at once or after its first byte.
    #[test]
    fn a_request_that_comes_at_once_is_read_as_one_that_is_cut(
        words in prop::collection::vec(word(), 1..7),
        blank in prop::sample::select(&[" ", " ", "  ", "\t"][..]),
        end in prop::sample::select(&["\r\n", "\n", "\r", "\r\r\n"][..]),
        block in prop::sample::select(&["", "12\r\n", "123\r\n", "12\r\nget k\r\n", "12\n\r"][..]),
    ) {
        let text = format!("{}{end}{block}", words.join(blank));
        let limits = RequestLimits { max_value: 100, max_line: 40, divert: 8, ..RequestLimits::default() };
        let (mut at_once, mut cut) = (RequestParser::default(), RequestParser::default());
        let _ = cut.parse(&limits, &text.as_bytes()[..1]);
        prop_assert_eq!(
            at_once.parse(&limits, text.as_bytes()),
            cut.parse(&limits, text.as_bytes())
        );
        prop_assert_eq!(at_once.keys(), cut.keys());
        prop_assert_eq!(at_once.exptime(), cut.exptime());
        prop_assert_eq!(at_once.missing(text.len()), cut.missing(text.len()));
    }

    /// A reply that comes at once is read as one that is cut.
    #[test]
    fn a_reply_that_comes_at_once_is_read_as_one_that_is_cut(
        key in "[a-z\0\t\r]{0,4}",
        numbers in prop::collection::vec(word(), 1..4),
        end in prop::sample::select(&["\r\n", "\n", "\r", " \r\n"][..]),
        rest in prop::sample::select(&[
            "", "12\r\n", "12\r\nEND\r\n", "12\r\nERROR\r\n", "12\r\nVALUE k 0 0\r\n\r\nEND\r\n", "123\r\nEND\r\n",
        ][..]),
    ) {
        let text = format!("VALUE {key} {}{end}{rest}", numbers.join(" "));
        let mut at_once = ReplyScanner::with_max_value(100);
        let mut cut = ReplyScanner::with_max_value(100);
        prop_assert_eq!(cut.scan(&text.as_bytes()[..1]), Ok(Scan::Partial));
        let expected = match cut.scan(&text.as_bytes()[1..]) {
            Ok(Scan::Complete { len, kind }) => Ok(Scan::Complete { len: len + 1, kind }),
            other => other,
        };
        prop_assert_eq!(at_once.scan(text.as_bytes()), expected);
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
