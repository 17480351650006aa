//! The keys that count most, as people and programs see them.

use std::fmt::Write;
use std::sync::Arc;

use proxy::Time;
use proxy::hot_keys::{Counted, HotKeys, KeyName, Within};
use serde_json::{Value as Json, json};

use crate::logger::escape;
use crate::pool::PoolShare;

/// What is known of each pool whose keys are counted, with at most so many keys of each kind.
pub(crate) fn known(
    pools: &[Arc<PoolShare>],
    most: usize,
    now: Time,
) -> Vec<(Arc<PoolShare>, HotKeys)> {
    let of = |pool: &Arc<PoolShare>| {
        let keys = pool.core().hot_keys(most, now)?;
        Some((Arc::clone(pool), keys))
    };
    pools.iter().filter_map(of).collect()
}

/// The same for programs. Times are in microseconds since the Unix epoch; what is not text is escaped as in Rust. Requests
/// and bytes are estimates for all requests, of which one in `sample` was counted.
pub(crate) fn json(known: &[(Arc<PoolShare>, HotKeys)], now: Time) -> Json {
    let one = |(pool, keys): &(Arc<PoolShare>, HotKeys)| {
        let epoch = pool.core().place().process.epoch_micros;
        let at = |time: Time| epoch + time.as_micros();
        let sample = u64::from(keys.order.sample);
        json!({
            "pool": pool.name(),
            "sample": sample,
            "active": keys.order.is_active(now),
            "by": if keys.order.session.is_some() { "client" } else { "setting" },
            "since": at(keys.since),
            "until": at(keys.until),
            "counted": keys.requests,
            "requests": keys.requests.saturating_mul(sample),
            "bytes": keys.bytes.saturating_mul(sample),
            "by_requests": counted(&keys.by_requests, "requests", sample),
            "by_bytes": counted(&keys.by_bytes, "bytes", sample),
            "largest": keys.largest.iter().map(|large| json!({
                "key": large.key.start().escape_ascii().to_string(),
                "key_bytes_left_out": large.key.left_out(),
                "bytes": large.bytes,
                "within": within(large.within),
            })).collect::<Json>(),
        })
    };
    known.iter().map(one).collect()
}

fn counted(all: &[Counted], unit: &str, sample: u64) -> Json {
    let one = |it: &Counted| {
        json!({
            "key": it.key.start().escape_ascii().to_string(),
            "key_bytes_left_out": it.key.left_out(),
            unit: it.count.saturating_mul(sample),
            "at_least": (it.count - it.error).saturating_mul(sample),
            "reads": it.reads.saturating_mul(sample),
        })
    };
    all.iter().map(one).collect()
}

/// The same for people.
pub(crate) fn text(known: &[(Arc<PoolShare>, HotKeys)], now: Time) -> String {
    let mut text = String::new();
    for (pool, keys) in known {
        write_pool(&mut text, pool, keys, now);
    }
    if text.is_empty() {
        text =
            "keys are counted in no pool; the setting hot_keys of a pool says which requests are\n"
                .to_owned();
    }
    escape::lines(&text).into_owned()
}

fn write_pool(text: &mut String, pool: &PoolShare, keys: &HotKeys, now: Time) {
    let sample = u64::from(keys.order.sample);
    let epoch = pool.core().place().process.epoch_micros;
    let since = jiff::Timestamp::from_microsecond((epoch + keys.since.as_micros()) as i64);
    let since = since.map_or_else(|_| "-".to_owned(), |at| format!("{at:.0}"));
    let state = match (&keys.order.session, keys.order.is_active(now)) {
        (None, _) => "",
        (Some(_), true) => ", for a client (HOTKEYS)",
        (Some(_), false) => ", for a client (HOTKEYS), ended",
    };
    // Writing to a text does not fail.
    let _ = writeln!(
        text,
        "pool {}: {} keys of requests counted in {} s since {since}, one in {sample}{state}",
        pool.name(),
        keys.requests,
        keys.until.since(keys.since).as_secs(),
    );
    let tables = [
        ("most requests", &keys.by_requests, keys.requests),
        ("most bytes", &keys.by_bytes, keys.bytes),
    ];
    for (title, counted, total) in tables {
        let _ = writeln!(text, "  {title:16} {:>6} {:>6}  key", "part", "reads");
        for it in counted {
            let _ = writeln!(
                text,
                "  {:>16} {:>6} {:>6}  {}",
                about(it, sample),
                percent(it.count, total),
                percent(it.reads, it.count - it.error),
                shown(&it.key),
            );
        }
    }
    let _ = writeln!(text, "  {:16} {:>6} {:>6}  key", "largest, bytes", "", "in");
    for large in &keys.largest {
        let _ = writeln!(
            text,
            "  {:>16} {:>14}  {}",
            large.bytes,
            within(large.within),
            shown(&large.key)
        );
    }
}

/// An estimate for all requests; with a sign where a part of it may belong to other keys.
fn about(counted: &Counted, sample: u64) -> String {
    let sign = if counted.error > 0 { "<= " } else { "" };
    format!("{sign}{}", counted.count.saturating_mul(sample))
}

fn percent(part: u64, whole: u64) -> String {
    match whole {
        0 => "-".to_owned(),
        _ => format!("{:.1}%", part as f64 / whole as f64 * 100.0),
    }
}

fn within(within: Within) -> &'static str {
    match within {
        Within::Request => "request",
        Within::Reply => "reply",
    }
}

fn shown(key: &KeyName) -> String {
    let more = if key.left_out() > 0 { "..." } else { "" };
    format!("{}{more}", key.start().escape_ascii())
}
