//! The names that the common exporter for twemproxy gives its metrics, so that dashboards and alerts made for it go on.
//!
//! Names, types and labels are those of stuartnelson3/twemproxy_exporter at commit b7a9a1c07fdb6e1d581d8656b770f182ff4577f0
//! (file `main.go`). Values are nutcracker's: times are in microseconds there.

use proxy::metrics::{PoolMetric, ServerMetric};

use super::exposition::Type;

/// A metric of a pool or of a server under another name.
pub(super) struct Alias<M> {
    pub(super) name: &'static str,
    pub(super) kind: Type,
    pub(super) metric: M,
}

/// What every name begins with.
pub(super) const PREFIX: &str = "twemproxy_exporter_";

/// Those of the process.
pub(super) const UP: &str = "twemproxy_exporter_up";
pub(super) const CONNECTIONS_TOTAL: &str = "twemproxy_exporter_connections_total";
pub(super) const CURRENT_CONNECTIONS: &str = "twemproxy_exporter_current_connections";

/// Those of pools.
pub(super) const OF_POOLS: [Alias<PoolMetric>; 6] = [
    counter("client_eof_total", PoolMetric::ClientEof),
    counter("client_err_total", PoolMetric::ClientErr),
    gauge("client_connections_active", PoolMetric::ClientConnections),
    counter("backend_server_ejections_total", PoolMetric::ServerEjects),
    counter("forward_errors_total", PoolMetric::ForwardError),
    counter("fragments_total", PoolMetric::Fragments),
];

/// Those of servers.
pub(super) const OF_SERVERS: [Alias<ServerMetric>; 13] = [
    counter("server_eof_total", ServerMetric::ServerEof),
    counter("server_err_total", ServerMetric::ServerErr),
    counter("server_timeouts_total", ServerMetric::ServerTimedout),
    gauge("server_connections_active", ServerMetric::ServerConnections),
    gauge("server_ejected_at", ServerMetric::ServerEjectedAt),
    counter("server_requests_total", ServerMetric::Requests),
    counter("server_requests_bytes_total", ServerMetric::RequestBytes),
    counter("server_responses_total", ServerMetric::Responses),
    counter("server_responses_bytes_total", ServerMetric::ResponseBytes),
    gauge("incoming_queue", ServerMetric::InQueue),
    gauge("incoming_queue_bytes", ServerMetric::InQueueBytes),
    gauge("outgoing_queue", ServerMetric::OutQueue),
    gauge("outgoing_queue_bytes", ServerMetric::OutQueueBytes),
];

const fn counter<M: Copy>(name: &'static str, metric: M) -> Alias<M> {
    Alias {
        name,
        kind: Type::Counter,
        metric,
    }
}

const fn gauge<M: Copy>(name: &'static str, metric: M) -> Alias<M> {
    Alias {
        name,
        kind: Type::Gauge,
        metric,
    }
}
