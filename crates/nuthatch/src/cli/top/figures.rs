//! Numbers for the columns: rates are made of the differences between two snapshots.

use super::snapshot::{Counters, Latency, Pool, Server, Snapshot};

/// The proxy as it is shown.
#[derive(Debug)]
pub(super) struct Sight {
    pub(super) snapshot: Snapshot,
    /// One for each pool.
    pub(super) pools: Vec<PoolFigures>,
    /// Of all pools together.
    pub(super) total: Figures,
}

#[derive(Debug)]
pub(super) struct PoolFigures {
    pub(super) pool: Figures,
    /// One for each server.
    pub(super) servers: Vec<Figures>,
}

/// The numbers of a pool or server. Rates are per second, and unknown until there are two snapshots.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Figures {
    pub(super) requests: Option<f64>,
    pub(super) errors: Option<f64>,
    /// How long requests have waited at servers lately, in microseconds: the median and the 99th percentile. Unknown without
    /// requests.
    pub(super) latency: Latency,
    /// Clients of a pool, connections to a server.
    pub(super) connections: f64,
    pub(super) in_flight: f64,
    pub(super) queued: f64,
    /// Bytes sent to servers.
    pub(super) bytes_out: Option<f64>,
    /// Bytes received from servers.
    pub(super) bytes_in: Option<f64>,
}

/// What the errors of a server are.
const FAILURES: [&str; 3] = ["server_err", "server_timedout", "server_eof"];

impl Sight {
    /// `before` is an earlier snapshot.
    pub(super) fn new(snapshot: Snapshot, before: Option<&Snapshot>) -> Self {
        // The counters of another process say nothing of this one's rates.
        let before = before.filter(|it| it.started == snapshot.started && it.now < snapshot.now);
        let seconds = before.map_or(0.0, |it| snapshot.now - it.now);
        let known = |pool: &Pool| before?.pools.iter().find(|it| it.name == pool.name);
        let pools = snapshot.pools.iter();
        let pools: Vec<_> = pools
            .map(|pool| PoolFigures::new(pool, known(pool), seconds))
            .collect();
        let mut total = Figures::default();
        pools.iter().for_each(|pool| total.add(&pool.pool));
        Self {
            snapshot,
            pools,
            total,
        }
    }
}

impl PoolFigures {
    fn new(pool: &Pool, before: Option<&Pool>, seconds: f64) -> Self {
        let servers = pool.servers.iter().enumerate();
        let servers: Vec<Figures> = servers
            .map(|(index, server)| {
                let known = before.and_then(|before| same(&before.servers, index, &server.name));
                of_server(server, known, seconds)
            })
            .collect();
        let mut figures = Figures::default();
        servers.iter().for_each(|server| figures.add(server));
        let counters = before.map(|before| &before.counters);
        let rate = |name| rate(&pool.counters, counters, &[name], seconds);
        figures.requests = rate("client_requests");
        figures.errors = rate("forward_error");
        figures.latency = pool.recent_latency.unwrap_or_default();
        figures.connections = pool.counters.get("client_connections") as f64;
        Self {
            pool: figures,
            servers,
        }
    }
}

/// The server of that name, which most likely is where it was.
fn same<'s>(servers: &'s [Server], index: usize, name: &str) -> Option<&'s Server> {
    let there = servers.get(index).filter(|server| server.name == name);
    there.or_else(|| servers.iter().find(|server| server.name == name))
}

fn of_server(server: &Server, before: Option<&Server>, seconds: f64) -> Figures {
    let counters = &server.counters;
    let before = before.map(|before| &before.counters);
    let rate = |names: &[&str]| rate(counters, before, names, seconds);
    Figures {
        requests: rate(&["requests"]),
        errors: rate(&FAILURES),
        latency: server.recent_latency.unwrap_or_default(),
        connections: counters.get("server_connections") as f64,
        in_flight: counters.get("out_queue") as f64,
        queued: counters.get("in_queue") as f64,
        bytes_out: rate(&["request_bytes"]),
        bytes_in: rate(&["response_bytes"]),
    }
}

/// How much counters have grown per second, together.
fn rate(now: &Counters, before: Option<&Counters>, names: &[&str], seconds: f64) -> Option<f64> {
    let before = before.filter(|_| seconds > 0.0)?;
    let grown = |name: &&str| now.get(name).saturating_sub(before.get(name)).max(0) as f64;
    Some(names.iter().map(grown).sum::<f64>() / seconds)
}

