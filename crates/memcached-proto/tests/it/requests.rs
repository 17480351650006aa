//! Clients' requests: where they end, positions, data blocks and limits.

use memcached_proto::{
    MAX_FORWARDED_LINE, MAX_KEY, Progress, Refusal, Request, RequestError, RequestLimits,
    RequestParser, Verb,
};

fn parse(text: &[u8]) -> (RequestParser, Result<Progress, RequestError>) {
    let mut parser = RequestParser::default();
    let progress = parser.parse(&RequestLimits::default(), text);
    (parser, progress)
}

fn complete(text: &[u8]) -> (RequestParser, usize, Request) {
    match parse(text) {
        (parser, Ok(Progress::Complete { len, request })) => (parser, len, request),
        (_, other) => panic!("{other:?}"),
    }
}

fn error_line(error: RequestError) -> Vec<u8> {
    let mut line = Vec::new();
    error.line(&mut line);
    line
}

#[test]
fn keys_of_a_retrieval_are_found_in_order() {
    let text = b"  gets  k1 k2   k3 \r\nget x\r\n";
    let (parser, len, request) = complete(text);
    assert_eq!(len, 21);
    assert_eq!(request.verb, Verb::Gets);
    let keys: Vec<&[u8]> = parser.keys().iter().map(|key| key.of(text)).collect();
    assert_eq!(keys, [b"k1", b"k2", b"k3"]);
    assert_eq!(parser.exptime(), None);
}

#[test]
fn the_exptime_of_gat_stands_before_its_keys() {
    let text = b"gat -5 k1 k2\r\n";
    let (parser, _, request) = complete(text);
    assert_eq!(request.verb, Verb::Gat);
    assert_eq!(parser.exptime().unwrap().of(text), b"-5");
    assert_eq!(parser.keys().len(), 2);
}

#[test]
fn the_exptime_of_a_change_is_found() {
    for (text, exptime) in [
        ("set k 5 100 1 noreply\r\nv\r\n", "100"),
        ("cas k 5 -1 1 77\r\nv\r\n", "-1"),
        ("touch  k  0 noreply\r\n", "0"),
    ] {
        let (parser, ..) = complete(text.as_bytes());
        let found = parser.exptime().map(|arg| arg.of(text.as_bytes()));
        assert_eq!(found, Some(exptime.as_bytes()), "{text}");
    }
    for text in ["incr k 1\r\n", "delete k 0\r\n", "get k\r\n"] {
        assert_eq!(complete(text.as_bytes()).0.exptime(), None, "{text}");
    }
}

#[test]
fn a_storage_command_ends_behind_its_data_block() {
    let text = b"cas k 1 -1 5 77\r\na\r\nb\n\r\nversion\r\n";
    let (parser, len, request) = complete(text);
    assert_eq!(&text[len..], b"version\r\n");
    assert_eq!(request.line_len, 17);
    assert_eq!(parser.keys()[0].of(text), b"k");
    assert!(!request.diverted && request.noreply.is_none());
}

#[test]
fn without_the_span_of_noreply_the_line_asks_for_a_reply() {
    for (with, without) in [
        ("delete k noreply\r\n", "delete k\r\n"),
        ("delete k   noreply  \r\n", "delete k  \r\n"),
        ("flush_all noreply\n", "flush_all\n"),
        ("set k 0 0 1 noreply\r\nx\r\n", "set k 0 0 1\r\nx\r\n"),
        ("incr noreply 1 noreply\r\n", "incr noreply 1\r\n"),
    ] {
        let (_, _, request) = complete(with.as_bytes());
        let (start, end) = request.noreply.unwrap();
        let mut bare = with.to_owned();
        bare.replace_range(start as usize..end as usize, "");
        assert_eq!(bare, without);
        assert_eq!(complete(bare.as_bytes()).2.noreply, None);
    }
}

#[test]
fn a_long_data_block_is_gathered_by_the_caller() {
    let limits = RequestLimits {
        divert: 4,
        ..RequestLimits::default()
    };
    let mut parser = RequestParser::default();
    let line = b"set k 0 0 6\r\n";
    let mut text = line.to_vec();
    text.extend_from_slice(b"abc");
    let body = Progress::Body { at: 13, len: 8 };
    assert_eq!(parser.parse(&limits, &text), Ok(body));
    // The data is removed; asked again, the parser returns the same.
    assert_eq!(parser.parse(&limits, line), Ok(body));
    let Ok(Progress::Complete { len, request }) = parser.finish_body(*b"\r\n") else {
        panic!("the block is whole");
    };
    assert_eq!((len, request.diverted, request.verb), (13, true, Verb::Set));
    assert_eq!(parser.keys()[0].of(line), b"k");
}

