//! CONFIG GET: the settings of Redis that clients and checks ask for, as far as the proxy has something like them.

use redis_proto::{RequestLimits, encode, glob};

use super::client::RedisClient;
use super::request::Request;
use crate::limits::SLOW_REQUESTS;
use crate::protocol::report::PoolView;
use crate::settings::ProtocolSettings;

/// CONFIG GET with any number of patterns.
pub(super) fn get(request: &Request<'_>, pool: &PoolView<'_, RedisClient>, out: &mut Vec<u8>) {
    let asked = |name: &str| {
        let mut patterns = (2..request.args.len()).map(|index| request.arg(index));
        patterns.any(|pattern| glob::matches(pattern, name.as_bytes()))
    };
    let mut settings = settings(pool);
    settings.retain(|(name, _)| asked(name));
    encode::map_header(out, settings.len(), pool.asking.client.version);
    for (name, value) in settings {
        encode::bulk(out, name.as_bytes());
        encode::bulk(out, value.as_bytes());
    }
}

fn settings(pool: &PoolView<'_, RedisClient>) -> Vec<(&'static str, String)> {
    let (place, settings) = (pool.share.place(), &pool.plan.settings);
    let idle = settings.failure.client_idle_timeout;
    let memory = pool.share.whole_memory().limit().unwrap_or_default();
    let databases = match &settings.protocol {
        ProtocolSettings::Redis(redis) => redis.databases,
        ProtocolSettings::Memcached(_) => 1,
    };
    let host = match place.port {
        0 => "",
        _ => place.listen.rsplit_once(':').map_or("", |(host, _)| host),
    };
    let socket = if place.port == 0 { &place.listen } else { "" };
    let text = |text: &str| text.to_owned();
    let slow = settings.slow_log;
    vec![
        ("appendfsync", text("no")),
        ("appendonly", text("no")),
        ("bind", text(host)),
        (
            "client-query-buffer-limit",
            settings.clients.backlog.to_string(),
        ),
        ("cluster-enabled", text("no")),
        ("databases", databases.max(1).to_string()),
        ("io-threads", pool.share.workers().to_string()),
        ("latency-monitor-threshold", text("0")),
        ("maxclients", place.max_clients.to_string()),
        ("maxmemory", memory.to_string()),
        ("maxmemory-policy", text("noeviction")),
        ("notify-keyspace-events", text("")),
        ("port", place.port.to_string()),
        (
            "proto-max-bulk-len",
            RequestLimits::default().max_bulk.to_string(),
        ),
        ("save", text("")),
        (
            "slowlog-log-slower-than",
            slow.map_or(text("-1"), |slow| slow.as_micros().to_string()),
        ),
        ("slowlog-max-len", SLOW_REQUESTS.to_string()),
        ("timeout", idle.map_or(0, |idle| idle.as_secs()).to_string()),
        ("tls-port", text("0")),
        ("unixsocket", text(socket)),
    ]
}
