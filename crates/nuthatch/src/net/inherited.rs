//! Listening sockets that the process was given instead of opening them: by the process that it replaces, or by its
//! supervisor. They are recognised by the addresses that they are bound to.

use std::fmt;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::io::{FdFlags, fcntl_setfd};
use rustix::net::sockopt::socket_acceptconn;
use socket2::{SockRef, Type};

use super::listener::{Listener, SocketFile};

/// The sockets, in the order in which they were given.
#[derive(Debug, Default)]
pub(crate) struct Inherited(Vec<Entry>);

#[derive(Debug)]
struct Entry {
    address: BoundTo,
    /// Whether the file of a unix socket stays when this process ends.
    keeps_file: bool,
    /// `None` once it was taken.
    socket: Option<OwnedFd>,
}

/// What a listening socket is bound to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum BoundTo {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

impl fmt::Display for BoundTo {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(formatter),
            Self::Unix(path) => path.display().fmt(formatter),
        }
    }
}

impl BoundTo {
    /// What a socket is bound to.
    ///
    /// # Errors
    ///
    /// When it is neither an Internet socket nor one with a path, or none that listens for streams.
    pub(crate) fn of(socket: &OwnedFd) -> io::Result<Self> {
        let wrong = |what| io::Error::new(ErrorKind::InvalidInput, what);
        if !socket_acceptconn(socket)? || SockRef::from(socket).r#type()? != Type::STREAM {
            return Err(wrong("it is no socket that listens for streams"));
        }
        let address = SockRef::from(socket).local_addr()?;
        let path = address.as_pathname().map(Path::to_owned);
        let tcp = address.as_socket().map(Self::Tcp);
        tcp.or(path.map(Self::Unix))
            .ok_or_else(|| wrong("it has neither an Internet address nor a path"))
    }
}

impl Inherited {
    /// Adds a socket. `keeps_file` says whether its file, if it has one, stays when this process ends.
    ///
    /// # Errors
    ///
    /// See [`BoundTo::of`].
    pub(crate) fn add(&mut self, socket: OwnedFd, keeps_file: bool) -> io::Result<()> {
        let address = BoundTo::of(&socket)?;
        SockRef::from(&socket).set_nonblocking(true)?;
        // Programs that this one starts must not have it.
        fcntl_setfd(&socket, FdFlags::CLOEXEC)?;
        self.0.push(Entry {
            address,
            keeps_file,
            socket: Some(socket),
        });
        Ok(())
    }

    /// The first that is left at this address.
    pub(crate) fn take_tcp(&mut self, address: SocketAddr) -> Option<Listener> {
        let (socket, _) = self.take(&BoundTo::Tcp(address))?;
        Some(Listener::of_tcp(socket))
    }

    /// The first that is left with this path. Its file is not removed before it is [ours](SocketFile::own).
    pub(crate) fn take_unix(&mut self, path: &Path) -> Option<(Listener, Option<SocketFile>)> {
        let (socket, keeps_file) = self.take(&BoundTo::Unix(path.to_owned()))?;
        let file = match keeps_file {
            true => None,
            // If it is gone, nobody connects by it.
            false => SocketFile::of_another(path).ok(),
        };
        Some((Listener::of_unix(socket), file))
    }

    fn take(&mut self, address: &BoundTo) -> Option<(OwnedFd, bool)> {
        let is_it = |entry: &&mut Entry| entry.socket.is_some() && entry.address == *address;
        let entry = self.0.iter_mut().find(is_it)?;
        Some((entry.socket.take()?, entry.keeps_file))
    }

    /// The numbers of those that were taken, in the order in which they were given.
    pub(crate) fn taken(&self) -> impl Iterator<Item = usize> {
        let all = self.0.iter().enumerate();
        all.filter(|(_, entry)| entry.socket.is_none())
            .map(|(at, _)| at)
    }

    /// Where those are bound that nobody has taken.
    pub(crate) fn left(&self) -> impl Iterator<Item = &BoundTo> {
        let left = self.0.iter().filter(|entry| entry.socket.is_some());
        left.map(|entry| &entry.address)
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, UdpSocket};
    use std::os::unix::net::{UnixListener, UnixStream};

    use super::*;

    #[test]
    fn sockets_are_found_by_their_address_and_taken_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s.sock");
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = tcp.local_addr().unwrap();
        let mut inherited = Inherited::default();
        inherited.add(tcp.into(), false).unwrap();
        let unix = UnixListener::bind(&path).unwrap();
        inherited.add(unix.into(), false).unwrap();
        assert_eq!(inherited.left().count(), 2);
        let other = SocketAddr::from(([127, 0, 0, 2], address.port()));
        assert!(inherited.take_tcp(other).is_none());
        assert!(inherited.take_tcp(address).is_some());
        assert!(inherited.take_tcp(address).is_none());
        assert_eq!(inherited.taken().collect::<Vec<_>>(), [0]);
        let left: Vec<String> = inherited.left().map(BoundTo::to_string).collect();
        assert_eq!(left, [path.display().to_string()]);

        let (listener, file) = inherited.take_unix(&path).unwrap();
        drop(file);
        assert!(path.exists(), "it is not ours yet");
        let copy = listener.try_clone().unwrap();
        inherited.add(copy, false).unwrap();
        let (_, file) = inherited.take_unix(&path).unwrap();
        let mut file = file.unwrap();
        file.own();
        drop(file);
        assert!(!path.exists());
    }

    #[test]
    fn what_does_not_listen_for_streams_is_refused() {
        let mut inherited = Inherited::default();
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        let (one, _other) = UnixStream::pair().unwrap();
        let file = std::fs::File::open("/dev/null").unwrap();
        for socket in [udp.into(), one.into(), file.into()] {
            assert!(inherited.add(socket, false).is_err());
        }
        assert_eq!(inherited.left().count(), 0);
    }
}
