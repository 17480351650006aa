//! Replies of every type, invalid ones, and marks.

use super::*;

fn scan(data: &[u8]) -> Result<Scan, BadReply> {
    ReplyScanner::default().scan(data)
}

#[test]
fn every_type_is_known() {
    let rows: [(&[u8], ReplyKind); 24] = [
        (b"+OK\r\n", ReplyKind::Status),
        (b"+\r\n", ReplyKind::Status),
        (b"+a\rb\nc\r\r\n", ReplyKind::Status),
        (b"-ERR no\r\n", ReplyKind::Error),
        (b"!6\r\nERR no\r\n", ReplyKind::Error),
        (b":-12\r\n", ReplyKind::Integer),
        (b"$3\r\nfoo\r\n", ReplyKind::Bulk),
        (b"$0\r\n\r\n", ReplyKind::Bulk),
        (b"$-1\r\n", ReplyKind::Null),
        (b"*-1\r\n", ReplyKind::Null),
        (b"_\r\n", ReplyKind::Null),
        (b"*0\r\n", ReplyKind::Array),
        (b"*2\r\n$1\r\na\r\n*1\r\n$-1\r\n", ReplyKind::Array),
        (b"%1\r\n+a\r\n:1\r\n", ReplyKind::Map),
        (b"%0\r\n", ReplyKind::Map),
        (b"~1\r\n:1\r\n", ReplyKind::Set),
        (b">2\r\n+message\r\n+x\r\n", ReplyKind::Push),
        (b",3.25\r\n", ReplyKind::Double),
        (b"#t\r\n", ReplyKind::Boolean),
        (
            b"(3492890328409238509324850943850943825024385\r\n",
            ReplyKind::BigNumber,
        ),
        (b"=7\r\ntxt:foo\r\n", ReplyKind::Verbatim),
        // An attribute belongs to the value after it, at every depth.
        (b"|1\r\n+ttl\r\n:3600\r\n$1\r\na\r\n", ReplyKind::Bulk),
        (
            b"|0\r\n|1\r\n+a\r\n*1\r\n:1\r\n*1\r\n|1\r\n+b\r\n:2\r\n:3\r\n",
            ReplyKind::Array,
        ),
        (b"*1\r\n*1\r\n*1\r\n*1\r\n*0\r\n", ReplyKind::Array),
    ];
    for (reply, kind) in rows {
        let followed = [reply, b"+next\r\n"].concat();
        let complete = Ok(Scan::Complete {
            len: reply.len(),
            kind,
        });
        assert_eq!(scan(&followed), complete, "{}", reply.escape_ascii());
        assert_eq!(
            scan(&reply[..reply.len() - 1]),
            Ok(Scan::Partial),
            "{}",
            reply.escape_ascii()
        );
    }
}

#[test]
fn what_no_server_sends_is_refused() {
    let rows: [(&[u8], BadReply); 19] = [
        (b"x", BadReply::UnknownType(b'x')),
        (b"\r\n", BadReply::UnknownType(b'\r')),
        (b"*1\r\n\0", BadReply::UnknownType(0)),
        (b"$?\r\n", BadReply::BadLength),
        (b"*?\r\n", BadReply::BadLength),
        (b"$\r\n", BadReply::BadLength),
        (b"$01\r\n", BadReply::BadLength),
        (b"$+1\r\n", BadReply::BadLength),
        (b"$-2\r\n", BadReply::BadLength),
        (b"%-1\r\n", BadReply::BadLength),
        (b"=-1\r\n", BadReply::BadLength),
        (b"$1\n", BadReply::BadLength),
        (b"$9223372036854775808\r\n", BadReply::BadLength),
        (b"$11111111111111111111111", BadReply::BadLength),
        (b"$3\r\nfoox", BadReply::Unterminated),
        (b"$3\r\nfoo\rx", BadReply::Unterminated),
        (b"$3\r\nfooxx", BadReply::Unterminated),
        (
            b"*9223372036854775807\r\n%9223372036854775807\r\n",
            BadReply::TooManyValues,
        ),
        (
            b"|9223372036854775807\r\n|9223372036854775807\r\n",
            BadReply::TooManyValues,
        ),
    ];
    for (data, error) in rows {
        assert_eq!(scan(data), Err(error), "{}", data.escape_ascii());
    }
}

