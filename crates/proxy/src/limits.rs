//! Every bound of the data path, each with its reason.

use std::time::Duration;

/// Requests that a session may have outstanding: beyond this, deeper pipelines gain nothing and the replies of others
/// wait longer.
pub const MAX_WINDOW: usize = 1_024;

/// How many of them may have a large reply (a GET, an MGET): a reply that was asked for must be stored when it
/// comes, and earlier replies do not tell how large it will be. With [`WINDOW_BYTES`] unread and this many replies
/// of 1 MiB to come, a client takes less than 64 MB; common pipelines fit.
pub const LARGE_WINDOW: usize = 48;

/// Requests to every server (`stats`, FLUSHALL) that a session may have outstanding: each of them keeps every server busy
/// for some ten microseconds, and `stats` a worker for several times that, when it joins kilobytes of each server.
/// Whoever asks next waits for all of them. Clients send them one at a time.
pub const BROADCAST_WINDOW: usize = 4;

/// How many requests a client that pipelines commands whose work may be long (SORT, ZUNIONSTORE, scripts) has
/// outstanding at first, while it is not known how long they take: 20 ms each are well within a `timeout` of 400 ms
/// then. Replies that come quickly double it each time. Other clients have no narrower window than this, either.
pub const LONG_WINDOW: usize = 8;

/// The same where [`LONG_WINDOW`] requests of others wait at the server already, or some wait for too long: clients
/// that begin at the same time are known as slow only later.
pub const CROWDED_LONG_WINDOW: usize = 2;

/// How long the window of such a client tells what its commands take, after the last of them. Then it begins anew, as
/// it may be about other keys.
pub const LONG_KNOWN_FOR: Duration = Duration::from_secs(1);

/// The part of `timeout` that requests may wait at a server, besides the way there and back, before the windows of
/// those who have several there are halved: an eighth, as the windows adapt within a few times that.
pub const DELAY_PART: u32 = 8;

/// How often, in this time, it is looked at again which requests wait for too long; and the part of it within which
/// half of a window must be answered to double.
pub const DELAY_CHECKS: u32 = 4;

/// The shortest time that counts as a delay, however short `timeout` is: what a worker's own pauses take.
pub const DELAY_AT_LEAST: Duration = Duration::from_millis(1);

/// Requests on one connection that are looked at then, oldest first: it takes less than a tenth of a millisecond. Those
/// behind them are looked at when these have been answered.
pub const DELAY_LOOKS: usize = 4_096;

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

/// Keys of one request, or elements of one joined reply, that are worked off in one turn: less than a millisecond. A request
/// of a million keys would keep the other clients waiting otherwise.
pub const TURN_KEYS: usize = 4 << 10;

/// The reply to a split request is passed on before all of it is known when so many bytes of it are held. Smaller ones
/// wait: if a server fails meanwhile, the client gets an error then and need not be closed.
pub const PASS_ON_AT_LEAST: usize = 256 << 10;

/// Longest reply, in bytes, to a fragment that is to be answered with a number or a status. Error lines are shorter, too.
pub const MAX_FRAGMENT_LINE: usize = 64 << 10;

/// Bytes of replies to one request that is sent to every server (KEYS): with more it gets an error, and the rest is dropped.
pub const MAX_JOINED: usize = 64 << 20;

/// Commands that a pool's settings may add: more than any module has.
pub const MAX_COMMANDS: usize = 256;

/// Guardrails of a pool: each is compared with every key of every request, also of one with a million keys.
pub const MAX_GUARDRAILS: usize = 16;

/// Commands that one of them may deny: more than anyone writes down.
pub const MAX_DENIED: usize = 256;

/// Bytes of the prefix of one of them: the longest key of memcached.
pub const MAX_PREFIX: usize = 250;

/// Requests per second that one of them may allow at most: each has a whole number of nanoseconds, and no server does as many.
pub const MAX_RATE: u32 = 1_000_000;

/// How long other workers may take to answer what a worker asks them: many times a long turn of theirs.
pub const ANSWER_WITHIN: Duration = Duration::from_secs(1);

/// Questions of one worker, of one pool, that are not answered: each client may have [`LARGE_WINDOW`] of them, and hardly any
/// has one.
pub const MAX_QUESTIONS: usize = 256;

/// Bytes of a request that other workers are asked: thousands of names.
pub const MAX_QUESTION: usize = 1 << 20;

/// How long clients may be paused at once: longer than it takes to replace a server, and short enough that a pause that is
/// forgotten ends.
pub const MAX_PAUSE: Duration = Duration::from_secs(600);

