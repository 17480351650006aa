//! The event loop of the load generator.

use std::io::BufRead;
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use rustix::process::{Resource, getrlimit, setrlimit};

use super::client::Client;
use super::pattern::Keyspace;
use super::results::{Report, Results};
use super::timer::Timer;
use super::traffic::Traffic;
use super::{Options, Pace};

/// How long to wait for the last replies after sending has ended.
const TIME_LIMIT: Duration = Duration::from_secs(5);

/// Open loop: maximum requests waiting for replies. Requests that are due beyond it are sent later, with
/// their latency counted from when they were due.
const MAX_IN_FLIGHT: u64 = 100_000;

/// Read buffer, shared by all clients.
const BUFFER_BYTES: usize = 256 << 10;

/// Longest sleep, so that the end of a run is noticed when nothing happens.
const MAX_SLEEP: Duration = Duration::from_millis(10);

const TIMER: Token = Token(usize::MAX - 1);

/// Connects, waits for the gate, sends the load, and waits for the last replies.
pub(super) fn run(options: &Options) -> Result<Report, String> {
    raise_descriptor_limit();
    let mut driver = Driver::connect(options)?;
    if options.gate {
        wait_at_gate()?;
    }
    driver
        .drive()
        .map_err(|error| format!("the event loop failed: {error}"))?;
    Ok(driver.into_report())
}

struct Driver<'o> {
    options: &'o Options,
    poll: Poll,
    clients: Vec<Client>,
    keys: Keyspace,
    traffic: Traffic,
    results: Results,
    buffer: Vec<u8>,
    start: Instant,
    /// Nanoseconds from the start to the last reply.
    last_reply: u64,
    asked: u64,
    in_flight: u64,
    /// The client that gets the next open-loop request.
    turn: usize,
    /// Clients that got open-loop requests in this tick.
    touched: Vec<usize>,
}

impl<'o> Driver<'o> {
    fn connect(options: &'o Options) -> Result<Self, String> {
        let poll = Poll::new().map_err(|error| format!("no event queue: {error}"))?;
        let keys = Keyspace::new(options.keys, options.size).tagged(&options.tag);
        let clients = (0..options.clients)
            .map(|number| connect_one(options, &poll, number))
            .collect::<std::io::Result<_>>()
            .map_err(|error| format!("cannot connect to {}: {error}", options.target))?;
        Ok(Self {
            options,
            poll,
            clients,
            traffic: Traffic::new(options.protocol, options.mix, keys.clone()),
            keys,
            results: Results::new(),
            buffer: vec![0; BUFFER_BYTES],
            start: Instant::now(),
            last_reply: 0,
            asked: 0,
            in_flight: 0,
            turn: 0,
            touched: Vec::new(),
        })
    }

    fn drive(&mut self) -> std::io::Result<()> {
        let mut events = Events::with_capacity(1_024);
        self.start = Instant::now();
        let timer = self.begin()?;
        while !self.is_over() {
            match self.poll.poll(&mut events, Some(MAX_SLEEP)) {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                polled => polled?,
            }
            for event in &events {
                if event.token() == TIMER {
                    timer.iter().for_each(Timer::take);
                } else {
                    let has_ended = event.is_read_closed() || event.is_error();
                    self.serve(event.token().0, event.is_readable() || has_ended, has_ended);
                }
            }
            if let Pace::Open { rate, pipeline } = self.options.pace {
                self.send_due(rate, pipeline);
            }
        }
        match timer {
            Some(timer) => timer.stop(self.poll.registry()),
            None => Ok(()),
        }
    }

    /// The first requests, and the timer of an open loop.
    fn begin(&mut self) -> std::io::Result<Option<Timer>> {
        match self.options.pace {
            Pace::Open { rate, pipeline } => {
                let every = Duration::from_secs_f64(pipeline as f64 / rate);
                Timer::start(every, self.poll.registry(), TIMER).map(Some)
            }
            Pace::Closed { pipeline } => {
                for number in 0..self.clients.len() {
                    self.send_batch(number, pipeline);
                }
                Ok(None)
            }
        }
    }

    /// Reads and checks replies, and lets a closed-loop client send its next requests.
    fn serve(&mut self, number: usize, is_readable: bool, has_ended: bool) {
        let client = &mut self.clients[number];
        if is_readable {
            let now = nanos_since(self.start);
            let (results, in_flight) = (&mut self.results, &mut self.in_flight);
            let before = *in_flight;
            client.read(
                has_ended,
                self.options.protocol,
                &self.keys,
                &mut self.buffer,
                &mut |request, verdict| {
                    results.note(verdict, now, now.saturating_sub(request.since));
                    *in_flight -= 1;
                },
            );
            if *in_flight < before {
                self.last_reply = now;
            }
        }
        client.flush();
        if let Pace::Closed { pipeline } = self.options.pace
            && self.clients[number].outstanding() == 0
        {
            self.send_batch(number, pipeline);
        }
    }

