//! The pages that are JSON.

use std::time::{SystemTime, UNIX_EPOCH};

use proxy::metrics::{POOL_ROWS, Row, SERVER_ROWS};
use proxy::settings::ProtocolSettings;
use serde_json::{Map, Value as Json, json};

use super::latency;
use super::view::{Readiness, ShownPool, View};
use crate::recent::Recent;

/// `/servers`: the pools and their servers, with all that is counted. Times are in seconds since the Unix epoch; those
/// among the counters and latencies are in microseconds, as in the statistics document.
pub(super) fn servers(view: &View) -> Json {
    let shown = view.shown();
    let pools: Vec<_> = shown.pools.iter().map(|it| pool(view, it)).collect();
    let readiness = match view.readiness() {
        Readiness::Ready => "ready",
        Readiness::Stopping => "stopping",
        Readiness::NoServers { .. } => "no_servers",
    };
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "now": seconds(SystemTime::now()),
        "started": view.process().epoch_micros as f64 / 1e6,
        "loaded": seconds(view.in_force().since),
        "readiness": readiness,
        "left_out": shown.left_out,
        "pools": pools,
    })
}

/// `/config`: the settings in force.
pub(super) fn config(view: &View) -> String {
    format!("{:#}\n", view.in_force().effective)
}

fn pool(view: &View, pool: &ShownPool) -> Json {
    let settings = &pool.plan.settings;
    let shares = view.key_shares(pool);
    let (recent, mut all_lately) = (&view.source().recent, Recent::default());
    let servers = pool.servers().iter().zip(&*shares).map(|(server, share)| {
        let lately = recent.of(server);
        all_lately.add(&lately);
        let counters = counters(SERVER_ROWS, |row| view.server_value(server, row));
        json!({
            "name": server.share.name(),
            "address": server.endpoint.address.to_string(),
            "weight": server.weight,
            "live": server.is_live(),
            "drained": server.is_held(),
            "key_share": share,
            "latency": latency::json(server),
            "recent_latency": lately.json(),
            "counters": counters,
        })
    });
    let servers: Vec<_> = servers.collect();
    let replicas = pool.replicas().iter().map(|replica| {
        let server = &replica.server;
        let lately = recent.of(server);
        all_lately.add(&lately);
        json!({
            "name": server.share.name(),
            "replica_of": pool.plan.servers[replica.of].share.name(),
            "zone": replica.zone,
            "address": server.endpoint.address.to_string(),
            "live": server.is_live(),
            "drained": server.is_held(),
            "latency": latency::json(server),
            "recent_latency": lately.json(),
            "counters": counters(SERVER_ROWS, |row| view.server_value(server, row)),
        })
    });
    let replicas: Vec<_> = replicas.collect();
    json!({
        "name": pool.pool.name(),
        "protocol": match settings.protocol {
            ProtocolSettings::Redis(_) => "redis",
            ProtocolSettings::Memcached(_) => "memcached",
        },
        "listen": *pool.pool.core().place().listen,
        "ring": format!("{:08x}", settings.ring_digest()),
        "ready": pool.is_served(),
        "failover": pool.plan.failover.as_ref().map(|other| other.pool.name()),
        "recent_latency": all_lately.json(),
        "counters": counters(POOL_ROWS, |row| view.pool_value(pool, row)),
        "servers": servers,
        "replicas": replicas,
    })
}

fn counters(rows: &[Row], value: impl Fn(usize) -> i64) -> Map<String, Json> {
    let rows = rows.iter().enumerate();
    rows.map(|(index, row)| (row.name.to_owned(), value(index).into()))
        .collect()
}

fn seconds(time: SystemTime) -> f64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    (since.as_secs_f64() * 1e3).round() / 1e3
}