/// Bytes of a script that is remembered, so that servers that lack it are given it: as long as an argument may be that is
/// kept in one piece. Longer ones are passed on, and that is all.
pub const MAX_SCRIPT: usize = 64 << 10;

/// Scripts of a pool that are remembered with their digests: more than any application has ...
pub const MAX_SCRIPTS: usize = 1_024;

/// ... and bytes of all of them together, with the requests that load them.
pub const MAX_SCRIPT_BYTES: usize = 16 << 20;

/// Scripts that were executed and whose digests nobody has asked for are kept in so many groups ...
pub const BODY_BUCKETS: usize = 64;

/// ... of so many, which a script is compared with each time that it is executed. All of them take 16 MiB at most.
pub const BODY_WAYS: usize = 4;

/// Bytes of such scripts whose digests are computed for one request: less than a millisecond.
pub const HASHED_AT_ONCE: usize = 256 << 10;

/// Longest answer of one memcached server to `stats`: the longest that memcached gives, a dump of cached keys, has 2 MB, and
/// one line for each client (`stats conns`) has less where there are a hundred thousand.
pub const MAX_STATISTICS: usize = 16 << 20;

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

/// A chunk that more than so many hold is a message to many subscribers, of which each counts its part for `max_memory`.
/// Fewer may belong to one client, which counts the whole chunk for each piece, as all of it stays allocated for it.
pub const SHARED_BY_FEW: usize = 16;

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

/// A buffer of at least so many bytes for an incomplete request moves to a larger one bit by bit: copying it at once would
/// take half a millisecond or more.
pub const MOVE_AT_LEAST: usize = 1 << 20;

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

/// Names of clients, each with a library, that a worker tells apart when it is asked who sends how much: they take some hundred
/// KiB for as long as that is answered. Operators see the first 64.
pub const MAX_CLIENT_GROUPS: usize = 1_024;

/// How long a client's HELLO 3 waits at most for servers that do not answer, and how long an ejected server may take
/// to answer a probe, and any server to answer what ends a script, unless `timeout` is shorter.
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

/// Replicas of a server that are read at most: each has connections of its own, and a read looks at all of them.
pub const MAX_REPLICAS: usize = 16;

/// How long a replica is not read after it has failed once, until it answers a probe: others have the same data, so that there
/// is no reason to wait for further failures.
pub const REPLICA_PAUSE: Duration = Duration::from_secs(1);

/// The longest pause between two probes of a replica that does not answer.
pub const LONGEST_REPLICA_PAUSE: Duration = Duration::from_secs(5);

/// How often it is measured, at most, how fast a server answers reads (`read_from: fastest`): a histogram is read for that.
pub const MEASURE_READERS_EVERY: Duration = Duration::from_millis(100);

/// By what part the mean of one shrinks that has answered nothing meanwhile, so that it is tried again some time.
pub const READERS_FORGET: u32 = 16;

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

/// How long it counts that a server has refused transactions on a connection: without it each transaction would try
/// again; once the server's administrator has allowed them they are used soon enough.
pub const TRANSACTIONS_REFUSED_FOR: Duration = Duration::from_secs(30);

/// Commands that one transaction may be allowed to have (`transaction_commands`): replies are counted in 16 bits.
pub const MOST_TRANSACTION_COMMANDS: usize = 65_000;

/// Keys that a client may watch (WATCH), and their bytes: they are kept, as it must be known at EXEC whether they are where
/// they were.
pub const MAX_WATCHED: (usize, usize) = (1_024, 1 << 20);

/// Connections in a row that may end without a word from the server before further ones have to wait: what fails for a moment is
/// tried again at once, and where requests are few, each one is tried and counted as with twemproxy ...
pub const SILENT_ENDS: u32 = 256;

/// ... and then this long, and at random up to twice as long. Otherwise each request would open a connection to a server that is
/// down, and each proxy and worker all of theirs in the moment in which it is back. Short enough that an application does not notice
/// when its server is back.
pub const SILENT_END_PAUSE: Duration = Duration::from_millis(50);

/// How long no further connection is tried to a server that has refused a handshake (-LOADING, -BUSY, a wrong
/// password); it doubles with each refusal in a row ...
pub const FIRST_REFUSAL_PAUSE: Duration = Duration::from_millis(100);

/// ... up to this: short enough that a server that has loaded its data, or has got the right password, is used again
/// without a delay that a person would notice.
pub const LONGEST_REFUSAL_PAUSE: Duration = Duration::from_secs(2);

