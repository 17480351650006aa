//! A client of either protocol: sends a request and reads the whole reply.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use crate::kind::Kind;

/// How long to wait for a reply; the proxy's own timeout is shorter.
const TIME_LIMIT: Duration = Duration::from_secs(5);

/// Maximum length of a reply.
const LONGEST_REPLY: usize = 1 << 20;

/// A connection to a server or to the proxy.
pub(crate) struct Client {
    kind: Kind,
    stream: TcpStream,
}

/// A parsed reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The value was stored.
    Stored,
    /// The requested values, `None` for each missing one.
    Values(Vec<Option<String>>),
    /// An error line without its line end.
    Refused(String),
    /// Bytes that are not a valid reply.
    Strange(String),
}

impl Answer {
    /// Whether it is this single value.
    pub(crate) fn is_value(&self, value: &str) -> bool {
        matches!(self, Answer::Values(values) if matches!(&**values, [Some(v)] if v == value))
    }

    /// Whether the key does not exist.
    pub(crate) fn is_missing(&self) -> bool {
        matches!(self, Answer::Values(values) if **values == [None])
    }
}

impl Client {
    /// Connects to a port of 127.0.0.1.
    pub(crate) fn connect(kind: Kind, port: u16) -> io::Result<Client> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let stream = TcpStream::connect_timeout(&address, TIME_LIMIT)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(TIME_LIMIT))?;
        stream.set_write_timeout(Some(TIME_LIMIT))?;
        Ok(Client { kind, stream })
    }

    /// Whether the peer answers at all.
    pub(crate) fn greet(&mut self) -> io::Result<bool> {
        let (question, answer): (&[u8], &[u8]) = match self.kind {
            Kind::Redis => (b"*1\r\n$4\r\nPING\r\n", b"+PONG"),
            Kind::Memcached => (b"version\r\n", b"VERSION "),
        };
        Ok(self.round(question)?.starts_with(answer))
    }

    /// Stores a value.
    pub(crate) fn set(&mut self, key: &str, value: &str) -> io::Result<Answer> {
        let request = match self.kind {
            Kind::Redis => redis_command(&["SET", key, value]),
            Kind::Memcached => format!("set {key} 0 0 {}\r\n{value}\r\n", value.len()).into_bytes(),
        };
        let reply = self.round(&request)?;
        Ok(match &*reply {
            b"+OK\r\n" | b"STORED\r\n" => Answer::Stored,
            other => failure(other),
        })
    }

    /// Asks for one value.
    pub(crate) fn get(&mut self, key: &str) -> io::Result<Answer> {
        let reply = match self.kind {
            Kind::Redis => self.round(&redis_command(&["GET", key]))?,
            Kind::Memcached => self.round(format!("get {key}\r\n").as_bytes())?,
        };
        let values = match self.kind {
            Kind::Redis => take_bulk(&reply).map(|(value, _)| vec![value]),
            Kind::Memcached => value_blocks(&reply, &[key]),
        };
        Ok(values.map_or_else(|| failure(&reply), Answer::Values))
    }

    /// Asks for several values with one request; they are returned in the order of the keys.
    pub(crate) fn get_many(&mut self, keys: &[&str]) -> io::Result<Answer> {
        let words: Vec<&str> = ["MGET"].iter().chain(keys).copied().collect();
        let reply = match self.kind {
            Kind::Redis => self.round(&redis_command(&words))?,
            Kind::Memcached => self.round(format!("get {}\r\n", keys.join(" ")).as_bytes())?,
        };
        let values = match self.kind {
            Kind::Redis => array_of_bulks(&reply, keys.len()),
            Kind::Memcached => value_blocks(&reply, keys),
        };
        Ok(values.map_or_else(|| failure(&reply), Answer::Values))
    }

    fn round(&mut self, request: &[u8]) -> io::Result<Vec<u8>> {
        self.stream.write_all(request)?;
        let mut reply = Vec::new();
        let mut buffer = [0; 4096];
        while !self.is_whole(&reply)? {
            match self.stream.read(&mut buffer)? {
                0 => return Err(ErrorKind::UnexpectedEof.into()),
                count => reply.extend_from_slice(&buffer[..count]),
            }
            if reply.len() > LONGEST_REPLY {
                return Err(ErrorKind::FileTooLarge.into());
            }
        }
        Ok(reply)
    }

    /// Whether these bytes are one whole reply. The demo's replies are small, so each check starts from the
    /// beginning.
    fn is_whole(&self, bytes: &[u8]) -> io::Result<bool> {
        let strange = |what: String| io::Error::new(ErrorKind::InvalidData, what);
        Ok(match self.kind {
            Kind::Redis => {
                let found = redis_proto::ReplyScanner::default().scan(bytes);
                let found = found.map_err(|error| strange(format!("{error:?}")))?;
                matches!(found, redis_proto::Scan::Complete { .. })
            }
            Kind::Memcached => {
                let found = memcached_proto::ReplyScanner::default().scan(bytes);
                let found = found.map_err(|error| strange(format!("{error:?}")))?;
                matches!(found, memcached_proto::Scan::Complete { .. })
            }
        })
    }
}

