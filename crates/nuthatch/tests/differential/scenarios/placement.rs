//! Keys written through one proxy are read, changed and deleted through the other, with the same servers:
//! every hash with every distribution, weights, names and hash tags.

use super::{NO_NUTCRACKER, NO_SERVERS, Play};
use crate::proxy_pair::{self, Pool, Ports, ProxyPair};
use crate::request::{Protocol, Request, shown};
use crate::seed::Rng;
use crate::wire::{End, Manner, Wire};

const SERVERS: usize = 4;
const KEYS: usize = 150;

const HASHES: &[&str] = &[
    "one_at_a_time",
    "md5",
    "crc16",
    "crc32",
    "crc32a",
    "fnv1_64",
    "fnv1a_64",
    "fnv1_32",
    "fnv1a_32",
    "hsieh",
    "murmur",
    "jenkins",
];

pub(crate) fn redis(play: &mut Play) -> Result<(), &'static str> {
    run(play, Protocol::Redis)
}

pub(crate) fn memcached(play: &mut Play) -> Result<(), &'static str> {
    run(play, Protocol::Memcached)
}

fn run(play: &mut Play, protocol: Protocol) -> Result<(), &'static str> {
    let running = proxy_pair::servers(protocol, SERVERS, &[]).ok_or(NO_SERVERS)?;
    let servers = proxy_pair::ports(&running);
    let pools = pools(protocol);
    let pair = ProxyPair::start(&pools, &servers, &servers).ok_or(NO_NUTCRACKER)?;
    for (index, (pool, ports)) in pools.iter().zip(&pair.ports).enumerate() {
        if let Err(what) = Swap::new(protocol, index, *ports).play() {
            play.fail(&format!("{pool:?}"), &what);
        }
    }
    Ok(())
}

fn pools(protocol: Protocol) -> Vec<Pool> {
    let mut rng = Rng::new(5);
    let mut pools = Vec::new();
    for (index, hash) in HASHES.iter().enumerate() {
        for distribution in ["ketama", "modula"] {
            let mut pool = Pool::new(protocol, SERVERS)
                .with(&format!("hash: {hash}"))
                .with(&format!("distribution: {distribution}"));
            if index % 2 == 0 {
                pool.servers
                    .iter_mut()
                    .for_each(|(_, weight)| *weight = 1 + rng.below(9) as u32);
            }
            if index % 3 == 0 {
                pool = pool.with("hash_tag: \"{}\"");
            }
            if index % 4 == 1 {
                pool.servers
                    .iter_mut()
                    .enumerate()
                    .for_each(|(n, (name, _))| *name = "z".repeat(4 - n));
            }
            pools.push(pool);
        }
    }
    // Without names, the address is the identity.
    let mut unnamed = Pool::new(protocol, SERVERS);
    unnamed
        .servers
        .iter_mut()
        .for_each(|(name, _)| name.clear());
    pools.push(unnamed);
    // One server: no hashing.
    pools.push(Pool::new(protocol, 1));
    pools
}

/// The keys of one pool and a connection to each proxy.
struct Swap {
    protocol: Protocol,
    keys: Vec<Vec<u8>>,
    theirs: Wire,
    ours: Wire,
}

impl Swap {
    fn new(protocol: Protocol, pool: usize, ports: Ports) -> Swap {
        let mut rng = Rng::new(pool as u64);
        let key = |n: usize| {
            if (protocol, n) == (Protocol::Redis, 41) {
                return Vec::new();
            }
            let mut key = format!("pool{pool}:{n}").into_bytes();
            match n % 5 {
                // Bytes of 0x80 and above, which are hashed as signed numbers.
                0 => key.extend((0..rng.below(20)).map(|_| 0x80 | rng.below(128) as u8)),
                1 => key
                    .splice(0..0, format!("{{{}}}", rng.below(9)).into_bytes())
                    .for_each(drop),
                2 => key.extend((0..rng.below(180)).map(|_| b'a' + rng.below(26) as u8)),
                _ => {}
            }
            key
        };
        Swap {
            protocol,
            keys: (0..KEYS).map(key).collect(),
            theirs: Wire::connect(ports.theirs),
            ours: Wire::connect(ports.ours),
        }
    }