/// How long a client that has sent nothing yet counts as just connected. When all clients are to be closed over a time, such
/// a client is closed at its end: its first request is on its way. Few connect in so short a time, so that they do not all
/// connect again at once.
pub const NEW_CLIENT_FOR: Duration = Duration::from_secs(1);

/// How long connections to a failover pool are kept when they are not needed any more, so that a server that fails
/// again and again does not cause new connections each time.
pub const FAILOVER_LINGER: Duration = Duration::from_secs(10);

/// How long a draining connection may take to answer what is in flight on it, if no `timeout` ends that sooner:
/// enough for slow commands, while a server that hangs is not waited for without end.
pub const DRAIN_WITHIN: Duration = Duration::from_secs(60);

/// How long a leased connection that nobody holds is kept: enough for clients that wait again and again, as workers do
/// that take jobs from a list.
pub const LEASED_IDLE: Duration = Duration::from_secs(60);

/// How long a server has to end a wait whose client has left, before the connection is closed. What it gives later would
/// be lost without anybody learning of it; one that does not answer for so long gives nothing.
pub const CANCEL_WITHIN: Duration = Duration::from_secs(1);

/// When a server is told once more that a wait is over, if it had not begun to wait when it was told: what it was told
/// has overtaken the request, on another connection.
pub const CANCEL_AGAIN: Duration = Duration::from_millis(10);

/// Keys of a waiting request, and bytes of them, that are kept: whoever waits for more is told that the wait is over
/// whenever any server is ejected or back, as it is not looked at whether that concerns it.
pub const MAX_WAIT_KEYS: (usize, usize) = (64, 4 << 10);

/// Bytes of a reply that nobody waits for which are looked at, to tell what it has taken from which key.
pub const MAX_TAKEN: usize = 1 << 10;

/// How often a worker with waiting clients looks whether their servers are in use still: another worker may have ejected
/// one.
pub const WAIT_CHECK_EVERY: Duration = Duration::from_secs(1);

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

/// What may be the beginning of a reply that its client does not want is withheld up to so many bytes: more than the
/// line of any meta command has with the longest key and opaque, and a number behind it.
pub const MAX_WITHHELD: usize = 1 << 10;

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

/// Bytes of messages that a subscriber may have unread; with more it is closed, as by Redis with its default
/// `client-output-buffer-limit` for them. A longer message than this can reach nobody ...
pub const SUBSCRIBER_UNREAD: usize = 32 << 20;

/// ... and so is one that has more than [`WINDOW_BYTES`] unread for this long, which is looked at with each message.
pub const SUBSCRIBER_UNREAD_FOR: Duration = Duration::from_secs(60);

/// Channels and patterns that a client may be subscribed to, and so the most that one request may name: when it leaves,
/// they are dropped in some milliseconds.
pub const MAX_CHANNELS: usize = 16_384;

/// Bytes of their names.
pub const MAX_CHANNEL_BYTES: usize = 4 << 20;

/// Different channels and patterns that all clients of a worker may be subscribed to: each takes a few hundred bytes,
/// and all of them are looked at when a server is ejected or a connection to one is lost.
pub const MAX_TOPICS: usize = 1 << 18;

/// Bytes of their names.
pub const MAX_TOPIC_BYTES: usize = 64 << 20;

/// How long a subscriber connection is kept when nothing is subscribed to any more: clients that come and go should not
/// open one each time.
pub const SUBSCRIBER_LINGER: Duration = Duration::from_secs(10);

/// How long a subscriber connection may be silent before its server is asked whether it is still there. Messages that
/// are lost cannot be told from messages that are not sent, so it must be found out soon.
pub const SUBSCRIBER_PING_EVERY: Duration = Duration::from_secs(10);

/// Slow requests that a pool keeps, as many as Redis does by default.
pub const SLOW_REQUESTS: usize = 128;

/// Slow requests that are kept of the replies of one read: when a server has stalled all are slow, and some tell of it.
pub const SLOW_AT_ONCE: usize = 16;

/// Bytes of a slow request's command and of its key that are kept, for each request that waits for its reply.
pub const SLOW_COMMAND: usize = 16;
/// See [`SLOW_COMMAND`].
pub const SLOW_KEY: usize = 32;

/// How often it is looked at whether another worker has ejected a server, while there are subscribers: no request of
/// theirs would find that out.
pub const SUBSCRIBER_HEALTH_EVERY: Duration = Duration::from_secs(1);

/// Keys that a worker counts at a time for `hot_keys`, by requests and by bytes each: what is counted of one is too high by
/// at most this part of all, 0.4 %. With long keys they take 100 KiB each ...
pub const HOT_KEYS_COUNTED: usize = 256;

