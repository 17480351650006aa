//! The slow log as people and programs see it.

use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use proxy::slow_log::SlowRequest;
use serde_json::{Value as Json, json};

use crate::logger::escape;
use crate::pool::PoolShare;

/// The latest slow requests of pools, newest first, at most so many.
pub(crate) fn latest(
    pools: &[Arc<PoolShare>],
    most: usize,
) -> Vec<(Arc<PoolShare>, Arc<SlowRequest>)> {
    let of = |pool: &Arc<PoolShare>| {
        let requests = pool.core().slow_log().latest(most);
        let named = |request| (Arc::clone(pool), request);
        requests.into_iter().map(named).collect::<Vec<_>>()
    };
    let mut all: Vec<_> = pools.iter().flat_map(of).collect();
    all.sort_by_key(|(_, request)| std::cmp::Reverse(request.at));
    all.truncate(most);
    all
}

/// The same for programs. Times are in microseconds, `at` since the Unix epoch; what is not text is escaped as in Rust.
pub(crate) fn json(latest: &[(Arc<PoolShare>, Arc<SlowRequest>)]) -> Json {
    let one = |(pool, slow): &(Arc<PoolShare>, Arc<SlowRequest>)| {
        let epoch = pool.core().place().process.epoch_micros;
        json!({
            "pool": pool.name(),
            "number": slow.number,
            "at": epoch + slow.at.as_micros(),
            "waited": micros(slow.waited),
            "served": micros(slow.served),
            "server": slow.server,
            "client": slow.client.0,
            "client_name": slow.client.1.escape_ascii().to_string(),
            "command": slow.what.command().escape_ascii().to_string(),
            "key": slow.what.key().escape_ascii().to_string(),
            "key_bytes_left_out": slow.what.left_out(),
            "bytes": slow.bytes,
        })
    };
    latest.iter().map(one).collect()
}

/// The same for people: a line each.
pub(crate) fn text(latest: &[(Arc<PoolShare>, Arc<SlowRequest>)]) -> String {
    let mut text = String::new();
    for (pool, slow) in latest {
        let epoch = pool.core().place().process.epoch_micros;
        let at = jiff::Timestamp::from_microsecond((epoch + slow.at.as_micros()) as i64);
        let at = at.map_or_else(|_| "-".to_owned(), |at| format!("{at:.3}"));
        let what = &slow.what;
        let more = if what.left_out() > 0 { "..." } else { "" };
        let client = match slow.client.0.is_empty() {
            true => "a client that has left",
            false => &slow.client.0,
        };
        // Writing to a text does not fail.
        let _ = writeln!(
            text,
            "{at} pool {} server {}: {} {}{more} took {} us in the proxy and {} us at the server, for {client}",
            pool.name(),
            slow.server,
            what.command().escape_ascii(),
            what.key().escape_ascii(),
            micros(slow.waited),
            micros(slow.served),
        );
    }
    if text.is_empty() {
        text = "no slow request is known; the setting slow_log of a pool says which are kept\n"
            .to_owned();
    }
    escape::lines(&text).into_owned()
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
