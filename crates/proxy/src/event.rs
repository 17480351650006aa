//! Log records as data. The shell decides whether and where they are written.

use std::collections::VecDeque;
use std::fmt;

use crate::cause::Cause;
use crate::limits::MAX_EVENTS;

/// How important an event is, with nutcracker's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Level {
    /// Something failed that an operator must see.
    Alert = 1,
    /// Something is wrong, but was handled.
    Warn = 4,
    /// Normal but significant.
    Notice = 5,
    /// Connections that are opened and closed.
    Info = 6,
}

/// Something worth a log line. `Display` is the line's text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A client sent a command that the pool does not serve.
    UnsupportedCommand {
        /// The command's name, escaped and shortened.
        name: String,
    },
    /// A client sent bytes that cannot be parsed.
    BadRequest {
        /// What was wrong.
        reason: String,
    },
    /// A client left in the middle of a request.
    IncompleteRequest {
        /// Bytes of the request that had arrived.
        len: usize,
    },
    /// A client was closed because it left many replies unread and read them too slowly.
    ClientStalled {
        /// The client.
        client: Box<str>,
        /// Bytes of replies it had not read.
        unread: usize,
        /// Bytes that it had read or sent in the period of measuring.
        moved: usize,
    },
    /// Memory is short, and clients that hold much of it are not read for a while (rate-limited).
    MemoryShort {
        /// Bytes held by the process.
        held: usize,
        /// Clients that are not read, in this pool and worker.
        clients: usize,
    },
    /// A client was closed because memory was short.
    ClientShed {
        /// The client.
        client: Box<str>,
        /// Bytes that it held.
        held: usize,
    },
    /// A client was closed for being idle, or in the middle of a request, for too long.
    ClientTimedOut {
        /// Whether a request had begun.
        mid_request: bool,
    },
    /// A client was closed because it had not given the pool's password in time.
    ClientUnauthenticated {
        /// The client.
        client: Box<str>,
    },
    /// A server connection ended.
    ServerClosed {
        /// The server's name.
        server: String,
        /// What the server's name was found to mean, where it has one.
        peer: Option<Box<str>>,
        /// Requests that were lost with it.
        lost: usize,
        /// Why.
        cause: Cause,
    },
    /// SELECT was refused by a server; its database 0 is used, as nutcracker does.
    SelectFailed {
        /// The server's name.
        server: String,
        /// Its error text.
        text: String,
    },
    /// AUTH was refused by a server that does not know it; the connection is used, as with nutcracker 0.5.0, and
    /// clients get whatever errors the server answers with.
    AuthFailed {
        /// The server's name.
        server: String,
        /// Its error text.
        text: String,
    },
    /// A server does not support RESP3.
    NoResp3 {
        /// The server's name.
        server: String,
    },
    /// A server of a failover pool cannot cap TTLs, so nothing is sent there.
    CannotCapTtl {
        /// The server's name.
        server: String,
    },
    /// A server was ejected.
    Ejected {
        /// The server's name.
        server: String,
        /// For how many milliseconds.
        millis: u64,
    },
    /// An ejected server is used again.
    Readmitted {
        /// The server's name.
        server: String,
    },
    /// The keys of a request belong to several servers; it went to the first key's (rate-limited).
    CrossShard {
        /// The command.
        command: &'static str,
        /// Such requests since the last such event.
        count: u64,
    },
    /// Requests whose clients want no reply were refused or lost; no client learns of it (rate-limited).
    Unheard {
        /// Such requests, or fragments, since the last such event.
        count: u64,
        /// What the client of the first of them would have been told.
        first: String,
    },
    /// More events happened than the queue could hold.
    Dropped {
        /// Events that were dropped.
        count: u64,
    },
}

