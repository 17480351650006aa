//! Every kind of reply, and invalid ones.

use memcached_proto::response::{MAX_REPLY_LINE, MAX_VALUE_LINE};
use memcached_proto::{BadReply, LineKind, ReplyKind, ReplyScanner, Scan};

fn scan(data: &[u8]) -> Result<Scan, BadReply> {
    ReplyScanner::default().scan(data)
}

fn marked(data: &[u8]) -> (Scan, Vec<u64>) {
    let mut marks = Vec::new();
    match ReplyScanner::default().scan_marked(data, &mut marks) {
        Ok(scan) => (scan, marks),
        Err(bad) => panic!("{bad}"),
    }
}

#[test]
fn every_reply_of_one_line_is_known() {
    for (text, kind) in [
        ("STORED", LineKind::Stored),
        ("NOT_STORED", LineKind::NotStored),
        ("EXISTS", LineKind::Exists),
        ("NOT_FOUND", LineKind::NotFound),
        ("DELETED", LineKind::Deleted),
        ("TOUCHED", LineKind::Touched),
        ("OK", LineKind::Ok),
        ("RESET", LineKind::Reset),
        ("END", LineKind::End),
        ("0", LineKind::Number),
        ("18446744073709551615", LineKind::Number),
        ("HD", LineKind::Hd),
        ("HD Oab kkey", LineKind::Hd),
        ("EN", LineKind::En),
        ("EN k a", LineKind::En),
        ("NS O1", LineKind::Ns),
        ("EX", LineKind::Ex),
        ("NF", LineKind::Nf),
        ("MN", LineKind::Mn),
        ("ME key exp=-1 la=0 cas=7", LineKind::Me),
        ("VERSION 1.6.18", LineKind::Version),
        ("ERROR", LineKind::Error),
        ("ERROR Too many open connections", LineKind::Error),
        ("ERROR: shutdown not enabled", LineKind::Error),
        ("CLIENT_ERROR bad data chunk", LineKind::ClientError),
        ("SERVER_ERROR out of memory", LineKind::ServerError),
    ] {
        let line = format!("{text}\r\nSTORED\r\n");
        let expected = Scan::Complete {
            len: text.len() + 2,
            kind: ReplyKind::Line(kind),
        };
        assert_eq!(scan(line.as_bytes()), Ok(expected), "{text}");
        let is_error = text.contains("ERROR");
        assert_eq!(kind.is_error(), is_error, "{text}");
    }
}

#[test]
fn anything_else_is_no_reply() {
    for text in [
        "",
        " ",
        "END ",
        "STORED x",
        "stored",
        "STOREDX",
        "OK x",
        "HDX",
        "MN x",
        "ME",
        "VA",
        "BUSY x",
        "VALUE",
        "STAT",
        "-1",
        "12a",
        "18446744073709551616",
        "ERRORS",
        "\u{0}",
        "x",
    ] {
        let line = format!("{text}\r\n");
        assert_eq!(
            scan(line.as_bytes()),
            Err(BadReply::UnknownLine),
            "{text:?}"
        );
    }
    assert_eq!(scan(b"STORED\n"), Err(BadReply::UnknownLine));
}

#[test]
fn values_are_skipped_by_count_and_marked() {
    let data = b"VALUE a 0 5\r\nEND\r\n\r\nVALUE b 4294967295 0 77\r\n\r\nEND\r\nEND\r\n";
    let (scan, marks) = marked(data);
    let expected = Scan::Complete {
        len: 52,
        kind: ReplyKind::Values,
    };
    assert_eq!(scan, expected);
    assert_eq!(&data[52..], b"END\r\n");
    assert_eq!(marks, [20, 47]);
}

#[test]
fn the_value_of_a_meta_command_ends_its_reply_however_it_is_cut() {
    let kind = ReplyKind::Data;
    for text in [
        "VA 0\r\n\r\n",
        "VA 4 \r\nEN\r\n\r\n",
        "VA 5 t-1 kEND O1 W\r\nEND\r\n\r\n",
        "VA 05 s5\r\nVA 1\n\r\n",
    ] {
        let len = text.len();
        let data = [text, "END\r\n"].concat();
        let whole = Scan::Complete { len, kind };
        assert_eq!(marked(data.as_bytes()), (whole, Vec::new()), "{text}");
        assert_eq!(scan(data.as_bytes()), Ok(whole), "{text}");
        for at in 1..len {
            let mut scanner = ReplyScanner::default();
            assert_eq!(scanner.scan(&data.as_bytes()[..at]), Ok(Scan::Partial));
            let rest = Scan::Complete {
                len: len - at,
                kind,
            };
            assert_eq!(
                scanner.scan(&data.as_bytes()[at..]),
                Ok(rest),
                "{text} {at}"
            );
            assert!(scanner.is_idle());
        }
    }
}