#[test]
fn depth_costs_nothing() {
    let deep = [b"*1\r\n".repeat(100_000), b":1\r\n".to_vec()].concat();
    let complete = Ok(Scan::Complete {
        len: deep.len(),
        kind: ReplyKind::Array,
    });
    assert_eq!(scan(&deep), complete);
    assert!(size_of::<ReplyScanner>() <= 80);
}

#[test]
fn marks_are_the_ends_of_header_and_elements() {
    let rows: [(&[u8], &[u64]); 6] = [
        (b"*3\r\n$1\r\na\r\n$-1\r\n*1\r\n:1\r\n", &[4, 11, 16, 24]),
        (b"*0\r\n", &[4]),
        (b"*1\r\n*0\r\n", &[4, 8]),
        (b"%1\r\n:1\r\n:2\r\n", &[4, 8, 12]),
        (
            b"|1\r\n:1\r\n:2\r\n*1\r\n|1\r\n:1\r\n:2\r\n:3\r\n",
            &[16, 32],
        ),
        (b"$1\r\na\r\n", &[]),
    ];
    for (reply, expected) in rows {
        let mut marks = Vec::new();
        let mut scanner = ReplyScanner::default();
        assert!(
            scanner
                .scan_marked(reply, &mut marks)
                .is_ok_and(|scan| scan != Scan::Partial)
        );
        assert_eq!(marks, expected, "{}", reply.escape_ascii());
    }
}

#[test]
fn one_scanner_reads_reply_after_reply() {
    let mut scanner = ReplyScanner::default();
    assert!(scanner.is_idle());
    assert_eq!(scanner.scan(b"$5\r\nab"), Ok(Scan::Partial));
    assert!(!scanner.is_idle());
    assert_eq!(scanner.scan(b""), Ok(Scan::Partial));
    let complete = Ok(Scan::Complete {
        len: 5,
        kind: ReplyKind::Bulk,
    });
    assert_eq!(scanner.scan(b"cde\r\n:1\r\n"), complete);
    assert!(scanner.is_idle());
    assert_eq!(
        scanner.scan(b":1\r\n"),
        Ok(Scan::Complete {
            len: 4,
            kind: ReplyKind::Integer
        })
    );
}

#[test]
fn whole_replies_are_read() {
    assert_eq!(integer(b":42\r\n"), Some(42));
    assert_eq!(integer(b":-9223372036854775808\r\n"), Some(i64::MIN));
    for bad in [
        &b":\r\n"[..],
        b":4x\r\n",
        b":4",
        b"+4\r\n",
        b":9223372036854775808\r\n",
    ] {
        assert_eq!(integer(bad), None, "{}", bad.escape_ascii());
    }
    assert!(is_error(b"-OOM no\r\n") && is_error(b"!6\r\nERR no\r\n") && !is_error(b"+OK\r\n"));
    assert_eq!(error_code(b"-OOM no\r\n"), b"OOM");
    assert_eq!(error_code(b"-BUSY\r\n"), b"BUSY");
    assert_eq!(error_code(b"!6\r\nERR no\r\n"), b"ERR");
    assert_eq!(error_code(b"+OK\r\n"), b"");
    assert_eq!(error_code(b"!6"), b"");
}

#[test]
fn it_is_known_whether_an_element_is_an_aggregate_that_has_not_ended() {
    let nested = |data: &str| {
        let mut scanner = ReplyScanner::default();
        assert_eq!(scanner.scan(data.as_bytes()), Ok(Scan::Partial), "{data:?}");
        scanner.is_nested()
    };
    for flat in [
        "*2\r\n",
        "*2\r\n$3\r\na",
        "*2\r\n*0\r\n",
        "*2\r\n*1\r\n:1\r\n",
        "+OK",
        ":1",
    ] {
        assert!(!nested(flat), "{flat:?}");
    }
    let deep = "*1\r\n".repeat(9);
    for within in [
        "*1\r\n*1\r\n",
        "*2\r\n:1\r\n*2\r\n:1\r\n",
        "%1\r\n:1\r\n~1\r\n+a",
        &deep,
    ] {
        assert!(nested(within), "{within:?}");
    }
}
