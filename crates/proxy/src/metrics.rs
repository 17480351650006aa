//! What is counted: one row per metric feeds the counters, the statistics document, `-D` and the manual.
//!
//! Each worker owns one [`PoolMetrics`] per pool and is its only writer; readers add them up. A reader
//! may see a count that is a moment old, never a torn one.

use std::sync::Arc;
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
    /// What `-D` says of it.
    pub help: &'static str,
    /// Whether nutcracker 0.5.0 has it too. Others are shown on request only, after its own.
    pub nutcracker: bool,
}

macro_rules! metrics {
    ($(#[$doc:meta])* $enum:ident, $rows:ident: $($variant:ident $name:literal $kind:ident $known:literal $help:literal;)*) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $enum {
            $(#[doc = $help] $variant,)*
        }

        /// The rows, in the order of the document.
        pub const $rows: &[Row] = &[$(Row { name: $name, kind: Kind::$kind, help: $help, nutcracker: $known },)*];
    };
}

metrics! {
    /// A metric of a pool.
    PoolMetric, POOL_ROWS:
    ClientEof "client_eof" Counter true "# eof on client connections";
    ClientErr "client_err" Counter true "# errors on client connections";
    ClientConnections "client_connections" Gauge true "# active client connections";
    ServerEjects "server_ejects" Counter true "# times backend server was ejected";
    ForwardError "forward_error" Counter true "# times we encountered a forwarding error";
    Fragments "fragments" Counter true "# fragments created from a multi-vector request";
    CrossShard "cross_shard" Counter false "# unsplittable requests whose keys belong to several servers";
    ClientTotal "client_total" Counter false "# client connections accepted";
    Retries "retries" Counter false "# lost reads that were sent once more";
    ClientOverflow "client_overflow" Counter false "# client connections closed for reading their replies too slowly";
    BufferedBytes "buffered_bytes" Gauge false "current bytes in buffers, as of the last count";
    ClientHeldBack "client_held_back" Gauge false "# client connections not read because memory is short";
    ClientShed "client_shed" Counter false "# client connections closed because memory is short";
    Failovers "failovers" Counter false "# requests and fragments sent to the failover pool";
    Unheard "unheard" Counter false "# requests and fragments without reply that were refused or lost";
}

metrics! {
    /// A metric of a server.
    ServerMetric, SERVER_ROWS:
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
}

type PoolValues = [AtomicI64; POOL_ROWS.len()];
type ServerValues = [AtomicI64; SERVER_ROWS.len()];

/// The counters of one pool in one worker.
#[derive(Debug)]
pub struct PoolMetrics {
    pool: PoolValues,
    servers: Box<[ServerValues]>,
    /// Where servers of a failover pool are counted, which are numbered behind the pool's own.
    failover: Option<Arc<PoolMetrics>>,
}

impl PoolMetrics {
    /// Zeroes for a pool of `servers` servers.
    pub fn new(servers: usize) -> Self {
        Self {
            pool: zeroes(),
            servers: (0..servers).map(|_| zeroes()).collect(),
            failover: None,
        }
    }

    /// The same, with the counters that the same worker has of the failover pool.
    pub fn with_failover(servers: usize, failover: Arc<PoolMetrics>) -> Self {
        Self {
            failover: Some(failover),
            ..Self::new(servers)
        }
    }

    /// Whether the pool has a failover pool.
    pub fn has_failover(&self) -> bool {
        self.failover.is_some()
    }

    /// The value of a pool metric.
    pub fn pool(&self, metric: PoolMetric) -> i64 {
        self.pool[metric as usize].load(Ordering::Relaxed)
    }

    /// The value of a metric of the server with index `server`.
    pub fn server(&self, server: usize, metric: ServerMetric) -> i64 {
        self.values(server)[metric as usize].load(Ordering::Relaxed)
    }

    /// The value in row `row` of [`POOL_ROWS`].
    pub fn pool_row(&self, row: usize) -> i64 {
        self.pool[row].load(Ordering::Relaxed)
    }

    /// The value in row `row` of [`SERVER_ROWS`] for one server.
    pub fn server_row(&self, server: usize, row: usize) -> i64 {
        self.values(server)[row].load(Ordering::Relaxed)
    }

    pub(crate) fn add(&self, metric: PoolMetric, by: i64) {
        bump(&self.pool[metric as usize], by);
    }

    pub(crate) fn add_server(&self, server: usize, metric: ServerMetric, by: i64) {
        bump(&self.values(server)[metric as usize], by);
    }

    /// Adds to a metric of the pool that `server` belongs to.
    pub(crate) fn add_for(&self, server: usize, metric: PoolMetric, by: i64) {
        match &self.failover {
            Some(failover) if server >= self.servers.len() => failover.add(metric, by),
            _ => self.add(metric, by),
        }
    }

    #[inline]
    fn values(&self, server: usize) -> &ServerValues {
        match self.servers.get(server) {
            Some(values) => values,
            None => self.borrowed(server - self.servers.len()),
        }
    }

    #[cold]
    fn borrowed(&self, server: usize) -> &ServerValues {
        let failover = self.failover.as_ref();
        let failover = failover.expect("servers behind a pool's own are its failover pool's");
        &failover.servers[server]
    }

    /// A request of `bytes` bytes was queued for `server`.
    pub(crate) fn note_queued(&self, server: usize, bytes: i64) {
        let values = self.values(server);
        bump(&values[ServerMetric::Requests as usize], 1);
        bump(&values[ServerMetric::RequestBytes as usize], bytes);
        bump(&values[ServerMetric::InQueue as usize], 1);
        bump(&values[ServerMetric::InQueueBytes as usize], bytes);
    }

    /// So many queued requests were written to `server`.
    pub(crate) fn note_sent(&self, server: usize, requests: i64, bytes: i64) {
        let values = self.values(server);
        bump(&values[ServerMetric::InQueue as usize], -requests);
        bump(&values[ServerMetric::InQueueBytes as usize], -bytes);
        bump(&values[ServerMetric::OutQueue as usize], requests);
        bump(&values[ServerMetric::OutQueueBytes as usize], bytes);
    }

    pub(crate) fn set(&self, metric: PoolMetric, value: i64) {
        self.pool[metric as usize].store(value, Ordering::Relaxed);
    }

    pub(crate) fn set_server(&self, server: usize, metric: ServerMetric, value: i64) {
        self.values(server)[metric as usize].store(value, Ordering::Relaxed);
    }
}

fn zeroes<const N: usize>() -> [AtomicI64; N] {
    std::array::from_fn(|_| AtomicI64::new(0))
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
        let metrics = PoolMetrics::new(2);
        metrics.add(PoolMetric::ClientErr, 3);
        metrics.add(PoolMetric::ClientErr, -1);
        metrics.add_server(1, ServerMetric::Responses, 7);
        let row = |rows: &[Row], name| rows.iter().position(|row| row.name == name);
        let client_err = row(POOL_ROWS, "client_err").unwrap();
        let responses = row(SERVER_ROWS, "responses").unwrap();
        assert_eq!(metrics.pool_row(client_err), 2);
        assert_eq!(metrics.pool(PoolMetric::ClientErr), 2);
        assert_eq!(metrics.server_row(1, responses), 7);
        assert_eq!(metrics.server_row(0, responses), 0);
        assert!(!metrics.has_failover());
    }
}
