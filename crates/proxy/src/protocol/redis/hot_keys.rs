//! HOTKEYS, in the shapes of Redis 8.6 (`src/hotkeys.c`). What is counted is what the proxy sends: bytes, not processor time.

use std::ops::{Range, RangeInclusive};
use std::time::Duration;

use redis_proto::{Command, encode};

use super::client::RedisClient;
use super::request::Request;
use crate::hot_keys::{Counted, HotKeys, Session};
use crate::protocol::report::PoolView;

/// How many keys are shown if START does not say.
const SHOWN: usize = 10;

/// The slots of a server that is not in a cluster: all.
const SLOTS: [i64; 2] = [0, 16_383];

const IN_PROGRESS: &str = "ERR hotkey tracking session already in progress";

/// Why what the setting has begun is neither replaced nor ended by a client.
const BY_SETTING: &str =
    "the setting hot_keys of the pool keeps track of hot keys; a reload without it ends that";

/// What START asks for.
#[derive(Debug, PartialEq, Eq)]
struct Asked {
    count: usize,
    duration: Option<Duration>,
    sample: u32,
}

/// HOTKEYS with one of its subcommands.
pub(super) fn answer(
    command: &Command,
    request: &Request<'_>,
    pool: &PoolView<'_, RedisClient>,
    out: &mut Vec<u8>,
) {
    let version = pool.asking.client.version;
    let (share, now) = (pool.share, pool.now);
    let known = share.hot_keys(0, now).map(|it| it.order);
    let is_active = known.as_ref().is_some_and(|order| order.is_active(now));
    let is_by_setting = known.as_ref().is_some_and(|order| order.session.is_none());
    match command.sub_name() {
        "start" if is_by_setting => encode::error(out, &format!("{IN_PROGRESS}: {BY_SETTING}")),
        "start" if is_active => encode::error(out, IN_PROGRESS),
        "start" => match asked(request) {
            Ok(asked) => {
                let session = Session::new(asked.count, asked.duration, now);
                share.begin_hot_keys(&session, asked.sample);
                encode::simple(out, "OK");
            }
            Err(error) => encode::error(out, &error),
        },
        "stop" | "reset" if is_by_setting => encode::error(out, &format!("ERR {BY_SETTING}")),
        "stop" if is_active => {
            share.stop_hot_keys(now);
            encode::simple(out, "OK");
        }
        "stop" => encode::null(out, version),
        "reset" if is_active => encode::error(
            out,
            "ERR hotkey tracking session in progress, stop tracking first",
        ),
        "reset" => {
            share.forget_hot_keys();
            encode::simple(out, "OK");
        }
        _ => {
            let count = known.and_then(|order| order.session);
            let count = count.map_or(SHOWN, |session| session.count);
            match share.hot_keys(count, now) {
                Some(keys) => write(&keys, pool, out),
                None => encode::null(out, version),
            }
        }
    }
}

/// What the arguments of START say.
///
/// # Errors
///
/// With the reply to be given.
fn asked(request: &Request<'_>) -> Result<Asked, String> {
    let is = |index: usize, word: &str| {
        index < request.args.len() && request.arg(index).eq_ignore_ascii_case(word.as_bytes())
    };
    if request.args.len() < 4 || !is(2, "metrics") {
        return Err("ERR METRICS parameter is required".into());
    }
    let metrics =
        number(request, 3, 1..=2).ok_or("ERR METRICS count must be > 0 and <= 2")? as usize;
    let mut at = 4 + metrics;
    if at > request.args.len() {
        return Err("ERR METRICS count does not match number of metric types provided".into());
    }
    check_metrics(request, 4..at)?;
    let mut asked = Asked {
        count: SHOWN,
        duration: None,
        sample: 1,
    };
    while at < request.args.len() {
        let has_value = at + 1 < request.args.len();
        if has_value && is(at, "count") {
            let count = number(request, at + 1, 1..=64);
            asked.count = count.ok_or("ERR COUNT must be between 1 and 64")? as usize;
        } else if has_value && is(at, "duration") {
            let seconds = number(request, at + 1, 1..=1_000_000);
            let seconds = seconds.ok_or("ERR DURATION must be between 1 and 1000000")?;
            asked.duration = Some(Duration::from_secs(seconds.into()));
        } else if has_value && is(at, "sample") {
            let sample = number(request, at + 1, 1..=i32::MAX as u32);
            asked.sample = sample.ok_or("ERR SAMPLE ratio must be positive")?;
        } else if is(at, "slots") {
            return Err("ERR SLOTS parameter cannot be used in non-cluster mode".into());
        } else {
            return Err("ERR syntax error".into());
        }
        at += 2;
    }
    Ok(asked)
}

