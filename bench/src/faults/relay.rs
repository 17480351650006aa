//! A relay between the proxy and one server that can be told to fail.
//!
//! It uses two blocking threads per connection: there are few connections, and the relay should be simple
//! enough to trust.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use rustix::net::sockopt::set_socket_linger;

use super::fault::Fault;
use super::framer::Framer;
use super::random::Random;
use crate::load::Protocol;

/// How soon a thread that waits for bytes notices a change of mode.
const ATTENTION: Duration = Duration::from_millis(10);

/// How soon a thread that waits for connections notices one.
const ACCEPT_PAUSE: Duration = Duration::from_millis(2);

/// Pause after each byte of a slow reply.
const DRIP_PAUSE: Duration = Duration::from_micros(300);

/// Longest pause before each part of a reply that is delayed, in milliseconds.
const LONGEST_DELAY_MS: u64 = 60;

/// One in this many chunks is reset or cut.
const BREAKS_ONE_IN: u64 = 6;

const CHUNK: usize = 64 << 10;

/// The mode in which everything passes; other modes are a fault's index in [`Fault::ALL`].
const PASS: usize = usize::MAX;

/// Bytes that no Redis server sends.
const REDIS_GARBAGE: [&[u8]; 7] = [
    b"hello there\r\n",
    b"\0\0\0\0\0\0\0\0",
    b"$abc\r\n",
    b"$99999999999999999999\r\n",
    b"*-7\r\n",
    b"HTTP/1.1 400 Bad Request\r\n\r\n",
    b"\x15\x03\x01\x00\x02\x02\x0a",
];

/// Bytes that no memcached sends.
const MEMCACHED_GARBAGE: [&[u8]; 6] = [
    b"hello there\r\n",
    b"VALUE\r\n",
    b"VALUE k 0 x\r\n",
    b"\0\0\0\0\r\n",
    b"HTTP/1.1 400 Bad Request\r\n\r\n",
    b"$5\r\nvalue\r\n",
];

/// A relay. When it is dropped, its connections end, and so do its threads.
#[derive(Debug)]
pub struct Relay {
    shared: Arc<Shared>,
    port: u16,
}

#[derive(Debug)]
struct Shared {
    server: SocketAddr,
    protocol: Protocol,
    mode: AtomicUsize,
    is_dropped: AtomicBool,
    seed: u64,
    connections: AtomicU64,
    /// Connections that any fault has affected.
    hits: Arc<AtomicU64>,
}

impl Relay {
    /// Relays to `server` from `port` of 127.0.0.1, which must be reserved for it. `hits` counts the connections that its faults affect.
    pub fn start(
        server: SocketAddr,
        port: u16,
        protocol: Protocol,
        seed: u64,
        hits: Arc<AtomicU64>,
    ) -> Self {
        let shared = Arc::new(Shared {
            server,
            protocol,
            mode: AtomicUsize::new(PASS),
            is_dropped: AtomicBool::new(false),
            seed: seed ^ u64::from(port),
            connections: AtomicU64::new(0),
            hits,
        });
        let (in_thread, address) = (
            Arc::clone(&shared),
            SocketAddr::from(([127, 0, 0, 1], port)),
        );
        // Listening begins before anybody is told of the port.
        let first = TcpListener::bind(address).ok();
        thread::spawn(move || in_thread.listen(address, first));
        Self { shared, port }
    }

    /// The port that the proxy connects to.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Starts or ends a fault.
    pub fn set(&self, fault: Option<Fault>) {
        let mode = fault.and_then(|fault| Fault::ALL.iter().position(|&other| other == fault));
        self.shared
            .mode
            .store(mode.unwrap_or(PASS), Ordering::Release);
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.shared.is_dropped.store(true, Ordering::Release);
    }
}

impl Shared {
    fn is_dropped(&self) -> bool {
        self.is_dropped.load(Ordering::Acquire)
    }

