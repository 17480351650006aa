//! Asks servers questions from a thread of the control plane: one connection, blocking, with a limit to how long each
//! question may take.

use std::fmt;
use std::io::{self, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

use proxy::settings::{Address, PoolSettings, ProtocolSettings};
use proxy::{Login, Security};
use rustls::{ClientConnection, StreamOwned};

use super::reply::{Reply, read_reply};
use crate::resolver::Resolver;
use crate::tls::Protection;

/// What a connection needs before it may ask.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Credentials {
    /// The user, if it is not the default one.
    pub(crate) user: Option<String>,
    /// The password, if one is needed.
    pub(crate) password: Option<Vec<u8>>,
    /// How it is secured, if it is.
    pub(crate) security: Option<Security>,
}

impl Credentials {
    /// Those of connections to a server of a pool that has this name.
    pub(crate) fn of(settings: &PoolSettings, server: &str) -> Self {
        let login = match (&settings.server_logins, &settings.protocol) {
            (Some(logins), _) => logins.load().of(server).cloned(),
            (None, ProtocolSettings::Redis(redis)) => redis.auth.as_ref().map(|password| Login {
                user: None,
                password: (**password).into(),
            }),
            (None, ProtocolSettings::Memcached(_)) => None,
        };
        let (user, password) = login.map(|it| (it.user, it.password)).unzip();
        Self {
            user: user
                .flatten()
                .map(|user| String::from_utf8_lossy(&user).into_owned()),
            password: password.map(Vec::from),
            security: settings.server_security.clone(),
        }
    }
}

/// A connection to a server that is asked one question after the other. After an error it is of no use any more, except
/// after [`ErrorKind::TimedOut`] of [`Asker::hear`], where nothing of a reply had come.
#[derive(Debug)]
pub(crate) struct Asker {
    reader: BufReader<Timed>,
}

