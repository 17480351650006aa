//! A relay between a client library and what it talks to, which can close all connections at once.
//!
//! So every library, in any language, is shown a lost connection in the same way. On its second port a script
//! writes one line: `cut` closes every connection, `count` tells how many were accepted so far.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

/// The two ports of a relay, whose threads live until this program ends.
pub(super) struct Relay {
    /// Where clients connect.
    pub(super) port: u16,
    /// Where `cut` and `count` are said.
    pub(super) control: u16,
}

impl Relay {
    /// Relays to this port of the same machine.
    pub(super) fn to(target: u16) -> Result<Relay, String> {
        let (clients, port) = listener()?;
        let (orders, control) = listener()?;
        let (accepted, connections) = channel();
        thread::spawn(move || accept(&clients, target, &accepted));
        thread::spawn(move || obey(&orders, &connections));
        Ok(Relay { port, control })
    }
}

fn listener() -> Result<(TcpListener, u16), String> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .map_err(|error| format!("a port for the relay: {error}"))?;
    let address = listener.local_addr();
    let port = address.map_err(|error| format!("the relay's port: {error}"))?;
    Ok((listener, port.port()))
}

fn accept(listener: &TcpListener, target: u16, accepted: &Sender<TcpStream>) {
    for client in listener.incoming().flatten() {
        // Without a server the client sees its connection end.
        let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, target)) else {
            continue;
        };
        let copies = (client.try_clone(), client.try_clone(), server.try_clone());
        let (Ok(kept), Ok(reader), Ok(writer)) = copies else {
            continue;
        };
        if accepted.send(kept).is_err() {
            return;
        }
        let _ = (client.set_nodelay(true), server.set_nodelay(true));
        thread::spawn(move || pass_on(reader, writer));
        thread::spawn(move || pass_on(server, client));
    }
}

fn pass_on(mut from: TcpStream, mut to: TcpStream) {
    // However it ends, the other side is told that no more comes.
    let _ = std::io::copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Write);
}

fn obey(orders: &TcpListener, connections: &Receiver<TcpStream>) {
    let mut open = Vec::new();
    let mut count: usize = 0;
    for mut stream in orders.incoming().flatten() {
        let mut line = String::new();
        if BufReader::new(&stream).read_line(&mut line).is_err() {
            continue;
        }
        for connection in connections.try_iter() {
            count += 1;
            open.push(connection);
        }
        if line.trim() == "cut" {
            for connection in open.drain(..) {
                let _ = connection.shutdown(Shutdown::Both);
            }
        }
        let _ = writeln!(stream, "{count}");
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::time::Duration;

    use super::*;

    fn order(relay: &Relay, word: &str) -> String {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, relay.control)).unwrap();
        writeln!(stream, "{word}").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    #[test]
    fn bytes_pass_both_ways_until_the_connection_is_cut() {
        let (server, port) = listener().unwrap();
        let relay = Relay::to(port).unwrap();
        let mut client = TcpStream::connect((Ipv4Addr::LOCALHOST, relay.port)).unwrap();
        client
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        let (mut served, _) = server.accept().unwrap();
        client.write_all(b"ping").unwrap();
        let mut said = [0; 4];
        served.read_exact(&mut said).unwrap();
        served.write_all(&said).unwrap();
        client.read_exact(&mut said).unwrap();
        assert_eq!(&said, b"ping");
        assert_eq!(order(&relay, "count"), "1\n");
        assert_eq!(order(&relay, "cut"), "1\n");
        assert_eq!(client.read(&mut said).unwrap(), 0);
        assert_eq!(served.read(&mut said).unwrap(), 0);
    }
}