    fn send_batch(&mut self, number: usize, pipeline: usize) {
        let client = &mut self.clients[number];
        if client.is_dead() || self.start.elapsed() >= self.options.duration {
            return;
        }
        let now = nanos_since(self.start);
        let left = self.options.requests - self.asked;
        let count = left.min(pipeline as u64);
        for _ in 0..count {
            client.ask(&mut self.traffic, now);
        }
        self.asked += count;
        self.in_flight += count;
        client.flush();
    }

    /// Sends what is due by now. A client gets all requests of its batch once the first one is due.
    fn send_due(&mut self, rate: f64, pipeline: u64) {
        let now = self.start.elapsed().as_secs_f64();
        let groups = (now * rate) as u64 / pipeline + 1;
        let due = groups.saturating_mul(pipeline).min(self.total(rate));
        while self.asked < due && self.in_flight < MAX_IN_FLIGHT {
            let Some(number) = self.next_live_client() else {
                break;
            };
            let intended = self.asked as f64 / rate * 1e9;
            let count = pipeline.min(due - self.asked);
            for _ in 0..count {
                self.clients[number].ask(&mut self.traffic, intended as u64);
            }
            self.touched.push(number);
            self.asked += count;
            self.in_flight += count;
        }
        // A client that is listed twice has nothing to do the second time.
        for number in self.touched.drain(..) {
            self.clients[number].flush();
        }
    }

    /// Open loop: number of requests of the whole run.
    fn total(&self, rate: f64) -> u64 {
        let planned = (self.options.duration.as_secs_f64() * rate).ceil() as u64;
        planned.min(self.options.requests)
    }

    /// Clients in rotation, without those whose connection has ended.
    fn next_live_client(&mut self) -> Option<usize> {
        for _ in 0..self.clients.len() {
            let number = self.turn;
            self.turn = (self.turn + 1) % self.clients.len();
            if !self.clients[number].is_dead() {
                return Some(number);
            }
        }
        None
    }

    fn is_over(&self) -> bool {
        let elapsed = self.start.elapsed();
        let all_asked = match self.options.pace {
            Pace::Open { rate, .. } => self.asked >= self.total(rate),
            Pace::Closed { .. } => {
                elapsed >= self.options.duration || self.asked >= self.options.requests
            }
        };
        let is_patience_over = elapsed >= self.options.duration + TIME_LIMIT;
        is_patience_over || (all_asked && self.in_flight == 0) || self.is_deserted()
    }

    /// Whether nothing more can arrive. Checked only when replies are overdue, because it visits all clients.
    fn is_deserted(&self) -> bool {
        let now = nanos_since(self.start);
        let is_quiet = now.saturating_sub(self.last_reply) > 100_000_000;
        is_quiet
            && self
                .clients
                .iter()
                .all(|c| c.is_dead() || c.outstanding() == 0)
            && self.clients.iter().any(Client::is_dead)
    }

    fn into_report(mut self) -> Report {
        for client in &self.clients {
            self.results.note_unanswered(client.outstanding());
            if client.is_garbled() {
                self.results.note_garbled();
            }
        }
        if let Pace::Open { rate, .. } = self.options.pace {
            self.results.note_unsent(self.total(rate) - self.asked);
        }
        self.results
            .into_report(Duration::from_nanos(self.last_reply))
    }
}

fn connect_one(options: &Options, poll: &Poll, number: usize) -> std::io::Result<Client> {
    let stream = std::net::TcpStream::connect_timeout(&options.target, TIME_LIMIT)?;
    stream.set_nodelay(true)?;
    stream.set_nonblocking(true)?;
    let mut stream = TcpStream::from_std(stream);
    let interest = Interest::READABLE | Interest::WRITABLE;
    poll.registry()
        .register(&mut stream, Token(number), interest)?;
    Ok(Client::new(stream))
}

/// Reports on standard output that the connections are open, and waits for a line on standard input.
fn wait_at_gate() -> Result<(), String> {
    println!("ready");
    let mut line = String::new();
    std::io::stdin()
        .lock()
        .read_line(&mut line)
        .map_err(|error| format!("standard input: {error}"))?;
    Ok(())
}

fn nanos_since(start: Instant) -> u64 {
    u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

/// Raises the limit of descriptors as far as possible; a run that needs more fails when connecting, with a
/// reason.
fn raise_descriptor_limit() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    let _ = setrlimit(Resource::Nofile, limit);
}
