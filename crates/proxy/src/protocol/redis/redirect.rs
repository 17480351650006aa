//! The errors of Redis Cluster nodes that say that a request belongs elsewhere, or has to wait. As in the Redis Cluster
//! specification; tried with redis-server 7.0.

use redis_proto::response::error_code;

use crate::limits::MAX_HOST;
use crate::protocol::redirect::{Node, Redirect};

/// What a whole error line of a node says, if it is one of these.
pub(super) fn redirect(line: &[u8]) -> Option<Redirect> {
    match error_code(line) {
        b"MOVED" => {
            let (slot, to) = slot_and_node(line)?;
            Some(Redirect::Moved { slot, to })
        }
        b"ASK" => {
            let (_, to) = slot_and_node(line)?;
            Some(Redirect::Asked { to })
        }
        b"TRYAGAIN" => Some(Redirect::TryAgain),
        b"CLUSTERDOWN" | b"LOADING" | b"MASTERDOWN" => Some(Redirect::Down),
        // What waited at a node that has become a replica.
        b"UNBLOCKED" if find(line, b"force unblock") => Some(Redirect::Down),
        _ => None,
    }
}

fn find(line: &[u8], text: &[u8]) -> bool {
    line.windows(text.len()).any(|window| window == text)
}

/// The second and the third word.
fn slot_and_node(line: &[u8]) -> Option<(Option<u16>, Option<Node>)> {
    let text = std::str::from_utf8(line).ok()?;
    let mut words = text.split_ascii_whitespace().skip(1);
    // Some replicas of Valkey give -1.
    let slot = words.next()?.parse().ok();
    Some((slot, node(words.next().unwrap_or_default())))
}

/// `host:port`, where an IPv6 address has further colons; a host that is not known is empty or `?`.
fn node(text: &str) -> Option<Node> {
    let (host, port) = text.rsplit_once(':')?;
    let port = port.parse().ok().filter(|port| *port != 0)?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    if host == "?" || host.len() > MAX_HOST {
        return None;
    }
    let host = (!host.is_empty()).then(|| host.into());
    Some(Node { host, port })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moved(slot: Option<u16>, to: Option<(Option<&str>, u16)>) -> Option<Redirect> {
        let to = to.map(|(host, port)| Node {
            host: host.map(Into::into),
            port,
        });
        Some(Redirect::Moved { slot, to })
    }

    #[test]
    fn nodes_name_another_one() {
        let all: [(&[u8], _); 8] = [
            (
                b"-MOVED 3999 127.0.0.1:6381\r\n",
                moved(Some(3_999), Some((Some("127.0.0.1"), 6_381))),
            ),
            (b"-MOVED 1 :7\r\n", moved(Some(1), Some((None, 7)))),
            (
                b"-MOVED -1 n.example:7\r\n",
                moved(None, Some((Some("n.example"), 7))),
            ),
            (
                b"-MOVED 1 fd00::1:6379\r\n",
                moved(Some(1), Some((Some("fd00::1"), 6_379))),
            ),
            (
                b"-MOVED 1 [fd00::1]:6379\r\n",
                moved(Some(1), Some((Some("fd00::1"), 6_379))),
            ),
            (b"-MOVED 1 ?:6379\r\n", moved(Some(1), None)),
            (b"-MOVED 1 127.0.0.1:0\r\n", moved(Some(1), None)),
            (b"-MOVED 99999\r\n", moved(None, None)),
        ];
        for (line, expected) in all {
            assert_eq!(redirect(line), expected, "{}", line.escape_ascii());
        }
        let asked = redirect(b"-ASK 3999 h:1\r\n");
        assert!(matches!(asked, Some(Redirect::Asked { to: Some(_) })));
    }

    #[test]
    fn nodes_ask_for_patience() {
        let try_again = b"-TRYAGAIN Multiple keys request during rehashing of slot\r\n";
        assert_eq!(redirect(try_again), Some(Redirect::TryAgain));
        for line in [
            &b"-CLUSTERDOWN The cluster is down\r\n"[..],
            b"-CLUSTERDOWN Hash slot not served\r\n",
            b"-LOADING Redis is loading the dataset in memory\r\n",
            b"-UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)\r\n",
        ] {
            assert_eq!(redirect(line), Some(Redirect::Down));
        }
    }

    #[test]
    fn other_errors_are_the_clients() {
        for line in [
            &b"-ERR MOVED 1 h:1\r\n"[..],
            b"-MOVED\r\n",
            b"-WRONGTYPE Operation against a key holding the wrong kind of value\r\n",
            b"-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n",
            b"-CROSSSLOT Keys in request don't hash to the same slot\r\n",
            b"+MOVED 1 h:1\r\n",
        ] {
            assert_eq!(redirect(line), None, "{}", line.escape_ascii());
        }
    }
}