    fn fault(&self) -> Option<Fault> {
        Fault::ALL.get(self.mode.load(Ordering::Acquire)).copied()
    }

    /// A killed server refuses too: the proxy does not see its real port.
    fn refuses(&self) -> bool {
        matches!(self.fault(), Some(Fault::Refuse | Fault::Kill))
    }

    fn hit(&self) {
        self.hits.fetch_add(1, Ordering::Relaxed);
    }

    fn listen(self: Arc<Self>, address: SocketAddr, mut first: Option<TcpListener>) {
        while !self.is_dropped() {
            // The port is reserved, so a later attempt succeeds if this one fails.
            if !self.refuses()
                && let Some(listener) = first.take().or_else(|| TcpListener::bind(address).ok())
                && listener.set_nonblocking(true).is_ok()
            {
                self.accept(&listener);
            }
            thread::sleep(ACCEPT_PAUSE);
        }
    }

    /// Accepts connections until they are to be refused.
    fn accept(self: &Arc<Self>, listener: &TcpListener) {
        while !self.refuses() && !self.is_dropped() {
            // When no data passes, the kernel completes connections, and nothing serves them.
            if self.fault() != Some(Fault::BlackHole) {
                while let Ok((client, _)) = listener.accept() {
                    self.join(client);
                }
            }
            thread::sleep(ACCEPT_PAUSE);
        }
    }

    /// Connects to the server; if that fails, closes `client`.
    fn join(self: &Arc<Self>, client: TcpStream) {
        let Ok(server) = TcpStream::connect_timeout(&self.server, Duration::from_secs(1)) else {
            return;
        };
        for stream in [&client, &server] {
            let set = stream
                .set_nonblocking(false)
                .and_then(|()| stream.set_nodelay(true))
                .and_then(|()| stream.set_read_timeout(Some(ATTENTION)))
                .and_then(|()| stream.set_write_timeout(Some(ATTENTION)));
            if set.is_err() {
                return;
            }
        }
        let number = self.connections.fetch_add(1, Ordering::Relaxed);
        let link = Arc::new(Link {
            shared: Arc::clone(self),
            client,
            server,
            is_over: AtomicBool::new(false),
        });
        let requests = Arc::clone(&link);
        thread::spawn(move || requests.pump_requests());
        let random = Random::new(self.seed, number);
        let framer = Framer::new(self.protocol);
        thread::spawn(move || link.pump_replies(random, framer));
    }
}

/// One connection. Both sockets are closed when both threads have ended.
struct Link {
    shared: Arc<Shared>,
    /// The proxy's side.
    client: TcpStream,
    server: TcpStream,
    is_over: AtomicBool,
}

/// The connection has ended.
struct Over;

impl Link {
    fn pump_requests(&self) {
        let mut chunk = vec![0; CHUNK];
        while let Ok(count) = self.read(&self.client, &mut chunk) {
            if self.write(&self.server, &chunk[..count]).is_err() {
                break;
            }
        }
        self.end();
    }

    fn pump_replies(&self, mut random: Random, mut framer: Framer) {
        let mut chunk = vec![0; CHUNK];
        while let Ok(count) = self.read(&self.server, &mut chunk) {
            if self
                .reply(&chunk[..count], &mut random, &mut framer)
                .is_err()
            {
                break;
            }
        }
        self.end();
    }

    /// Forwards the server's bytes, or changes them as the fault requires.
    fn reply(&self, bytes: &[u8], random: &mut Random, framer: &mut Framer) -> Result<(), Over> {
        match self.shared.fault() {
            Some(Fault::Garbage) => return self.spoil(bytes, random, framer),
            Some(Fault::Drip) => {
                framer.feed(bytes);
                return self.drip(bytes);
            }
            Some(Fault::Delay) => {
                self.shared.hit();
                framer.feed(bytes);
                thread::sleep(Duration::from_millis(random.below(LONGEST_DELAY_MS)));
            }
            Some(Fault::Reset) if random.below(BREAKS_ONE_IN) == 0 => {
                self.shared.hit();
                self.reset();
                return Err(Over);
            }
            Some(Fault::Cut) if random.below(BREAKS_ONE_IN) == 0 => {
                self.shared.hit();
                let some = random.below(bytes.len() as u64) as usize;
                self.write(&self.client, &bytes[..some])?;
                return Err(Over);
            }
            _ => framer.feed(bytes),
        }
        self.write(&self.client, bytes)
    }

