//! The clients of one pool, on a thread of their own.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use crate::client::{Client, Link, Scene};
use crate::counts::Counts;
use crate::expected::ExpectedValues;
use crate::run_state::RunState;
use crate::wire::Values;
use nuthatch_bench::faults::{Owner, Random};
use nuthatch_bench::load::Protocol;

/// Numbers of requests that clients keep outstanding; the clients take them in rotation.
const DEPTHS: [usize; 4] = [1, 16, 64, 250];

const BUFFER_BYTES: usize = 256 << 10;

/// Longest sleep, so that the end of the run is noticed when nothing happens.
const MAX_SLEEP: Duration = Duration::from_millis(20);

/// How often clients are checked for a reply that does not come.
const STALL_CHECK_INTERVAL: Duration = Duration::from_millis(500);

/// How long to wait for the last replies.
const LAST_REPLIES: Duration = Duration::from_secs(15);

/// Parameters of a thread.
pub(crate) struct Orders<'a> {
    pub(crate) run_state: &'a RunState,
    pub(crate) protocol: Protocol,
    /// Index of the pool.
    pub(crate) pool: u8,
    pub(crate) keys_move: bool,
    /// See [`Scene::withdraws`].
    pub(crate) withdraws: bool,
    pub(crate) address: SocketAddr,
    pub(crate) clients: u16,
    pub(crate) seed: u64,
}

/// Loads the pool until the run is over, and waits for the last replies.
///
/// # Errors
///
/// When the pool cannot be connected to.
pub(crate) fn work(orders: &Orders<'_>) -> Result<Counts, String> {
    let mut pool_load =
        PoolLoad::gather(orders).map_err(|error| format!("{}: {error}", orders.address))?;
    pool_load
        .play()
        .map_err(|error| format!("clients of {}: {error}", orders.address))?;
    Ok(pool_load.scene.counts)
}

struct PoolLoad<'a> {
    address: SocketAddr,
    poll: Poll,
    clients: Vec<Client>,
    scene: Scene<'a>,
}

impl<'a> PoolLoad<'a> {
    fn gather(orders: &Orders<'a>) -> std::io::Result<Self> {
        let mut pool_load = PoolLoad {
            address: orders.address,
            poll: Poll::new()?,
            clients: Vec::new(),
            scene: Scene {
                run_state: orders.run_state,
                protocol: orders.protocol,
                withdraws: orders.withdraws,
                counts: Counts::default(),
                values: Values::default(),
                buffer: vec![0; BUFFER_BYTES],
            },
        };
        for number in 0..orders.clients {
            let owner = Owner {
                pool: orders.pool,
                client: number,
            };
            let stream = pool_load.connect(usize::from(number))?;
            let lane = u64::from(orders.pool) << 32 | u64::from(number);
            pool_load.clients.push(Client::new(
                stream,
                ExpectedValues::new(owner, orders.keys_move),
                Random::new(orders.seed, lane),
                DEPTHS[usize::from(number) % DEPTHS.len()],
            ));
        }
        Ok(pool_load)
    }

    fn play(&mut self) -> std::io::Result<()> {
        for number in 0..self.clients.len() {
            let link = self.clients[number].go_on(&mut self.scene);
            self.mend(number, link)?;
        }
        let mut events = Events::with_capacity(1_024);
        let mut looked = Instant::now();
        let mut over_since = None;
        while !self.is_done(&mut over_since) {
            match self.poll.poll(&mut events, Some(MAX_SLEEP)) {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                polled => polled?,
            }
            for event in &events {
                self.serve(event.token().0)?;
            }
            if looked.elapsed() >= STALL_CHECK_INTERVAL {
                looked = Instant::now();
                for number in 0..self.clients.len() {
                    let link = self.clients[number].check_stall(&mut self.scene, looked);
                    self.mend(number, link)?;
                }
            }
        }
        for client in &self.clients {
            self.scene.counts.unanswered += client.outstanding() as u64;
        }
        Ok(())
    }

    fn serve(&mut self, number: usize) -> std::io::Result<()> {
        let mut link = self.clients[number].read(&mut self.scene);
        if link == Link::Stands {
            link = self.clients[number].go_on(&mut self.scene);
        }
        self.mend(number, link)
    }

    /// Reconnects a client whose connection has ended.
    fn mend(&mut self, number: usize, mut link: Link) -> std::io::Result<()> {
        while link == Link::Over {
            let stream = self.connect(number)?;
            let client = &mut self.clients[number];
            client.reconnected(stream);
            link = client.go_on(&mut self.scene);
        }
        Ok(())
    }

    fn connect(&self, number: usize) -> std::io::Result<TcpStream> {
        let stream = std::net::TcpStream::connect_timeout(&self.address, LAST_REPLIES)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let mut stream = TcpStream::from_std(stream);
        let interest = Interest::READABLE | Interest::WRITABLE;
        let registry = self.poll.registry();
        registry.register(&mut stream, Token(number), interest)?;
        Ok(stream)
    }

    fn is_done(&self, over_since: &mut Option<Instant>) -> bool {
        if !self.scene.run_state.is_over() {
            return false;
        }
        let since = *over_since.get_or_insert_with(Instant::now);
        let all_answered = self.clients.iter().all(|client| client.outstanding() == 0);
        all_answered || since.elapsed() > LAST_REPLIES
    }
}

#[cfg(test)]
mod tests;