#[test]
fn a_bad_value_of_a_meta_command_is_no_reply() {
    for (text, bad) in [
        ("VA x\r\n\r\n", BadReply::BadValueLine),
        ("VA  1\r\nx\r\n", BadReply::BadValueLine),
        ("VA 1x\r\nx\r\n", BadReply::BadValueLine),
        ("VA -1\r\n", BadReply::BadValueLine),
        ("VA 1 f0\nx\r\n", BadReply::UnknownLine),
        ("VA 1\r\nxy\r\n", BadReply::BadValueEnd),
        ("VA 1073741825\r\n", BadReply::ValueTooLarge),
        ("VA 99999999999999999999\r\n", BadReply::ValueTooLarge),
        ("VALUE a 0 1\r\nx\r\nVA 1\r\nx\r\n", BadReply::UnknownLine),
    ] {
        assert_eq!(scan(text.as_bytes()), Err(bad), "{text}");
    }
    let long = format!("VA 1 k{}", "k".repeat(MAX_VALUE_LINE));
    assert_eq!(scan(long.as_bytes()), Err(BadReply::LineTooLong));
    let long = format!("{long}\r\nx\r\n");
    assert_eq!(scan(long.as_bytes()), Err(BadReply::LineTooLong));
}

#[test]
fn statistics_are_marked_line_by_line() {
    let data = b"STAT pid 1\r\nSTAT a \r\nITEM k [1 b; 0 s]\r\nPREFIX p get 1\r\nEND\r\n";
    let (scan, marks) = marked(data);
    let kind = ReplyKind::Stats;
    let len = data.len();
    assert_eq!(scan, Scan::Complete { len, kind });
    assert_eq!(marks, [12, 21, 40, 56]);
}

#[test]
fn an_error_may_end_values_and_statistics() {
    let data = b"VALUE a 0 1\r\nx\r\nSERVER_ERROR out of memory writing get response\r\n";
    let (scan, marks) = marked(data);
    let kind = ReplyKind::Line(LineKind::ServerError);
    let len = data.len();
    assert_eq!(scan, Scan::Complete { len, kind });
    assert_eq!(marks, [16]);
    let (scan, marks) = marked(b"STAT a 1\r\nERROR\r\n");
    let kind = ReplyKind::Line(LineKind::Error);
    assert_eq!(scan, Scan::Complete { len: 17, kind });
    assert_eq!(marks, [10]);
}

#[test]
fn a_reply_knows_nothing_of_the_one_before() {
    let value = "VALUE a 0 1\r\nx\r\nEND\r\n";
    let stats = "STAT a 1\r\nEND\r\n";
    let failed = "VALUE a 0 1\r\nx\r\nERROR\r\n";
    let line = ReplyKind::Line;
    let replies = [
        (value, ReplyKind::Values),
        ("END\r\n", line(LineKind::End)),
        (stats, ReplyKind::Stats),
        (value, ReplyKind::Values),
        ("STORED\r\n", line(LineKind::Stored)),
        (failed, line(LineKind::Error)),
        (stats, ReplyKind::Stats),
        ("END\r\n", line(LineKind::End)),
    ];
    let stream: String = replies.iter().map(|(text, _)| *text).collect();
    let mut scanner = ReplyScanner::default();
    let mut at = 0;
    for (text, kind) in replies {
        let len = text.len();
        let scan = scanner.scan(&stream.as_bytes()[at..]);
        assert_eq!(scan, Ok(Scan::Complete { len, kind }));
        at += len;
    }
}

#[test]
fn sequences_do_not_mix() {
    for data in [
        &b"VALUE a 0 1\r\nx\r\nSTORED\r\n"[..],
        b"VALUE a 0 1\r\nx\r\nSTAT a 1\r\n",
        b"STAT a 1\r\nVALUE a 0 1\r\nx\r\n",
        b"STAT a 1\r\n5\r\n",
    ] {
        assert_eq!(scan(data), Err(BadReply::UnknownLine));
    }
}

