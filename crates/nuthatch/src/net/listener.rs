//! Listening sockets, opened at start so that every error is known before clients come.

use std::fs::{self, Permissions};
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use mio::event::Source;
use mio::net::{TcpListener, UnixListener, UnixStream};
use mio::{Interest, Registry, Token};
use rustix::io::Errno;
use socket2::{Domain, Protocol, SockAddr, SockRef, Socket, Type};

use super::stream::Stream;

/// A non-blocking listening socket.
#[derive(Debug)]
pub(crate) enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Listener {
    /// Listens on `address`. SO_REUSEADDR is always set; SO_REUSEPORT with `reuseport`.
    pub(crate) fn tcp(address: SocketAddr, backlog: u32, reuseport: bool) -> io::Result<Self> {
        let socket = Socket::new(
            Domain::for_address(address),
            Type::STREAM,
            Some(Protocol::TCP),
        )?;
        socket.set_reuse_address(true)?;
        socket.set_reuse_port(reuseport)?;
        socket.bind(&address.into())?;
        socket.listen(clamped(backlog))?;
        socket.set_nonblocking(true)?;
        Ok(Listener::Tcp(TcpListener::from_std(socket.into())))
    }

    /// Listens on the unix socket `path`. Replaces a socket that a dead process left there, or with
    /// `reuseport` one of a running process. The file is removed when the returned [`SocketFile`] is dropped.
    ///
    /// # Errors
    ///
    /// Those of the system calls; `AddrInUse` if a running process listens there, and `AlreadyExists` if
    /// something other than a socket is there (nutcracker 0.5.0 deletes either).
    pub(crate) fn unix(
        path: &Path,
        mode: Option<u32>,
        backlog: u32,
        reuseport: bool,
    ) -> io::Result<(Self, SocketFile)> {
        remove_old_socket(path, reuseport)?;
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        socket.bind(&SockAddr::unix(path)?)?;
        let file = SocketFile::of(path)?;
        // Before anybody can connect.
        if let Some(mode) = mode {
            fs::set_permissions(path, Permissions::from_mode(mode))?;
        }
        socket.listen(clamped(backlog))?;
        socket.set_nonblocking(true)?;
        Ok((Listener::Unix(UnixListener::from_std(socket.into())), file))
    }

    /// A socket that listens already.
    pub(super) fn of_tcp(socket: OwnedFd) -> Self {
        Listener::Tcp(TcpListener::from_std(socket.into()))
    }

    /// A unix socket that listens already.
    pub(super) fn of_unix(socket: OwnedFd) -> Self {
        Listener::Unix(UnixListener::from_std(socket.into()))
    }

    /// Accepts the next waiting client, with its name for log lines; `WouldBlock` when there is none.
    pub(crate) fn accept(&self) -> io::Result<(Stream, Box<str>)> {
        match self {
            Listener::Tcp(listener) => {
                let (stream, address) = listener.accept()?;
                Ok((stream.into(), address.to_string().into()))
            }
            Listener::Unix(listener) => {
                let (stream, _) = listener.accept()?;
                Ok((stream.into(), "on a unix socket".into()))
            }
        }
    }

    /// The same on a unix socket, for a thread that waits for what its peer sends.
    ///
    /// # Errors
    ///
    /// Those of the system calls; `Unsupported` if it is no unix socket.
    pub(crate) fn accept_blocking(&self) -> io::Result<std::os::unix::net::UnixStream> {
        let Listener::Unix(listener) = self else {
            return Err(ErrorKind::Unsupported.into());
        };
        let (stream, _) = listener.accept()?;
        let stream = std::os::unix::net::UnixStream::from(OwnedFd::from(stream));
        stream.set_nonblocking(false)?;
        Ok(stream)
    }

    /// Another descriptor of the same socket.
    ///
    /// # Errors
    ///
    /// When the process has no descriptor left.
    pub(crate) fn try_clone(&self) -> io::Result<OwnedFd> {
        match self {
            Listener::Tcp(listener) => listener.as_fd().try_clone_to_owned(),
            Listener::Unix(listener) => listener.as_fd().try_clone_to_owned(),
        }
    }

    /// Changes the length of the queue of connections that are not yet accepted.
    pub(crate) fn set_backlog(&self, backlog: u32) -> io::Result<()> {
        // Linux allows to call listen(2) again for that.
        match self {
            Listener::Tcp(listener) => SockRef::from(listener).listen(clamped(backlog)),
            Listener::Unix(listener) => SockRef::from(listener).listen(clamped(backlog)),
        }
    }

    /// The same socket for others than mio, still non-blocking.
    ///
    /// # Errors
    ///
    /// When it is a unix socket.
    pub(crate) fn into_std(self) -> io::Result<std::net::TcpListener> {
        match self {
            Listener::Tcp(listener) => Ok(OwnedFd::from(listener).into()),
            Listener::Unix(_) => Err(ErrorKind::Unsupported.into()),
        }
    }

    /// Has `registry` report under `token` when clients arrive.
    pub(crate) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        let source: &mut dyn Source = match self {
            Listener::Tcp(listener) => listener,
            Listener::Unix(listener) => listener,
        };
        registry.register(source, token, Interest::READABLE)
    }
}

