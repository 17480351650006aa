//! Independent check of ejections: that none is too early, too late, too long, counted twice, or ended by a
//! client's request.

use crate::scenario::Scenario;

/// Minimum time between two probes of a server, in microseconds.
const LEAST_PAUSE: u64 = 1_000_000;

/// What is known about one server.
#[derive(Debug, Default, Clone)]
struct Record {
    /// Maximum number of failures since the last reply: some may not count.
    at_most: u32,
    /// The maximum of that during this step, whatever replies arrived.
    peak: u32,
    /// Minimum number of failures in a row: each on a connection opened after the one before.
    at_least: u32,
    /// The last failure that may have been counted, and the last that certainly was.
    last_failure: Option<u64>,
    last_sure: Option<u64>,
    ejected_until: Option<u64>,
    /// A probe was answered since the ejection.
    probed: bool,
    /// When the probes of this ejection began.
    probes: Vec<u64>,
    /// Ejected in this turn; the failures that explain it are still to be seen.
    unproven: bool,
}

/// The checker for ejections.
#[derive(Debug)]
pub(crate) struct Ejection {
    enabled: bool,
    limit: u32,
    retry: u64,
    /// Whether servers must answer a probe to return.
    probes: bool,
    servers: Vec<Record>,
    /// Number of ejections seen.
    pub(crate) count: u64,
}

impl Ejection {
    pub(crate) fn new(scenario: &Scenario) -> Self {
        Self {
            enabled: scenario.auto_eject,
            limit: scenario.failure_limit.max(1),
            retry: scenario.retry,
            probes: scenario.policy.probe,
            servers: vec![Record::default(); scenario.servers()],
            count: 0,
        }
    }

    /// A server's reply was read; `transient` if it is an error of a server that cannot serve at the moment.
    /// A reply that may have been late may not count.
    pub(crate) fn replied(&mut self, server: usize, transient: bool, may_be_late: bool, now: u64) {
        let record = &mut self.servers[server];
        record.at_least = 0;
        record.at_most += u32::from(transient);
        record.peak = record.peak.max(record.at_most);
        if may_be_late {
            record.last_sure = None;
        }
        if transient || may_be_late {
            record.last_failure = Some(now);
        } else {
            (record.at_most, record.last_failure, record.last_sure) = (0, None, None);
        }
    }

    /// Requests were late on a connection that stays open.
    pub(crate) fn was_late(&mut self, server: usize, now: u64) {
        let record = &mut self.servers[server];
        record.at_most += 1;
        record.peak = record.peak.max(record.at_most);
        record.last_failure = Some(now);
    }

    /// The server has received a probe that began at `opened`.
    pub(crate) fn is_probed(&mut self, server: usize, opened: u64) {
        assert!(self.probes, "server {server} was probed unasked");
        let record = &mut self.servers[server];
        let Some(until) = record.ejected_until.filter(|until| opened >= *until) else {
            return;
        };
        let too_soon = |other: &u64| opened.abs_diff(*other) < LEAST_PAUSE;
        assert!(
            !record.probes.iter().any(too_soon),
            "server {server}, ejected until {until}, was probed at {opened} and {:?}",
            record.probes
        );
        record.probes.push(opened);
    }

    /// The server has left, come, or moved: nothing is known of it.
    pub(crate) fn forget(&mut self, server: usize) {
        self.servers[server] = Record::default();
    }

    /// The server's answer to a probe was read.
    pub(crate) fn answered_probe(&mut self, server: usize) {
        self.servers[server].probed = true;
    }

    pub(crate) fn is_anybody_out(&self) -> bool {
        let is_out = |record: &Record| record.ejected_until.is_some();
        self.servers.iter().any(is_out)
    }

    /// A connection was lost. `sure` if that certainly counts as a failure.
    pub(crate) fn failed(&mut self, server: usize, opened: u64, now: u64, sure: bool) {
        let record = &mut self.servers[server];
        record.at_most += 1;
        record.peak = record.peak.max(record.at_most);
        let is_new = record.last_failure.is_none_or(|last| opened > last);
        record.at_least += u32::from(sure && is_new);
        if sure && is_new {
            record.last_sure = Some(now);
        }
        // A failure that does not count hides no other.
        if record.last_sure.is_none_or(|last| opened >= last) || is_new {
            record.last_failure = Some(now);
        }
    }

    /// The server was ejected. Returns when it may return.
    pub(crate) fn ejected(&mut self, server: usize, now: u64) -> u64 {
        assert!(
            self.enabled,
            "server {server} was ejected although auto_eject_hosts is off"
        );
        self.count += 1;
        let record = &mut self.servers[server];
        record.unproven = true;
        record.probed = false;
        record.probes.clear();
        record.ejected_until = Some(now + self.retry);
        now + self.retry
    }

    /// The server returned.
    pub(crate) fn readmitted(&mut self, server: usize, now: u64) {
        let record = &mut self.servers[server];
        let until = record.ejected_until.take();
        assert!(
            until.is_some_and(|until| now >= until),
            "server {server} came back at {now}, before {until:?}"
        );
        assert!(
            record.probed || !self.probes,
            "server {server} came back and had answered no probe"
        );
        record.at_least = 0;
    }

    /// The earliest time at which an ejected server returns, if that depends on time only.
    pub(crate) fn due(&self) -> Option<u64> {
        if self.probes {
            return None;
        }
        self.servers
            .iter()
            .filter_map(|record| record.ejected_until)
            .min()
    }

    /// A worker's turn is over: everything that happened in it is known.
    pub(crate) fn settle(&mut self) {
        for (server, record) in self.servers.iter_mut().enumerate() {
            if record.unproven {
                assert!(
                    record.peak >= self.limit,
                    "server {server} was ejected after {} of {} failures",
                    record.peak,
                    self.limit
                );
                (record.unproven, record.at_most, record.at_least) = (false, 0, 0);
            }
            record.peak = record.at_most;
            let overdue =
                self.enabled && record.ejected_until.is_none() && record.at_least >= self.limit;
            assert!(
                !overdue,
                "server {server} was not ejected after {} failures in a row",
                record.at_least
            );
        }
    }
}
