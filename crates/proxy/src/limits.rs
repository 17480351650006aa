//! Every bound of the data path, each with its reason.

use std::time::Duration;

/// Requests that a session may have outstanding: beyond this, deeper pipelines gain nothing and the replies of others
/// wait longer.
pub const MAX_WINDOW: usize = 1_024;

/// How many of them may have a large reply (a GET, an MGET): a reply that was asked for must be stored when it
/// comes, and earlier replies do not tell how large it will be. With [`WINDOW_BYTES`] unread and this many replies
/// of 1 MiB to come, a client takes less than 64 MB; common pipelines fit.
pub const LARGE_WINDOW: usize = 48;

/// Reply bytes of a session that are unread or expected (by the size of recent ones): with more, no further request
/// of it is accepted. Replies to requests that were accepted are always stored completely.
pub const WINDOW_BYTES: usize = 8 << 20;

/// Unsent request bytes on one server connection. Beyond this, requests are answered with an error at once: with a
/// server so far behind they would only time out, and memory is finite.
pub const MAX_CONNECTION_BYTES: usize = 256 << 20;

/// Requests in flight on one server connection, for the same reason: 8,000 clients with
/// 32 requests each fit.
pub const MAX_IN_FLIGHT: usize = 1 << 18;

/// Requests of one client that the proxy answers, refuses or passes over by itself in one turn, that is, before it looks
/// after other clients and servers: they cost a microsecond or two each, so that a turn takes a tenth of a millisecond.
pub const TURN_REQUESTS: u32 = 64;

/// Bytes of replies that it makes itself for one client in one turn, apart from the last of them.
pub const TURN_BYTES: usize = 64 << 10;

/// A reply or argument of at least this many bytes may be passed on by reference, not copied.
/// Below it a copy is cheaper than the bookkeeping.
pub const SHARE_AT_LEAST: usize = 8 << 10;

/// A chunk that stays allocated because of a shared slice may be at most this many times the slice's size: a value
/// of 16 KiB among others in a chunk of 64 KiB is not copied, and the memory in use is never much more than the
/// bytes held.
pub const SHARE_MAX_WASTE: usize = 4;

/// The same for the pieces of a large argument, of which many are kept until it is whole, as a fraction: a chunk may be
/// 4 thirds of the piece. Clients that write in small pieces would take up to [`SHARE_MAX_WASTE`] times what they have
/// sent otherwise.
pub const KEPT_MAX_WASTE: (usize, usize) = (3, 4);

/// An owned segment of a rope grows to this size, then the next one begins: long enough for few
/// system calls, short enough that growing never copies much.
pub const SEGMENT_BYTES: usize = 64 << 10;

/// Emptied output buffers that a pool keeps for reuse: about as many as clients that are answered in one tick, so
/// that their replies cost no allocation ...
pub const SPARE_BUFFERS: usize = 64;

/// ... of at most this size, so that all of them take no more than 256 KiB; copying into a larger one costs
/// more than allocating it.
pub const SPARE_BYTES: usize = 4 << 10;

/// Capacity, in segments, up to which an emptied queue of segments is kept for reuse, too: enough for common large
/// replies.
pub const SPARE_SEGMENTS: usize = 8;

/// Capacity that an idle server connection may keep for its output.
pub const KEEP_OUTPUT: usize = 64 << 10;

/// Entries that the queue of an idle server connection keeps room for: enough for some hundred busy clients. What a
/// larger burst has allocated is freed.
pub const KEEP_IN_FLIGHT: usize = 1_024;

/// Smallest number of bytes that is added to an incomplete request at once (if so many have arrived), even if fewer
/// are known to be missing: parsing again after every few bytes would be slow.
pub const PARTIAL_STEP: usize = 256;

/// Longest key, in bytes, that is routed. nutcracker's default limit is 16,335; Redis allows 512 MB,
/// but a key must be contiguous to be hashed.
pub const MAX_KEY: usize = 64 << 10;

/// Longest reply to one step of a handshake, in bytes. One to HELLO has a few hundred; much more is no answer to it.
pub const MAX_HANDSHAKE_REPLY: usize = 64 << 10;

/// Log events without a limit of their own that wait for the shell; further ones are counted and dropped. A pool of so
/// many servers can have all of them ejected at once.
pub const MAX_EVENTS: usize = 4_096;

/// Sessions that may wait for the probe that HELLO 3 starts; further ones are refused.
pub const MAX_UPGRADE_WAITERS: usize = 16_384;

/// Bytes of a client's name (CLIENT SETNAME) that are kept.
pub const MAX_CLIENT_NAME: usize = 256;

/// Arguments of a question about commands, settings or clients. Each may be answered with some hundred bytes.
pub const MAX_ASKED: usize = 1_024;

/// Bytes of push frames that a server may send in [`PUSH_PERIOD`] on one connection; with more the connection is closed.
/// They answer no request and the proxy asks for none, so that all they do is take a worker's time from others: so many
/// bytes take it two or three milliseconds.
pub const MAX_PUSHED: usize = 256 << 10;

/// See [`MAX_PUSHED`].
pub const PUSH_PERIOD: Duration = Duration::from_secs(1);

/// Keys (or elements of a reply) that buffers of the current request keep room for: what a larger request has needed is
/// freed.
pub const KEEP_KEYS: usize = 4_096;

/// Clients that one CLIENT LIST shows: a few megabytes, and some milliseconds of a worker's time.
pub const MAX_LISTED_CLIENTS: usize = 10_000;

