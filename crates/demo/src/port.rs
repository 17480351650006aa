//! Ports that stay reserved from the moment they are chosen.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use socket2::{Domain, Socket, Type};

/// A TCP port of 127.0.0.1, reserved by a socket that is bound and never listens.
///
/// Connecting to it is refused, the kernel gives it to no other process, and a listener that sets
/// SO_REUSEADDR, as every server here does, can use it.
#[derive(Debug)]
pub(crate) struct Port {
    number: u16,
    _held: Socket,
}

impl Port {
    /// Takes a free port.
    pub(crate) fn reserve() -> io::Result<Port> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
        // Set only after binding: otherwise the kernel might choose a port that is already reserved.
        socket.set_reuse_address(true)?;
        let bound = socket.local_addr()?.as_socket();
        let number = bound.ok_or(io::ErrorKind::AddrNotAvailable)?.port();
        Ok(Port {
            number,
            _held: socket,
        })
    }

    /// Its number.
    pub(crate) fn number(&self) -> u16 {
        self.number
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn a_reserved_port_can_be_listened_on_and_refuses_otherwise() {
        let port = Port::reserve().unwrap();
        let address = ("127.0.0.1", port.number());
        assert!(TcpStream::connect(address).is_err());
        let listener = TcpListener::bind(address).unwrap();
        assert!(TcpStream::connect(address).is_ok());
        drop(listener);
        assert!(TcpStream::connect(address).is_err());
    }
}
