//! Clients that send the same bytes again and again, and read everything.

use std::io::Read;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use crate::case::Finding;
use crate::wire;

/// Size of one read.
const CHUNK: usize = 256 << 10;

/// Pause before a client that was closed connects again.
const PAUSE: Duration = Duration::from_millis(1);

/// What clients send.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Flood<'a> {
    /// Where to.
    pub(crate) address: SocketAddr,
    /// The bytes of one round.
    pub(crate) round: &'a [u8],
    /// The time from the start of a round to that of the next, at least.
    pub(crate) every: Duration,
    /// How many clients do so.
    pub(crate) clients: usize,
}

/// What became of it.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Total {
    connections: u64,
    sent: u64,
    received: u64,
}

impl Flood<'_> {
    /// Lets the clients send until then. Those that are closed connect again.
    ///
    /// # Errors
    ///
    /// When a connection cannot be made, or nothing was received.
    pub(crate) fn run(self, until: Instant) -> Result<Finding, String> {
        let mut total = Total::default();
        thread::scope(|scope| -> Result<(), String> {
            let clients = (0..self.clients).map(|_| scope.spawn(move || self.client(until)));
            let clients: Vec<_> = clients.collect();
            for client in clients {
                let part = client.join().map_err(|_| "a client panicked")??;
                total.connections += part.connections;
                total.sent += part.sent;
                total.received += part.received;
            }
            Ok(())
        })?;
        if total.received == 0 {
            return Err("the attack got no answer at all".into());
        }
        let note = format!(
            "sent {:.1} MB, received {:.1} MB, {} connections",
            total.sent as f64 / 1e6,
            total.received as f64 / 1e6,
            total.connections
        );
        Ok(Finding { seen: 0, note })
    }

    fn client(self, until: Instant) -> Result<Total, String> {
        let mut total = Total::default();
        while Instant::now() < until {
            let mut stream = wire::connect(self.address)?;
            total.connections += 1;
            let reader = stream.try_clone().map_err(|error| error.to_string())?;
            let reading = thread::spawn(move || drain(reader));
            total.sent += self.send(&mut stream, until);
            // The proxy may have closed it.
            let _ = stream.shutdown(Shutdown::Both);
            total.received += reading.join().map_err(|_| "a reader panicked")?;
            thread::sleep(PAUSE);
        }
        Ok(total)
    }

    /// Sends rounds until the connection or the time is over.
    fn send(self, stream: &mut TcpStream, until: Instant) -> u64 {
        let mut sent = 0;
        let mut due = Instant::now();
        while Instant::now() < until {
            let count = wire::write_until(stream, self.round, until);
            sent += count as u64;
            if count < self.round.len() {
                break;
            }
            due = (due + self.every).max(Instant::now());
            thread::sleep(due.min(until).saturating_duration_since(Instant::now()));
        }
        sent
    }
}

/// Reads to the end; how many bytes came.
fn drain(mut stream: TcpStream) -> u64 {
    let mut chunk = vec![0; CHUNK];
    let mut received = 0;
    // A time limit or a reset ends it as well as a regular end.
    while let Ok(count @ 1..) = stream.read(&mut chunk) {
        received += count as u64;
    }
    received
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::TcpListener;

    use super::*;

    /// A flood to a server that closes each connection after as many rounds.
    fn flood_to(rounds: usize, milliseconds: u64) -> Finding {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            for peer in listener.incoming() {
                let mut peer = peer.unwrap();
                thread::spawn(move || {
                    for _ in 0..rounds {
                        if peer.read_exact(&mut [0; 4]).is_err() || peer.write_all(b"ab").is_err() {
                            break;
                        }
                    }
                });
            }
        });
        let flood = Flood {
            address,
            round: b"ping",
            every: Duration::from_millis(20),
            clients: 2,
        };
        let until = Instant::now() + Duration::from_millis(milliseconds);
        flood.run(until).unwrap()
    }

    #[test]
    fn who_is_closed_connects_again() {
        let finding = flood_to(1, 200);
        assert!(!finding.note.ends_with(" 2 connections"), "{finding:?}");
        let finding = flood_to(1_000, 200);
        assert!(finding.note.ends_with(" 2 connections"), "{finding:?}");
    }
}
