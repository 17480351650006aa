//! memcached requests that are invalid, unusual, or unknown to nutcracker: each one alone, and some in the
//! middle of a pipeline.

use std::thread;
use std::time::Duration;

use super::{NO_NUTCRACKER, NO_SERVERS, Play};
use crate::line::Line;
use crate::proxy_pair::{Pool, ProxyPair, ServerSets};
use crate::request::{Protocol, Request};
use crate::seed::Rng;
use crate::wire::Manner;

pub(crate) fn requests(play: &mut Play) -> Result<(), &'static str> {
    let server_sets = ServerSets::start(Protocol::Memcached, 3).ok_or(NO_SERVERS)?;
    let (theirs, ours) = server_sets.ports();
    let pool = Pool::new(Protocol::Memcached, 3);
    let pair = ProxyPair::start(&[pool], &theirs, &ours).ok_or(NO_NUTCRACKER)?;
    let mut line = Line::open(Protocol::Memcached, pair.ports[0], "odd");
    for text in LINES {
        play.ask_each(&mut line, &[spelt(text)]);
    }
    for text in ["set k 0 0 99999999999999999999|", "set k 0 0 2147483646|"] {
        play.ask(&mut line, &[spelt(text)], &Manner::with_short_wait());
    }
    careless_clients(play, &mut line);
    Ok(())
}

/// `|` stands for CRLF and `#` for a key of 251 bytes.
const LINES: &[&str] = &[
    // Served by both, at the limits.
    "get a|",
    " get a|",
    "get  a   b |",
    "gets a b|",
    "get noreply|",
    "get a\tb|",
    "set a 0 0 0||",
    "set a 00 00 01|x|",
    "set a 0 0 1 |x|",
    "set a 4294967296 0 1|x|",
    "set a 0 99999999999 1|x|",
    "set noreply 0 0 1|x|",
    "append a 0 0 1|x|",
    "cas a 0 0 1 18446744073709551615|x|",
    "delete a|",
    "delete noreply|",
    "incr a -1|",
    "decr a 18446744073709551616|",
    "touch a -1|",
    "version|",
    "quit|",
    // Not served by nutcracker, answered by Nuthatch.
    "set n 0 -1 1|x|",
    "cas n 0 -1 1 1|x|",
    "gat 0 a|",
    "gats 0 a b|",
    "gat 0 a b c|",
    "stats|",
    "stats settings|",
    "verbosity 1|",
    "version x|",
    "delete n 0|",
    "flush_all|",
    "flush_all 0|",
    // Refused by Nuthatch with an error line.
    "|",
    "   |",
    "foo|",
    "foo noreply|",
    "GET a|",
    "get\ta|",
    "get|",
    "get |",
    "gets|",
    "gat|",
    "gat x k|",
    "get #|",
    "get a #|",
    "set # 0 0 1|x|",
    "set # 0 0 1 noreply|x|",
    "delete #|",
    "incr # 1|",
    "touch # 0|",
    "set k|",
    "set k 0 0|",
    "set k 0 0 x|",
    "set k 0 0 -1|",
    "set k -1 0 1|x|",
    "set k x 0 1|x|",
    "set k 0 x 1|x|",
    "set k +1 0 1|x|",
    "set k x 0 1 noreply|x|",
    "set k 0 0 1 norepl|x|",
    "set k 0 0 1 NOREPLY|x|",
    "set k 0 0 1 noreply foo|x|",
    "cas k 0 0 1|x|",
    "cas k 0 0 1 x|x|",
    "cas k 0 0 1 -1|x|",
    "cas k 0 0 1 1 foo|x|",
    "delete|",
    "delete k 1|",
    "delete k foo|",
    "incr k|",
    "incr k x|",
    "incr k +1|",
    "incr k 1 foo|",
    "incr k x noreply|",
    "touch k|",
    "touch k x|",
    "mg k v|",
    "mn|",
    "ms k 1|x|",
    "ms k 1 T0|x|",
    "ms k S1 T0|x|",
    "md k q q|",
    "bget a|",
    "watch|",
    "get a\rb|",
    "stats foo|",
    // Bytes that are not requests.
    "set k 0 0 1|xy|",
    "set k 0 0 2|x|",
    "\u{80}\u{1}|",
    // LF alone ends a line too.
    "get a\n",
    "set a 0 0 1\nx|",
    "get a\nget b|",
    // Lines that memcached understands in two ways.
    "get a\0b|",
    "set k 18446744073709551616 0 1|x|",
    "set k 0 99999999999999999999 1|x|",
    "cas k 0 0 1 18446744073709551616|x|",
    "touch k 99999999999999999999|",
];

fn spelt(text: &str) -> Request {
    let text = text.replace('|', "\r\n").replace('#', &"k".repeat(251));
    let mut request = Request::raw(text.as_bytes());
    let line = text.split(['\r', '\n']).next().unwrap_or_default();
    // The words of the command line only.
    request.words = line
        .split(' ')
        .filter(|word| !word.is_empty())
        .map(|word| word.as_bytes().to_vec())
        .collect();
    request
}

/// Clients that continue after a request for which nutcracker closes the connection.
fn careless_clients(play: &mut Play, line: &mut Line) {
    let get = Request::memcached(b"get careless c1 c2", None);
    let set = Request::memcached(b"set careless 0 0 1", Some(b"x"));
    for wrong in ["stats", "get", "quit", "nonsense"] {
        let wrong = Request::memcached(wrong.as_bytes(), None);
        let pipeline = [set.clone(), get.clone(), wrong, get.clone()];
        for seed in 0..4 {
            let manner = Manner {
                cuts: (seed > 0).then(|| Rng::new(seed)),
                ..Manner::plain()
            };
            play.ask(line, &pipeline, &manner);
        }
    }
    let mut half = set;
    half.bytes.truncate(half.bytes.len() - 3);
    // Half a request, then a FIN (later, because nutcracker overlooks one that comes with the bytes).
    for requests in [vec![get, half.clone()], vec![half]] {
        line.reconnect();
        line.send(&requests);
        thread::sleep(Duration::from_millis(200));
        let answers = line.leave(&[], &Manner::plain());
        play.judge(line.protocol(), &requests, &answers);
    }
}
