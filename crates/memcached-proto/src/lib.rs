//! The classic memcached text protocol, as a proxy sees it.
//!
//! Nothing here does I/O, reads a clock or keeps a peer's payload: the caller owns the buffers, the
//! parsers hand back spans and lengths.
//!
//! - [`request`]: where one request of a client ends, its command, its keys, and whether it can be
//!   served.
//! - [`response`]: where one reply of a server ends and of which kind it is, found while it streams
//!   by.
//! - [`encode`]: the few lines that the proxy itself originates.
//! - [`cap`]: keeping what a request writes from living too long.
//!
//! Protocol facts come from memcached's `doc/protocol.txt`; what it leaves open was tried out on
//! memcached 1.6.18 and is kept in a table of the tests. What is served here, memcached frames in
//! the same way and answers exactly once: a line that it refuses although a data block follows would
//! be answered twice, because it takes the block for a command, and would put a shared server
//! connection out of step.

mod arg;
pub mod cap;
pub mod encode;
mod line;
mod number;
mod refusal;
pub mod request;
pub mod response;
mod verb;

pub use arg::Arg;
pub use refusal::{Name, Refusal, RequestError};
pub use request::{Progress, Request, RequestLimits, RequestParser};
pub use response::{BadReply, LineKind, ReplyKind, ReplyScanner, Scan};
pub use verb::Verb;

/// Longest key, in bytes (memcached `protocol.txt`; nutcracker 0.5.0 has the same bound).
pub const MAX_KEY: usize = 250;

/// Longest command line, its end included, that may be sent to a server as it is.
///
/// memcached 1.6.18 closes the connection when 2,048 bytes came without a line end, unless they
/// begin with `get ` or `gets ` (behind at most 100 spaces). A connection shared by many sessions
/// must not be lost to the padding of one, so longer lines are refused; those of several keys are
/// rewritten (see [`encode::retrieval`]) and may be longer.
pub const MAX_FORWARDED_LINE: usize = 2048;
