//! The driver and the real core over a network that cuts everything anywhere.

mod pools;

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use proxy::metrics::PoolMetric;
use proxy::settings::{Address, PoolSettings, ProtocolSettings, RedisSettings, ServerSettings};
use proxy::{Memory, WorkerContext};

use super::fake::{Answer, Dice, FakeNet, FakeStream, Pipe, Shared};
use super::opening::{LINGER, MAX_LINGERING};
use super::*;
use crate::connections::{ConnectionCounts, Kind};
use crate::pool::{PoolId, PoolShare};
use crate::worker::chunks::CHUNK_BYTES;

/// One pool of three Redis servers, their clients and the servers themselves.
struct World {
    driver: Driver<FakeNet>,
    clients: Vec<Shared>,
    dialled: Rc<RefCell<Vec<Shared>>>,
    asking: Rc<RefCell<Vec<Caller>>>,
    attempts: Rc<RefCell<Vec<(SocketAddr, bool)>>>,
    counts: Arc<ConnectionCounts>,
    share: Arc<PoolShare>,
    dice: Dice,
    now: Time,
    /// Servers accept requests and do not answer.
    hung: bool,
    /// New clients' streams cut, delay and buffer nothing.
    calm: bool,
}

impl World {
    fn new(seed: u64, answer: Answer) -> Self {
        let counts = ConnectionCounts::new(1);
        let memory = Arc::new(Memory::new(0));
        let core = proxy::PoolShare::new(settings(), None, &memory, 1);
        let share = Arc::new(PoolShare::new(PoolId::new(0), core, false, usize::MAX));
        let context = WorkerContext { worker: 0, seed };
        let dialled = Rc::new(RefCell::new(Vec::new()));
        let attempts = Rc::new(RefCell::new(Vec::new()));
        let net = FakeNet {
            dialled: Rc::clone(&dialled),
            answer,
            seed,
            asking: Rc::default(),
            attempts: Rc::clone(&attempts),
        };
        let asking = Rc::clone(&net.asking);
        let mut driver = Driver::new(net, Arc::clone(&counts), Time::ZERO);
        driver.add_pool(Arc::clone(&share), context);
        Self {
            driver,
            clients: Vec::new(),
            dialled,
            asking,
            attempts,
            counts,
            share,
            dice: Dice(seed),
            now: Time::ZERO,
            hung: false,
            calm: false,
        }
    }

    fn client(&mut self) -> Shared {
        let pipe = Pipe::new(0, self.dice.roll(usize::MAX) as u64);
        if self.calm {
            pipe.borrow_mut().calm_down();
        }
        let counted = self.counts.count(Kind::Client {
            pool: Arc::clone(&self.share),
            worker: 0,
        });
        let stream = FakeStream(Rc::clone(&pipe));
        self.driver
            .open_session(self.share.id(), stream, "client".into(), counted);
        self.clients.push(Rc::clone(&pipe));
        pipe
    }

    /// Runs ticks until nothing is left to do.
    fn settle(&mut self) {
        for _ in 0..200_000 {
            if !self.step() {
                return;
            }
        }
        panic!("no end in sight");
    }

    /// One tick; `false` when there was nothing to do.
    fn step(&mut self) -> bool {
        if !self.hung {
            self.dialled.borrow().iter().for_each(serve);
        }
        let pipes: Vec<Shared> = self
            .clients
            .iter()
            .chain(self.dialled.borrow().iter())
            .cloned()
            .collect();
        let edges: Vec<_> = pipes
            .iter()
            .filter_map(|pipe| {
                let mut pipe = pipe.borrow_mut();
                let ready = pipe.take_edge()?;
                Some((pipe.key, ready))
            })
            .collect();
        if edges.is_empty() && self.driver.timeout() != Some(Duration::ZERO) {
            return false;
        }
        self.now = self.now + Duration::from_micros(10);
        self.driver.begin_tick(self.now);
        edges
            .into_iter()
            .for_each(|(key, ready)| self.driver.handle_ready(key, ready));
        self.driver.finish_tick(self.now);
        true
    }

    /// Begins a shutdown; returns when it is over.
    fn shut_down(&mut self) -> Time {
        let end = self.now + 3 * LINGER;
        self.driver.begin_shutdown(end);
        end
    }

    /// A tick without edges, this much later.
    fn pass(&mut self, time: Duration) {
        self.now = self.now + time;
        self.driver.begin_tick(self.now);
        self.driver.finish_tick(self.now);
    }

    fn pool_metric(&self, metric: PoolMetric) -> i64 {
        self.share.core().counters(0).get(metric)
    }
}

