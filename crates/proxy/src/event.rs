//! Log records as data. The shell decides whether and where they are written.

mod fields;
mod level;
mod limit;
mod subscription;
mod trace;
mod user;

use std::fmt;
use std::panic::Location;

use crate::cause::Cause;
use crate::limits::LOGGED_ERROR;
pub use fields::EventFields;
pub use level::Level;
pub use limit::Limit;
pub use subscription::Subscription;
pub use trace::Trace;
use trace::write_connection;
pub use user::UserEvent;

/// One line of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogRecord {
    /// What has happened.
    pub event: Event,
    /// The address of the client whose doing it was, where it is known and not part of the event.
    pub client: Option<Box<str>>,
    /// How many more events of its kind were left out because of it.
    pub more: u64,
    /// Where in the source it was logged.
    pub place: &'static Location<'static>,
}

/// What the proxy has waited for in vain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientWait {
    /// A request.
    Idle,
    /// That the client reads.
    Unread,
    /// The rest of a request.
    MidRequest,
}

impl fmt::Display for ClientWait {
    /// The client, and the time-out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ClientWait::Idle => "idle client: client_idle_timeout",
            ClientWait::Unread => {
                "client that has read nothing of its replies: client_idle_timeout"
            }
            ClientWait::MidRequest => "client in the middle of a request: client_request_timeout",
        })
    }
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
    /// Something about subscriptions to channels.
    Subscription(Subscription),
    /// Memory is short, and clients that hold much of it are not read for a while.
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
    /// A client was closed by a time-out.
    ClientTimedOut {
        /// By which.
        waited: ClientWait,
    },
    /// A client was closed that had not given the pool's password: for too long, or with too much unread or unparsed.
    ClientUnauthenticated,
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
    /// The keys of a request belong to several servers; it went to the first key's.
    CrossShard {
        /// The command.
        command: &'static str,
    },
    /// A request failed that the nodes of a Redis Cluster have sent elsewhere, or let wait.
    RedirectFailed {
        /// The node that did so last.
        server: String,
        /// Why it was not sent on.
        reason: String,
    },
    /// A transaction was split, and not all of its servers have executed their part.
    TransactionInPart {
        /// How many have not.
        failed: usize,
        /// How many there are.
        parts: usize,
    },
    /// A request, or a fragment, whose client wants no reply was refused or lost; the client does not learn of it.
    Unheard {
        /// What the client would have been told.
        reason: String,
    },
    /// A request was refused by the guardrails of the pool.
    Forbidden {
        /// Why, as the client was told.
        reason: String,
    },
    /// About who a client is.
    User(UserEvent),
    /// A client that waited for an element has left, and its server gave it one all the same.
    ElementLost {
        /// The server's name.
        server: String,
        /// The beginning of the key, escaped.
        key: String,
        /// Otherwise it may be that the server gave nothing, or that the client has got it.
        is_certain: bool,
    },
    /// Something that is only logged at the levels above the default.
    Trace(Trace),
    /// More events happened than the queue could hold.
    Dropped {
        /// Events that were dropped.
        count: u64,
    },
}

impl LogRecord {
    /// The line, for the log of a process with several pools; what was left out because of it is not part of it.
    pub fn in_pool<'a>(&'a self, pool: &'a str) -> impl fmt::Display + 'a {
        Line { record: self, pool }
    }
}

