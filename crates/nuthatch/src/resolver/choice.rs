//! Which of a name's addresses are used.

use std::net::SocketAddr;

/// What an answer comes to. Ports are 0.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Choice {
    /// The addresses to try, in this order; not empty unless the answer was.
    pub(super) tried: Vec<SocketAddr>,
    /// Those that are passed over, because they may be other servers.
    pub(super) passed_over: Vec<SocketAddr>,
}

impl Choice {
    /// Chooses from an answer, in the resolver's order. The address `in_use` stays in use while it is part of the
    /// answer; otherwise the first is used, as by nutcracker 0.5.0.
    ///
    /// The others are tried too where they are sure to be the same machine: if all are loopback addresses, or if
    /// there is one of each family. Any others may be other caches.
    pub(super) fn of(answer: &[SocketAddr], in_use: Option<SocketAddr>) -> Self {
        let mut addresses: Vec<SocketAddr> = Vec::with_capacity(answer.len());
        for address in answer {
            let mut address = *address;
            address.set_port(0);
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        let first = in_use.and_then(|in_use| addresses.iter().position(|it| *it == in_use));
        if let Some(first) = first {
            addresses[..=first].rotate_right(1);
        }
        match are_one_machine(&addresses) {
            true => Self {
                tried: addresses,
                passed_over: Vec::new(),
            },
            false => Self {
                passed_over: addresses.split_off(1),
                tried: addresses,
            },
        }
    }
}

fn are_one_machine(addresses: &[SocketAddr]) -> bool {
    match addresses {
        [] | [_] => true,
        [one, other] if one.is_ipv4() != other.is_ipv4() => true,
        all => all.iter().all(|address| address.ip().is_loopback()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(hosts: &[&str]) -> Vec<SocketAddr> {
        let address = |host: &&str| SocketAddr::new(host.parse().unwrap(), 0);
        hosts.iter().map(address).collect()
    }

    #[test]
    fn others_are_tried_only_where_they_are_the_same_machine() {
        for (answer, in_use, tried, passed_over) in [
            (&[][..], None, &[][..], &[][..]),
            (&["10.0.0.1"], None, &["10.0.0.1"], &[]),
            (&["::1", "127.0.0.1"], None, &["::1", "127.0.0.1"], &[]),
            (
                &["::1", "127.0.0.1"],
                Some("127.0.0.1"),
                &["127.0.0.1", "::1"],
                &[],
            ),
            (&["127.0.0.1", "127.0.0.1"], None, &["127.0.0.1"], &[]),
            (
                &["fd00::1", "10.0.0.1"],
                None,
                &["fd00::1", "10.0.0.1"],
                &[],
            ),
            (
                &["10.0.0.1", "10.0.0.2"],
                None,
                &["10.0.0.1"],
                &["10.0.0.2"],
            ),
            (
                &["10.0.0.1", "10.0.0.2"],
                Some("10.0.0.2"),
                &["10.0.0.2"],
                &["10.0.0.1"],
            ),
            (
                &["10.0.0.1", "10.0.0.2"],
                Some("10.0.0.3"),
                &["10.0.0.1"],
                &["10.0.0.2"],
            ),
            (
                &["fd00::1", "10.0.0.1", "10.0.0.2"],
                None,
                &["fd00::1"],
                &["10.0.0.1", "10.0.0.2"],
            ),
        ] {
            let in_use = in_use.map(|host| addresses(&[host])[0]);
            let expected = Choice {
                tried: addresses(tried),
                passed_over: addresses(passed_over),
            };
            assert_eq!(
                Choice::of(&addresses(answer), in_use),
                expected,
                "{answer:?}"
            );
        }
    }
}
