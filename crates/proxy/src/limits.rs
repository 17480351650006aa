//! Every bound of the data path, each with its reason.

use std::time::Duration;

/// Requests that a session may ever have outstanding: past this, deeper pipelines gain nothing and
/// the replies of others wait longer.
pub const MAX_WINDOW: usize = 1_024;

/// How many of them may have a large reply (a GET, an MGET), for what a server has been asked must be taken
/// when it comes, and the size of earlier replies does not tell. With [`WINDOW_BYTES`] unread and this many
/// replies of 1 MiB to come, a client takes less than 64 MB, and common pipelines fit.
pub const LARGE_WINDOW: usize = 48;

/// Reply bytes that a session may have outstanding, by its recent reply sizes, or unread: with more, it
/// gets no further request to a server. What it has been granted is kept for it whole.
pub const WINDOW_BYTES: usize = 8 << 20;

/// Unsent request bytes on one server connection. Past it requests are answered with an error at
/// once: a server that is so far behind would only make clients time out, and memory is finite.
pub const MAX_CONNECTION_BYTES: usize = 256 << 20;

/// Requests in flight on one server connection, for the same reason: 8,000 clients with
/// 32 requests each fit.
pub const MAX_IN_FLIGHT: usize = 1 << 18;

/// A reply or argument of at least this many bytes may be passed on by reference, not copied.
/// Below it a copy is cheaper than the bookkeeping.
pub const SHARE_AT_LEAST: usize = 8 << 10;

/// A shared slice may pin a chunk at most this many times its own size: a value of 16 KiB among others in a
/// chunk of 64 KiB is not copied, and memory in use is never much more than the bytes held.
pub const SHARE_MAX_WASTE: usize = 4;

/// An owned segment of a rope grows to this size, then the next one begins: long enough for few
/// system calls, short enough that growing never copies much.
pub const SEGMENT_BYTES: usize = 64 << 10;

/// Emptied output buffers that a pool keeps for its next replies: as many as clients that are answered in one
/// busy moment, which then cost no allocation ...
pub const SPARE_BUFFERS: usize = 64;

/// ... of at most this size, so that all of them take no more than 256 KiB; copying into a larger one costs
/// more than allocating it.
pub const SPARE_BYTES: usize = 4 << 10;

/// Segments that an emptied queue of segments which is kept in the same way may have room for: as many as a reply
/// of usual size has.
pub const SPARE_SEGMENTS: usize = 8;

/// Capacity that an idle server connection may keep for its output.
pub const KEEP_OUTPUT: usize = 64 << 10;

/// Requests that an idle server connection keeps room for in its queue: a busy moment of some hundred
/// clients. What a burst took beyond is given back.
pub const KEEP_IN_FLIGHT: usize = 1_024;

/// Bytes that a partial request is given past what it is known to miss, so that a request which
/// arrives in crumbs is not parsed once per byte.
pub const PARTIAL_STEP: usize = 256;

/// Longest key, in bytes, that is routed. nutcracker's default limit is 16,335; Redis allows 512 MB,
/// but a key must be contiguous to be hashed.
pub const MAX_KEY: usize = 64 << 10;

/// Bytes that the reply to one step of a handshake may have: one to HELLO has a few hundred, and a server that
/// says much more does not answer it.
pub const MAX_HANDSHAKE_REPLY: usize = 64 << 10;

/// Log events that wait for the shell; further ones are counted and dropped.
pub const MAX_EVENTS: usize = 256;

/// Sessions that may wait for the probe that HELLO 3 starts; further ones are refused.
pub const MAX_UPGRADE_WAITERS: usize = 16_384;

/// Bytes of a client's name (CLIENT SETNAME) that are kept.
pub const MAX_CLIENT_NAME: usize = 256;

/// How long a client's HELLO 3 waits at most for servers that do not answer, and how long an ejected
/// server may take to answer a probe, if `timeout` is not less.
pub const PROBE_PATIENCE: Duration = Duration::from_secs(5);

/// Requests that a silent server may owe before further ones are answered at once with an error, as
/// they would only wait for the time-out.
pub const MAX_IN_FLIGHT_SILENT: usize = 1_024;

/// A server that owes replies is silent after this long without a word.
pub const SILENT_AFTER: Duration = Duration::from_secs(1);

/// With `timeout_action: answer`, a server that owes a late reply loses its connection after a silence
/// of this many time-outs ...
pub const SILENCE_FACTOR: u32 = 4;

/// ... but not before this long, so that a short time-out does not close what a slow command holds up.
pub const SILENCE_AT_LEAST: Duration = Duration::from_secs(1);

/// How often clients are looked at for being late, at most.
pub const CLIENT_SCAN_AT_LEAST: Duration = Duration::from_millis(100);

/// The pause after the first probe that failed; it doubles with each further one ...
pub const FIRST_PROBE_PAUSE: Duration = Duration::from_secs(1);

/// ... so many times at most, and never past `server_retry_timeout`.
pub const PROBE_DOUBLINGS: u32 = 8;

/// How long no further connection is tried to a server that has refused a handshake (-LOADING, -BUSY, a wrong
/// password); it doubles with each refusal in a row ...
pub const FIRST_REFUSAL_PAUSE: Duration = Duration::from_millis(100);

/// ... up to this: short enough that a server which has loaded its data, or got the right password, is used
/// again at once in the eyes of a person.
pub const LONGEST_REFUSAL_PAUSE: Duration = Duration::from_secs(2);

/// How long connections to a failover pool are kept when they are not needed any more: long enough that a
/// server which comes and goes does not have them made anew each time.
pub const FAILOVER_LINGER: Duration = Duration::from_secs(10);

/// How long a connection may take to answer what is in flight on it when its server has left the pool or has
/// moved, where no `timeout` ends that sooner: enough for slow commands, and a server that hangs is not waited
/// for without end.
pub const DRAIN_WITHIN: Duration = Duration::from_secs(60);

/// How often it is looked whether such connections have answered everything.
pub const DRAIN_CHECK_EVERY: Duration = Duration::from_millis(50);

/// A read longer than this is not kept for a retry: it would cost more memory than it is worth.
pub const MAX_RETRY_BYTES: usize = 4 << 10;

/// Retries may be a tenth of the requests: each request adds one to the budget, each retry takes this ...
pub const RETRY_COST: u32 = 10;

/// ... and a calm time saves up for a hundred retries at most.
pub const RETRY_BUDGET: u32 = 1_000;

/// A reply of which no more than this has arrived, and no whole line, is not passed on yet.
pub const HOLD_BACK: usize = 64;

/// Bytes that a pool reads, and the time that passes, before it counts what it holds where there is no
/// `max_memory`: the count is only shown then.
pub const COUNT_EVERY_BYTES: usize = 1 << 20;

/// See [`COUNT_EVERY_BYTES`].
pub const COUNT_EVERY: Duration = Duration::from_secs(1);

/// How often a pool counts what it holds, whether it reads anything or not, while it holds somebody back
/// for `max_memory`: others may have made room.
pub const COUNT_UNDER_PRESSURE: Duration = Duration::from_millis(10);

/// The same while one of its sessions holds a notable part of all memory: others may need the room.
pub const COUNT_LARGE: Duration = Duration::from_millis(100);

/// How often the same thing that clients bring about is logged, at most, where each of their requests may
/// bring it about.
pub const LOG_EVERY: Duration = Duration::from_secs(10);

/// How often what is done for `max_memory` is logged, at most.
pub const LOG_MEMORY_EVERY: Duration = Duration::from_secs(10);