struct Line<'a> {
    record: &'a LogRecord,
    pool: &'a str,
}

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (pool '{}'", self.record.event, self.pool)?;
        if let Some(client) = &self.record.client {
            write!(f, ", client {client}")?;
        }
        f.write_str(")")
    }
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
            Event::Subscription(_) => Level::Warn,
            Event::ClientTimedOut { .. } | Event::ClientUnauthenticated => Level::Info,
            Event::NoResp3 { .. } | Event::CannotCapTtl { .. } => Level::Warn,
            Event::CrossShard { .. } | Event::Ejected { .. } => Level::Warn,
            Event::Unheard { .. } | Event::Dropped { .. } => Level::Warn,
            Event::TransactionInPart { .. } | Event::RedirectFailed { .. } => Level::Warn,
            Event::ElementLost { .. } | Event::Forbidden { .. } => Level::Warn,
            Event::User(_) => Level::Warn,
            Event::Readmitted { .. } => Level::Notice,
            Event::Trace(trace) => trace.level(),
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
            } => write_stalled(f, client, *unread, *moved),
            Event::MemoryShort { held, clients } => write!(
                f,
                "buffers hold {held} bytes, {clients} clients are not read until there is room; see max_memory"
            ),
            Event::ClientShed { client, held } => write!(
                f,
                "closing client {client}: memory is short, and it holds {held} bytes; see max_memory"
            ),
            Event::Subscription(it) => it.fmt(f),
            Event::ClientTimedOut { waited } => write!(f, "closing {waited}"),
            Event::ClientUnauthenticated => f.write_str(UNAUTHENTICATED),
            Event::ServerClosed {
                server,
                peer,
                lost,
                cause,
            } => {
                write_connection(f, server, peer.as_deref())?;
                let cause = cause.to_string();
                write!(f, "closed, {lost} requests lost: {}", start_of(&cause))
            }
            Event::SelectFailed { server, text } => write_failed(f, "SELECT", server, text),
            Event::AuthFailed { server, text } => write_failed(f, "AUTH", server, text),
            Event::CannotCapTtl { server } => write_useless(f, server),
            Event::NoResp3 { server } => write!(f, "server '{server}' does not speak RESP3"),
            Event::Ejected { server, millis } => {
                write!(f, "ejected server '{server}' for {millis} ms")
            }
            Event::Readmitted { server } => write!(f, "server '{server}' is back on the ring"),
            Event::Unheard { reason } => write!(
                f,
                "a request that wants no reply was refused or lost: {}",
                start_of(reason)
            ),
            Event::Forbidden { reason } => write!(f, "refused a request: {reason}"),
            Event::User(event) => event.fmt(f),
            Event::RedirectFailed { server, reason } => write_redirect(f, server, reason),
            Event::TransactionInPart { failed, parts } => write!(
                f,
                "{failed} of {parts} servers have not executed their part of a transaction; see transactions"
            ),
            Event::ElementLost {
                server,
                key,
                is_certain,
            } => write_lost(f, server, key, *is_certain),
            Event::Trace(trace) => trace.fmt(f),
            Event::Dropped { count } => write!(f, "{count} events happened too fast to be logged"),
            Event::CrossShard { command } => write!(
                f,
                "a {command} with keys of several servers went to the first key's server; see cross_shard"
            ),
        }
    }
}

fn write_stalled(
    f: &mut fmt::Formatter<'_>,
    client: &str,
    unread: usize,
    moved: usize,
) -> fmt::Result {
    write!(
        f,
        "closing client {client}: {unread} bytes of replies are unread, and it has moved only {moved} bytes; see client_min_rate"
    )
}

fn write_failed(f: &mut fmt::Formatter<'_>, step: &str, server: &str, text: &str) -> fmt::Result {
    write!(f, "{step} failed on {server}: {}", start_of(text))
}

fn write_redirect(f: &mut fmt::Formatter<'_>, server: &str, reason: &str) -> fmt::Result {
    let reason = start_of(reason);
    write!(
        f,
        "a request that node '{server}' sent elsewhere, or let wait, failed: {reason}"
    )
}

fn write_useless(f: &mut fmt::Formatter<'_>, server: &str) -> fmt::Result {
    write!(
        f,
        "server '{server}' is of no use for failover: it refuses PEXPIRE with LT, which needs Redis 7.0 or Valkey"
    )
}

fn write_lost(
    f: &mut fmt::Formatter<'_>,
    server: &str,
    key: &str,
    is_certain: bool,
) -> fmt::Result {
    let is = if is_certain { "is" } else { "may be" };
    write!(
        f,
        "an element of '{key}' of server '{server}' {is} lost: the client that waited for it has left"
    )
}
const UNAUTHENTICATED: &str = "closing client that has not given the password of the pool";

/// The first characters of an error line: the rest must not push the names behind it out of the line.
fn start_of(text: &str) -> &str {
    let end = text.char_indices().nth(LOGGED_ERROR);
    &text[..end.map_or(text.len(), |(end, _)| end)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_names_its_pool_and_its_client() {
        let name = "multi".to_owned();
        let mut record = LogRecord {
            event: Event::UnsupportedCommand { name },
            client: Some("10.0.0.1:7".into()),
            more: 0,
            place: Location::caller(),
        };
        assert_eq!(
            record.in_pool("p").to_string(),
            "parsed unsupported command 'multi' (pool 'p', client 10.0.0.1:7)"
        );
        record.client = None;
        assert_eq!(
            record.in_pool("p").to_string(),
            "parsed unsupported command 'multi' (pool 'p')"
        );
    }

    #[test]
    fn a_long_error_line_leaves_room_for_the_names() {
        let record = LogRecord {
            event: Event::AuthFailed {
                server: "s".into(),
                text: "é".repeat(10_000),
            },
            client: None,
            more: 0,
            place: Location::caller(),
        };
        let line = record.in_pool("p").to_string();
        assert!(line.len() < 500 && line.ends_with("é (pool 'p')"), "{line}");
    }
}
