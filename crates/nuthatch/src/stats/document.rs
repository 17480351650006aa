//! The statistics document, in the exact format of nutcracker 0.5.0: the same names, order and separators,
//! and by default no other names, because programs that read the document take every unknown name in a pool
//! for a server. On request, our own metrics follow nutcracker's in each object.

use std::fmt::Write;
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use proxy::Time;
use proxy::metrics::{Kind, POOL_ROWS, PoolMetric, Row, SERVER_ROWS};

use crate::clock::Clock;
use crate::connections::ConnectionCounts;
use crate::live::Directory;
use crate::pool::PoolShare;
use crate::recent::RecentLatency;

/// Where the document's numbers come from.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    /// Version to report.
    pub(crate) version: &'static str,
    /// Name of the machine.
    pub(crate) hostname: String,
    /// When the process started.
    pub(crate) started: Instant,
    /// Converts the core's times to wall-clock times.
    pub(crate) clock: Clock,
    /// Connection counts.
    pub(crate) counts: Arc<ConnectionCounts>,
    /// The pools, and whether metrics that nutcracker does not have are included.
    pub(crate) directory: Arc<Directory>,
    /// How long requests have waited at servers lately.
    pub(crate) recent: Arc<RecentLatency>,
}

impl Source {
    /// The current document, one line.
    pub(crate) fn document(&self) -> Vec<u8> {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH);
        let timestamp = since_epoch.map_or(0, |since| since.as_secs());
        self.document_at(self.started.elapsed().as_secs(), timestamp)
    }

    pub(super) fn document_at(&self, uptime: u64, timestamp: u64) -> Vec<u8> {
        let mut json = Json::default();
        json.text("service", "nutcracker");
        json.text("source", &self.hostname);
        json.text("version", self.version);
        json.number("uptime", uptime);
        json.number("timestamp", timestamp);
        json.number("total_connections", self.counts.total());
        json.number("curr_connections", self.counts.current());
        let in_force = self.directory.in_force();
        for pool in &in_force.pools {
            self.write_pool(&mut json, pool, in_force.stats_extended);
        }
        json.finish()
    }

    fn write_pool(&self, json: &mut Json, pool: &PoolShare, extended: bool) {
        let (core, plan) = (pool.core(), pool.core().plan());
        let workers = 0..core.workers();
        json.open(pool.name());
        let values = |row| {
            let workers = workers.clone();
            workers.map(move |worker| core.counters(worker).row(row))
        };
        // Metrics of failover are only shown for pools that have one.
        let hidden = match plan.failover {
            Some(_) => None,
            None => Some(PoolMetric::Failovers as usize),
        };
        self.write_rows(json, (POOL_ROWS, extended), hidden, values);
        for server in plan.servers_and_replicas() {
            json.open(server.share.name());
            self.write_rows(json, (SERVER_ROWS, extended), None, |row| {
                server.share.row(row)
            });
            json.close();
        }
        json.close();
    }

    fn write_rows<I: Iterator<Item = i64>>(
        &self,
        json: &mut Json,
        (rows, extended): (&[Row], bool),
        hidden: Option<usize>,
        values: impl Fn(usize) -> I,
    ) {
        let origins: &[bool] = if extended { &[true, false] } else { &[true] };
        for nutcracker in origins {
            for (index, row) in rows.iter().enumerate() {
                if row.nutcracker == *nutcracker && hidden != Some(index) {
                    json.number(row.name, self.combine(row.kind, values(index)));
                }
            }
        }
    }

    /// Combines the values of all workers. Times are in microseconds since the Unix epoch then, 0 being never.
    pub(crate) fn combine(&self, kind: Kind, mut values: impl Iterator<Item = i64>) -> i64 {
        match kind {
            Kind::Counter | Kind::Gauge => values.fold(0, i64::wrapping_add),
            Kind::Timestamp => {
                match values.find_map(|value| u64::try_from(value).ok().filter(|&v| v > 0)) {
                    None => 0,
                    Some(first) => {
                        let rest = values.filter_map(|value| u64::try_from(value).ok());
                        let latest = Time::from_micros(rest.fold(first, u64::max));
                        i64::try_from(self.clock.to_epoch_micros(latest)).unwrap_or(i64::MAX)
                    }
                }
            }
        }
    }
}

/// JSON with nutcracker's separators: `, ` after a value, `},` without a blank after an object.
#[derive(Debug)]
struct Json {
    text: String,
    /// What is written before the next member.
    separator: &'static str,
}

impl Default for Json {
    fn default() -> Self {
        Self {
            text: String::from("{"),
            separator: "",
        }
    }
}

impl Json {
    fn text(&mut self, name: &str, value: &str) {
        self.name(name);
        self.string(value);
    }

    fn number(&mut self, name: &str, value: impl std::fmt::Display) {
        self.name(name);
        let _ = write!(self.text, "{value}");
    }

    fn open(&mut self, name: &str) {
        self.name(name);
        self.text.push_str(" {");
        self.separator = "";
    }

    fn close(&mut self) {
        self.text.push('}');
        self.separator = ",";
    }

    fn finish(mut self) -> Vec<u8> {
        self.text.push_str("}\n");
        self.text.into_bytes()
    }

    fn name(&mut self, name: &str) {
        self.text.push_str(self.separator);
        self.separator = ", ";
        self.string(name);
        self.text.push(':');
    }

    /// A string, escaped. nutcracker does not escape names, which is invalid JSON if they hold a quote.
    fn string(&mut self, value: &str) {
        self.text.push('"');
        for char in value.chars() {
            match char {
                '"' | '\\' => self.text.extend(['\\', char]),
                '\0'..='\x1f' => {
                    let _ = write!(self.text, "\\u{:04x}", u32::from(char));
                }
                _ => self.text.push(char),
            }
        }
        self.text.push('"');
    }
}