fn settings() -> PoolSettings {
    let server = |index: usize| ServerSettings {
        name: format!("server{index}"),
        pname: format!("server{index}:1"),
        address: Address::tcp("server", 1),
        weight: 1,
        db: 0,
        replication: Default::default(),
    };
    let protocol = ProtocolSettings::Redis(RedisSettings::default());
    PoolSettings {
        // Low, so that clients are held back in their sockets too.
        clients: proxy::settings::ClientLimits {
            backlog: 1_000,
            ..proxy::settings::ClientLimits::default()
        },
        ..PoolSettings::new("pool", (0..3).map(server).collect(), protocol)
    }
}

/// A server's value for GET: its length and bytes follow from the key, so that any mix-up is detected.
fn value_of(key: &str) -> Vec<u8> {
    let (_, len) = key.split_once(':').unwrap();
    key.bytes().cycle().take(len.parse().unwrap()).collect()
}

fn reply_to(key: &str) -> Vec<u8> {
    let value = value_of(key);
    let mut reply = format!("${}\r\n", value.len()).into_bytes();
    reply.extend(value);
    reply.extend(b"\r\n");
    reply
}

fn get(key: &str) -> Vec<u8> {
    format!("*2\r\n$3\r\nGET\r\n${}\r\n{key}\r\n", key.len()).into_bytes()
}

/// A server that supports GET: answers every whole request it has received.
fn serve(pipe: &Shared) {
    let mut pipe = pipe.borrow_mut();
    while let Some((key, len)) = first_key(&pipe.outbound) {
        pipe.outbound.drain(..len);
        let reply = reply_to(&key);
        pipe.send(&reply);
    }
}

fn first_key(bytes: &[u8]) -> Option<(String, usize)> {
    let text = String::from_utf8_lossy(bytes);
    let mut lines = text.split_inclusive("\r\n");
    let request: Vec<&str> = lines.by_ref().take(5).collect();
    if request.len() < 5 || !request[4].ends_with("\r\n") {
        return None;
    }
    assert_eq!(&request[..3], ["*2\r\n", "$3\r\n", "GET\r\n"]);
    let len = request.iter().map(|line| line.len()).sum();
    Some((request[4].trim_end().to_owned(), len))
}

/// Keys with values of every size up to 60 KB.
fn keys(dice: &mut Dice, count: usize) -> Vec<String> {
    let len = |dice: &mut Dice| {
        let scale = [3, 100, 5_000, 60_000][dice.roll(4)];
        dice.roll(scale)
    };
    (0..count)
        .map(|index| format!("k{index}:{}", len(dice)))
        .collect()
}

#[test]
fn replies_are_whole_and_in_order_however_the_streams_are_cut() {
    let mut said = [[false; 2]; 2];
    for seed in 0..30 {
        let mut world = World::new(seed, Answer::Accept);
        let mut expected = Vec::new();
        for _ in 0..3 {
            let keys = keys(&mut world.dice, 40);
            let client = world.client();
            let requests: Vec<u8> = keys.iter().flat_map(|key| get(key)).collect();
            let at = world.dice.roll(requests.len());
            client.borrow_mut().send(&requests[..at]);
            if world.dice.roll(2) == 0 {
                world.settle();
            }
            // The end arrives in the same edge as the last bytes.
            client.borrow_mut().send(&requests[at..]);
            client.borrow_mut().fin = true;
            expected.push(
                keys.iter()
                    .flat_map(|key| reply_to(key))
                    .collect::<Vec<u8>>(),
            );
        }
        world.settle();
        for (client, expected) in world.clients.iter().zip(expected) {
            let client = client.borrow();
            assert!(client.outbound == expected, "seed {seed}");
            assert!(client.closed, "seed {seed}");
        }
        for pipe in world.clients.iter().chain(world.dialled.borrow().iter()) {
            let pipe = pipe.borrow();
            assert!(
                pipe.inbound.is_empty(),
                "seed {seed}: bytes are left unread"
            );
            said[0] = [said[0][0] | pipe.said[0][0], said[0][1] | pipe.said[0][1]];
            said[1] = [said[1][0] | pipe.said[1][0], said[1][1] | pipe.said[1][1]];
        }
        assert_eq!(world.counts.clients(), 0);
        assert_eq!(world.pool_metric(PoolMetric::ClientConnections), 0);
    }
    // Short and full reads both said that the stream was drained, and that it was not.
    assert_eq!(said, [[true; 2]; 2]);
}

/// A world whose clients' streams give no extra edges, so that a lost one is detected.
fn calm_world() -> World {
    let mut world = World::new(7, Answer::Accept);
    world.calm = true;
    world
}

