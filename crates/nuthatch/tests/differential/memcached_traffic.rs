//! Random memcached requests that both proxies serve.

use crate::request::{CAS, Request};
use crate::seed::Rng;

const KEYS: usize = 24;

/// Generates the requests of one client.
pub(crate) struct MemcachedTraffic {
    rng: Rng,
    /// Part of every key, so that clients do not share keys.
    client: String,
    /// The pool's hash tag, which some keys then contain.
    tag: Option<(char, char)>,
}

impl MemcachedTraffic {
    pub(crate) fn new(rng: Rng, client: &str, tag: Option<(char, char)>) -> MemcachedTraffic {
        MemcachedTraffic {
            rng,
            client: client.to_owned(),
            tag,
        }
    }

    pub(crate) fn request(&mut self) -> Request {
        match self.rng.below(20) {
            0..=5 => self.retrieval(),
            6..=12 => self.storage(),
            13..=14 => self.cas(),
            15 => self.line(b"delete", &[]),
            16..=17 => self.count(),
            18 => {
                let exptime = *self.rng.pick(&["0", "1000", "-1", "4000000000"]);
                self.line(b"touch", &[exptime.as_bytes()])
            }
            _ => Request::memcached(b"version", None),
        }
    }

    fn retrieval(&mut self) -> Request {
        let mut words = vec![self.rng.pick(&[&b"get"[..], b"gets"]).to_vec()];
        let count = match self.rng.below(10) {
            0..=3 => 1,
            4..=8 => 2 + self.rng.below(6),
            _ => 2 + self.rng.below(90),
        };
        words.extend((0..count).map(|_| self.key()));
        self.spaced(words, None)
    }

    fn storage(&mut self) -> Request {
        const NAMES: [&[u8]; 7] = [
            b"set", b"set", b"set", b"add", b"replace", b"append", b"prepend",
        ];
        let name = self.rng.pick(&NAMES).to_vec();
        let data = self.value();
        let flags = *self.rng.pick(&["0", "1", "4294967295", "007"]);
        let exptime = *self.rng.pick(&["0", "0", "1000", "4000000000"]);
        let words = vec![
            name,
            self.key(),
            flags.into(),
            exptime.into(),
            data.len().to_string().into(),
        ];
        self.spaced(words, Some(data))
    }

    /// With the latest unique of `gets`, or with one that matches nothing.
    fn cas(&mut self) -> Request {
        let data = self.value();
        let unique = match self.rng.one_in(4) {
            true => b"1".to_vec(),
            false => CAS.to_vec(),
        };
        let len = data.len().to_string();
        let line = [b"cas", &self.key()[..], b"0 0", len.as_bytes(), &unique].join(&b' ');
        Request::memcached(&line, Some(&data))
    }

    /// A counter that is never read: whether memcached pads one that gets shorter depends on whether it is
    /// being read at that moment.
    fn count(&mut self) -> Request {
        let key = format!("{}:counter", self.client).into_bytes();
        if self.rng.one_in(5) {
            let line = [b"set", &key[..], b"0 0 4"].join(&b' ');
            return Request::memcached(&line, Some(b"1234"));
        }
        // No sum may exceed 2^63: memcached then looks for a minus sign in the bytes after the value.
        const SMALL: &[&str] = &["1", "0", "300", "-1"];
        const LARGE: &[&str] = &["1", "18446744073709551615", "18446744073709551616"];
        let (name, deltas) = match self.rng.below(3) {
            0 => ("incr", SMALL),
            1 => ("decr", SMALL),
            _ => ("decr", LARGE),
        };
        let delta = *self.rng.pick(deltas);
        let words = vec![name.into(), key, delta.into()];
        self.spaced(words, None)
    }

    fn line(&mut self, name: &[u8], args: &[&[u8]]) -> Request {
        let mut words = vec![name.to_vec(), self.key()];
        words.extend(args.iter().map(|arg| arg.to_vec()));
        self.spaced(words, None)
    }

    /// The words with one or more blanks between them, sometimes before and after, and sometimes `noreply`.
    fn spaced(&mut self, mut words: Vec<Vec<u8>>, data: Option<Vec<u8>>) -> Request {
        if !words[0].starts_with(b"get") && self.rng.one_in(6) {
            words.push(b"noreply".to_vec());
        }
        let odd = self.rng.one_in(6);
        let mut line = Vec::new();
        if odd && self.rng.one_in(3) {
            line.extend_from_slice(b"  ");
        }
        for (index, word) in words.iter().enumerate() {
            if index > 0 {
                let blanks = if odd { 1 + self.rng.below(3) } else { 1 };
                line.extend(std::iter::repeat_n(b' ', blanks));
            }
            line.extend_from_slice(word);
        }
        if odd && self.rng.one_in(2) {
            line.extend_from_slice(b" ");
        }
        Request::memcached(&line, data.as_deref())
    }

    fn key(&mut self) -> Vec<u8> {
        let n = self.rng.below(KEYS);
        let client = &self.client;
        let mut key = match (self.tag, n) {
            (Some((open, close)), 0..=3) => format!("{n}{open}{client}{close}"),
            (Some((open, close)), 4) => format!("{open}{close}{client}"),
            _ => format!("{client}:{n}"),
        }
        .into_bytes();
        match n {
            6 => key.extend_from_slice(b"\t\x01\x7f\xff\x80\xfe"),
            7 => key.resize(250, b'k'),
            8 => key.extend_from_slice(b"noreply"),
            _ => {}
        }
        key
    }

    fn value(&mut self) -> Vec<u8> {
        let len = match self.rng.below(40) {
            0 => self.rng.below(300_000),
            1..=3 => self.rng.below(20_000),
            4..=12 => return self.rng.between(0, 5_000).to_string().into(),
            13..=16 => return b"END\r\nVALUE k 0 1\r\nx\r\n".to_vec(),
            _ => self.rng.below(40),
        };
        let mut noise = self.rng.fork();
        (0..len.div_ceil(8))
            .flat_map(|_| noise.next().to_le_bytes())
            .take(len)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nutcracker;

    #[test]
    fn everything_made_is_served_by_nutcracker() {
        let mut traffic = MemcachedTraffic::new(Rng::new(7), "c", Some(('{', '}')));
        for _ in 0..5_000 {
            let mut request = traffic.request();
            if request.words.last().is_some_and(|word| word == CAS) {
                request.words[5] = b"1".to_vec();
            }
            assert!(
                nutcracker::memcached_serves(&request),
                "{:?}",
                request.words
            );
        }
    }
}
