//! Random traffic: for each seed a pool with random settings and several concurrent clients with their own
//! keys. Pipelines of random depth are cut at random places, some are read slowly, and all end with a
//! half-close.

use std::thread;

use super::{NO_NUTCRACKER, NO_SERVERS, Play};
use crate::compare::{ExcuseCounts, Verdict, compare};
use crate::line::Line;
use crate::memcached_traffic::MemcachedTraffic;
use crate::proxy_pair::{Opponent, Pool, Ports, ProxyPair, ServerSets};
use crate::redis_traffic::RedisTraffic;
use crate::request::{Protocol, Replies, Request};
use crate::seed::{Rng, seeds};
use crate::wire::Manner;

const CLIENTS: usize = 4;
const BATCHES: usize = 10;
const SERVERS: usize = 3;
const DEEPEST: usize = 60;

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
    run(play, Protocol::Redis, Opponent::Nuthatch, &seeds())
}

pub(crate) fn memcached(play: &mut Play) -> Result<(), &'static str> {
    run(play, Protocol::Memcached, Opponent::Nuthatch, &seeds())
}

/// nutcracker against nutcracker: any difference comes from the tests themselves.
pub(crate) fn itself(play: &mut Play) -> Result<(), &'static str> {
    let seeds = [1, 2];
    run(play, Protocol::Redis, Opponent::Itself, &seeds)?;
    run(play, Protocol::Memcached, Opponent::Itself, &seeds)
}

fn run(
    play: &mut Play,
    protocol: Protocol,
    opponent: Opponent,
    seeds: &[u64],
) -> Result<(), &'static str> {
    let server_sets = ServerSets::start(protocol, SERVERS).ok_or(NO_SERVERS)?;
    let payload = dump(&server_sets);
    for &seed in seeds {
        server_sets.flush();
        let world = World::new(protocol, seed, payload.clone());
        let (theirs, ours) = server_sets.ports();
        let pools = std::slice::from_ref(&world.pool);
        let pair =
            ProxyPair::start_against(opponent, pools, &theirs, &ours).ok_or(NO_NUTCRACKER)?;
        for failure in world.play(pair.ports[0], &play.excuse_counts) {
            let heading = format!("NUTHATCH_DIFF_SEED={seed} ({protocol:?}, {:?})", world.pool);
            play.fail(&heading, &failure);
        }
    }
    Ok(())
}

/// The output of DUMP for a string, on a Redis server of this version.
fn dump(server_sets: &ServerSets) -> Vec<u8> {
    if server_sets.protocol == Protocol::Memcached {
        return Vec::new();
    }
    let mut client = server_sets.theirs[0].client();
    client.command(&[b"SET", b"k", b"restored"]);
    client.reply();
    client.command(&[b"DUMP", b"k"]);
    let reply = client.reply();
    let start = reply
        .iter()
        .position(|byte| *byte == b'\n')
        .expect("a bulk string")
        + 1;
    reply[start..reply.len() - 2].to_vec()
}

/// Everything that follows from one seed.
struct World {
    pool: Pool,
    tag: Option<(char, char)>,
    seed: u64,
    payload: Vec<u8>,
}

impl World {
    fn new(protocol: Protocol, seed: u64, payload: Vec<u8>) -> World {
        let mut rng = Rng::new(seed);
        let distribution = if rng.one_in(3) { "modula" } else { "ketama" };
        let mut pool = Pool::new(protocol, SERVERS)
            .with(&format!("hash: {}", rng.pick(HASHES)))
            .with(&format!("distribution: {distribution}"));
        let tag = match rng.below(4) {
            0 => Some(('{', '}')),
            1 => Some(('$', '$')),
            _ => None,
        };
        if let Some((open, close)) = tag {
            pool = pool.with(&format!("hash_tag: \"{open}{close}\""));
        }
        if rng.one_in(2) {
            pool = pool.with("preconnect: true");
        }
        if rng.one_in(3) {
            pool = pool.with("timeout: 20000").with("auto_eject_hosts: true");
        }
        for (index, (name, weight)) in pool.servers.iter_mut().enumerate() {
            *name = format!("{}{}", "n".repeat(rng.below(3)), index * 7 + rng.below(7));
            *weight = 1 + rng.below(5) as u32;
        }
        World {
            pool,
            tag,
            seed,
            payload,
        }
    }

