//! The report of a run.

use std::fmt;

use crate::counts::Counts;
use nuthatch_bench::usage::Usage;

/// The result of a run.
#[derive(Debug)]
pub(crate) struct Report {
    /// Counts of requests.
    pub(crate) counts: Counts,
    /// Faults made, by name.
    pub(crate) faults: Vec<(&'static str, u64)>,
    /// Connections affected by faults.
    pub(crate) hits: u64,
    /// Ejections of servers, in all pools.
    pub(crate) ejections: u64,
    /// Configurations that were put in force, if that was what the run was about.
    pub(crate) reloads: Option<u64>,
    /// How often the process was replaced, if that was what the run was about, and how long that took at most, in
    /// milliseconds.
    pub(crate) upgrades: Option<(u64, u64)>,
    /// Requests and fragments sent to a failover pool.
    pub(crate) failovers: u64,
    /// Lost reads that were sent again.
    pub(crate) retries: u64,
    /// Memory and descriptors of the proxy in calm: at the start, in the middle, at the end.
    pub(crate) usage: [Usage; 3],
    /// Replies per second in calm, the median and the maximum.
    pub(crate) calm_rates: (u64, u64),
}

impl Report {
    /// Whether nothing was wrong, misordered or unanswered, and memory and descriptors stayed flat.
    pub(crate) fn is_flawless(&self) -> bool {
        self.counts.is_flawless() && self.is_flat() && self.lost_nothing()
    }

    /// Whether no request failed, where no server has.
    fn lost_nothing(&self) -> bool {
        let servers_fail = self.reloads.is_none() && self.upgrades.is_none();
        servers_fail || self.counts.failed() == 0
    }

    fn is_flat(&self) -> bool {
        self.usage[1..]
            .iter()
            .all(|usage| usage.is_flat_since(self.usage[0]))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.counts)?;
        if let Some(reloads) = self.reloads {
            let failed = self.counts.failed();
            writeln!(f, "reloads: {reloads}; requests that failed: {failed}")?;
        }
        if let Some((upgrades, longest)) = self.upgrades {
            let (failed, withdrawn) = (self.counts.failed(), self.counts.withdrawn);
            writeln!(
                f,
                "upgrades: {upgrades}, at most {longest} ms until the new process served; requests that failed: {failed}; \
                 connections closed with requests that were not carried out: {withdrawn} requests"
            )?;
        }
        let faults: Vec<String> = self
            .faults
            .iter()
            .map(|(name, count)| format!("{name} {count}"))
            .collect();
        writeln!(f, "faults: {}", faults.join(", "))?;
        writeln!(
            f,
            "connections hit by relays {}, ejections {}, sent to failover pools {}, reads sent again {}",
            self.hits, self.ejections, self.failovers, self.retries
        )?;
        let (median, best) = self.calm_rates;
        writeln!(
            f,
            "replies per second in calm: median {median}, best {best}"
        )?;
        for (when, usage) in ["start", "middle", "end"].iter().zip(self.usage) {
            writeln!(f, "proxy at the {when}: {usage}")?;
        }
        let is_right = self.counts.is_flawless() && self.lost_nothing();
        let verdict = match (is_right, self.is_flat()) {
            (true, true) => "PASS",
            (true, false) => "FAIL: memory or descriptors grow",
            (false, _) => "FAIL: see above",
        };
        writeln!(f, "{verdict}")
    }
}