fn redis_command(words: &[&str]) -> Vec<u8> {
    let words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
    let mut out = Vec::new();
    redis_proto::encode::command(&mut out, &words);
    out
}

fn failure(reply: &[u8]) -> Answer {
    let line = String::from_utf8_lossy(reply).trim_end().to_string();
    let words = ["-", "ERROR", "CLIENT_ERROR", "SERVER_ERROR"];
    if words.iter().any(|word| line.starts_with(word)) {
        Answer::Refused(line)
    } else {
        Answer::Strange(line)
    }
}

/// A bulk string (or null) at the start, and the bytes after it.
fn take_bulk(reply: &[u8]) -> Option<(Option<String>, &[u8])> {
    if let Some(rest) = reply.strip_prefix(b"$-1\r\n") {
        return Some((None, rest));
    }
    let (length, rest) = number_line(reply.strip_prefix(b"$")?)?;
    let (body, rest) = rest.split_at_checked(length)?;
    let value = String::from_utf8_lossy(body).into_owned();
    Some((Some(value), rest.strip_prefix(b"\r\n")?))
}

fn array_of_bulks(reply: &[u8], count: usize) -> Option<Vec<Option<String>>> {
    let (length, mut rest) = number_line(reply.strip_prefix(b"*")?)?;
    if length != count {
        return None;
    }
    let mut values = Vec::with_capacity(count);
    for _ in 0..count {
        let (value, after) = take_bulk(rest)?;
        values.push(value);
        rest = after;
    }
    rest.is_empty().then_some(values)
}

/// The value blocks of a retrieval, in the order of `keys`.
fn value_blocks(reply: &[u8], keys: &[&str]) -> Option<Vec<Option<String>>> {
    let mut values = vec![None; keys.len()];
    let mut rest = reply;
    while let Some(block) = rest.strip_prefix(b"VALUE ") {
        let end = block.iter().position(|&byte| byte == b'\r')?;
        let line = std::str::from_utf8(&block[..end]).ok()?;
        let mut words = line.split(' ');
        let at = words
            .next()
            .and_then(|key| keys.iter().position(|k| *k == key))?;
        let length: usize = words.nth(1)?.parse().ok()?;
        let (body, after) = block.get(end + 2..)?.split_at_checked(length)?;
        values[at] = Some(String::from_utf8_lossy(body).into_owned());
        rest = after.strip_prefix(b"\r\n")?;
    }
    (rest == b"END\r\n").then_some(values)
}

/// A decimal line, and the bytes after it.
fn number_line(text: &[u8]) -> Option<(usize, &[u8])> {
    let end = text.iter().position(|&byte| byte == b'\r')?;
    let number = std::str::from_utf8(&text[..end]).ok()?.parse().ok()?;
    Some((number, text.get(end + 2..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some(text: &str) -> Option<String> {
        Some(text.to_string())
    }

    #[test]
    fn values_of_both_protocols_are_read() {
        let array = b"*3\r\n$1\r\na\r\n$-1\r\n$0\r\n\r\n";
        let expected = Some(vec![some("a"), None, some("")]);
        assert_eq!(array_of_bulks(array, 3), expected);
        assert_eq!(array_of_bulks(array, 2), None);
        let blocks = b"VALUE z 0 0\r\n\r\nVALUE x 5 1\r\na\r\nEND\r\n";
        assert_eq!(value_blocks(blocks, &["x", "y", "z"]), expected);
        assert_eq!(value_blocks(b"VALUE q 0 1\r\na\r\nEND\r\n", &["x"]), None);
        assert_eq!(value_blocks(b"SERVER_ERROR unknown\r\n", &["x"]), None);
        assert_eq!(value_blocks(b"VALUE x 0 9\r\na\r\nEND\r\n", &["x"]), None);
    }

    #[test]
    fn errors_are_told_from_nonsense() {
        let refused = Answer::Refused("SERVER_ERROR Connection refused".into());
        assert_eq!(failure(b"SERVER_ERROR Connection refused\r\n"), refused);
        assert_eq!(failure(b"-ERR x\r\n"), Answer::Refused("-ERR x".into()));
        assert_eq!(failure(b":1\r\n"), Answer::Strange(":1".into()));
    }
}