    /// Runs all clients concurrently; returns what failed.
    fn play(&self, ports: Ports, excuse_counts: &ExcuseCounts) -> Vec<String> {
        let play = |client: usize| {
            let mut client = Client::new(self, client, ports);
            client
                .play(excuse_counts)
                .and_then(|()| client.leave(excuse_counts))
                .err()
        };
        thread::scope(|scope| {
            let clients: Vec<_> = (0..CLIENTS)
                .map(|client| scope.spawn(move || play(client)))
                .collect();
            let ends = clients
                .into_iter()
                .map(|client| client.join().expect("a client ends"));
            ends.flatten().collect()
        })
    }
}

enum Traffic {
    Redis(RedisTraffic),
    Memcached(MemcachedTraffic),
}

struct Client {
    name: String,
    rng: Rng,
    line: Line,
    traffic: Traffic,
}

impl Client {
    fn new(world: &World, number: usize, ports: Ports) -> Client {
        let mut rng = Rng::new(world.seed * 100 + number as u64);
        let name = format!("c{number}");
        let protocol = world.pool.protocol;
        let traffic = match protocol {
            Protocol::Redis => Traffic::Redis(RedisTraffic::new(
                rng.fork(),
                &name,
                world.tag,
                &world.payload,
            )),
            Protocol::Memcached => {
                Traffic::Memcached(MemcachedTraffic::new(rng.fork(), &name, world.tag))
            }
        };
        Client {
            line: Line::open(protocol, ports, &name),
            name,
            rng,
            traffic,
        }
    }

    fn play(&mut self, excuse_counts: &ExcuseCounts) -> Result<(), String> {
        for batch in 0..BATCHES {
            let requests = self.batch();
            let manner = self.manner();
            let answers = self.line.exchange(&requests, &manner);
            let verdict = compare(self.line.protocol(), &requests, &answers, excuse_counts)
                .map_err(|what| format!("client {}, batch {batch}: {what}", self.name))?;
            if verdict == Verdict::OutOfStep {
                self.line.reconnect();
            }
        }
        Ok(())
    }

    /// The last pipeline is followed by a FIN; its replies must still arrive.
    fn leave(&mut self, excuse_counts: &ExcuseCounts) -> Result<(), String> {
        let mut requests = self.batch();
        // nutcracker overlooks a FIN that comes with a request unless it has something to reply.
        while requests
            .last()
            .is_some_and(|request| request.replies == Replies::None)
        {
            requests.push(self.next());
        }
        let manner = self.manner();
        self.line.reconnect();
        let answers = self.line.leave(&requests, &manner);
        compare(self.line.protocol(), &requests, &answers, excuse_counts)
            .map(|_| ())
            .map_err(|what| format!("client {}, half-closed: {what}", self.name))
    }

    fn batch(&mut self) -> Vec<Request> {
        let depth = match self.rng.below(3) {
            0 => 1 + self.rng.below(3),
            _ => 1 + self.rng.below(DEEPEST),
        };
        (0..depth).map(|_| self.next()).collect()
    }

    fn next(&mut self) -> Request {
        match &mut self.traffic {
            Traffic::Redis(traffic) => traffic.request(),
            Traffic::Memcached(traffic) => traffic.request(),
        }
    }

    fn manner(&mut self) -> Manner {
        Manner {
            cuts: self.rng.one_in(2).then(|| self.rng.fork()),
            slow: self.rng.one_in(8),
            ..Manner::plain()
        }
    }
}