/// Connects to a server, whatever it takes: the one place where that happens in the control plane.
///
/// # Errors
///
/// When it cannot be reached before `until`. With several addresses of a name the error is that of the last one.
fn connect(address: &Address, resolver: &Resolver, until: Instant) -> io::Result<Socket> {
    let (host, port) = match address {
        Address::Tcp { host, port } => (host, *port),
        // A unix socket answers at once, or its queue is full.
        Address::Unknown => return Err(io::Error::other("its address is not known")),
        Address::Unix(path) => return UnixStream::connect(path).map(Socket::Unix),
    };
    let addresses = match host.parse() {
        Ok(ip) => vec![SocketAddr::new(ip, port)],
        Err(_) => {
            let (sender, answer) = sync_channel(1);
            let reply = Box::new(move |resolved| {
                let _ = sender.send(resolved);
            });
            // When it has no room, there is no answer either.
            let _ = resolver.ask(host.clone(), port, reply);
            let resolved = answer.recv_timeout(left(until)?).ok().flatten();
            resolved.map_or_else(Vec::new, |it| it.addresses)
        }
    };
    let mut last = io::Error::other("its name cannot be resolved");
    for address in addresses {
        match TcpStream::connect_timeout(&address, left(until)?) {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                return Ok(Socket::Tcp(stream));
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

impl Asker {
    /// Connects to `address`, and logs in if there is a password, all within `time_limit`.
    ///
    /// # Errors
    ///
    /// When that takes longer, fails, or the server refuses the password.
    pub(crate) fn open(
        address: &Address,
        credentials: &Credentials,
        resolver: &Resolver,
        time_limit: Duration,
    ) -> io::Result<Self> {
        let until = Instant::now() + time_limit;
        let socket = connect(address, resolver, until)?;
        let socket = match &credentials.security {
            None => socket,
            Some(security) => socket.secured(security, address, until)?,
        };
        let timed = Timed { socket, until };
        let mut asker = Self {
            reader: BufReader::new(timed),
        };
        if let Some(password) = &credentials.password {
            let user = credentials.user.as_deref().map(str::as_bytes);
            let words: Vec<&[u8]> = [Some(&b"AUTH"[..]), user, Some(password)]
                .into_iter()
                .flatten()
                .collect();
            match asker.ask_until(&words, until)? {
                Reply::Text(_) => {}
                other => return Err(io::Error::other(format!("it refuses AUTH: {other}"))),
            }
        }
        Ok(asker)
    }

    /// Asks a question, and returns the reply, which may be an error of the server's.
    ///
    /// # Errors
    ///
    /// When there is no whole reply within `time_limit`, or it makes no sense (see
    /// [`read_reply`](super::reply::read_reply)).
    pub(crate) fn ask(&mut self, words: &[&[u8]], time_limit: Duration) -> io::Result<Reply> {
        self.ask_until(words, Instant::now() + time_limit)
    }

    fn ask_until(&mut self, words: &[&[u8]], until: Instant) -> io::Result<Reply> {
        let timed = self.reader.get_mut();
        timed.until = until;
        timed.socket.set_write_timeout(left(until)?)?;
        timed.socket.write_all(&request(words))?;
        read_reply(&mut self.reader)
    }

    /// The next message of those that come unasked (SUBSCRIBE).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::TimedOut`] when none has begun within `time_limit`: it may be asked again then. Otherwise as for
    /// [`Asker::ask`].
    pub(crate) fn hear(&mut self, time_limit: Duration) -> io::Result<Reply> {
        self.reader.get_mut().until = Instant::now() + time_limit;
        if io::BufRead::fill_buf(&mut self.reader)?.is_empty() {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        // What has begun gets as long again.
        self.reader.get_mut().until = Instant::now() + time_limit;
        read_reply(&mut self.reader).map_err(|error| match error.kind() {
            ErrorKind::TimedOut => io::Error::other("it sends half a message"),
            _ => error,
        })
    }
}

/// A request: a list of texts.
fn request(words: &[&[u8]]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        bytes.extend(format!("${}\r\n", word.len()).bytes());
        bytes.extend(*word);
        bytes.extend(b"\r\n");
    }
    bytes
}

/// How long it is until then.
fn left(until: Instant) -> io::Result<Duration> {
    match until.saturating_duration_since(Instant::now()) {
        Duration::ZERO => Err(late()),
        left => Ok(left),
    }
}

fn late() -> io::Error {
    io::Error::new(ErrorKind::TimedOut, "it does not answer in time")
}

#[derive(Debug)]
enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Socket {
    /// The same with TLS. The handshake is made with the first question.
    fn secured(self, security: &Security, address: &Address, until: Instant) -> io::Result<Self> {
        let host = match address {
            Address::Tcp { host, .. } => Some(&**host),
            Address::Unix(_) | Address::Unknown => None,
        };
        let secured = Protection::of(security.known()).and_then(|it| it.to(host));
        let nameless = || io::Error::other("no certificate can be for this address");
        let connection = secured.ok_or_else(nameless)?.connection()?;
        let Self::Tcp(stream) = self else {
            return Err(io::Error::other("TLS on a unix socket is not asked for"));
        };
        // The handshake reads and writes as it needs to.
        stream.set_read_timeout(Some(left(until)?))?;
        stream.set_write_timeout(Some(left(until)?))?;
        Ok(Self::Tls(Box::new(StreamOwned::new(connection, stream))))
    }

    fn set_write_timeout(&self, time: Duration) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.set_write_timeout(Some(time)),
            Self::Unix(stream) => stream.set_write_timeout(Some(time)),
            Self::Tls(stream) => stream.sock.set_write_timeout(Some(time)),
        }
    }

    fn set_read_timeout(&self, time: Duration) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.set_read_timeout(Some(time)),
            Self::Unix(stream) => stream.set_read_timeout(Some(time)),
            Self::Tls(stream) => stream.sock.set_read_timeout(Some(time)),
        }
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        let written = match self {
            Self::Tcp(stream) => stream.write_all(bytes),
            Self::Unix(stream) => stream.write_all(bytes),
            Self::Tls(stream) => stream.write_all(bytes),
        };
        written.map_err(as_late)
    }
}

/// Reads until a point in time, however little comes at a time.
#[derive(Debug)]
struct Timed {
    socket: Socket,
    until: Instant,
}

impl Read for Timed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.socket.set_read_timeout(left(self.until)?)?;
        let read = match &mut self.socket {
            Socket::Tcp(stream) => stream.read(buffer),
            Socket::Unix(stream) => stream.read(buffer),
            Socket::Tls(stream) => stream.read(buffer),
        };
        read.map_err(as_late)
    }
}

/// A time-out of a socket is told as `WouldBlock`.
fn as_late(error: io::Error) -> io::Error {
    match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => late(),
        _ => error,
    }
}

/// The password is not shown.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("user", &self.user)
            .field("has_password", &self.password.is_some())
            .finish()
    }
}

#[cfg(test)]
mod tests;
