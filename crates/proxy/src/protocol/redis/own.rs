//! What is asked of a server about itself, and the proxy answers for itself: it keeps no data, no slow log and no
//! measurements of latency, and has no modules.

use redis_proto::{Command, Version, encode};

use super::client::RedisClient;
use super::introspect::{read, start_seconds};
use super::request::{Request, shown};
use crate::protocol::report::PoolView;

/// ROLE: a master without replicas.
pub(super) fn role(out: &mut Vec<u8>) {
    encode::array_header(out, 3);
    encode::bulk(out, b"master");
    encode::integer(out, 0);
    encode::array_header(out, 0);
}

/// TIME, of the clock that the proxy has.
pub(super) fn time(pool: &PoolView<'_, RedisClient>, out: &mut Vec<u8>) {
    let micros = pool.share.process().epoch_micros + pool.now.as_micros();
    encode::array_header(out, 2);
    for number in [micros / 1_000_000, micros % 1_000_000] {
        encode::bulk(out, number.to_string().as_bytes());
    }
}

/// LASTSAVE: nothing has changed since the start.
pub(super) fn last_save(pool: &PoolView<'_, RedisClient>, out: &mut Vec<u8>) {
    encode::integer(out, start_seconds(pool) as i64);
}

/// MEMORY DOCTOR.
pub(super) fn memory_doctor(version: Version, out: &mut Vec<u8>) {
    let text = "The proxy keeps no data. INFO memory and max_memory tell of its buffers; ask the servers about theirs.";
    encode::text(out, text, version);
}

/// MEMORY STATS.
pub(super) fn memory_stats(pool: &PoolView<'_, RedisClient>, out: &mut Vec<u8>) {
    let usage = &pool.share.process().usage;
    let rows = [
        ("peak.allocated", read(&usage.memory_peak)),
        ("total.allocated", read(&usage.memory)),
        ("startup.allocated", 0),
        ("replication.backlog", 0),
        ("clients.slaves", 0),
        ("clients.normal", pool.share.whole_memory().held() as u64),
        ("keys.count", 0),
        ("dataset.bytes", 0),
    ];
    encode::map_header(out, rows.len(), pool.asking.client.version);
    for (name, number) in rows {
        encode::bulk(out, name.as_bytes());
        encode::integer(out, number as i64);
    }
}

/// LATENCY, which is never measured.
pub(super) fn latency(
    command: &Command,
    request: &Request<'_>,
    version: Version,
    out: &mut Vec<u8>,
) {
    match command.sub_name() {
        "doctor" => {
            let text = "The proxy keeps no events of latency; its histograms are among its metrics (setting `admin`), and servers have their own.";
            encode::text(out, text, version);
        }
        "graph" => {
            let event = shown(request.arg(2));
            let error = format!("ERR No samples available for event '{event}'");
            encode::error(out, &error);
        }
        "histogram" => encode::map_header(out, 0, version),
        "reset" => encode::integer(out, 0),
        _ => encode::array_header(out, 0),
    }
}
