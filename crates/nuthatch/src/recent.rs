//! How long requests have waited at their servers lately: of the last five to ten seconds.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use proxy::latency::{Class, Durations};
use proxy::{PlannedServer, ServerShare};
use serde_json::{Value, json};

use crate::pool::PoolShare;

/// How often what was measured is copied. What is recent begins at the copy before the last one.
const EVERY: Duration = Duration::from_secs(5);

/// Maximum servers that are copied. Two copies of one take 22 KiB.
const MOST: usize = 1_024;

/// Copies of what was measured, to be compared with what has been measured by the time that somebody asks.
#[derive(Debug, Default)]
pub(crate) struct RecentLatency {
    /// None until there is a copy: then nobody looks at it.
    kept: Mutex<Option<Kept>>,
}

#[derive(Debug)]
struct Kept {
    older_at: Instant,
    newer_at: Instant,
    servers: Vec<Copies>,
}

#[derive(Debug)]
struct Copies {
    server: Arc<ServerShare>,
    older: Durations,
    newer: Durations,
}

/// Requests that were answered lately.
#[derive(Debug, Clone, Default)]
pub(crate) struct Recent {
    since: Option<Instant>,
    durations: Durations,
}

impl RecentLatency {
    /// Copies what the servers of these pools have measured, if it is time for it. From the first call on there is something
    /// to be told.
    pub(crate) fn note(&self, pools: &[Arc<PoolShare>], now: Instant) {
        // What is kept is whole whenever the lock is free.
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = kept
            .as_ref()
            .is_none_or(|kept| now.duration_since(kept.newer_at) >= EVERY);
        if is_due {
            let last = kept.take();
            *kept = Some(Kept::after(last, pools, now));
        }
    }

    /// What the server has answered lately; all it has ever answered if it is new, and nothing where nobody looks.
    pub(crate) fn of(&self, server: &PlannedServer) -> Recent {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(kept) = &*kept else {
            return Recent::default();
        };
        let is_it = |copies: &&Copies| Arc::ptr_eq(&copies.server, &server.share);
        let durations = match kept.servers.iter().find(is_it) {
            Some(copies) => serving(&server.share).since(&copies.older),
            None if kept.servers.len() < MOST => serving(&server.share),
            None => return Recent::default(),
        };
        Recent {
            since: Some(kept.older_at),
            durations,
        }
    }
}

impl Kept {
    fn after(last: Option<Self>, pools: &[Arc<PoolShare>], now: Instant) -> Self {
        let (older_at, mut known) =
            last.map_or((now, Vec::new()), |last| (last.newer_at, last.servers));
        let plans: Vec<_> = pools.iter().map(|pool| pool.core().plan()).collect();
        let servers = plans.iter().flat_map(|plan| plan.servers_and_replicas());
        let copy = |server: &PlannedServer| {
            let is_it = |copies: &Copies| Arc::ptr_eq(&copies.server, &server.share);
            let newer = serving(&server.share);
            let older = match known.iter().position(is_it) {
                Some(at) => known.swap_remove(at).newer,
                // One that is new has answered nothing before; at the start it is as if all had.
                None => Durations::default(),
            };
            Copies {
                server: Arc::clone(&server.share),
                older,
                newer,
            }
        };
        Self {
            older_at,
            newer_at: now,
            servers: servers.take(MOST).map(copy).collect(),
        }
    }
}

impl Recent {
    /// Adds another server of the same moment.
    pub(crate) fn add(&mut self, other: &Self) {
        self.since = self.since.or(other.since);
        self.durations.merge(&other.durations);
    }

    /// In words; `None` where nothing is known.
    pub(crate) fn text(&self) -> Option<String> {
        let seconds = self.since?.elapsed().as_secs();
        let count = self.durations.count();
        let millis = |quantile| {
            let found = self.durations.quantile(quantile)?;
            Some(format!("{:.2} ms", found.as_secs_f64() * 1e3))
        };
        Some(match (millis(0.5), millis(0.99)) {
            (Some(median), Some(most)) => {
                format!("p50 {median}, p99 {most} of {count} requests in {seconds} s")
            }
            _ => format!("no requests answered in {seconds} s"),
        })
    }

    /// An object, with times in microseconds; null where nothing is known.
    pub(crate) fn json(&self) -> Value {
        let Some(since) = self.since else {
            return Value::Null;
        };
        let micros = |quantile| {
            let found = self.durations.quantile(quantile)?;
            u64::try_from(found.as_micros()).ok()
        };
        json!({
            "seconds": since.elapsed().as_secs(),
            "count": self.durations.count(),
            "p50": micros(0.5),
            "p99": micros(0.99),
        })
    }
}

/// How long requests of every class waited at a server.
pub(crate) fn serving(server: &ServerShare) -> Durations {
    let classes = Class::ALL.into_iter();
    classes.map(|class| server.serving(class)).sum()
}

#[cfg(test)]
mod tests {
    use proxy::Memory;
    use proxy::settings::{Address, PoolSettings, ProtocolSettings, RedisSettings, ServerSettings};

    use super::*;
    use crate::pool::PoolId;

    fn pool(servers: usize) -> Arc<PoolShare> {
        let server = |index: usize| ServerSettings {
            name: format!("s{index}"),
            pname: format!("h:{index}:1"),
            address: Address::tcp("h", 1),
            weight: 1,
            db: 0,
            replication: Default::default(),
        };
        let protocol = ProtocolSettings::Redis(RedisSettings::default());
        let mut settings = PoolSettings::new("p", (0..servers).map(server).collect(), protocol);
        settings.placement.distribution = hashkit::Distribution::Modula;
        let core = proxy::PoolShare::new(settings, None, &Arc::new(Memory::new(0)), 1);
        Arc::new(PoolShare::new(PoolId::new(0), core, false, usize::MAX))
    }

    fn server(pool: &PoolShare, index: usize) -> PlannedServer {
        pool.core().plan().servers[index].clone()
    }

    #[test]
    fn nothing_is_known_until_somebody_looks() {
        let (recent, pool) = (RecentLatency::default(), pool(1));
        let of = |recent: &RecentLatency| recent.of(&server(&pool, 0));
        assert_eq!(
            (of(&recent).text(), of(&recent).json()),
            (None, Value::Null)
        );
        recent.note(&[Arc::clone(&pool)], Instant::now());
        let text = of(&recent).text();
        assert_eq!(text.as_deref(), Some("no requests answered in 0 s"));
        assert_eq!(of(&recent).json()["count"], 0);
    }

    #[test]
    fn copies_are_made_from_time_to_time_and_the_one_before_the_last_counts() {
        let (recent, pools) = (RecentLatency::default(), [pool(1)]);
        let begin = Instant::now();
        let ages = |recent: &RecentLatency| {
            let kept = recent.kept.lock().unwrap();
            let kept = kept.as_ref().unwrap();
            (kept.older_at - begin, kept.newer_at - begin)
        };
        let second = Duration::from_secs(1);
        for (now, older, newer) in [(0, 0, 0), (4, 0, 0), (5, 0, 5), (9, 0, 5), (11, 5, 11)] {
            recent.note(&pools, begin + now * second);
            assert_eq!(ages(&recent), (older * second, newer * second), "{now}");
        }
    }

    #[test]
    fn so_many_servers_and_no_more() {
        let (recent, pools) = (RecentLatency::default(), [pool(MOST), pool(1)]);
        recent.note(&pools, Instant::now());
        assert!(recent.of(&server(&pools[0], MOST - 1)).text().is_some());
        assert!(recent.of(&server(&pools[1], 0)).text().is_none());
    }
}
