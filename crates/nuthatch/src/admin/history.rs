//! The last quarter of an hour: a sample every five seconds, of each pool and of each server.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use proxy::latency::Durations;
use serde_json::{Value as Json, json};

/// How often a sample is taken.
pub(super) const EVERY: Duration = Duration::from_secs(5);

/// Maximum samples that are kept: a quarter of an hour.
const SAMPLES: usize = 180;

/// Maximum pools and servers of which samples are kept. With all samples they take about 4 MB, and what their latency
/// was at the last sample, 11 KB each.
pub(super) const MOST: usize = 1_024;

/// What is looked at: counters, of which rates are made, and gauges.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Seen {
    /// Counter of requests.
    pub(super) requests: i64,
    /// Counter of requests that failed, or of failures of the server.
    pub(super) errors: i64,
    /// Requests that were sent to servers and not answered.
    pub(super) in_flight: i64,
    /// Requests that are to be sent.
    pub(super) queued: i64,
    /// How long requests waited at servers.
    pub(super) latency: Durations,
}

/// The pool and, if it is one of a server, the server of a series.
pub(super) type Key = (String, Option<String>);

/// The samples.
#[derive(Debug, Default)]
pub(super) struct History {
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    /// Samples that were ever taken.
    taken: u64,
    at: Option<Instant>,
    series: Vec<Series>,
}

#[derive(Debug)]
struct Series {
    key: Key,
    last: Seen,
    points: VecDeque<Point>,
}

/// Requests and errors per second, requests in flight and queued ones, and the median and the 99th percentile of the
/// latency in milliseconds, of the requests since the point before; 0 if there were none.
type Point = [f32; 6];

impl History {
    /// Takes a sample of all there is at `now`. What is not there any more is forgotten.
    pub(super) fn take(&self, now: Instant, seen: impl Iterator<Item = (Key, Seen)>) {
        // What is kept is whole whenever the lock is free.
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let since = kept
            .at
            .map(|at| now.duration_since(at).as_secs_f32().max(0.001));
        let mut known: HashMap<Key, Series> = kept
            .series
            .drain(..)
            .map(|series| (series.key.clone(), series))
            .collect();
        let next = seen.take(MOST).map(|(key, seen)| {
            let Some((mut series, since)) = known.remove(&key).zip(since) else {
                let points = VecDeque::new();
                return Series {
                    key,
                    last: seen,
                    points,
                };
            };
            series.note(seen, since);
            series
        });
        kept.series = next.collect();
        kept.taken += u64::from(since.is_some());
        kept.at = Some(now);
    }

    /// The samples after the first `after` that were ever taken, the last one being the newest of each series.
    pub(super) fn json(&self, after: u64) -> Json {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        // Who knows of more than there ever was knows those of another process.
        let new = kept.taken.checked_sub(after).unwrap_or(kept.taken);
        let new = usize::try_from(new).unwrap_or(usize::MAX);
        let series = kept.series.iter().map(|series| {
            let skipped = series.points.len().saturating_sub(new);
            let points: Vec<_> = series.points.iter().skip(skipped).map(rounded).collect();
            let (pool, server) = &series.key;
            json!({ "pool": pool, "server": server, "points": points })
        });
        let series: Vec<_> = series.collect();
        json!({ "every": EVERY.as_secs(), "samples": SAMPLES, "taken": kept.taken, "series": series })
    }
}

impl Series {
    fn note(&mut self, seen: Seen, seconds: f32) {
        // A counter does not go back; if it did, nothing is known.
        let rate = |now: i64, before: i64| now.saturating_sub(before).max(0) as f32 / seconds;
        if self.points.len() == SAMPLES {
            self.points.pop_front();
        }
        let latency = seen.latency.since(&self.last.latency);
        let millis = |quantile| {
            let found = latency.quantile(quantile).unwrap_or_default();
            found.as_secs_f32() * 1e3
        };
        self.points.push_back([
            rate(seen.requests, self.last.requests),
            rate(seen.errors, self.last.errors),
            seen.in_flight as f32,
            seen.queued as f32,
            millis(0.5),
            millis(0.99),
        ]);
        self.last = seen;
    }
}

/// Small numbers with three digits behind the point, others with none.
fn rounded(point: &Point) -> [f64; 6] {
    point.map(|value| {
        let digits = if value < 100.0 { 1_000.0 } else { 1.0 };
        (f64::from(value) * digits).round() / digits
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(server: Option<&str>) -> Key {
        ("p".into(), server.map(String::from))
    }

    fn seen(requests: i64) -> Seen {
        Seen {
            requests,
            in_flight: 3,
            ..Seen::default()
        }
    }

    #[test]
    fn rates_are_made_of_two_samples_and_old_ones_are_dropped() {
        let history = History::default();
        let begin = Instant::now();
        let at = |step: u64| begin + EVERY * u32::try_from(step).unwrap();
        let count = SAMPLES as u64 + 20;
        for step in 0..=count {
            let requests = i64::try_from(step * 50).unwrap();
            history.take(at(step), [(key(None), seen(requests))].into_iter());
        }
        let all = history.json(0);
        assert_eq!(all["taken"], count);
        let points = all["series"][0]["points"].as_array().unwrap();
        assert_eq!(points.len(), SAMPLES);
        assert!(
            points
                .iter()
                .all(|point| *point == json!([10.0, 0.0, 3.0, 0.0, 0.0, 0.0]))
        );
        let points = |after| {
            let json = history.json(after);
            json["series"][0]["points"].as_array().unwrap().len()
        };
        assert_eq!((points(count - 2), points(count)), (2, 0));
        assert_eq!(points(count + 1), SAMPLES, "that is of another process");
    }

    #[test]
    fn series_come_and_go() {
        let history = History::default();
        let begin = Instant::now();
        let [a, b] = ["a", "b"].map(|name| (key(Some(name)), seen(7)));
        history.take(begin, [a.clone()].into_iter());
        history.take(begin + EVERY, [a, b.clone()].into_iter());
        history.take(begin + 2 * EVERY, [b].into_iter());
        let json = history.json(0);
        let series = json["series"].as_array().unwrap();
        assert_eq!(series.len(), 1);
        assert_eq!(series[0]["server"], "b");
        assert_eq!(series[0]["points"], json!([[0.0, 0.0, 3.0, 0.0, 0.0, 0.0]]));
        let many = (0..2 * MOST).map(|n| (key(Some(&n.to_string())), seen(0)));
        history.take(begin + 3 * EVERY, many);
        assert_eq!(history.json(0)["series"].as_array().unwrap().len(), MOST);
    }
}
