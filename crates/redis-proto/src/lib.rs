//! The Redis wire protocol (RESP2 and RESP3) and the command table, without I/O or a clock.
//!
//! Callers own every buffer. The parsers return positions in what they were given and keep only a few words
//! of state between calls, so a request or reply may be cut at any byte:
//!
//! * [`request`] finds where a client's request and each of its arguments begin and end;
//! * [`response`] finds where a server's reply ends, without storing any of it;
//! * [`command`] has the properties of each command: arity, keys, and how a proxy handles it;
//! * [`describe`] has what the reply to `COMMAND` says of each besides;
//! * [`acl`] has rules of access, and says what they allow;
//! * [`cap`] limits the TTL of what a request writes;
//! * [`glob`] matches names with patterns;
//! * [`encode`] writes the messages that a proxy itself sends.
//!
//! Protocol facts come from the Redis serialization protocol specification (RESP2, RESP3), from the replies
//! of redis-server 7.0.15 to malformed input, and from nutcracker 0.5.0 for the commands that twemproxy
//! supports.

pub mod acl;
mod arg;
pub mod cap;
pub mod command;
pub mod describe;
pub mod encode;
pub mod glob;
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
