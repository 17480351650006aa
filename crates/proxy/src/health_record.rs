//! The health of servers in a form that outlives the process: the next one goes on from there.

use std::time::Duration;

use crate::settings::Address;
use crate::share::{PlannedServer, PoolShare};
use crate::time::Time;

/// What is known of a server's health.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthRecord {
    /// The name of the server.
    pub name: String,
    /// Where it is: what was learnt there holds nowhere else.
    pub address: Address,
    /// Failures in a row.
    pub failures: u32,
    /// How long it is ejected still, or until its next probe; `None` if it is not.
    pub ejected_for: Option<Duration>,
    /// Probes since it was ejected.
    pub probes: u32,
    /// Whether an operator has taken it out of use, wherever it is.
    pub is_held: bool,
}

impl HealthRecord {
    fn of(server: &PlannedServer, now: Time) -> Self {
        let health = &server.endpoint.health;
        Self {
            name: server.share.name().to_owned(),
            address: server.endpoint.address.clone(),
            failures: health.failures(),
            ejected_for: health.ejected_until().map(|until| until.since(now)),
            probes: health.probes(),
            is_held: health.is_held(),
        }
    }

    fn tells_something(&self) -> bool {
        self.failures > 0 || self.ejected_for.is_some() || self.is_held
    }
}

impl PoolShare {
    /// The health of those servers of which there is more to tell than that they work.
    pub fn health_records(&self, now: Time) -> Vec<HealthRecord> {
        let plan = self.plan();
        let records = plan.servers.iter().map(|it| HealthRecord::of(it, now));
        records.filter(HealthRecord::tells_something).collect()
    }

    /// Goes on from what another process has recorded a moment before `now`. To be called before the pool is served. Records
    /// of servers that the pool does not have are skipped; those of servers that are elsewhere now only say whether the
    /// server is held, and a pool without ejection ejects none.
    pub fn restore_health(&self, records: &[HealthRecord], now: Time) {
        let plan = self.plan();
        let mut records: Vec<&HealthRecord> = records.iter().collect();
        for server in &plan.servers {
            // Each is used once, as two servers may have the same name.
            let is_it = |record: &&HealthRecord| record.name == server.share.name();
            if let Some(at) = records.iter().position(is_it) {
                self.restore(server, records.remove(at), now);
            }
        }
    }

    fn restore(&self, server: &PlannedServer, record: &HealthRecord, now: Time) {
        let health = &server.endpoint.health;
        health.set_held(record.is_held);
        if record.address != server.endpoint.address {
            return;
        }
        match record.ejected_for {
            Some(left) if self.plan().settings.auto_eject_hosts => {
                self.health.eject(health, now, left);
                health.set_probes(record.probes);
            }
            _ => health.set_failures(record.failures),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::flow::memory::Memory;
    use crate::settings::{MemcachedSettings, PoolSettings, ProtocolSettings, ServerSettings};

    fn pool(servers: &[(&str, u16)]) -> Arc<PoolShare> {
        let server = |&(name, port): &(&str, u16)| ServerSettings {
            name: name.into(),
            pname: String::new(),
            address: Address::tcp("h", port),
            weight: 1,
            db: 0,
            replication: Default::default(),
        };
        let protocol = ProtocolSettings::Memcached(MemcachedSettings::default());
        let servers = servers.iter().map(server).collect();
        let mut settings = PoolSettings::new("pool", servers, protocol);
        settings.auto_eject_hosts = true;
        PoolShare::new(settings, None, &Arc::new(Memory::new(0)), 1)
    }

    fn at(seconds: u64) -> Time {
        Time::ZERO + Duration::from_secs(seconds)
    }

    #[test]
    fn another_process_goes_on_from_the_records() {
        let old = pool(&[("a", 1), ("b", 2), ("c", 3), ("d", 4)]);
        let servers = &old.plan().servers;
        assert!(old.eject(&servers[0], at(100)));
        old.hold(&servers[1]);
        servers[2].endpoint.health.set_failures(1);
        let records = old.health_records(at(110));
        assert_eq!(records.len(), 3, "{records:?}");

        let new = pool(&[("d", 4), ("c", 3), ("b", 2), ("a", 1), ("e", 5)]);
        new.restore_health(&records, at(1));
        assert_eq!(new.health_records(at(1)).len(), 3);
        let plan = new.plan();
        let is_live: Vec<bool> = plan.servers.iter().map(PlannedServer::is_live).collect();
        assert_eq!(is_live, [true, true, false, false, true]);
        // 30 seconds by default, of which 10 had passed.
        assert_eq!(plan.servers[3].ejected_until(), Some(at(21)));
        assert_eq!(new.health.next_retry(), Some(at(21)));
        assert!(plan.servers[2].is_held() && plan.servers[1].failures() == 1);
    }

    #[test]
    fn what_was_learnt_elsewhere_does_not_hold() {
        let old = pool(&[("a", 1), ("a", 2), ("gone", 3)]);
        let servers = &old.plan().servers;
        servers.iter().for_each(|server| {
            old.eject(server, at(1));
        });
        old.hold(&servers[0]);
        let new = pool(&[("a", 9), ("a", 2)]);
        new.restore_health(&old.health_records(at(2)), at(2));
        let plan = new.plan();
        assert_eq!(plan.servers[0].ejected_until(), None);
        assert!(plan.servers[0].is_held());
        assert!(plan.servers[1].ejected_until().is_some() && !plan.servers[1].is_held());
    }
}
