//! The acceptor with real sockets and with workers that only collect their messages.

use std::io::Read;
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::Receiver;

use proxy::Memory;
use proxy::settings::{PoolSettings, ProtocolSettings, RedisSettings};

use super::*;
use crate::pool::PoolId;
use crate::worker::Message;

const TIME_LIMIT: Duration = Duration::from_secs(10);

struct Rig {
    address: SocketAddr,
    inboxes: Vec<Receiver<Message>>,
    handle: Handle,
}

fn rig(workers: usize, max_clients: usize) -> Rig {
    let address = "127.0.0.1:0".parse().unwrap();
    let listener = Listener::tcp(address, 512, false).unwrap();
    let Listener::Tcp(socket) = &listener else {
        unreachable!("it was made for TCP");
    };
    let address = socket.local_addr().unwrap();
    let pool = pool(max_clients);
    let (handles, inboxes) = (0..workers).map(|_| worker::Handle::for_tests()).unzip();
    let counts = ConnectionCounts::new(workers);
    let id = ListenerId::new(0);
    let listeners = vec![PoolListener {
        id,
        listener,
        pool,
        is_secured: false,
    }];
    let handle = start(listeners, handles, counts, usize::MAX).unwrap();
    handle.change(vec![Change::Begin]);
    Rig {
        address,
        inboxes,
        handle,
    }
}

fn pool(max_clients: usize) -> Arc<PoolShare> {
    let protocol = ProtocolSettings::Redis(RedisSettings::default());
    let settings = PoolSettings::new("pool", Vec::new(), protocol);
    let core = proxy::PoolShare::new(settings, None, &Arc::new(Memory::new(0)), 1);
    Arc::new(PoolShare::new(PoolId::new(0), core, true, max_clients))
}

#[test]
fn both_limits_count_and_room_that_is_given_up_is_free_again() {
    let (small, large) = (pool(1), pool(usize::MAX));
    let counts = ConnectionCounts::new(1);
    let shared = Shared {
        stop: Arc::default(),
        orders: channel().1,
        counts: Arc::clone(&counts),
    };
    let poll = Poll::new().unwrap();
    let acceptor = Acceptor::new(poll, Vec::new(), Vec::new(), 2, shared).unwrap();
    let client = |pool: &Arc<PoolShare>| {
        counts.count(Kind::Client {
            pool: Arc::clone(pool),
            worker: 0,
        })
    };
    let first = client(&small);
    assert!(!acceptor.has_room(&small) && acceptor.has_room(&large));
    let second = client(&large);
    assert!(!acceptor.has_room(&large));
    drop(first);
    assert!(acceptor.has_room(&small) && acceptor.has_room(&large));
    drop(second);
    assert_eq!((counts.current(), counts.total()), (0, 2));
}

#[test]
fn clients_are_shared_evenly() {
    let rig = rig(4, usize::MAX);
    let _clients: Vec<TcpStream> = (0..64)
        .map(|_| TcpStream::connect(rig.address).unwrap())
        .collect();
    // They are kept: a worker whose clients leave gets more.
    let mut given: Vec<Message> = Vec::new();
    for inbox in &rig.inboxes {
        given.extend((0..16).map(|_| inbox.recv_timeout(TIME_LIMIT).unwrap()));
    }
    let is_client = |message: &Message| matches!(message, Message::Client { .. });
    assert!(given.iter().all(is_client));
    assert!(rig.inboxes.iter().all(|inbox| inbox.try_recv().is_err()));
    rig.handle.stop();
}

#[test]
fn those_who_left_make_their_worker_the_next_choice() {
    let rig = rig(2, usize::MAX);
    let connect = || TcpStream::connect(rig.address).unwrap();
    let _first = connect();
    let kept = rig.inboxes[0].recv_timeout(TIME_LIMIT).unwrap();
    let _second = connect();
    drop(rig.inboxes[1].recv_timeout(TIME_LIMIT).unwrap());
    for _ in 0..3 {
        let _next = connect();
        drop(rig.inboxes[1].recv_timeout(TIME_LIMIT).unwrap());
    }
    drop(kept);
    rig.handle.stop();
}

#[test]
fn one_too_many_is_told_so_even_when_it_has_sent_something() {
    let rig = rig(1, 1);
    let _first = TcpStream::connect(rig.address).unwrap();
    let kept = rig.inboxes[0].recv_timeout(TIME_LIMIT).unwrap();
    let mut second = TcpStream::connect(rig.address).unwrap();
    std::io::Write::write_all(&mut second, &[b'x'; 100_000]).unwrap();
    second.set_read_timeout(Some(TIME_LIMIT)).unwrap();
    let mut told = String::new();
    second.read_to_string(&mut told).unwrap();
    assert_eq!(told, "-ERR max number of clients reached\r\n");
    drop(kept);
    let _third = TcpStream::connect(rig.address).unwrap();
    assert!(rig.inboxes[0].recv_timeout(TIME_LIMIT).is_ok());
    rig.handle.stop();
    assert!(TcpStream::connect(rig.address).is_err());
}

#[test]
fn sockets_are_opened_assigned_and_closed_while_clients_come() {
    let rig = rig(1, usize::MAX);
    let address = "127.0.0.1:0".parse().unwrap();
    let mut listener = Listener::tcp(address, 1, false).unwrap();
    let Listener::Tcp(socket) = &listener else {
        unreachable!("it was made for TCP");
    };
    let address = socket.local_addr().unwrap();
    let id = ListenerId::new(1);
    rig.handle.register(id, &mut listener).unwrap();
    // It comes before the acceptor knows of the socket.
    let _early = TcpStream::connect(address).unwrap();
    let numbered = |number| {
        let pool = pool(usize::MAX);
        let id = PoolId::new(number);
        Arc::new(PoolShare::new(id, Arc::clone(pool.core()), true, 9))
    };
    let pool = numbered(5);
    let opened = PoolListener {
        id,
        listener,
        pool,
        is_secured: false,
    };
    rig.handle.change(vec![Change::Open(opened)]);
    let pool_of_next = || match rig.inboxes[0].recv_timeout(TIME_LIMIT).unwrap() {
        Message::Client { pool, .. } => pool,
        other => panic!("no client: {other:?}"),
    };
    assert_eq!(pool_of_next(), PoolId::new(5));
    let assigned = Change::Assign(id, numbered(6), false);
    rig.handle.change(vec![assigned, Change::Backlog(id, 7)]);
    let _second = TcpStream::connect(address).unwrap();
    assert_eq!(pool_of_next(), PoolId::new(6));
    rig.handle.change(vec![Change::Close(id)]);
    assert!(TcpStream::connect(address).is_err());
    let _other = TcpStream::connect(rig.address).unwrap();
    assert_eq!(pool_of_next(), PoolId::new(0));
    rig.handle.change(vec![Change::MaxClients(0)]);
    let mut refused = TcpStream::connect(rig.address).unwrap();
    let mut told = String::new();
    refused.read_to_string(&mut told).unwrap();
    assert_eq!(told, "-ERR max number of clients reached\r\n");
    rig.handle.stop();
}
