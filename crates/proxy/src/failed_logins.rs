//! Who has tried passwords that are wrong: the attempts of an address have to wait after some failures, longer with each.
//! One address does not count for another.

use std::collections::HashMap;

use crate::limits::{
    FAILURES_FORGOTTEN_AFTER, FIRST_PENALTY, FREE_FAILURES, LONGEST_PENALTY, MAX_FAILED_ADDRESSES,
};
use crate::time::Time;

/// The failures of each address.
#[derive(Debug, Default)]
pub(crate) struct FailedLogins {
    addresses: HashMap<Box<str>, Failures>,
}

#[derive(Debug, Clone, Copy)]
struct Failures {
    count: u32,
    last: Time,
}

impl FailedLogins {
    /// How long the next attempt of this client has to wait, in seconds, if it has to. `client` is its address as in log
    /// lines.
    pub(crate) fn must_wait(&self, client: &str, now: Time) -> Option<u64> {
        if self.addresses.is_empty() {
            return None;
        }
        let failures = self.addresses.get(&*address(client))?;
        let left = failures.until().since(now);
        (!left.is_zero()).then(|| (left.as_millis() as u64).div_ceil(1_000).max(1))
    }

    /// An attempt has failed. Those that have to wait are not made, and do not count.
    pub(crate) fn note(&mut self, client: &str, now: Time) {
        let address = address(client);
        if !self.addresses.contains_key(&address) {
            self.make_room(now);
        }
        let new = Failures {
            count: 0,
            last: now,
        };
        let failures = self.addresses.entry(address).or_insert(new);
        if failures.is_forgotten(now) {
            failures.count = 0;
        }
        failures.count = failures.count.saturating_add(1);
        failures.last = now;
    }

    /// Forgets the older half if there are too many, so that this is done seldom.
    fn make_room(&mut self, now: Time) {
        if self.addresses.len() < MAX_FAILED_ADDRESSES {
            return;
        }
        self.addresses
            .retain(|_, failures| !failures.is_forgotten(now));
        let mut times: Vec<Time> = self
            .addresses
            .values()
            .map(|failures| failures.last)
            .collect();
        let middle = MAX_FAILED_ADDRESSES / 2;
        if times.len() > middle {
            let (_, middle, _) = times.select_nth_unstable(middle);
            let middle = *middle;
            self.addresses.retain(|_, failures| failures.last > middle);
        }
    }
}

impl Failures {
    /// When the next attempt may be made.
    fn until(self) -> Time {
        let Some(beyond) = self.count.checked_sub(FREE_FAILURES + 1) else {
            return self.last;
        };
        let penalty = FIRST_PENALTY.saturating_mul(1 << beyond.min(16));
        self.last + penalty.min(LONGEST_PENALTY)
    }

    fn is_forgotten(self, now: Time) -> bool {
        self.last + FAILURES_FORGOTTEN_AFTER <= now
    }
}

/// The part of a client's name that says where it is: an address without its port, or the network of one of IPv6, of which
/// anybody has any number. Clients of a unix socket count together.
fn address(client: &str) -> Box<str> {
    let Some((host, _)) = client.rsplit_once(':') else {
        return "unix".into();
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    match host.rsplit(':').next() {
        // IPv4, also as a part of an address of IPv6.
        Some(last) if last.contains('.') && !last.contains('/') => last.into(),
        _ if host.contains(':') => network(host).into(),
        _ => "unix".into(),
    }
}

/// The first half of an address of IPv6 in its usual form.
fn network(address: &str) -> String {
    const GROUPS: usize = 8;
    let groups = |text: &str| -> Vec<String> {
        let groups = text.split(':').filter(|group| !group.is_empty());
        groups.map(str::to_owned).collect()
    };
    let (head, tail) = address.split_once("::").unwrap_or((address, ""));
    let (mut all, behind) = (groups(head), groups(tail));
    let left_out = GROUPS.saturating_sub(all.len() + behind.len());
    all.extend(std::iter::repeat_n("0".to_owned(), left_out));
    all.extend(behind);
    all.truncate(GROUPS / 2);
    all.join(":")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Time {
        Time::from_micros(millis * 1_000)
    }

    fn failed(count: u32, client: &str) -> FailedLogins {
        let mut failed = FailedLogins::default();
        (0..count).for_each(|_| failed.note(client, at(1_000)));
        failed
    }

    #[test]
    fn the_wait_grows_up_to_its_limit() {
        let waits = |count| failed(count, "10.0.0.1:5").must_wait("10.0.0.1:6", at(1_000));
        assert_eq!(waits(0), None);
        assert_eq!(waits(FREE_FAILURES), None);
        assert_eq!(waits(FREE_FAILURES + 1), Some(1));
        assert_eq!(waits(FREE_FAILURES + 3), Some(2));
        assert_eq!(waits(FREE_FAILURES + 5), Some(8));
        assert_eq!(waits(FREE_FAILURES + 1_000), Some(30));
        assert_eq!(waits(u32::MAX / 1_000), Some(30));
    }

    #[test]
    fn it_ends_and_the_failures_are_forgotten() {
        let mut failed = failed(FREE_FAILURES + 1, "10.0.0.1:5");
        let client = "10.0.0.1:9";
        assert_eq!(failed.must_wait(client, at(1_499)), Some(1));
        assert_eq!(failed.must_wait(client, at(1_500)), None);
        failed.note(client, at(1_500));
        assert_eq!(failed.must_wait(client, at(2_499)), Some(1));
        assert_eq!(failed.must_wait(client, at(2_500)), None);
        failed.note(client, at(301_500));
        assert_eq!(failed.must_wait(client, at(301_500)), None);
    }

    #[test]
    fn addresses_do_not_count_for_each_other() {
        let wrong = |client| failed(FREE_FAILURES + 9, client);
        for (one, other, is_same) in [
            ("10.0.0.1:5", "10.0.0.1:6", true),
            ("10.0.0.1:5", "10.0.0.2:5", false),
            ("10.0.0.1:5", "[::ffff:10.0.0.1]:5", true),
            ("[2001:db8::1]:5", "[2001:db8::2]:5", true),
            ("[2001:db8::1]:5", "[2001:db8:0:1::1]:5", false),
            ("[2001:db8::1:2:3:4:5]:5", "[2001:db8:0:1:2:3:4:5]:6", true),
            ("[::1]:5", "[::2]:5", true),
            ("10.0.0.1:5", "/run/nuthatch.sock", false),
            ("unix 7", "unix 8", true),
        ] {
            let waits = wrong(one).must_wait(other, at(1_000)).is_some();
            assert_eq!(waits, is_same, "{one} {other}");
        }
    }

    #[test]
    fn no_more_addresses_are_kept_than_the_limit() {
        let mut failed = FailedLogins::default();
        for number in 0..50_000_u32 {
            let [_, a, b, c] = number.to_be_bytes();
            let client = format!("10.{a}.{b}.{c}:1");
            failed.note(&client, at(u64::from(number)));
            assert!(failed.addresses.len() <= MAX_FAILED_ADDRESSES);
        }
        assert!(failed.addresses.len() >= MAX_FAILED_ADDRESSES / 2);
        let last = "10.0.195.79:1";
        assert!(failed.addresses.contains_key(&*address(last)));
    }
}
