//! The acceptor with real sockets and with workers that only collect what they are dealt.

use std::io::Read;
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::Receiver;

use super::*;
use crate::worker::Message;

const PATIENCE: Duration = Duration::from_secs(10);

struct House {
    address: SocketAddr,
    inboxes: Vec<Receiver<Message>>,
    handle: Handle,
}

fn house(workers: usize, limits: Limits) -> House {
    let address = "127.0.0.1:0".parse().unwrap();
    let listener = Listener::tcp(address, 512, false).unwrap();
    let Listener::Tcp(socket) = &listener else {
        unreachable!("it was made for TCP");
    };
    let address = socket.local_addr().unwrap();
    let door = Door {
        listener,
        pool: "pool".into(),
        keepalive: true,
        refusal: Arc::from(&b"-ERR max number of clients reached\r\n"[..]),
    };
    let (handles, inboxes) = (0..workers).map(|_| worker::Handle::for_tests()).unzip();
    let census = Census::new(1, workers);
    let handle = start(vec![door], handles, census, limits).unwrap();
    House {
        address,
        inboxes,
        handle,
    }
}

fn unlimited() -> Limits {
    Limits {
        process: usize::MAX,
        pools: Box::new([None]),
    }
}

#[test]
fn clients_are_shared_evenly() {
    let house = house(4, unlimited());
    let _clients: Vec<TcpStream> = (0..64)
        .map(|_| TcpStream::connect(house.address).unwrap())
        .collect();
    for inbox in &house.inboxes {
        let dealt: Vec<Message> = (0..16)
            .map(|_| inbox.recv_timeout(PATIENCE).unwrap())
            .collect();
        assert!(
            dealt
                .iter()
                .all(|message| matches!(message, Message::Client { .. }))
        );
        assert!(inbox.try_recv().is_err());
    }
    house.handle.stop();
}

#[test]
fn those_who_left_make_their_worker_the_next_choice() {
    let house = house(2, unlimited());
    let connect = || TcpStream::connect(house.address).unwrap();
    let _first = connect();
    let kept = house.inboxes[0].recv_timeout(PATIENCE).unwrap();
    let _second = connect();
    drop(house.inboxes[1].recv_timeout(PATIENCE).unwrap());
    for _ in 0..3 {
        let _next = connect();
        drop(house.inboxes[1].recv_timeout(PATIENCE).unwrap());
    }
    drop(kept);
    house.handle.stop();
}

#[test]
fn one_too_many_is_told_so_even_when_it_has_sent_something() {
    let limits = Limits {
        process: usize::MAX,
        pools: Box::new([Some(1)]),
    };
    let house = house(1, limits);
    let _first = TcpStream::connect(house.address).unwrap();
    let kept = house.inboxes[0].recv_timeout(PATIENCE).unwrap();
    let mut second = TcpStream::connect(house.address).unwrap();
    std::io::Write::write_all(&mut second, &[b'x'; 100_000]).unwrap();
    second.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut told = String::new();
    second.read_to_string(&mut told).unwrap();
    assert_eq!(told, "-ERR max number of clients reached\r\n");
    drop(kept);
    let _third = TcpStream::connect(house.address).unwrap();
    assert!(house.inboxes[0].recv_timeout(PATIENCE).is_ok());
    house.handle.stop();
    assert!(TcpStream::connect(house.address).is_err());
}
