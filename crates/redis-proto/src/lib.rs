//! The Redis wire protocol (RESP2 and RESP3) and the command table, without I/O or a clock.
//!
//! Callers own every buffer. The parsers return spans into what they were given and keep only a few
//! words of state between calls, so a request or reply may be cut at any byte:
//!
//! * [`request`] finds where a client's request and each of its arguments begin and end;
//! * [`response`] finds where a server's reply ends, without holding any of it;
//! * [`command`] says what is known of each command: arity, keys, and what a proxy may do with it;
//! * [`cap`] keeps what a request writes from living too long;
//! * [`encode`] writes the few messages that a proxy originates.
//!
//! Sources of protocol facts: the Redis serialization protocol specification (RESP2, RESP3), the replies of
//! redis-server 7.0.15 to malformed input, and, for which commands twemproxy served, nutcracker 0.5.0.

mod arg;
pub mod cap;
pub mod command;
pub mod encode;
mod inline;
mod keys;
mod number;
pub mod request;
pub mod response;
mod table;
mod words;

pub use arg::Arg;
pub use command::{Command, lookup};
pub use encode::Version;
pub use keys::KeyError;
pub use request::{Progress, RequestError, RequestLimits, RequestParser};
pub use response::{BadReply, ReplyKind, ReplyScanner, Scan};
