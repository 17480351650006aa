//! The parsers of `redis-proto`: cutting changes nothing, and random bytes do no harm.

use properties::redis_parsers::{replies, requests};
use proptest::collection::vec;
use proptest::prelude::*;
use redis_proto::{ReplyScanner, Scan, Version, encode};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn requests_parse_alike_however_cut(stream in request_stream()) {
        requests(&stream);
    }

    #[test]
    fn replies_are_framed_alike_however_cut(stream in reply_stream()) {
        replies(&stream);
    }

    #[test]
    fn random_bytes_do_no_harm(data in vec(any::<u8>(), 0..64)) {
        requests(&data);
        replies(&data);
    }

    #[test]
    fn nearly_right_bytes_do_no_harm(data in vec(protocol_byte(), 0..64)) {
        requests(&data);
        replies(&data);
    }

    #[test]
    fn a_reply_cut_at_every_byte_ends_where_it_ended_whole(reply in reply()) {
        let Ok(whole) = ReplyScanner::default().scan(&reply.bytes) else {
            return Err(TestCaseError::fail("a well-formed reply was refused"));
        };
        let Scan::Complete { len, kind } = whole else {
            return Err(TestCaseError::fail("a whole reply was not complete"));
        };
        prop_assert_eq!(len, reply.bytes.len());
        let mut marks = Vec::new();
        for cut in 1..len {
            let mut scanner = ReplyScanner::default();
            marks.clear();
            prop_assert_eq!(scanner.scan_marked(&reply.bytes[..cut], &mut marks), Ok(Scan::Partial));
            let rest = scanner.scan_marked(&reply.bytes[cut..], &mut marks);
            prop_assert_eq!(rest, Ok(Scan::Complete { len: len - cut, kind }));
            prop_assert_eq!(&marks, &reply.marks);
        }
    }
}

/// A sequence of all kinds of requests, some of them invalid.
fn request_stream() -> impl Strategy<Value = Vec<u8>> {
    let good = vec(vec(any::<u8>(), 0..40), 1..6).prop_map(|args| {
        let mut out = Vec::new();
        encode::command(
            &mut out,
            &args.iter().map(Vec::as_slice).collect::<Vec<_>>(),
        );
        out
    });
    let inline =
        "[ \t]{0,2}[a-z]{1,6}( {1,2}([a-z]{0,4}|\"[a-z\\\\ ]{0,6}\"|'[a-z ]{0,6}')){0,3}\r?\n";
    let odd = prop::sample::select(vec![
        &b"\r\n"[..],
        b"*0\r\n",
        b"*-1\r\n",
        b"*1\r\n$0\r\n\r\n",
        b"*1\r\n$00000000000000000000000000\r\n",
        b"*10\r\n",
        b"$3\r\nfoo\r\n",
        b"*2\r\n$1\r\nax",
    ]);
    let request = prop_oneof![
        6 => good,
        2 => inline.prop_map(String::into_bytes),
        1 => odd.prop_map(<[u8]>::to_vec),
    ];
    vec(request, 0..6).prop_map(|requests| requests.concat())
}

/// Bytes that have a meaning in the protocol.
fn protocol_byte() -> impl Strategy<Value = u8> {
    prop_oneof![
        3 => Just(b'\r'),
        3 => Just(b'\n'),
        1 => prop::sample::select(b"*$+-:_,#(!=%~>|".to_vec()),
        2 => prop::sample::select(b"0123".to_vec()),
        1 => prop::sample::select(b"a \"'\\\0".to_vec()),
    ]
}

/// A well-formed reply and its marks.
#[derive(Clone, Debug)]
struct Reply {
    bytes: Vec<u8>,
    marks: Vec<u64>,
}

fn reply_stream() -> impl Strategy<Value = Vec<u8>> {
    vec(reply(), 0..6)
        .prop_map(|replies| replies.into_iter().flat_map(|reply| reply.bytes).collect())
}

fn reply() -> impl Strategy<Value = Reply> {
    let scalar = scalar().prop_map(|bytes| Reply {
        bytes,
        marks: Vec::new(),
    });
    let attribute = prop_oneof![3 => Just(None), 1 => (value(), value()).prop_map(Some)];
    let aggregate = (prop::sample::select(b"*~>%".to_vec()), vec(value(), 0..6));
    prop_oneof![
        scalar,
        (attribute, aggregate).prop_map(|(about, (sigil, values))| {
            let mut bytes = Vec::new();
            if let Some((key, value)) = about {
                bytes.extend_from_slice(b"|1\r\n");
                bytes.extend(key);
                bytes.extend(value);
            }
            aggregate_reply(bytes, sigil, &values)
        })
    ]
}

/// Appends an aggregate to `bytes` and the ends of its parts to the marks. A map gets an even number of
/// values.
fn aggregate_reply(mut bytes: Vec<u8>, sigil: u8, values: &[Vec<u8>]) -> Reply {
    let values = match sigil {
        b'%' => &values[..values.len() & !1],
        _ => values,
    };
    match sigil {
        b'%' => encode::map_header(&mut bytes, values.len() / 2, Version::Resp3),
        _ => {
            let at = bytes.len();
            encode::array_header(&mut bytes, values.len());
            bytes[at] = sigil;
        }
    }
    let mut marks = vec![bytes.len() as u64];
    for value in values {
        bytes.extend_from_slice(value);
        marks.push(bytes.len() as u64);
    }
    Reply { bytes, marks }
}

/// A value of any type, with some nesting.
fn value() -> impl Strategy<Value = Vec<u8>> {
    scalar().prop_recursive(3, 12, 4, |inner| {
        (prop::sample::select(b"*~%|".to_vec()), vec(inner, 0..4)).prop_map(|(sigil, values)| {
            let mut reply = aggregate_reply(
                Vec::new(),
                if sigil == b'|' { b'%' } else { sigil },
                &values,
            );
            if sigil == b'|' {
                // An attribute is a map that describes the value after it.
                reply.bytes[0] = b'|';
                reply.bytes.extend_from_slice(b":1\r\n");
            }
            reply.bytes
        })
    })
}

fn scalar() -> impl Strategy<Value = Vec<u8>> {
    let line = "[+\\-:,#(][ -~]{0,12}\r\n".prop_map(String::into_bytes);
    let bulk = (
        prop::sample::select(b"$!=".to_vec()),
        vec(any::<u8>(), 0..30),
    );
    let bulk = bulk.prop_map(|(sigil, body)| {
        let mut bytes = Vec::new();
        encode::bulk(&mut bytes, &body);
        bytes[0] = sigil;
        bytes
    });
    let null = prop::sample::select(vec![&b"_\r\n"[..], b"$-1\r\n", b"*-1\r\n"]);
    prop_oneof![line, bulk, null.prop_map(<[u8]>::to_vec)]
}