/// ... as so many bytes of a key are kept.
pub const HOT_KEY_BYTES: usize = 128;

/// Keys with the largest values that a worker keeps, and keys of each kind that are shown at most: as many as Redis shows.
pub const LARGEST_KEYS: usize = 64;

/// Keys of one request, or of its part for one server, that are counted. Further ones are left out.
pub const HOT_KEYS_OF_REQUEST: usize = 64;

/// Counted or logged requests on one connection of which something is kept until they are answered: with more in flight than
/// that, the bytes of some replies are not counted, and some requests are not logged.
pub const SAMPLES_IN_FLIGHT: usize = 1_024;

/// Records of the access log that wait for the shell, which takes them after each call; further ones are counted and dropped.
pub const MAX_ACCESS_RECORDS: usize = 4_096;

/// With the setting `hot_keys`, counts are those of this time and of what is under way of the next: long enough for few
/// counts to say something, short enough to tell what is hot now.
pub const HOT_KEYS_PERIOD: Duration = Duration::from_secs(60);

/// How often a worker tells the others what it has counted: copying it takes some ten microseconds.
pub const HOT_KEYS_PUBLISH_EVERY: Duration = Duration::from_secs(1);

/// Bytes of the requests of one server connection that are kept until they are answered, in pools of a Redis Cluster. They
/// are mostly references to what is held anyway until it is written. What is beyond is not sent again if it belongs
/// elsewhere, and fails.
pub const MAX_KEPT_BYTES: usize = 64 << 20;

/// An error line of at most so many bytes may say that a request belongs elsewhere: the longest name of a host fits.
pub const MAX_REDIRECT_LINE: usize = 512;

/// Bytes that the name of a host may have, as in DNS.
pub const MAX_HOST: usize = 255;

/// How often one request may be sent from one node of a Redis Cluster to another. More than two are rare; nodes that send
/// it in circles are stopped by this.
pub const MAX_HOPS: u8 = 16;

/// How long a request waits for a cluster that cannot serve it, unless `timeout` is shorter: a failover takes one to two
/// seconds from when a master is known to have failed.
pub const CLUSTER_PATIENCE: Duration = Duration::from_secs(10);

/// The first pause of a request that the cluster cannot serve for the moment; it doubles ...
pub const CLUSTER_FIRST_PAUSE: Duration = Duration::from_millis(2);

/// ... up to this, so that it is served soon after the cluster is back, and many that wait do not keep it busy.
pub const CLUSTER_LONGEST_PAUSE: Duration = Duration::from_millis(64);

/// How long a slot counts as being moved after a node has last said so (ASK): its keys are not read at replicas, which answer
/// for those that have left as if they did not exist. Each further ASK makes it longer.
pub const SLOT_MOVES_FOR: Duration = Duration::from_secs(10);

/// So many slots that are being moved are known at a time, for each worker. Tools move one after the other between two nodes.
pub const MAX_MOVING_SLOTS: usize = 64;

/// How long a worker asks for the map of slots only once, however many requests give reason to. The thread that asks the
/// nodes has bounds of its own.
pub const ASK_FOR_MAP_EVERY: Duration = Duration::from_millis(5);

/// How often it is looked whether the clients have left whose requests were sent elsewhere.
pub const SWEEP_REDIRECTS_EVERY: Duration = Duration::from_secs(1);

/// Users of a pool: every one has a table of the commands that it may use, of some ten kilobytes.
pub const MAX_USERS: usize = 256;

/// Bytes of a user's name; it is in log lines and in CLIENT LIST.
pub const MAX_USER_NAME: usize = 64;

/// Attempts to authenticate that may fail from one address before further ones have to wait: as many as a program makes that
/// is started with a wrong password and some connections.
pub const FREE_FAILURES: u32 = 10;

/// How long the attempts of an address are refused after one failure more. It doubles with each ...
pub const FIRST_PENALTY: Duration = Duration::from_millis(500);

/// ... up to this, which a password that is not chosen badly resists for ever, and a client that has the right one again
/// can wait for.
pub const LONGEST_PENALTY: Duration = Duration::from_secs(30);

/// How long after the last failure an address counts as new again.
pub const FAILURES_FORGOTTEN_AFTER: Duration = Duration::from_secs(300);

/// Addresses of which failures are counted, for each pool and worker. When there are more, those that failed longest ago
/// are forgotten: an attacker with so many addresses has as many free attempts, and nobody else is refused for it.
pub const MAX_FAILED_ADDRESSES: usize = 4_096;