#[test]
fn a_long_data_block_that_is_wholly_here_stays_in_the_text() {
    let limits = RequestLimits {
        divert: 4,
        ..RequestLimits::default()
    };
    let text = b"set k 0 0 6\r\nabcdef\r\n";
    let progress = RequestParser::default().parse(&limits, text);
    let Ok(Progress::Complete { len, request }) = progress else {
        panic!("{progress:?}");
    };
    assert_eq!((len, request.diverted), (text.len(), false));
}

#[test]
fn a_data_block_of_just_the_bound_is_waited_for() {
    let limits = RequestLimits {
        divert: 8,
        ..RequestLimits::default()
    };
    let mut parser = RequestParser::default();
    let text = b"set k 0 0 6\r\nabcdef\r\n";
    assert_eq!(parser.parse(&limits, &text[..20]), Ok(Progress::Partial));
    assert_eq!(parser.finish_body(*b"\r\n"), Ok(Progress::Partial));
    let done = parser.parse(&limits, text);
    assert!(matches!(done, Ok(Progress::Complete { len: 21, .. })));
}

#[test]
fn a_data_block_must_be_followed_by_crlf() {
    for text in [
        &b"set k 0 0 1\r\nxy\r\n"[..],
        b"set k 0 0 1\r\nxy\n",
        b"set k 0 0 1\r\nx\nget a\r\n",
        b"set k 0 0 3\r\nx\r\nversion\r\n",
    ] {
        let noreply = false;
        assert_eq!(parse(text).1, Err(RequestError::BadDataChunk { noreply }));
    }
    let error = parse(b"set k 0 0 1 noreply\r\nxy\r\n").1;
    assert!(error.is_err_and(|error| error.is_noreply()));
    let limits = RequestLimits {
        divert: 0,
        ..RequestLimits::default()
    };
    for noreply in [false, true] {
        let mut parser = RequestParser::default();
        let end = if noreply { " noreply" } else { "" };
        let line = format!("set k 0 0 1{end}\r\n");
        parser.parse(&limits, line.as_bytes()).unwrap();
        let error = RequestError::BadDataChunk { noreply };
        assert_eq!(parser.finish_body(*b"y\r"), Err(error));
    }
    assert_eq!(
        error_line(RequestError::BadDataChunk { noreply: false }),
        b"CLIENT_ERROR bad data chunk\r\n"
    );
}

#[test]
fn the_block_of_a_refused_command_is_swallowed_wherever_it_is() {
    let text = b"set k x 0 5 noreply\r\nab";
    let (_, progress) = parse(text);
    let Ok(Progress::RefusedBody {
        at, skip, noreply, ..
    }) = progress
    else {
        panic!("{progress:?}");
    };
    assert_eq!((at, skip, noreply), (21, 7, true));
    let (_, progress) = parse(b"ms k S5\r\nabcde\r\nversion\r\n");
    assert!(matches!(progress, Ok(Progress::Refused { len: 16, .. })));
}

#[test]
fn values_beyond_the_limit_are_skipped() {
    for (line, skip, noreply) in [
        ("set k 0 0 1073741825\r\n", 1_073_741_827, false),
        ("set k 0 0 2147483645\r\n", 2_147_483_647, false),
        ("set k 0 0 1073741825 noreply\r\n", 1_073_741_827, true),
    ] {
        let text = format!("{line}abc");
        let expected = Progress::RefusedBody {
            at: line.len(),
            skip,
            refusal: Refusal::ValueTooLarge,
            noreply,
        };
        assert_eq!(parse(text.as_bytes()).1, Ok(expected), "{line}");
    }
    let mut said = Vec::new();
    Refusal::ValueTooLarge.line(&mut said);
    assert_eq!(said, b"SERVER_ERROR object too large for cache\r\n");
    let at_limit = parse(b"set k 0 0 1073741824\r\n").1;
    assert!(matches!(at_limit, Ok(Progress::Body { .. })));
    // An invalid line with a block is refused for what is invalid.
    for line in ["set k x 0 1073741825\r\n", "ms k 1073741825 q q\r\n"] {
        let progress = parse(line.as_bytes()).1;
        assert!(
            matches!(progress, Ok(Progress::RefusedBody { refusal, .. }) if refusal != Refusal::ValueTooLarge),
            "{progress:?}"
        );
    }
}

#[test]
fn values_beyond_any_cannot_be_framed() {
    for (line, noreply) in [
        ("set k 0 0 2147483646\r\n", false),
        ("set k 0 0 99999999999999999999999\r\n", false),
        ("cas k 0 0 18446744073709551615 1\r\n", false),
        ("set k 0 0 2147483646 noreply\r\n", true),
        ("set k x 0 2147483646 noreply\r\n", true),
    ] {
        let error = parse(line.as_bytes()).1;
        let expected = RequestError::ImpossibleLength { noreply };
        assert_eq!(error, Err(expected), "{line}");
        assert_eq!(expected.is_noreply(), noreply);
    }
    let impossible = error_line(RequestError::ImpossibleLength { noreply: false });
    assert!(impossible.starts_with(b"CLIENT_ERROR bad command line format"));
}