impl Event {
    /// The event's importance.
    pub fn level(&self) -> Level {
        match self {
            Event::UnsupportedCommand { .. } | Event::ServerClosed { .. } => Level::Alert,
            Event::BadRequest { .. } | Event::IncompleteRequest { .. } => Level::Alert,
            Event::ClientStalled { .. } | Event::SelectFailed { .. } | Event::AuthFailed { .. } => {
                Level::Warn
            }
            Event::MemoryShort { .. } | Event::ClientShed { .. } => Level::Warn,
            Event::ClientTimedOut { .. } | Event::ClientUnauthenticated { .. } => Level::Info,
            Event::NoResp3 { .. } | Event::CannotCapTtl { .. } => Level::Warn,
            Event::CrossShard { .. } | Event::Ejected { .. } => Level::Warn,
            Event::Unheard { .. } | Event::Dropped { .. } => Level::Warn,
            Event::Readmitted { .. } => Level::Notice,
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::UnsupportedCommand { name } => write!(f, "parsed unsupported command '{name}'"),
            Event::BadRequest { reason } => write!(f, "parsed bad request: {reason}"),
            Event::IncompleteRequest { len } => write!(
                f,
                "eof on client, discarding incomplete request of {len} bytes"
            ),
            Event::ClientStalled {
                client,
                unread,
                moved,
            } => write!(
                f,
                "closing client {client}: {unread} bytes of replies are unread, and it has moved only {moved} bytes; see client_min_rate"
            ),
            Event::MemoryShort { held, clients } => write!(
                f,
                "buffers hold {held} bytes, {clients} clients are not read until there is room; see max_memory"
            ),
            Event::ClientShed { client, held } => write!(
                f,
                "closing client {client}: memory is short, and it holds {held} bytes; see max_memory"
            ),
            Event::ClientTimedOut { mid_request: true } => {
                f.write_str("closing client in the middle of a request: client_request_timeout")
            }
            Event::ClientTimedOut { mid_request: false } => {
                f.write_str("closing idle client: client_idle_timeout")
            }
            Event::ClientUnauthenticated { client } => write!(
                f,
                "closing client {client}: it has not given the password of the pool in time"
            ),
            Event::ServerClosed {
                server,
                peer,
                lost,
                cause,
            } => {
                write!(f, "connection to server '{server}' ")?;
                if let Some(peer) = peer {
                    write!(f, "at {peer} ")?;
                }
                write!(f, "closed, {lost} requests lost: {cause}")
            }
            Event::SelectFailed { server, text } => write!(f, "SELECT failed on {server}: {text}"),
            Event::AuthFailed { server, text } => write!(f, "AUTH failed on {server}: {text}"),
            Event::CannotCapTtl { server } => write!(
                f,
                "server '{server}' is of no use for failover: it refuses PEXPIRE with LT, which needs Redis 7.0 or Valkey"
            ),
            Event::NoResp3 { server } => write!(f, "server '{server}' does not speak RESP3"),
            Event::Ejected { server, millis } => {
                write!(f, "ejected server '{server}' for {millis} ms")
            }
            Event::Readmitted { server } => write!(f, "server '{server}' is back on the ring"),
            Event::Unheard { count, first } => write!(
                f,
                "{count} requests that want no reply were refused or lost, the first of them: {first}"
            ),
            Event::Dropped { count } => write!(f, "{count} events happened too fast to be logged"),
            Event::CrossShard { command, count } => {
                write!(
                    f,
                    "{count} requests with keys of several servers went to the first key's server, last {command}; see cross_shard"
                )
            }
        }
    }
}

/// A bounded queue of events. When the shell does not keep up, newer ones are dropped and counted; the last event
/// tells how many.
#[derive(Debug, Default)]
pub(crate) struct Events {
    queue: VecDeque<Event>,
    dropped: u64,
}

impl Events {
    pub(crate) fn push(&mut self, event: Event) {
        if self.queue.len() < MAX_EVENTS {
            self.queue.push_back(event);
        } else {
            self.dropped += 1;
        }
    }

    pub(crate) fn pop(&mut self) -> Option<Event> {
        let told = self.queue.pop_front();
        if told.is_some() || self.dropped == 0 {
            return told;
        }
        let count = std::mem::take(&mut self.dropped);
        Some(Event::Dropped { count })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_much_is_counted_and_told_last() {
        let mut events = Events::default();
        for len in 0..MAX_EVENTS + 3 {
            events.push(Event::IncompleteRequest { len });
        }
        for len in 0..MAX_EVENTS {
            assert_eq!(events.pop(), Some(Event::IncompleteRequest { len }));
        }
        assert_eq!(events.pop(), Some(Event::Dropped { count: 3 }));
        assert_eq!(events.pop(), None);
        events.push(Event::IncompleteRequest { len: 1 });
        assert!(events.pop().is_some() && events.pop().is_none());
    }
}
