//! The parsers of `memcached-proto`: any input gives the same result however it is cut.

use properties::memcached_parsers::{replies, requests};
use proptest::prelude::*;

/// Words of requests, valid and invalid.
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
    "md",
    "ma",
    "me",
    "mn",
    "Zm9v",
    "b",
    "Oq",
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

/// Pieces of replies, valid and invalid.
const REPLIES: &[&str] = &[
    "STORED\r\n",
    "END\r\n",
    "VALUE k 0 3\r\nabc\r\n",
    "VALUE k 0 3 9\r\nEND\r\n",
    "VA 3 kk O1\r\nabc\r\n",
    "VA 0\r\n\r\n",
    "VA 20\r\n01234567890123456789\r\n",
    "VA ",
    "HD kk\r\n",
    "EN\r\n",
    "NS\r\n",
    "MN\r\n",
    "ME k exp=-1\r\n",
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

/// A valid storage command with a data block of the announced length.
fn stored() -> impl Strategy<Value = Vec<u8>> {
    let data = prop::collection::vec(any::<u8>(), 0..80);
    (
        prop::sample::select(&["set", "ms", "add", "cas", "frob"][..]),
        prop::sample::select(&["-1", "0", "60"][..]),
        data,
        any::<bool>(),
    )
        .prop_map(|(word, exptime, data, quiet)| {
            let cas = if word == "cas" { " 7" } else { "" };
            let noreply = if quiet { " noreply" } else { "" };
            let line = match word {
                "ms" => format!("ms k {} T{exptime} q\r\n", data.len()),
                _ => format!("{word} k 0 {exptime} {}{cas}{noreply}\r\n", data.len()),
            };
            [line.as_bytes(), &data, b"\r\n"].concat()
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn random_bytes_from_a_client(data in prop::collection::vec(any::<u8>(), 0..200)) {
        requests(&data);
    }

    #[test]
    fn nearly_good_requests(data in request_lines()) {
        requests(&data);
    }

    #[test]
    fn good_requests_among_others(
        parts in prop::collection::vec(prop_oneof![stored(), request_lines()], 1..4)
    ) {
        requests(&parts.concat());
    }

    #[test]
    fn random_bytes_from_a_server(data in prop::collection::vec(any::<u8>(), 0..200)) {
        replies(&data);
    }

    #[test]
    fn nearly_good_replies(parts in prop::collection::vec(prop::sample::select(REPLIES), 0..12)) {
        replies(parts.concat().as_bytes());
    }
}
