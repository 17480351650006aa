//! An embedded server: threads of this process behind a loopback port.
//!
//! It is for machines without redis-server or memcached and deliberately small: one thread per connection, a
//! bounded store, no persistence. Each protocol implements [`ConnectionHandler`].

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::store::Store;

/// Maximum connections of a server; further ones are closed at once.
const MAX_CONNECTIONS: usize = 256;

/// How long a write to a client may block.
const WRITE_TIME_LIMIT: Duration = Duration::from_secs(10);

/// Output is written once this many bytes are collected.
const OUTPUT_CHUNK: usize = 64 << 10;

/// The protocol's side of one connection.
pub(crate) trait ConnectionHandler: Send + 'static {
    /// Answers the whole requests at the start of `input` and removes them from it.
    ///
    /// # Errors
    ///
    /// When the replies cannot be written.
    fn answer(&mut self, input: &mut Vec<u8>, out: &mut Output) -> io::Result<Next>;
}

/// What a connection does after its requests were answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// Read on.
    Continue,
    /// Close once all replies are written.
    Close,
}

/// The store, shared by all connections of one server.
pub(crate) type SharedStore = Arc<Mutex<Store>>;

/// Locks the store. A connection that panicked cannot have left it inconsistent.
pub(crate) fn open(store: &SharedStore) -> MutexGuard<'_, Store> {
    store.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Replies to be written to a client.
pub(crate) struct Output {
    /// Where replies are appended.
    pub(crate) bytes: Vec<u8>,
    sink: Box<dyn Write + Send>,
}

impl Output {
    pub(crate) fn new(sink: impl Write + Send + 'static) -> Output {
        Output {
            bytes: Vec::new(),
            sink: Box::new(sink),
        }
    }

    /// Writes what was collected once it is large, so that a long reply is never held whole.
    pub(crate) fn spill(&mut self) -> io::Result<()> {
        if self.bytes.len() < OUTPUT_CHUNK {
            return Ok(());
        }
        self.flush()
    }

    fn flush(&mut self) -> io::Result<()> {
        self.sink.write_all(&self.bytes)?;
        self.bytes.clear();
        Ok(())
    }
}

/// A running embedded server. Dropping it stops it and closes its connections.
#[derive(Debug)]
pub(crate) struct Embedded {
    port: u16,
    open: Arc<Connections>,
    acceptor: Option<JoinHandle<()>>,
}

impl Embedded {
    /// Listens on a port of 127.0.0.1; `handler` creates the protocol's side of each connection.
    pub(crate) fn start<S: ConnectionHandler>(
        port: u16,
        handler: impl Fn(SharedStore) -> S + Send + 'static,
    ) -> io::Result<Embedded> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
        let open = Arc::new(Connections::default());
        let shared = Arc::clone(&open);
        let store = SharedStore::default();
        let acceptor = thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                if shared.closing.load(Ordering::Acquire) {
                    return;
                }
                let handler = handler(Arc::clone(&store));
                // A connection that cannot be served is closed by dropping it.
                let _ = shared.serve(stream, handler);
            }
        });
        Ok(Embedded {
            port,
            open,
            acceptor: Some(acceptor),
        })
    }

    /// Whether it still accepts connections.
    pub(crate) fn is_running(&self) -> bool {
        let acceptor = self.acceptor.as_ref();
        acceptor.is_some_and(|acceptor| !acceptor.is_finished())
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        self.open.closing.store(true, Ordering::Release);
        // The acceptor is blocked until a client connects, so connect once.
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
        let woken = TcpStream::connect_timeout(&address, Duration::from_secs(1));
        if let (Some(acceptor), Ok(_)) = (self.acceptor.take(), &woken) {
            // It ends at the next client, which has just connected.
            let _ = acceptor.join();
        }
        self.open.close_all();
    }
}

/// The open connections of one server.
#[derive(Debug, Default)]
struct Connections {
    closing: AtomicBool,
    streams: Mutex<(u64, HashMap<u64, TcpStream>)>,
}

impl Connections {
    fn serve<S: ConnectionHandler>(
        self: &Arc<Self>,
        stream: TcpStream,
        handler: S,
    ) -> io::Result<()> {
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(WRITE_TIME_LIMIT))?;
        let Some(id) = self.enter(stream.try_clone()?) else {
            return Ok(());
        };
        let connections = Arc::clone(self);
        let started = thread::Builder::new().spawn(move || {
            // Whatever ends a connection ends only that one.
            let _ = converse(stream, handler);
            connections.leave(id);
        });
        if started.is_err() {
            self.leave(id);
        }
        started.map(drop)
    }

    fn enter(&self, stream: TcpStream) -> Option<u64> {
        let mut streams = self.streams();
        if streams.1.len() >= MAX_CONNECTIONS {
            return None;
        }
        streams.0 += 1;
        let id = streams.0;
        streams.1.insert(id, stream);
        Some(id)
    }

    fn leave(&self, id: u64) {
        if let Some(stream) = self.streams().1.remove(&id) {
            // The clone kept here would keep the connection open.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    fn close_all(&self) {
        for stream in self.streams().1.values() {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    fn streams(&self) -> MutexGuard<'_, (u64, HashMap<u64, TcpStream>)> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Serves one connection to its end.
fn converse(mut stream: TcpStream, mut handler: impl ConnectionHandler) -> io::Result<()> {
    let mut out = Output::new(stream.try_clone()?);
    let mut input = Vec::new();
    let mut buffer = vec![0; 16 << 10];
    loop {
        let count = stream.read(&mut buffer)?;
        if count == 0 {
            return Ok(());
        }
        input.extend_from_slice(&buffer[..count]);
        let next = handler.answer(&mut input, &mut out)?;
        out.flush()?;
        if next == Next::Close {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::port::Port;

    /// Sends back what it receives; closes after a `q`.
    struct Echo;

    impl ConnectionHandler for Echo {
        fn answer(&mut self, input: &mut Vec<u8>, out: &mut Output) -> io::Result<Next> {
            let quit = input.contains(&b'q');
            out.bytes.append(input);
            out.spill()?;
            Ok(if quit { Next::Close } else { Next::Continue })
        }
    }

    fn rest(mut stream: TcpStream) -> Vec<u8> {
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes);
        bytes
    }

    #[test]
    fn a_dropped_server_is_gone_and_its_port_can_be_used_again() {
        let port = Port::reserve().unwrap();
        for _ in 0..3 {
            let server = Embedded::start(port.number(), |_| Echo).unwrap();
            let mut idle = TcpStream::connect(("127.0.0.1", port.number())).unwrap();
            idle.write_all(b"x").unwrap();
            let mut byte = [0];
            idle.read_exact(&mut byte).unwrap();
            drop(server);
            assert_eq!(rest(idle), b"");
            assert!(TcpStream::connect(("127.0.0.1", port.number())).is_err());
        }
    }

    #[test]
    fn replies_come_before_the_close() {
        let port = Port::reserve().unwrap();
        let _server = Embedded::start(port.number(), |_| Echo).unwrap();
        let mut client = TcpStream::connect(("127.0.0.1", port.number())).unwrap();
        client.write_all(b"aq").unwrap();
        assert_eq!(rest(client), b"aq");
    }

    #[test]
    fn connections_are_bounded() {
        let connections = Connections::default();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let enter = || connections.enter(stream.try_clone().unwrap());
        let entered: Vec<u64> = (0..MAX_CONNECTIONS).filter_map(|_| enter()).collect();
        assert_eq!(entered.len(), MAX_CONNECTIONS);
        assert_eq!(enter(), None);
        connections.leave(entered[7]);
        assert!(enter().is_some());
    }
}
