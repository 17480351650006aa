//! Ports that stay reserved until their intended user listens on them.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::OwnedFd;
use std::sync::{Mutex, PoisonError};

use rustix::net::sockopt::set_socket_reuseaddr;
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, getsockname, socket_with};

/// The reservations of this process: bound sockets that never listen.
static RESERVED: Mutex<Vec<OwnedFd>> = Mutex::new(Vec::new());

/// A TCP port of 127.0.0.1 that nothing else on this machine is given while the test process lives.
///
/// It stays bound by a socket that never listens. So connecting to it is refused, the kernel gives it to no
/// other `bind` or `connect`, and yet a listener that sets SO_REUSEADDR (every server here does) can use it
/// repeatedly.
pub fn free_port() -> u16 {
    let flags = SocketFlags::CLOEXEC;
    let socket = socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)
        .expect("a socket can be opened");
    bind(&socket, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0)).expect("loopback has a free port");
    // After bind, so that the kernel never chooses a port that is already reserved.
    set_socket_reuseaddr(&socket, true).expect("a stream socket knows SO_REUSEADDR");
    let address = getsockname(&socket).expect("a bound socket has a name");
    let address = SocketAddrV4::try_from(address).expect("bound to an IPv4 address");
    RESERVED
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(socket);
    address.port()
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn a_reserved_port_refuses_then_listens_then_refuses_again() {
        let port = free_port();
        for _ in 0..2 {
            assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
            let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
            assert!(TcpStream::connect(("127.0.0.1", port)).is_ok());
            drop(listener);
        }
        assert_ne!(port, free_port());
    }
}