#[test]
fn lines_have_a_limit_and_retrievals_a_larger_one() {
    let limits = RequestLimits {
        max_line: 20,
        max_retrieval_line: 40,
        ..RequestLimits::default()
    };
    let length = |text: &str| {
        let mut parser = RequestParser::default();
        parser.parse(&limits, text.as_bytes()).map(|_| ())
    };
    let too_long = |max| Err(RequestError::LineTooLong { max });
    assert_eq!(length(&format!("{}\r\n", "x".repeat(18))), Ok(()));
    assert_eq!(length(&format!("{}\r\n", "x".repeat(19))), too_long(20));
    assert_eq!(length(&"x".repeat(19)), Ok(()));
    assert_eq!(length(&"x".repeat(20)), too_long(20));
    assert_eq!(length(&format!("  gats {}\r\n", "1".repeat(31))), Ok(()));
    assert_eq!(length(&format!("get {}\r\n", "1".repeat(35))), too_long(40));
    assert_eq!(length(&format!("get {}", "1".repeat(36))), too_long(40));
    assert_eq!(length(&format!("getx {}", "1".repeat(16))), too_long(20));
    assert_eq!(length(&" ".repeat(20)), too_long(20));
}

#[test]
fn a_line_of_keys_may_be_long_and_an_endless_key_may_not() {
    let limits = RequestLimits::default();
    let outcome = |text: &[u8], piece: usize| {
        let mut parser = RequestParser::default();
        let ends = (piece..text.len()).step_by(piece).chain([text.len()]);
        let outcomes = ends.map(|end| parser.parse(&limits, &text[..end]).map(|_| end));
        outcomes.reduce(Result::and).expect("there is one")
    };
    let key = |len: usize| format!(" {}", "k".repeat(len));
    let keys = key(MAX_KEY).repeat(10_000);
    let long = format!("get{keys}\r\n");
    assert_eq!(outcome(long.as_bytes(), 60_000), Ok(long.len()));
    // Up to 8 KiB it is refused with an error reply, like any key that is too long.
    let tame = format!("get {}\r\n", "k".repeat(8_000));
    let (_, progress) = parse(tame.as_bytes());
    assert!(matches!(progress, Ok(Progress::Refused { .. })));
    let endless = Err(RequestError::EndlessKey);
    for text in [
        format!("get {}", "k".repeat(9_000)),
        format!("get{}{}\r\n", key(100).repeat(100), key(MAX_KEY + 2)),
        format!("gats 1{}{}", key(MAX_KEY).repeat(100), key(MAX_KEY + 2)),
    ] {
        for piece in [1, 77, 8_192, text.len()] {
            assert_eq!(outcome(text.as_bytes(), piece), endless, "{piece}");
        }
    }
    let endless = format!("get{}", key(10).repeat(400_000));
    let too_long = RequestError::LineTooLong { max: 4 << 20 };
    assert_eq!(outcome(endless.as_bytes(), 60_000), Err(too_long));
    assert_eq!(
        error_line(RequestError::EndlessKey),
        b"CLIENT_ERROR bad command line format: key is longer than 250 bytes\r\n"
    );
}

#[test]
fn a_line_too_long_for_a_shared_connection_is_refused_but_framed() {
    let padding = " ".repeat(2048);
    for text in [
        format!("set {padding}k 0 0 1\r\nx\r\n"),
        format!("touch k {padding} 0\r\n"),
        format!("{padding}get k\r\n"),
    ] {
        let (_, progress) = parse(text.as_bytes());
        let Ok(Progress::Refused { len, refusal, .. }) = progress else {
            panic!("{progress:?}");
        };
        assert_eq!(len, text.len());
        assert!(matches!(refusal, Refusal::LineTooLong { .. }));
    }
    let (parser, _, _) = complete(format!("get {padding} k1 k2\r\n").as_bytes());
    assert_eq!(parser.keys().len(), 2);
}

#[test]
fn a_line_and_a_key_may_be_just_as_long_as_the_bounds() {
    let padded = format!("get {}k\r\n", " ".repeat(MAX_FORWARDED_LINE - 7));
    assert_eq!(padded.len(), MAX_FORWARDED_LINE);
    complete(padded.as_bytes());
    let key = "k".repeat(MAX_KEY);
    let text = format!("get a {key}\r\n");
    let (parser, _, _) = complete(text.as_bytes());
    assert_eq!(parser.keys()[1].of(text.as_bytes()), key.as_bytes());
    complete(format!("touch {key} 0\r\n").as_bytes());
}

