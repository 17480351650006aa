//! Clients as operators see them.

use std::time::Duration;

/// A client of a pool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientInfo {
    /// Its address, as in log lines.
    pub address: Box<str>,
    /// What it has told of itself.
    pub about: AboutClient,
    /// What it has sent and got since it connected.
    pub traffic: Traffic,
    /// How long ago that was.
    pub age: Duration,
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

/// What a client has sent and got.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Its requests.
    pub requests: u64,
    /// Bytes that it has sent.
    pub bytes_in: u64,
    /// Bytes that were written to it.
    pub bytes_out: u64,
}

/// What clients have in common that belong to one application.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClientKind {
    /// The name that they have given themselves (CLIENT SETNAME); empty if none.
    pub name: Box<[u8]>,
    /// Their library (CLIENT SETINFO); empty if they do not tell.
    pub library: Box<[u8]>,
}

/// The clients of a pool that say the same of themselves, or all further ones.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ClientGroup {
    /// What they say; `None` for those that are not told apart.
    pub kind: Option<ClientKind>,
    /// How many they are.
    pub clients: usize,
    /// What they have sent and got since each of them connected.
    pub traffic: Traffic,
    /// Requests per second of all of them, each on average since it connected.
    pub requests_per_second: f64,
    /// The same for bytes, both ways.
    pub bytes_per_second: f64,
    /// Their requests that are not answered.
    pub outstanding: usize,
    /// Bytes of memory that their buffers take.
    pub held: usize,
}

impl Traffic {
    /// Bytes both ways.
    pub fn bytes(&self) -> u64 {
        self.bytes_in + self.bytes_out
    }
}

impl ClientGroup {
    /// Adds the clients of another group.
    pub fn add(&mut self, other: &Self) {
        self.clients += other.clients;
        self.traffic.requests += other.traffic.requests;
        self.traffic.bytes_in += other.traffic.bytes_in;
        self.traffic.bytes_out += other.traffic.bytes_out;
        self.requests_per_second += other.requests_per_second;
        self.bytes_per_second += other.bytes_per_second;
        self.outstanding += other.outstanding;
        self.held += other.held;
    }

    /// Adds a client.
    pub(crate) fn add_client(&mut self, client: &ClientInfo) {
        // Nobody has been there for less than a second, or rates would be meaningless.
        let seconds = client.age.as_secs_f64().max(1.0);
        self.add(&Self {
            kind: None,
            clients: 1,
            traffic: client.traffic,
            requests_per_second: client.traffic.requests as f64 / seconds,
            bytes_per_second: client.traffic.bytes() as f64 / seconds,
            outstanding: client.outstanding,
            held: client.held,
        });
    }
}

/// What a client has told of itself; all of it is empty for memcached.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AboutClient {
    /// Its number (CLIENT ID); 0 if it has none.
    pub number: u64,
    /// CLIENT SETNAME.
    pub name: Box<[u8]>,
    /// Who it is, in a pool with users.
    pub user: Option<Box<str>>,
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
