//! A server whose replies take their time: a relay in front of a real one, which holds them back.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

/// Bytes that are read at once.
const BUFFER: usize = 64 << 10;

/// The relay. It runs as long as the process.
pub(super) struct SlowServer {
    address: SocketAddr,
    is_slow: Arc<AtomicBool>,
}

impl SlowServer {
    /// In front of `server`, whose replies it holds back by `delay` while it [is slow](Self::set_slow).
    ///
    /// # Errors
    ///
    /// When it cannot listen.
    pub(super) fn start(server: SocketAddr, delay: Duration) -> Result<Self, String> {
        let said = |error: io::Error| format!("a relay: {error}");
        let listener = TcpListener::bind("127.0.0.1:0").map_err(said)?;
        let address = listener.local_addr().map_err(said)?;
        let is_slow = Arc::new(AtomicBool::new(false));
        let slow = Arc::clone(&is_slow);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                // Whoever loses its connection finds out by itself.
                let _ = relay(client, server, delay, &slow);
            }
        });
        Ok(Self { address, is_slow })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on replies are held back, or not.
    pub(super) fn set_slow(&self, is_slow: bool) {
        self.is_slow.store(is_slow, Ordering::Relaxed);
    }
}

/// Passes bytes on in both directions, on threads of its own.
fn relay(
    client: TcpStream,
    server: SocketAddr,
    delay: Duration,
    is_slow: &Arc<AtomicBool>,
) -> io::Result<()> {
    let server = TcpStream::connect(server)?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (mut requests, mut to_server) = (client.try_clone()?, server.try_clone()?);
    thread::spawn(move || {
        let _ = io::copy(&mut requests, &mut to_server);
        let _ = to_server.shutdown(Shutdown::Write);
    });
    let (sender, held) = channel();
    let is_slow = Arc::clone(is_slow);
    thread::spawn(move || {
        let (mut server, mut buffer) = (server, vec![0; BUFFER]);
        while let Ok(count @ 1..) = server.read(&mut buffer) {
            let delay = match is_slow.load(Ordering::Relaxed) {
                true => delay,
                false => Duration::ZERO,
            };
            if sender
                .send((Instant::now() + delay, buffer[..count].to_vec()))
                .is_err()
            {
                return;
            }
        }
    });
    thread::spawn(move || pass_on(client, &held));
    Ok(())
}

/// Writes what is held back when its time has come.
fn pass_on(mut client: TcpStream, held: &Receiver<(Instant, Vec<u8>)>) {
    while let Ok((due, bytes)) = held.recv() {
        thread::sleep(due.saturating_duration_since(Instant::now()));
        if client.write_all(&bytes).is_err() {
            return;
        }
    }
    let _ = client.shutdown(Shutdown::Both);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_are_held_back_while_it_is_slow_and_come_in_order() {
        let echo = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = echo.local_addr().unwrap();
        thread::spawn(move || {
            let (stream, _) = echo.accept().unwrap();
            let (mut from, mut to) = (stream.try_clone().unwrap(), stream);
            let _ = io::copy(&mut from, &mut to);
        });
        let slow = SlowServer::start(address, Duration::from_millis(80)).unwrap();
        let mut client = TcpStream::connect(slow.address()).unwrap();
        let mut ask = |text: &[u8]| {
            let began = Instant::now();
            client.write_all(text).unwrap();
            let mut reply = vec![0; text.len()];
            client.read_exact(&mut reply).unwrap();
            assert_eq!(reply, text);
            began.elapsed()
        };
        ask(b"one");
        slow.set_slow(true);
        assert!(ask(b"two") >= Duration::from_millis(80));
        slow.set_slow(false);
        ask(b"three");
    }
}