#[test]
fn the_number_of_keys_has_a_limit() {
    let limits = RequestLimits {
        max_keys: 3,
        ..RequestLimits::default()
    };
    let mut parser = RequestParser::default();
    let three = parser.parse(&limits, b"get a b c\r\n");
    assert!(matches!(three, Ok(Progress::Complete { .. })));
    let four = parser.parse(&limits, b"get a b c d\r\n");
    let Ok(Progress::Refused {
        len: 13, refusal, ..
    }) = four
    else {
        panic!("{four:?}");
    };
    let verb = Verb::Get;
    assert_eq!(refusal, Refusal::TooManyKeys { verb, max: 3 });
    assert!(parser.keys().is_empty());
}

#[test]
fn a_request_of_redis_is_recognised_by_its_first_line() {
    for line in ["*1\r\n", "*12\n", "*3\r\n$3\r\nSET\r\n"] {
        assert_eq!(
            parse(line.as_bytes()).1,
            Err(RequestError::Resp),
            "{line:?}"
        );
    }
    for line in ["*\r\n", "*x\r\n", "1*\r\n", "get *1\r\n", "$4\r\n"] {
        assert_ne!(
            parse(line.as_bytes()).1,
            Err(RequestError::Resp),
            "{line:?}"
        );
    }
}

#[test]
fn http_is_recognised_by_the_words_that_redis_and_memcached_know_it_by() {
    for line in [
        "GET / HTTP/1.0\r\n",
        "PUT /set HTTP/1.1 \r\n",
        "DELETE a HTTP/2\r\n",
        "OPTIONS * HTTP/1.1\n",
        "POST / HTTP/1.1\r\n",
        "Host: a:11211\r\n",
        "host:\n",
        "post\n",
    ] {
        assert_eq!(
            parse(line.as_bytes()).1,
            Err(RequestError::Http),
            "{line:?}"
        );
    }
    for line in [
        "get / HTTP/1.1\r\n",
        "GET /\r\n",
        "GET HTTP/1.1 a\r\n",
        "postal\r\n",
        "host\r\n",
        "get POST\r\n",
    ] {
        assert_ne!(
            parse(line.as_bytes()).1,
            Err(RequestError::Http),
            "{line:?}"
        );
    }
}

#[test]
fn the_binary_protocol_is_recognised_by_its_first_byte() {
    let text = b"\x80\x0b\0\0\0\0\0\0\0\0\0\0opaq\0\0\0\0\0\0\0\0";
    for len in 1..16 {
        assert_eq!(parse(&text[..len]).1, Ok(Progress::Partial), "{len}");
    }
    for len in [16, 24] {
        let error = RequestError::BinaryProtocol {
            opcode: 0x0b,
            opaque: *b"opaq",
        };
        assert_eq!(parse(&text[..len]).1, Err(error), "{len}");
        let reply = error_line(error);
        assert!(reply.starts_with(b"\x81\x0b\0\0\0\0\0\x81") && reply[12..].starts_with(b"opaq"));
        assert!(reply.ends_with(b"the binary protocol is not supported: use the text protocol"));
    }
    let (_, progress) = parse(b"\x81\r\n");
    let Ok(Progress::Refused { refusal, .. }) = progress else {
        panic!("{progress:?}");
    };
    assert_eq!(refusal.to_string(), r"ERROR unsupported command '\x81'");
}

#[test]
fn bytes_that_held_no_line_end_are_not_looked_at_again() {
    let limits = RequestLimits::default();
    let mut parser = RequestParser::default();
    assert_eq!(parser.parse(&limits, b"get a"), Ok(Progress::Partial));
    // Callers may not change the text, but here it shows which bytes the parser reads.
    assert_eq!(
        parser.parse(&limits, b"\n\n\n\n\n b"),
        Ok(Progress::Partial)
    );
    let done = parser.parse(&limits, b"get a b\n");
    assert!(matches!(done, Ok(Progress::Complete { len: 8, .. })));
}

#[test]
fn a_request_of_very_many_keys_may_come_in_pieces() {
    let mut text = b"get".to_vec();
    while text.len() < 3 << 20 {
        text.extend_from_slice(b" key");
    }
    let mut parser = RequestParser::default();
    let limits = RequestLimits::default();
    for end in (0..text.len()).step_by(1024) {
        assert_eq!(parser.parse(&limits, &text[..end]), Ok(Progress::Partial));
    }
    text.extend_from_slice(b"\r\n");
    let done = parser.parse(&limits, &text);
    assert!(matches!(done, Ok(Progress::Complete { .. })));
    assert_eq!(parser.keys().len(), (3 << 20) / 4);
    parser.reset();
    assert!(parser.keys().is_empty());
}
