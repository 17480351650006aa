//! The memcached text protocol, classic and meta commands, as a proxy needs it.
//!
//! Nothing here does I/O, reads a clock or stores a peer's payload: the caller owns the buffers, and the
//! parsers return offsets and lengths.
//!
//! - [`request`]: where a client's request ends, its command, its keys, and whether it can be served.
//! - [`response`]: where a server's reply ends and what kind it is, found while its bytes pass through.
//! - [`login`]: clients that say who they are, as memcached's `-Y` has it.
//! - [`meta`]: the flags of meta commands, and keys in base64.
//! - [`encode`]: the messages that the proxy itself writes.
//! - [`cap`]: limits the expiry time of what a request writes.
//!
//! Protocol facts come from memcached's `doc/protocol.txt`; what it leaves open was determined with memcached
//! 1.6.18 and is recorded in a table of the tests. For every request that is served here, memcached agrees on
//! where it ends and answers exactly once. If it refused a line that is followed by a data block, it would
//! answer twice, because it takes the block for a command, and later replies on a shared server connection
//! would go to the wrong requests.

mod arg;
mod base64;
pub mod cap;
mod check;
pub mod encode;
mod line;
pub mod login;
pub mod meta;
mod number;
mod quick;
mod refusal;
pub mod request;
pub mod response;
mod verb;
mod words;

pub use arg::Arg;
pub use line::REFUSED;
pub use refusal::{Name, Refusal, RequestError};
pub use request::{Progress, Request, RequestLimits, RequestParser};
pub use response::{BadReply, LineKind, ReplyKind, ReplyScanner, Scan};
pub use verb::Verb;

/// Longest key, in bytes (memcached `protocol.txt`; nutcracker 0.5.0 has the same bound).
pub const MAX_KEY: usize = 250;

/// Longest command line, its end included, that may be forwarded unchanged.
///
/// memcached 1.6.18 closes the connection after 2,048 bytes without a line end, unless they begin with `get `
/// or `gets ` (after at most 100 spaces). The padding of one session's request must not cost a connection
/// that many sessions share, so longer lines are refused. Lines with several keys are rewritten (see
/// [`encode::retrieval`]) and may be longer.
pub const MAX_FORWARDED_LINE: usize = 2048;