    /// Lets the current reply end, and sends garbage instead of the next one.
    fn spoil(&self, bytes: &[u8], random: &mut Random, framer: &mut Framer) -> Result<(), Over> {
        let honest = framer.feed_to_end(bytes);
        self.write(&self.client, &bytes[..honest])?;
        if !framer.is_between() {
            return Ok(());
        }
        self.shared.hit();
        let garbage = match self.shared.protocol {
            Protocol::Redis => random.pick(&REDIS_GARBAGE),
            Protocol::Memcached => random.pick(&MEMCACHED_GARBAGE),
        };
        self.write(&self.client, garbage)?;
        // Further bytes of the server are dropped; the proxy has to close the connection.
        let mut chunk = vec![0; CHUNK];
        while self.read(&self.server, &mut chunk).is_ok() {}
        Err(Over)
    }

    fn drip(&self, bytes: &[u8]) -> Result<(), Over> {
        self.shared.hit();
        let mut rest = bytes;
        while self.shared.fault() == Some(Fault::Drip) && !rest.is_empty() {
            self.write(&self.client, &rest[..1])?;
            rest = &rest[1..];
            thread::sleep(DRIP_PAUSE);
        }
        self.write(&self.client, rest)
    }

    /// Reads what is available, once something is and the fault allows it.
    fn read(&self, mut from: &TcpStream, chunk: &mut [u8]) -> Result<usize, Over> {
        loop {
            self.wait_while_nothing_passes()?;
            match from.read(chunk) {
                Ok(0) => return Err(Over),
                // It may have arrived while no data could pass.
                Ok(count) => return self.wait_while_nothing_passes().map(|()| count),
                Err(error) if is_patient(error.kind()) => {}
                Err(error) => {
                    if error.kind() == ErrorKind::ConnectionReset {
                        self.reset();
                    }
                    return Err(Over);
                }
            }
        }
    }

    fn write(&self, mut to: &TcpStream, bytes: &[u8]) -> Result<(), Over> {
        let mut rest = bytes;
        while !rest.is_empty() {
            self.wait_while_nothing_passes()?;
            match to.write(rest) {
                Ok(count) => rest = &rest[count..],
                Err(error) if is_patient(error.kind()) => {}
                Err(_) => return Err(Over),
            }
        }
        Ok(())
    }

    fn wait_while_nothing_passes(&self) -> Result<(), Over> {
        let mut was_held = false;
        loop {
            let fault = self.shared.fault();
            let is_over = self.is_over.load(Ordering::Acquire) || self.shared.is_dropped();
            if is_over || fault == Some(Fault::Refuse) {
                return Err(Over);
            }
            if fault != Some(Fault::BlackHole) {
                return Ok(());
            }
            if !was_held {
                self.shared.hit();
                was_held = true;
            }
            thread::sleep(ATTENTION);
        }
    }

    /// Makes closing send a reset, on both sides.
    fn reset(&self) {
        for stream in [&self.client, &self.server] {
            // If that fails it is closed normally, which is a fault as well.
            let _ = set_socket_linger(stream, Some(Duration::ZERO));
        }
        self.is_over.store(true, Ordering::Release);
    }

    fn end(&self) {
        if !self.is_over.swap(true, Ordering::AcqRel) {
            // The peer may have closed.
            let _ = self.client.shutdown(Shutdown::Both);
            let _ = self.server.shutdown(Shutdown::Both);
        }
    }
}

fn is_patient(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
    )
}