#[test]
fn a_value_line_must_be_well_formed() {
    for line in [
        "VALUE ",
        "VALUE a",
        "VALUE a 0",
        "VALUE a 0 ",
        "VALUE  a 0 1",
        "VALUE a 0 1 ",
        "VALUE a 0 1 2 3",
        "VALUE a x 1",
        "VALUE a 0 -1",
        "VALUE a 0 1 x",
    ] {
        let line = format!("{line}\r\n");
        assert_eq!(
            scan(line.as_bytes()),
            Err(BadReply::BadValueLine),
            "{line:?}"
        );
    }
    let key = format!("VALUE {} 0 1\r\n", "k".repeat(250));
    assert_eq!(scan(key.as_bytes()), Ok(Scan::Partial));
    let long_key = format!("VALUE {} 0 1\r\n", "k".repeat(251));
    assert_eq!(scan(long_key.as_bytes()), Err(BadReply::BadValueLine));
}

#[test]
fn a_value_must_be_followed_by_crlf() {
    for tail in ["y\r\n", "\n\r", "\r\r", "\nEND"] {
        let data = format!("VALUE a 0 1\r\nx{tail}");
        assert_eq!(
            scan(data.as_bytes()),
            Err(BadReply::BadValueEnd),
            "{tail:?}"
        );
    }
}

#[test]
fn the_announced_length_has_a_limit() {
    assert_eq!(scan(b"VALUE a 0 1073741824\r\n"), Ok(Scan::Partial));
    assert_eq!(
        scan(b"VALUE a 0 1073741825\r\n"),
        Err(BadReply::ValueTooLarge)
    );
    assert_eq!(
        scan(b"VALUE a 0 99999999999999999999999\r\n"),
        Err(BadReply::ValueTooLarge)
    );
    let mut small = ReplyScanner::with_max_value(3);
    assert_eq!(small.scan(b"VALUE a 0 4\r\n"), Err(BadReply::ValueTooLarge));
}

#[test]
fn lines_have_a_limit_whole_or_cut() {
    let error = |len: usize| format!("ERROR {}", "x".repeat(len - 8));
    let whole = |len| scan(format!("{}\r\n", error(len)).as_bytes());
    assert!(matches!(whole(MAX_REPLY_LINE), Ok(Scan::Complete { .. })));
    assert_eq!(whole(MAX_REPLY_LINE + 1), Err(BadReply::LineTooLong));
    for (len, good) in [(MAX_REPLY_LINE, true), (MAX_REPLY_LINE + 1, false)] {
        let mut scanner = ReplyScanner::default();
        let (head, tail) = (&error(len).into_bytes()[..9], &error(len).into_bytes()[9..]);
        assert_eq!(scanner.scan(head), Ok(Scan::Partial));
        let done = scanner.scan(&[tail, b"\r\n"].concat());
        assert_eq!(done.is_ok(), good, "{len}");
    }
    let cut = |len| scan(&[b'x'].repeat(len));
    assert_eq!(cut(MAX_REPLY_LINE - 1), Ok(Scan::Partial));
    assert_eq!(cut(MAX_REPLY_LINE), Err(BadReply::LineTooLong));
    let value = |len: usize| scan(format!("VALUE {}", "k".repeat(len - 6)).as_bytes());
    assert_eq!(value(MAX_VALUE_LINE - 1), Ok(Scan::Partial));
    assert_eq!(value(MAX_VALUE_LINE), Err(BadReply::LineTooLong));
}

#[test]
fn the_scanner_knows_when_it_stands_between_replies() {
    let mut scanner = ReplyScanner::default();
    assert!(scanner.is_idle());
    assert_eq!(scanner.scan(b""), Ok(Scan::Partial));
    assert!(scanner.is_idle());
    assert_eq!(scanner.scan(b"ST"), Ok(Scan::Partial));
    assert!(!scanner.is_idle());
    let kind = ReplyKind::Line(LineKind::Stored);
    let complete = Ok(Scan::Complete { len: 6, kind });
    assert_eq!(scanner.scan(b"ORED\r\nVALUE"), complete);
    assert!(scanner.is_idle());
    assert_eq!(scanner.scan(b"VALUE a 0 9\r\n123"), Ok(Scan::Partial));
    scanner.reset();
    assert!(scanner.is_idle());
    let complete = Scan::Complete { len: 8, kind };
    assert_eq!(scanner.scan(b"STORED\r\n"), Ok(complete));
}