/// The file of a listening unix socket. Dropping it removes the file if it is ours, unless another process has replaced it.
#[derive(Debug)]
pub(crate) struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
    is_ours: bool,
}

impl SocketFile {
    /// Sets the mode of the file.
    pub(crate) fn set_mode(&self, mode: u32) -> io::Result<()> {
        fs::set_permissions(&self.path, Permissions::from_mode(mode))
    }

    fn of(path: &Path) -> io::Result<Self> {
        let mut file = Self::of_another(path)?;
        file.own();
        Ok(file)
    }

    /// One that another process has made.
    pub(super) fn of_another(path: &Path) -> io::Result<Self> {
        Ok(Self {
            path: path.to_owned(),
            identity: identity(path)?,
            is_ours: false,
        })
    }

    /// It is ours from now on.
    pub(crate) fn own(&mut self) {
        self.is_ours = true;
    }

    /// It belongs to another process from now on, which has its socket.
    pub(crate) fn give_away(mut self) {
        self.is_ours = false;
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if self.is_ours && identity(&self.path).is_ok_and(|identity| identity == self.identity) {
            // A failure cannot be reported here; the next start replaces a left-over socket.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let meta = fs::symlink_metadata(path)?;
    Ok((meta.dev(), meta.ino()))
}

fn remove_old_socket(path: &Path, even_in_use: bool) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(meta) if meta.file_type().is_socket() => {
            if !even_in_use && is_in_use(path) {
                return Err(Errno::ADDRINUSE.into());
            }
            fs::remove_file(path)
        }
        Ok(_) => Err(io::Error::new(
            ErrorKind::AlreadyExists,
            "something that is not a socket is there already",
        )),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Whether a process listens: only then connecting succeeds or (`WouldBlock`) has to queue.
fn is_in_use(path: &Path) -> bool {
    match UnixStream::connect(path) {
        Ok(_) => true,
        Err(error) => error.kind() == ErrorKind::WouldBlock,
    }
}

/// The kernel limits the backlog itself, far below this.
fn clamped(backlog: u32) -> i32 {
    i32::try_from(backlog).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_left_over_socket_is_replaced_and_removed_at_the_end() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let (_listener, file) = Listener::unix(&path, Some(0o640), 16, false).unwrap();
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o640);
        drop(file);
        assert!(!path.exists());
    }

    #[test]
    fn what_is_not_a_socket_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("precious");
        fs::write(&path, "data").unwrap();
        let error = Listener::unix(&path, None, 16, true).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AlreadyExists);
        assert_eq!(fs::read_to_string(&path).unwrap(), "data");
    }

    #[test]
    fn a_successors_socket_is_not_removed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s.sock");
        let (_first, first_file) = Listener::unix(&path, None, 16, false).unwrap();
        let error = Listener::unix(&path, None, 16, false).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse);
        let (_second, _second_file) = Listener::unix(&path, None, 16, true).unwrap();
        drop(first_file);
        assert!(path.exists());
    }
}