#[test]
fn an_end_that_comes_with_data_in_one_edge_is_found() {
    let mut world = calm_world();
    let client = world.client();
    client.borrow_mut().send(b"PING\r\n");
    client.borrow_mut().fin = true;
    world.settle();
    assert_eq!(client.borrow().outbound, b"+PONG\r\n");
    assert!(client.borrow().closed);
}

#[test]
fn what_a_tick_left_over_needs_no_edge() {
    let mut world = calm_world();
    let client = world.client();
    let count = 16 * CHUNK_BYTES / 6;
    client.borrow_mut().send(&b"PING\r\n".repeat(count));
    world.settle();
    assert!(client.borrow().outbound == b"+PONG\r\n".repeat(count));
}

#[test]
fn a_client_that_was_held_back_is_read_on_without_an_edge() {
    let mut world = calm_world();
    let client = world.client();
    world.hung = true;
    client.borrow_mut().send(&get("k:1").repeat(10_000));
    world.settle();
    assert!(!client.borrow().inbound.is_empty(), "it is held back");
    world.hung = false;
    world.settle();
    assert!(client.borrow().outbound == reply_to("k:1").repeat(10_000));
}

#[test]
fn a_client_that_does_not_read_is_waited_for_and_delays_nobody() {
    for seed in 0..20 {
        let mut world = World::new(seed, Answer::Accept);
        let (slow, quick) = (world.client(), world.client());
        let keys = keys(&mut world.dice, 20);
        let requests: Vec<u8> = keys.iter().flat_map(|key| get(key)).collect();
        let expected: Vec<u8> = keys.iter().flat_map(|key| reply_to(key)).collect();
        slow.borrow_mut().window = 100;
        slow.borrow_mut().send(&requests);
        quick.borrow_mut().send(&requests);
        world.settle();
        assert!(slow.borrow().outbound.len() <= 100);
        assert!(quick.borrow().outbound == expected, "seed {seed}");
        slow.borrow_mut().open_window();
        world.settle();
        assert!(slow.borrow().outbound == expected, "seed {seed}");
    }
}

#[test]
fn a_client_that_is_reset_disturbs_nobody() {
    for seed in 0..20 {
        let mut world = World::new(seed, Answer::Accept);
        let (gone, stays) = (world.client(), world.client());
        let keys = keys(&mut world.dice, 20);
        let requests: Vec<u8> = keys.iter().flat_map(|key| get(key)).collect();
        let expected: Vec<u8> = keys.iter().flat_map(|key| reply_to(key)).collect();
        gone.borrow_mut().send(&requests);
        stays.borrow_mut().send(&requests);
        for _ in 0..world.dice.roll(20) {
            world.step();
        }
        gone.borrow_mut().end(true);
        world.settle();
        assert!(gone.borrow().closed);
        assert!(stays.borrow().outbound == expected, "seed {seed}");
        assert_eq!(world.counts.clients(), 1);
    }
}

/// The reply to a client that asks for one key.
fn told(world: &mut World) -> String {
    let client = world.client();
    client.borrow_mut().send(&get("k:5"));
    world.settle();
    let outbound = client.borrow().outbound.clone();
    String::from_utf8(outbound).unwrap()
}

#[test]
fn causes_reach_the_client_in_nutcrackers_words() {
    let mut refused = World::new(1, Answer::Refuse);
    assert_eq!(told(&mut refused), "-ERR Connection refused\r\n");
    let mut poor = World::new(2, Answer::NoDescriptor);
    assert_eq!(told(&mut poor), "-ERR Too many open files\r\n");
    assert_eq!(poor.counts.current(), 1, "only the client is left");
}

/// The addresses of the servers' name.
const ADDRESSES: [&str; 2] = ["[::1]:1", "127.0.0.1:1"];

/// The resolver answers everybody who waits for it.
fn resolve(world: &mut World) {
    let addresses = ADDRESSES.map(|address| address.parse().unwrap());
    let callers = world.asking.take();
    for caller in callers {
        let (host, addresses) = ("server".into(), addresses.to_vec());
        let resolved = Some(Resolved { host, addresses });
        world.driver.handle_resolved(caller, resolved);
    }
    world.settle();
}

