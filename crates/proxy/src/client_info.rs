//! Clients as operators see them.

use std::time::Duration;

/// A client of a pool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientInfo {
    /// Its address, as in log lines.
    pub address: Box<str>,
    /// What it has told of itself.
    pub about: AboutClient,
    /// How long it has neither sent a request nor read a reply.
    pub idle: Duration,
    /// Its requests that are not answered.
    pub outstanding: usize,
    /// Bytes of it that wait unparsed.
    pub unparsed: usize,
    /// Bytes of replies that it has not taken.
    pub unread: usize,
    /// Bytes of memory that its buffers take.
    pub held: usize,
    /// Whether it has begun a transaction or watches keys, is subscribed to channels, or waits for other clients.
    pub does: Doing,
}

/// What a client has told of itself; all of it is empty for memcached.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AboutClient {
    /// Its number (CLIENT ID); 0 if it has none.
    pub number: u64,
    /// CLIENT SETNAME.
    pub name: Box<[u8]>,
    /// The library that it uses, and its version.
    pub library: (Box<[u8]>, Box<[u8]>),
    /// The last command that it has sent.
    pub last_command: &'static str,
}

/// What a client is in the middle of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Doing {
    /// It has begun a transaction, or watches keys.
    pub transaction: bool,
    /// It is subscribed to channels.
    pub subscribed: bool,
    /// It waits for other clients.
    pub waits: bool,
}
