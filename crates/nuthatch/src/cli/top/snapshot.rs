//! What the proxy says of itself at a moment. Names are made fit for a terminal as they are read.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::logger::escape::one_line;

/// The proxy. What a proxy of another version does not say has its default.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct Snapshot {
    #[serde(deserialize_with = "shown")]
    pub(super) version: String,
    /// In seconds since the Unix epoch.
    pub(super) now: f64,
    pub(super) started: f64,
    #[serde(deserialize_with = "shown")]
    pub(super) readiness: String,
    /// Pools and servers that are not told of.
    pub(super) left_out: u64,
    pub(super) pools: Vec<Pool>,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct Pool {
    #[serde(deserialize_with = "shown")]
    pub(super) name: String,
    /// Whether a server answers its requests.
    pub(super) ready: bool,
    pub(super) recent_latency: Option<Latency>,
    pub(super) counters: Counters,
    pub(super) servers: Vec<Server>,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct Server {
    #[serde(deserialize_with = "shown")]
    pub(super) name: String,
    pub(super) live: bool,
    pub(super) drained: bool,
    pub(super) recent_latency: Option<Latency>,
    pub(super) counters: Counters,
}

/// How long requests have waited at servers lately, in microseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct Latency {
    pub(super) p50: Option<u64>,
    pub(super) p99: Option<u64>,
}

/// What is counted, by the names of the statistics document.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(transparent)]
pub(super) struct Counters(BTreeMap<String, i64>);

impl Snapshot {
    /// Reads what the proxy has sent.
    ///
    /// # Errors
    ///
    /// When it is something else.
    pub(super) fn read(data: Value) -> Result<Self, String> {
        serde_json::from_value(data).map_err(|error| format!("the answer cannot be read: {error}"))
    }

    /// For how many seconds the proxy has been running.
    pub(super) fn uptime(&self) -> f64 {
        (self.now - self.started).max(0.0)
    }
}

impl Counters {
    /// A value; 0 if there is none of that name.
    pub(super) fn get(&self, name: &str) -> i64 {
        self.0.get(name).copied().unwrap_or(0)
    }
}

/// A text without anything that a terminal would act on.
fn shown<'d, D: Deserializer<'d>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    Ok(one_line(&text).into_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_are_made_fit_and_what_is_unknown_is_passed_over() {
        let snapshot = Snapshot::read(json!({
            "version": "1\u{1b}[2J",
            "now": 12.5,
            "started": 2,
            "latencies": [1, 2],
            "pools": [{
                "name": "a\u{7}\nb",
                "counters": { "client_requests": 7 },
                "servers": [{ "name": "\u{9b}31m\u{202e}", "live": true }],
            }],
        }));
        let snapshot = snapshot.unwrap();
        assert_eq!(snapshot.version, "1\\x1b[2J");
        assert_eq!(snapshot.uptime(), 10.5);
        let pool = &snapshot.pools[0];
        assert_eq!(pool.name, "a\\x07 b");
        assert_eq!(pool.servers[0].name, "\\x9b31m\\u{202e}");
        assert_eq!(
            (
                pool.counters.get("client_requests"),
                pool.counters.get("other")
            ),
            (7, 0)
        );
        let error = Snapshot::read(json!({ "pools": 1 })).unwrap_err();
        assert!(error.contains("cannot be read"), "{error}");
    }
}