#[test]
fn the_addresses_of_a_name_are_tried_one_after_the_other() {
    for (seed, (reached, attempts)) in [
        (ADDRESSES[0], vec![]),
        (ADDRESSES[1], vec![(ADDRESSES[1].parse().unwrap(), true)]),
    ]
    .into_iter()
    .enumerate()
    {
        let mut world = World::new(seed as u64, Answer::Only(reached.parse().unwrap()));
        assert_eq!(told(&mut world), "");
        resolve(&mut world);
        assert_eq!(*world.clients[0].borrow().outbound, *reply_to("k:5"));
        assert_eq!(*world.attempts.borrow(), attempts);
    }
    let mut world = World::new(9, Answer::Only("10.0.0.1:1".parse().unwrap()));
    assert_eq!(told(&mut world), "");
    resolve(&mut world);
    assert_eq!(
        *world.clients[0].borrow().outbound,
        *b"-ERR Connection refused\r\n"
    );
    assert_eq!(world.dialled.borrow().len(), ADDRESSES.len());
    assert_eq!(world.counts.current(), 1, "only the client is left");
}

#[test]
fn a_server_that_closes_or_resets_fails_what_it_owed() {
    for (reset, line) in [
        (false, "-ERR unknown\r\n"),
        (true, "-ERR Connection reset by peer\r\n"),
    ] {
        let mut world = World::new(3, Answer::Accept);
        world.hung = true;
        assert_eq!(told(&mut world), "");
        world.dialled.borrow()[0].borrow_mut().end(reset);
        world.settle();
        assert_eq!(world.clients[0].borrow().outbound, line.as_bytes());
        assert!(world.dialled.borrow()[0].borrow().closed);
        // The next request opens a new connection.
        world.hung = false;
        assert_eq!(told(&mut world), "$5\r\nk:5k:\r\n");
    }
}

#[test]
fn one_who_sends_without_end_leaves_others_their_turn() {
    let mut world = World::new(4, Answer::Accept);
    let (busy, modest) = (world.client(), world.client());
    busy.borrow_mut().send(&get("k:1").repeat(20_000));
    modest.borrow_mut().send(&get("k:2"));
    for _ in 0..200 {
        world.step();
    }
    assert_eq!(modest.borrow().outbound, reply_to("k:2"));
    assert!(
        !busy.borrow().inbound.is_empty(),
        "the busy one is not through yet"
    );
    world.settle();
    assert_eq!(busy.borrow().outbound.len(), 20_000 * reply_to("k:1").len());
}

#[test]
fn a_client_that_is_turned_away_lingers_and_then_goes() {
    let mut world = World::new(5, Answer::Accept);
    let client = world.client();
    // Bytes that are not a request: an error reply, then the end.
    client.borrow_mut().send(b"*1\r\n$notanumber\r\n");
    world.settle();
    assert!(client.borrow().outbound.starts_with(b"-ERR"));
    assert!(client.borrow().shut && !client.borrow().closed);
    client.borrow_mut().send(&[b'x'; 10_000]);
    world.settle();
    assert!(!client.borrow().closed && client.borrow().inbound.is_empty());
    world.driver.begin_tick(world.now + LINGER);
    world.driver.finish_tick(world.now + LINGER);
    assert!(client.borrow().closed);
    assert!(world.driver.is_drained());
}

#[test]
fn the_end_waits_for_what_is_in_flight() {
    let mut world = World::new(6, Answer::Accept);
    world.hung = true;
    let (busy, idle) = (world.client(), world.client());
    busy.borrow_mut().send(&get("k:9"));
    world.settle();
    world.shut_down();
    world.settle();
    assert!(idle.borrow().shut && !busy.borrow().shut);
    world.hung = false;
    world.settle();
    assert_eq!(busy.borrow().outbound, reply_to("k:9"));
    assert!(busy.borrow().shut && !world.driver.is_drained());
    idle.borrow_mut().end(false);
    busy.borrow_mut().end(false);
    world.settle();
    assert!(world.driver.is_drained());
}

/// To close one that sends on would reset it.
#[test]
fn in_a_shutdown_who_sends_on_lingers_to_its_end_and_others_do_not() {
    let mut world = calm_world();
    let (sends, rests) = (world.client(), world.client());
    world.settle();
    world.shut_down();
    world.settle();
    assert!(sends.borrow().shut && rests.borrow().shut);
    sends.borrow_mut().send(&get("k:1"));
    world.settle();
    world.pass(LINGER);
    assert!(!sends.borrow().closed && rests.borrow().closed);
    world.pass(LINGER);
    assert!(!sends.borrow().closed && !world.driver.is_drained());
    sends.borrow_mut().end(false);
    world.settle();
    assert!(sends.borrow().closed && world.driver.is_drained());
}

#[test]
fn in_a_shutdown_everybody_may_linger() {
    let mut world = calm_world();
    for _ in 0..2 * MAX_LINGERING {
        world.client();
    }
    world.settle();
    world.shut_down();
    world.settle();
    let mut clients = world.clients.iter();
    assert!(clients.all(|client| client.borrow().shut && !client.borrow().closed));
}
