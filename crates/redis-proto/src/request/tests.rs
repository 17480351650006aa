//! Requests: malformed ones, pipelined ones, limits and memory.

use super::*;

fn parse(text: &[u8]) -> Result<Progress, RequestError> {
    RequestParser::default().parse(&RequestLimits::default(), text)
}

/// Rows whose text begins "Protocol error" were compared with redis-server 7.0.15, which sends exactly that
/// after `-ERR `, unless a note says otherwise.
#[test]
fn malformed_requests_are_refused_in_the_words_of_redis() {
    let digits = "1".repeat(70_000);
    let rows: [(&[u8], &str); 32] = [
        (b"*00\r\n", "invalid multibulk length"),
        (b"*01\r\n", "invalid multibulk length"),
        (b"*+1\r\n", "invalid multibulk length"),
        (b"* 1\r\n", "invalid multibulk length"),
        (b"*\r\n", "invalid multibulk length"),
        (b"*x\r\n", "invalid multibulk length"),
        (b"*-0\r\n", "invalid multibulk length"),
        (b"*2147483648\r\n", "invalid multibulk length"),
        (b"*4294967297\r\n", "invalid multibulk length"),
        (b"*99999999999999999999\r\n", "invalid multibulk length"),
        // Redis allows i32::MAX.
        (b"*1048577\r\n", "invalid multibulk length"),
        (b"*1\r\n$-1\r\n", "invalid bulk length"),
        (b"*1\r\n$\r\n", "invalid bulk length"),
        (b"*1\r\n$04\r\nPING\r\n", "invalid bulk length"),
        (b"*1\r\n$+4\r\nPING\r\n", "invalid bulk length"),
        (b"*1\r\n$536870913\r\n", "invalid bulk length"),
        (b"*1\r\n$abc\r\n", "invalid bulk length"),
        (b"*1\r\nxPING\r\n", "expected '$', got 'x'"),
        (b"*1\r\n\r\n", "expected '$', got ' '"),
        (b"*1\r\n:4\r\n", "expected '$', got ':'"),
        // Redis sends the raw byte.
        (b"*1\r\n\x01abc\r\n", "expected '$', got '\\x01'"),
        (b"*1\r\n\xffabc\r\n", "expected '$', got '\\xff'"),
        // Redis skips two bytes without checking them.
        (b"*1\r\n$4\r\nPINGxx", "expected CRLF after bulk string"),
        (b"*1\r\n$4\r\nPINGx", "expected CRLF after bulk string"),
        (b"*1\r\n$4\r\nPING\rx", "expected CRLF after bulk string"),
        (b"*1\rx$4\r\nPING\r\n", "invalid multibulk length"),
        (b"ECHO \"abc\r\n", "unbalanced quotes in request"),
        (b"ECHO 'a'b\r\n", "unbalanced quotes in request"),
        // Redis waits.
        (b"PING\0\r\n", "NUL byte in inline request"),
        (
            &[b"*", digits.as_bytes()].concat(),
            "too big mbulk count string",
        ),
        (
            &[b"*1\r\n$", digits.as_bytes()].concat(),
            "too big bulk count string",
        ),
        (digits.as_bytes(), "too big inline request"),
    ];
    for (text, expected) in rows {
        let shown = text[..text.len().min(40)].escape_ascii();
        match parse(text) {
            Err(error) => assert_eq!(
                error.to_string(),
                format!("Protocol error: {expected}"),
                "{shown}"
            ),
            other => panic!("{shown}: {other:?}"),
        }
    }
}

#[test]
fn nothing_to_do_is_skipped() {
    let rows: [&[u8]; 6] = [
        b"*0\r\n",
        b"*-1\r\n",
        b"*-5\r\n",
        b"\r\n",
        b"\n",
        b"  \t \r\n",
    ];
    for text in rows {
        let pipelined = [text, b"*1\r\n$4\r\nPING\r\n"].concat();
        assert_eq!(
            parse(&pipelined),
            Ok(Progress::Skip { len: text.len() }),
            "{}",
            text.escape_ascii()
        );
    }
}

#[test]
fn the_largest_announcements_are_accepted() {
    assert_eq!(parse(b"*1048576\r\n"), Ok(Progress::Partial));
    let body = Progress::Body {
        at: 16,
        len: 512 << 20,
    };
    assert_eq!(parse(b"*1\r\n$536870912\r\n"), Ok(body));
}

#[test]
fn pipelined_requests_are_taken_one_by_one() {
    let text = b"*2\r\n$3\r\nGET\r\n$1\r\na\r\nPING\r\n*1\r\n$4\r\nQUIT\r\n";
    let limits = RequestLimits::default();
    let mut parser = RequestParser::default();
    let mut at = 0;
    let mut names = Vec::new();
    while let Ok(Progress::Complete { len }) = parser.parse(&limits, &text[at..]) {
        let request = parser.inline().unwrap_or(&text[at..at + len]);
        names.push(parser.args()[0].bytes(request).unwrap().to_vec());
        at += len;
    }
    assert_eq!(at, text.len());
    assert_eq!(names, [b"GET", &b"PING"[..], b"QUIT"]);
}