/// Metrics that are not known are passed over, as by Redis, and so is CPU if NET is asked for, too.
fn check_metrics(request: &Request<'_>, range: Range<usize>) -> Result<(), String> {
    let count = |word: &[u8]| {
        let words = range.clone().map(|index| request.arg(index));
        words.filter(|it| it.eq_ignore_ascii_case(word)).count()
    };
    match (count(b"cpu"), count(b"net")) {
        (2, _) => Err("ERR METRICS CPU defined more than once!".into()),
        (_, 2) => Err("ERR METRICS NET defined more than once!".into()),
        (0, 0) => Err("ERR METRICS no valid metrics passed. Supported: CPU|NET".into()),
        (_, 0) => Err(
            "ERR METRICS CPU: the proxy does not know the servers' CPU time; NET is supported"
                .into(),
        ),
        _ => Ok(()),
    }
}

fn number(request: &Request<'_>, index: usize, range: RangeInclusive<u32>) -> Option<u32> {
    let text = std::str::from_utf8(request.arg(index)).ok()?;
    let number = text.parse().ok()?;
    range.contains(&number).then_some(number)
}

/// An array with one map, as Redis has it so that those of several servers are easily put together.
fn write(keys: &HotKeys, pool: &PoolView<'_, RedisClient>, out: &mut Vec<u8>) {
    let version = pool.asking.client.version;
    let sample = i64::from(keys.order.sample);
    let epoch = pool.share.process().epoch_micros;
    let duration = keys.until.since(keys.since).as_millis();
    let bytes = i64::try_from(keys.bytes).unwrap_or(i64::MAX);
    encode::array_header(out, 1);
    encode::map_header(out, 9, version);
    field(
        out,
        "tracking-active",
        i64::from(keys.order.is_active(pool.now)),
    );
    field(out, "sample-ratio", sample);
    encode::bulk(out, b"selected-slots");
    encode::array_header(out, 1);
    encode::array_header(out, SLOTS.len());
    SLOTS.iter().for_each(|slot| encode::integer(out, *slot));
    // Not known here; Redis has it whatever is measured.
    field(out, "all-commands-all-slots-us", 0);
    field(
        out,
        "net-bytes-all-commands-all-slots",
        bytes.saturating_mul(sample),
    );
    field(
        out,
        "collection-start-time-unix-ms",
        ((epoch + keys.since.as_micros()) / 1_000) as i64,
    );
    field(
        out,
        "collection-duration-ms",
        i64::try_from(duration).unwrap_or(i64::MAX),
    );
    field(out, "total-net-bytes", bytes);
    encode::bulk(out, b"by-net-bytes");
    write_keys(&keys.by_bytes, out);
}

/// Flat in both versions of the protocol.
fn write_keys(keys: &[Counted], out: &mut Vec<u8>) {
    encode::array_header(out, 2 * keys.len());
    for counted in keys {
        let mut key = counted.key.start().to_vec();
        if counted.key.left_out() > 0 {
            // As Redis tells it in its slow log.
            key.extend_from_slice(
                format!("... ({} more bytes)", counted.key.left_out()).as_bytes(),
            );
        }
        encode::bulk(out, &key);
        encode::integer(out, i64::try_from(counted.count).unwrap_or(i64::MAX));
    }
}

fn field(out: &mut Vec<u8>, name: &str, value: i64) {
    encode::bulk(out, name.as_bytes());
    encode::integer(out, value);
}
