//! The metrics. The counters, the statistics document, `-D` and the manual are all made from one row per metric.
//!
//! Each worker has its own counters for every pool and server, and is their only writer; so has the thread that
//! resolves names, for every server. Readers add them up, and may see a value that is slightly old, never half of one.

use std::sync::atomic::{AtomicI64, Ordering};

/// How values of several workers become one, and how the value is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only grows; workers are added up.
    Counter,
    /// Goes up and down; workers are added up.
    Gauge,
    /// A point in time, in microseconds since the core's origin (0 is never); the latest counts.
    Timestamp,
}

/// One metric.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// Name in the statistics document.
    pub name: &'static str,
    /// How it is read.
    pub kind: Kind,
    /// Its description in `-D`.
    pub help: &'static str,
    /// Whether nutcracker 0.5.0 has it too. Others are shown on request only, after its own.
    pub nutcracker: bool,
}

macro_rules! metrics {
    ($(#[$doc:meta])* $enum:ident, $rows:ident, $counters:ident:
     $($variant:ident $name:literal $kind:ident $known:literal $help:literal;)*) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $enum {
            $(#[doc = $help] $variant,)*
        }

        /// The rows, in the order of the document.
        pub const $rows: &[Row] = &[$(Row { name: $name, kind: Kind::$kind, help: $help, nutcracker: $known },)*];

        /// The values in one worker, which is their only writer. They are aligned so that two workers never write to
        /// the same cache line.
        #[derive(Debug)]
        #[repr(align(128))]
        pub struct $counters([AtomicI64; $rows.len()]);

        impl Default for $counters {
            fn default() -> Self {
                Self(std::array::from_fn(|_| AtomicI64::new(0)))
            }
        }

        impl $counters {
            /// The value of a metric.
            pub fn get(&self, metric: $enum) -> i64 {
                self.row(metric as usize)
            }

            /// The value in a row of the table.
            pub fn row(&self, row: usize) -> i64 {
                self.0[row].load(Ordering::Relaxed)
            }

            pub(crate) fn add(&self, metric: $enum, by: i64) {
                bump(&self.0[metric as usize], by);
            }

            pub(crate) fn set(&self, metric: $enum, value: i64) {
                self.0[metric as usize].store(value, Ordering::Relaxed);
            }
        }
    };
}

metrics! {
    /// A metric of a pool.
    PoolMetric, POOL_ROWS, PoolCounters:
    ClientEof "client_eof" Counter true "# eof on client connections";
    ClientErr "client_err" Counter true "# errors on client connections";
    ClientConnections "client_connections" Gauge true "# active client connections";
    ServerEjects "server_ejects" Counter true "# times backend server was ejected";
    ForwardError "forward_error" Counter true "# times we encountered a forwarding error";
    Fragments "fragments" Counter true "# fragments created from a multi-vector request";
    CrossShard "cross_shard" Counter false "# requests with keys of several servers sent to the first key's";
    CrossShardRefused "cross_shard_refused" Counter false "# requests refused because of keys of several servers";
    ClientTotal "client_total" Counter false "# client connections accepted";
    ClientRequests "client_requests" Counter false "# requests of clients, whoever answers them";
    Retries "retries" Counter false "# lost reads that were sent once more";
    ReplicaReads "replica_reads" Counter false "# reads and parts of them that were sent to replicas";
    Redirects "redirects" Counter false "# requests that a node of the cluster has sent elsewhere, or has let wait";
    ClientOverflow "client_overflow" Counter false "# client connections closed for reading their replies too slowly";
    BufferedBytes "buffered_bytes" Gauge false "current bytes in buffers, as of the last count";
    ClientHeldBack "client_held_back" Gauge false "# client connections not read because memory is short";
    ClientShed "client_shed" Counter false "# client connections closed because memory is short";
    Failovers "failovers" Counter false "# requests and fragments sent to the failover pool";
    Transactions "transactions" Counter false "# transactions that clients have executed";
    TransactionsInPart "transactions_in_part" Counter false "# transactions that not all of their servers have executed";
    ElementsLost "elements_lost" Counter false "# replies with elements to waiting clients that had left";
    Subscriptions "subscriptions" Gauge false "# subscriptions of clients to channels and patterns";
    Messages "messages" Counter false "# messages of channels passed on, to each client counted";
    SubscriptionGaps "subscription_gaps" Counter false "# times messages of channels may have been missed";
    SubscribersClosed "subscribers_closed" Counter false "# client connections closed for reading their messages too slowly";
    SlowRequests "slow_requests" Counter false "# requests kept in the slow log, of each read at most 16";
    GuardDenied "guard_denied" Counter false "# requests refused because guardrails deny their command";
    GuardValue "guard_value" Counter false "# requests refused because guardrails allow no value as long";
    GuardRate "guard_rate" Counter false "# requests refused because guardrails allow no more per second";
    LoginFailures "login_failures" Counter false "# attempts of clients to authenticate with a wrong name or password";
    LoginsRefused "logins_refused" Counter false "# attempts of clients to authenticate that were refused after too many failures";
    NotPermitted "not_permitted" Counter false "# requests refused because the user of the client may not send them";
    AccessLogDropped "access_log_dropped" Counter false "# requests that the access log lacks, as it could not be written fast enough";
    Unheard "unheard" Counter false "# requests and fragments without reply that were refused or lost";
}

metrics! {
    /// A metric of a server.
    ServerMetric, SERVER_ROWS, ServerCounters:
    ServerEof "server_eof" Counter true "# eof on server connections";
    ServerErr "server_err" Counter true "# errors on server connections";
    ServerTimedout "server_timedout" Counter true "# timeouts on server connections";
    ServerConnections "server_connections" Gauge true "# active server connections";
    ServerEjectedAt "server_ejected_at" Timestamp true "timestamp when server was ejected in usec since epoch";
    Requests "requests" Counter true "# requests";
    RequestBytes "request_bytes" Counter true "total request bytes";
    Responses "responses" Counter true "# responses";
    ResponseBytes "response_bytes" Counter true "total response bytes";
    InQueue "in_queue" Gauge true "# requests in incoming queue";
    InQueueBytes "in_queue_bytes" Gauge true "current request bytes in incoming queue";
    OutQueue "out_queue" Gauge true "# requests in outgoing queue";
    OutQueueBytes "out_queue_bytes" Gauge true "current request bytes in outgoing queue";
    ServerTotal "server_total" Counter false "# server connections opened";
    NameFailures "name_failures" Counter false "# look-ups of the server's name that failed or were late";
    NameChanges "name_changes" Counter false "# times the server's name led elsewhere";
}

/// A request counts when it leaves the queue of those that are to be written. One that is dropped there, as its client
/// is gone and memory is short, never counts, so that a healthy server's requests and responses agree.
impl ServerCounters {
    /// A request of `bytes` bytes was queued.
    pub(crate) fn note_queued(&self, bytes: i64) {
        self.add(ServerMetric::InQueue, 1);
        self.add(ServerMetric::InQueueBytes, bytes);
    }

    /// So many requests left the queue to be written, because they were written, answered before that, or lost with
    /// their connection.
    pub(crate) fn note_requests(&self, requests: i64, bytes: i64) {
        self.add(ServerMetric::Requests, requests);
        self.add(ServerMetric::RequestBytes, bytes);
        self.note_dropped(requests, bytes);
    }

    /// So many requests were taken off that queue.
    pub(crate) fn note_dropped(&self, requests: i64, bytes: i64) {
        self.add(ServerMetric::InQueue, -requests);
        self.add(ServerMetric::InQueueBytes, -bytes);
    }

    /// So many queued requests were written.
    pub(crate) fn note_sent(&self, requests: i64, bytes: i64) {
        self.note_requests(requests, bytes);
        self.add(ServerMetric::OutQueue, requests);
        self.add(ServerMetric::OutQueueBytes, bytes);
    }
}

/// A worker is the only writer of its counters, so a plain load and store suffice: no locked
/// instruction on the hot path.
fn bump(value: &AtomicI64, by: i64) {
    value.store(
        value.load(Ordering::Relaxed).wrapping_add(by),
        Ordering::Relaxed,
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_the_metrics_in_their_order() {
        let (pool, server) = (PoolCounters::default(), ServerCounters::default());
        pool.add(PoolMetric::ClientErr, 3);
        pool.add(PoolMetric::ClientErr, -1);
        server.add(ServerMetric::Responses, 7);
        let row = |rows: &[Row], name| rows.iter().position(|row| row.name == name);
        let client_err = row(POOL_ROWS, "client_err").unwrap();
        let responses = row(SERVER_ROWS, "responses").unwrap();
        assert_eq!((pool.row(client_err), pool.row(client_err + 1)), (2, 0));
        assert_eq!(pool.get(PoolMetric::ClientErr), 2);
        assert_eq!((server.row(responses), server.row(0)), (7, 0));
    }
}