#[test]
fn an_inline_command_has_a_canonical_form() {
    let text = b"set 'a b' \"\\x00\"\r\n";
    let mut parser = RequestParser::default();
    let progress = parser.parse(&RequestLimits::default(), text);
    assert_eq!(progress, Ok(Progress::Complete { len: text.len() }));
    let canonical = b"*3\r\n$3\r\nset\r\n$3\r\na b\r\n$1\r\n\0\r\n";
    assert_eq!(parser.inline(), Some(&canonical[..]));
    assert_eq!(
        parser.args()[1],
        Arg {
            start: 17,
            len: 3,
            diverted: false
        }
    );
    // Parsing it again gives the same spans.
    let mut again = RequestParser::default();
    again.parse(&RequestLimits::default(), canonical).unwrap();
    assert_eq!(again.args(), parser.args());
    assert_eq!(again.inline(), None);
}

#[test]
fn a_long_argument_that_is_not_here_is_diverted() {
    let limits = RequestLimits {
        divert: 4,
        ..RequestLimits::default()
    };
    let mut parser = RequestParser::default();
    let head = b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$10\r\n";
    let begun = [&head[..], b"01234"].concat();
    assert_eq!(
        parser.parse(&limits, &begun),
        Ok(Progress::Body {
            at: head.len(),
            len: 10
        })
    );
    // The caller removed the five bytes and collected ten elsewhere; now the rest arrives.
    assert_eq!(parser.parse(&limits, head), Ok(Progress::Partial));
    let text = [&head[..], b"\r\n"].concat();
    assert_eq!(
        parser.parse(&limits, &text),
        Ok(Progress::Complete { len: text.len() })
    );
    let value = parser.args()[2];
    assert_eq!(
        value,
        Arg {
            start: head.len() as u32,
            len: 10,
            diverted: true
        }
    );
    assert_eq!(value.bytes(&text), None);
}

#[test]
fn a_long_argument_that_is_here_stays() {
    let limits = RequestLimits {
        divert: 4,
        ..RequestLimits::default()
    };
    let text = b"*1\r\n$10\r\n0123456789";
    let mut parser = RequestParser::default();
    assert_eq!(parser.parse(&limits, text), Ok(Progress::Partial));
    assert!(!parser.args()[0].diverted);
}

#[test]
fn a_request_may_not_grow_beyond_its_limit() {
    let limits = RequestLimits {
        max_request: 100,
        divert: 10,
        ..RequestLimits::default()
    };
    let mut parser = RequestParser::default();
    let head = b"*2\r\n$80\r\n";
    assert_eq!(
        parser.parse(&limits, head),
        Ok(Progress::Body {
            at: head.len(),
            len: 80
        })
    );
    let text = [&head[..], b"\r\n$20\r\n"].concat();
    assert_eq!(
        parser.parse(&limits, &text),
        Err(RequestError::TooBigRequest)
    );
}

#[test]
fn limits_are_what_may_just_be() {
    let limits = RequestLimits {
        max_request: 24,
        max_inline: 8,
        ..RequestLimits::default()
    };
    let parse = |text: &[u8]| RequestParser::default().parse(&limits, text);
    assert_eq!(parse(b"*1\r\n$14\r\n"), Err(RequestError::TooBigRequest));
    assert_eq!(parse(b"*1\r\n$13\r\n"), Ok(Progress::Partial));
    assert_eq!(
        parse(b"*1\r\n$13\r\n0123456789abc\r\n"),
        Ok(Progress::Complete { len: 24 })
    );
    assert_eq!(
        parse(b"*0000000\r\n"),
        Err(RequestError::InvalidMultibulkLength)
    );
    assert_eq!(
        parse(b"*00000000\r\n"),
        Err(RequestError::TooBigMultibulkCount)
    );
    assert_eq!(parse(b"*00000000"), Err(RequestError::TooBigMultibulkCount));
    assert_eq!(parse(b"*0000000"), Ok(Progress::Partial));
    assert_eq!(parse(b"12345678\n"), Ok(Progress::Complete { len: 9 }));
    assert_eq!(parse(b"12345678"), Ok(Progress::Partial));
    assert_eq!(parse(b"123456789\n"), Err(RequestError::TooBigInline));
    assert_eq!(parse(b"123456789"), Err(RequestError::TooBigInline));
}

#[test]
fn a_reset_gives_memory_back() {
    let mut text = Vec::new();
    let args = vec![&b"a"[..]; 100_000];
    encode::command(&mut text, &args);
    let mut parser = RequestParser::default();
    let progress = parser.parse(&RequestLimits::default(), &text);
    assert_eq!(progress, Ok(Progress::Complete { len: text.len() }));
    assert_eq!(parser.args().len(), 100_000);
    parser.reset();
    assert!(parser.args.capacity() <= 1024);
}

/// A client that sends single bytes must not cost quadratic time: each line is searched once.
#[test]
fn a_slowly_sent_line_is_searched_once() {
    let text = "*".to_owned() + &"1".repeat(60_000);
    let limits = RequestLimits::default();
    let mut parser = RequestParser::default();
    for end in 1..text.len() {
        assert_eq!(
            parser.parse(&limits, &text.as_bytes()[..end]),
            Ok(Progress::Partial)
        );
        assert_eq!(parser.scanned, if end == 1 { 1 } else { end });
    }
}