impl Figures {
    fn add(&mut self, other: &Self) {
        let add = |sum: &mut Option<f64>, more: Option<f64>| {
            if let Some(more) = more {
                *sum = Some(sum.unwrap_or(0.0) + more);
            }
        };
        add(&mut self.requests, other.requests);
        add(&mut self.errors, other.errors);
        add(&mut self.bytes_out, other.bytes_out);
        add(&mut self.bytes_in, other.bytes_in);
        self.connections += other.connections;
        self.in_flight += other.in_flight;
        self.queued += other.queued;
    }
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::json;

    use super::*;

    /// Pools `a`, with two servers, and `b`, with one, as of a time and after so many requests to each server.
    pub(in crate::cli::top) fn snapshot(now: f64, requests: i64) -> Snapshot {
        let server = |name: &str, live: bool, drained: bool, times: i64| {
            json!({
                "name": name, "live": live, "drained": drained,
                "recent_latency": { "seconds": 7, "count": 9, "p50": 850, "p99": 12_345 },
                "counters": {
                    "requests": requests * times, "server_err": requests / 10, "server_eof": requests / 10,
                    "server_connections": 3, "out_queue": 5, "in_queue": 2,
                    "request_bytes": requests * 100, "response_bytes": requests * 1_000,
                },
            })
        };
        let pool = |name: &str, servers: Vec<serde_json::Value>| {
            json!({
                "name": name, "ready": true, "servers": servers,
                "recent_latency": { "seconds": 7, "count": 0, "p50": null, "p99": null },
                "counters": { "client_requests": requests, "forward_error": 0, "client_connections": 4 },
            })
        };
        let data = json!({
            "version": "0.1.0", "started": 1.0, "now": now, "readiness": "ready", "left_out": 0,
            "pools": [
                pool("a", vec![server("one", true, false, 1), server("two", false, false, 2)]),
                pool("b", vec![server("three", false, true, 3)]),
            ],
        });
        Snapshot::read(data).unwrap()
    }

    #[test]
    fn rates_are_differences_per_second() {
        let before = snapshot(10.0, 100);
        let sight = Sight::new(snapshot(12.0, 300), Some(&before));
        let server = sight.pools[0].servers[1];
        let expected = Figures {
            requests: Some(200.0),
            errors: Some(20.0),
            latency: Latency {
                p50: Some(850),
                p99: Some(12_345),
            },
            connections: 3.0,
            in_flight: 5.0,
            queued: 2.0,
            bytes_out: Some(10_000.0),
            bytes_in: Some(100_000.0),
        };
        assert_eq!(server, expected);
        let pool = sight.pools[0].pool;
        assert_eq!((pool.requests, pool.errors), (Some(100.0), Some(0.0)));
        assert_eq!((pool.connections, pool.in_flight), (4.0, 10.0));
        assert_eq!(pool.bytes_in, Some(200_000.0));
        assert_eq!(
            (sight.total.requests, sight.total.connections),
            (Some(200.0), 8.0)
        );
    }

    #[test]
    fn what_was_not_there_or_was_another_process_has_no_rates() {
        assert_eq!(Sight::new(snapshot(10.0, 1), None).total.requests, None);
        let now = snapshot(12.0, 300);
        let mut other = snapshot(10.0, 100);
        other.started = 5.0;
        let sight = Sight::new(now.clone(), Some(&other));
        assert_eq!(sight.pools[0].servers[0].requests, None);
        assert_eq!(Sight::new(now.clone(), Some(&now)).total.requests, None);
        let mut before = snapshot(10.0, 100);
        before.pools[0].servers.remove(0);
        before.pools.remove(1);
        let sight = Sight::new(now.clone(), Some(&before));
        let requests = |pool: usize, server: usize| sight.pools[pool].servers[server].requests;
        assert_eq!(
            (requests(0, 0), requests(0, 1), requests(1, 0)),
            (None, Some(200.0), None)
        );
        // A counter that goes back is not a negative rate.
        let sight = Sight::new(snapshot(12.0, 300), Some(&snapshot(10.0, 900)));
        assert_eq!(sight.total.requests, Some(0.0));
    }
}
