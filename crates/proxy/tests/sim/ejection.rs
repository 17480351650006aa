//! A second opinion on ejection: too early, too late, too long, or counted twice.

/// What is known of one server.
#[derive(Debug, Default, Clone)]
struct Record {
    /// Failures since the last reply, at most: some may not count.
    at_most: u32,
    /// The highest that was in this step, replies notwithstanding.
    peak: u32,
    /// Failures in a row, at least: each on a connection opened after the one before.
    at_least: u32,
    last_failure: Option<u64>,
    ejected_until: Option<u64>,
    /// Ejected in this turn, the failures that explain it still to be seen.
    unproven: bool,
}

/// The oracle for ejection.
#[derive(Debug)]
pub(crate) struct Ejection {
    enabled: bool,
    limit: u32,
    retry: u64,
    servers: Vec<Record>,
    /// Ejections seen.
    pub(crate) count: u64,
}

impl Ejection {
    pub(crate) fn new(enabled: bool, limit: u32, retry: u64, servers: usize) -> Self {
        Self {
            enabled,
            limit: limit.max(1),
            retry,
            servers: vec![Record::default(); servers],
            count: 0,
        }
    }

    /// A server's reply was read; `transient` if it says that the server cannot serve just now.
    pub(crate) fn replied(&mut self, server: usize, transient: bool, now: u64) {
        let record = &mut self.servers[server];
        record.at_least = 0;
        record.at_most += u32::from(transient);
        record.peak = record.peak.max(record.at_most);
        if transient {
            record.last_failure = Some(now);
        } else {
            (record.at_most, record.last_failure) = (0, None);
        }
    }

    /// A connection ended badly. `sure` if it certainly counts as a failure.
    pub(crate) fn failed(&mut self, server: usize, opened: u64, now: u64, sure: bool) {
        let record = &mut self.servers[server];
        record.at_most += 1;
        record.peak = record.peak.max(record.at_most);
        if sure && record.last_failure.is_none_or(|last| opened > last) {
            record.at_least += 1;
        }
        record.last_failure = Some(now);
    }

    /// The server was taken off the ring. Returns when it is due back.
    pub(crate) fn ejected(&mut self, server: usize, now: u64) -> u64 {
        assert!(
            self.enabled,
            "server {server} was ejected although auto_eject_hosts is off"
        );
        self.count += 1;
        let record = &mut self.servers[server];
        record.unproven = true;
        record.ejected_until = Some(now + self.retry);
        now + self.retry
    }

    /// The server came back.
    pub(crate) fn readmitted(&mut self, server: usize, now: u64) {
        let record = &mut self.servers[server];
        let until = record.ejected_until.take();
        assert!(
            until.is_some_and(|until| now >= until),
            "server {server} came back at {now}, before {until:?}"
        );
        record.at_least = 0;
    }

    /// The earliest time at which an ejected server is due back.
    pub(crate) fn due(&self) -> Option<u64> {
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