/// How long a client's HELLO 3 waits at most for servers that do not answer, and how long an ejected server may take
/// to answer a probe, unless `timeout` is shorter.
pub const PROBE_PATIENCE: Duration = Duration::from_secs(5);

/// Requests that a silent server may owe before further ones are answered at once with an error, as
/// they would only wait for the time-out.
pub const MAX_IN_FLIGHT_SILENT: usize = 1_024;

/// A server that owes replies counts as silent if it has sent nothing for this long.
pub const SILENT_AFTER: Duration = Duration::from_secs(1);

/// With `timeout_action: answer`, the connection of a server that owes a late reply is closed when it has been
/// silent for this many time-outs ...
pub const SILENCE_FACTOR: u32 = 4;

/// ... but at least for this long: with a short time-out, one slow command must not close the connection.
pub const SILENCE_AT_LEAST: Duration = Duration::from_secs(1);

/// Shortest interval between two checks of all clients for time-outs.
pub const CLIENT_SCAN_AT_LEAST: Duration = Duration::from_millis(100);

/// The pause after the first probe that failed; it doubles with each further one ...
pub const FIRST_PROBE_PAUSE: Duration = Duration::from_secs(1);

/// ... so many times at most, and never past `server_retry_timeout`.
pub const PROBE_DOUBLINGS: u32 = 8;

/// How long a client may be connected before it gives the pool's password for the first time; it may be closed up to a
/// quarter of that time later. Clients do so at once; whoever does not know the password takes no room for long.
pub const AUTHENTICATE_WITHIN: Duration = Duration::from_secs(60);

/// Bytes that a client may have unread and unparsed before it gives the password; one with more is closed. The reply to
/// a request is 33 bytes then, so that no client that reads comes near it.
pub const UNAUTHENTICATED_BYTES: usize = 256 << 10;

/// How long the answer of a server that it does not support RESP3 counts. Without it every HELLO 3 would open a
/// connection to each server; a server that was upgraded is asked again soon enough.
pub const RESP3_REFUSAL_KEPT: Duration = Duration::from_secs(30);

/// How often a server is asked for its release at most, by all workers together: connections are often made in groups,
/// and one question is enough for them. A server that is replaced by another release is down for longer.
pub const RELEASE_QUESTION_PAUSE: Duration = Duration::from_secs(1);

/// How long no further connection is tried to a server that has refused a handshake (-LOADING, -BUSY, a wrong
/// password); it doubles with each refusal in a row ...
pub const FIRST_REFUSAL_PAUSE: Duration = Duration::from_millis(100);

/// ... up to this: short enough that a server that has loaded its data, or has got the right password, is used again
/// without a delay that a person would notice.
pub const LONGEST_REFUSAL_PAUSE: Duration = Duration::from_secs(2);

/// How long connections to a failover pool are kept when they are not needed any more, so that a server that fails
/// again and again does not cause new connections each time.
pub const FAILOVER_LINGER: Duration = Duration::from_secs(10);

/// How long a draining connection may take to answer what is in flight on it, if no `timeout` ends that sooner:
/// enough for slow commands, while a server that hangs is not waited for without end.
pub const DRAIN_WITHIN: Duration = Duration::from_secs(60);

/// How often draining connections are checked for having answered everything.
pub const DRAIN_CHECK_EVERY: Duration = Duration::from_millis(50);

/// A read longer than this is not kept for a retry: it would cost more memory than it is worth.
pub const MAX_RETRY_BYTES: usize = 4 << 10;

/// Retries may be a tenth of the requests: each request adds one to the budget, each retry takes this ...
pub const RETRY_COST: u32 = 10;

/// ... and the budget never exceeds this, enough for a hundred retries.
pub const RETRY_BUDGET: u32 = 1_000;

/// The beginning of a reply is not passed on while it has at most so many bytes and no complete line: if the
/// connection ends then, the client can still be given an error.
pub const HOLD_BACK: usize = 64;

/// Without `max_memory`, a pool counts its buffers after reading so many bytes, if [`COUNT_EVERY`] has passed, too:
/// the count is only a statistic then.
pub const COUNT_EVERY_BYTES: usize = 1 << 20;

/// See [`COUNT_EVERY_BYTES`]. With `max_memory` a pool that holds anything counts so often though it reads nothing: what was
/// held may be gone. The pause doubles with each count that finds as much as the one before ...
pub const COUNT_EVERY: Duration = Duration::from_secs(1);

/// ... so many times; then, about a minute after the last change, it counts no more until it reads something.
pub const COUNT_DOUBLINGS: u32 = 6;

/// How often a pool counts its buffers, whether it reads anything or not, while it holds a client back for
/// `max_memory`: others may have made room.
pub const COUNT_UNDER_PRESSURE: Duration = Duration::from_millis(10);

/// The same while one of its sessions holds a large part of all memory: others may need the room.
pub const COUNT_LARGE: Duration = Duration::from_millis(100);

/// Shortest interval between two log lines of one kind (about one server, if it is about a server): a client that sends
/// what is refused as fast as it can makes one line per second, and the operator sees in the first that it began.
pub const LOG_EVERY: Duration = Duration::from_secs(1);

/// The same for what may go on for days with every request: lost or misplaced requests that no client is told of, and
/// `max_memory`.
pub const LOG_LASTING_EVERY: Duration = Duration::from_secs(10);

/// Bytes of a key, and of a command's name, that are logged where requests are.
pub const LOGGED_KEY: usize = 32;

/// Characters of an error line that are logged.
pub const LOGGED_ERROR: usize = 200;
