//! Chooses requests and writes them.

use super::options::Mix;
use super::pattern::{Keyspace, mix};
use super::protocol::Protocol;

/// One request, as far as needed to check its reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) kind: Kind,
    /// Number of the (first) key.
    pub(super) id: u32,
    /// When it was sent, or was due, in nanoseconds since the start of the run.
    pub(super) since: u64,
}

/// The kind of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Get,
    Set,
    /// A read of this many keys from `id` on, wrapping around after the last key.
    MultiGet(u32),
}

/// Chooses requests and writes them.
pub(super) struct Traffic {
    protocol: Protocol,
    mix: Mix,
    keys: Keyspace,
    /// Number of requests so far, which seeds the next random choice.
    made: u64,
}

impl Traffic {
    pub(super) fn new(protocol: Protocol, mix: Mix, keys: Keyspace) -> Self {
        Self {
            protocol,
            mix,
            keys,
            made: 0,
        }
    }

    /// Appends the next request's bytes to `out`.
    pub(super) fn push_next(&mut self, out: &mut Vec<u8>, since: u64) -> Request {
        let chance = mix(self.made);
        let ordinal = self.made;
        self.made += 1;
        let any = u32::try_from(chance % u64::from(self.keys.count())).expect("below a u32");
        let (kind, id) = match self.mix {
            Mix::Get => (Kind::Get, any),
            Mix::Set => (Kind::Set, any),
            Mix::Mixed if chance >> 63 == 0 => (Kind::Get, any),
            Mix::Mixed => (Kind::Set, any),
            Mix::MultiGet(count) => (Kind::MultiGet(count), any),
            Mix::Fill => (Kind::Set, wrapped(&self.keys, ordinal)),
        };
        let request = Request { kind, id, since };
        match self.protocol {
            Protocol::Redis => self.push_redis(out, request),
            Protocol::Memcached => self.push_memcached(out, request),
        }
        request
    }

    fn push_redis(&self, out: &mut Vec<u8>, request: Request) {
        match request.kind {
            Kind::Get => {
                out.extend_from_slice(b"*2\r\n$3\r\nGET\r\n");
                self.push_bulk_key(out, request.id);
            }
            Kind::Set => {
                out.extend_from_slice(b"*3\r\n$3\r\nSET\r\n");
                self.push_bulk_key(out, request.id);
                push_header(out, b'$', self.keys.size());
                self.keys.push_value(out, request.id);
                out.extend_from_slice(b"\r\n");
            }
            Kind::MultiGet(count) => {
                push_header(out, b'*', count as usize + 1);
                out.extend_from_slice(b"$4\r\nMGET\r\n");
                for offset in 0..count {
                    self.push_bulk_key(out, key_at(&self.keys, request.id, offset));
                }
            }
        }
    }

    fn push_bulk_key(&self, out: &mut Vec<u8>, id: u32) {
        push_header(out, b'$', self.keys.key_len());
        self.keys.push_key(out, id);
        out.extend_from_slice(b"\r\n");
    }

    fn push_memcached(&self, out: &mut Vec<u8>, request: Request) {
        match request.kind {
            Kind::Get => {
                out.extend_from_slice(b"get ");
                self.keys.push_key(out, request.id);
            }
            Kind::Set => {
                out.extend_from_slice(b"set ");
                self.keys.push_key(out, request.id);
                out.extend_from_slice(b" 0 0 ");
                push_number(out, self.keys.size());
                out.extend_from_slice(b"\r\n");
                self.keys.push_value(out, request.id);
            }
            Kind::MultiGet(count) => {
                out.extend_from_slice(b"get");
                for offset in 0..count {
                    out.push(b' ');
                    self.keys
                        .push_key(out, key_at(&self.keys, request.id, offset));
                }
            }
        }
        out.extend_from_slice(b"\r\n");
    }
}

/// The number of a multi-get's key.
pub(super) fn key_at(keys: &Keyspace, first: u32, offset: u32) -> u32 {
    wrapped(keys, u64::from(first) + u64::from(offset))
}

fn wrapped(keys: &Keyspace, ordinal: u64) -> u32 {
    u32::try_from(ordinal % u64::from(keys.count())).expect("below a u32")
}

fn push_header(out: &mut Vec<u8>, sign: u8, number: usize) {
    out.push(sign);
    push_number(out, number);
    out.extend_from_slice(b"\r\n");
}

fn push_number(out: &mut Vec<u8>, number: usize) {
    if number >= 10 {
        push_number(out, number / 10);
    }
    out.push(b'0' + (number % 10) as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(protocol: Protocol, mix: Mix) -> String {
        let mut out = Vec::new();
        Traffic::new(protocol, mix, Keyspace::new(2, 3)).push_next(&mut out, 0);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn requests_have_the_bytes_of_their_protocol() {
        let set = first(Protocol::Redis, Mix::Fill);
        assert!(set.starts_with("*3\r\n$3\r\nSET\r\n$12\r\nnb3:00000000\r\n$3\r\n"));
        assert_eq!(set.len(), 41);
        let mget = first(Protocol::Redis, Mix::MultiGet(2));
        assert!(mget.starts_with("*3\r\n$4\r\nMGET\r\n$12\r\nnb3:"));
        let set = first(Protocol::Memcached, Mix::Fill);
        assert!(set.starts_with("set nb3:00000000 0 0 3\r\n") && set.ends_with("\r\n"));
        let gets = first(Protocol::Memcached, Mix::MultiGet(2));
        assert_eq!(gets.split(' ').count(), 3, "{gets}");
        assert_ne!(gets.split(' ').nth(1), gets.trim_end().split(' ').nth(2));
    }

    #[test]
    fn a_mix_is_half_and_half_and_a_fill_names_each_key_once() {
        let mut traffic = Traffic::new(Protocol::Redis, Mix::Mixed, Keyspace::new(100, 3));
        let mut out = Vec::new();
        let gets = (0..1_000).filter(|_| traffic.push_next(&mut out, 0).kind == Kind::Get);
        assert!((400..600).contains(&gets.count()));
        let mut fill = Traffic::new(Protocol::Redis, Mix::Fill, Keyspace::new(100, 3));
        let ids: Vec<u32> = (0..100).map(|_| fill.push_next(&mut out, 0).id).collect();
        assert_eq!(ids, (0..100).collect::<Vec<_>>());
    }
}