    fn play(&mut self) -> Result<(), String> {
        let (even, odd): (Vec<_>, Vec<_>) = (0..KEYS).partition(|n| n % 2 == 0);
        self.write(even.clone(), true)?;
        self.write(odd.clone(), false)?;
        self.read(true, 0..KEYS)?;
        self.read(false, 0..KEYS)?;
        self.delete(&even[..20], false)?;
        self.delete(&odd[..20], true)?;
        self.read(true, 40..KEYS)?;
        self.read(false, 40..KEYS)
    }

    /// Writes one by one through one of the proxies.
    fn write(&mut self, which: Vec<usize>, through_theirs: bool) -> Result<(), String> {
        let mut bytes = Vec::new();
        let mut expected = Vec::new();
        for n in which {
            let (key, value) = (&self.keys[n], format!("value {n}"));
            match self.protocol {
                Protocol::Redis => {
                    bytes.extend(Request::redis(&[b"SET", &key[..], value.as_bytes()]).bytes);
                    expected.extend_from_slice(b"+OK\r\n");
                }
                Protocol::Memcached => {
                    let len = value.len().to_string();
                    let line = [b"set", &key[..], b"0 0", len.as_bytes()].join(&b' ');
                    bytes.extend(Request::memcached(&line, Some(value.as_bytes())).bytes);
                    expected.extend_from_slice(b"STORED\r\n");
                }
            }
        }
        self.ask(through_theirs, &bytes, &expected)
    }

    /// Reads all keys one by one, then (Redis) in one request with many keys.
    fn read(&mut self, through_theirs: bool, which: std::ops::Range<usize>) -> Result<(), String> {
        let mut bytes = Vec::new();
        let mut expected = Vec::new();
        for n in which.clone() {
            let (key, value) = (&self.keys[n], format!("value {n}"));
            let len = value.len();
            match self.protocol {
                Protocol::Redis => {
                    bytes.extend(Request::redis(&[b"GET", &key[..]]).bytes);
                    expected.extend(format!("${len}\r\n{value}\r\n").into_bytes());
                }
                Protocol::Memcached => {
                    bytes.extend(Request::memcached(&[b"get ", &key[..]].concat(), None).bytes);
                    expected.extend(
                        [
                            b"VALUE ",
                            &key[..],
                            format!(" 0 {len}\r\n{value}\r\nEND\r\n").as_bytes(),
                        ]
                        .concat(),
                    );
                }
            }
        }
        if self.protocol == Protocol::Redis {
            let mut words = vec![b"MGET".to_vec()];
            words.extend(self.keys[which.clone()].iter().cloned());
            bytes.extend(Request::redis(&words).bytes);
            expected.extend(format!("*{}\r\n", which.len()).into_bytes());
            for n in which {
                let value = format!("value {n}");
                expected.extend(format!("${}\r\n{value}\r\n", value.len()).into_bytes());
            }
        }
        self.ask(through_theirs, &bytes, &expected)
    }

    fn delete(&mut self, which: &[usize], through_theirs: bool) -> Result<(), String> {
        let keys = which.iter().map(|n| &self.keys[*n]);
        match self.protocol {
            Protocol::Redis => {
                let mut words = vec![b"DEL".to_vec()];
                words.extend(keys.cloned());
                let expected = format!(":{}\r\n", which.len());
                self.ask(
                    through_theirs,
                    &Request::redis(&words).bytes,
                    expected.as_bytes(),
                )
            }
            Protocol::Memcached => {
                let delete = |key: &Vec<u8>| {
                    Request::memcached(&[b"delete ", &key[..]].concat(), None).bytes
                };
                let bytes: Vec<u8> = keys.flat_map(delete).collect();
                self.ask(through_theirs, &bytes, &b"DELETED\r\n".repeat(which.len()))
            }
        }
    }

    fn ask(&mut self, theirs: bool, bytes: &[u8], expected: &[u8]) -> Result<(), String> {
        let wire = if theirs {
            &mut self.theirs
        } else {
            &mut self.ours
        };
        let answer = wire.exchange(bytes, expected, &Manner::plain());
        match answer.end == End::Open && answer.bytes.is_empty() {
            true => Ok(()),
            false => Err(format!(
                "through {}: expected {}, got {} ({:?})",
                if theirs { "nutcracker" } else { "nuthatch" },
                shown(expected),
                shown(&answer.bytes),
                answer.end
            )),
        }
    }
}
