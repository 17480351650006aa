//! Checks the settings of a pool about failing servers and clients against each other.

use hashkit::Distribution;
use proxy::settings::{EjectPolicy, TimeoutAction};

use super::choice::Choice;
use super::file::ReadPool;
use super::report::{Findings, Position, Problem};
use super::table::Setting;
use super::table::ours::{
    CONNECT_TIMEOUT, EJECT_POLICY, FAILOVER, FAILOVER_TTL, PROBE, TIMEOUT_ACTION,
};
use super::table::theirs::{AUTO_EJECT_HOSTS, DISTRIBUTION, REDIS, TIMEOUT};

/// Reports an `eject_policy` that keeps keys with their servers where keys have no server.
pub(super) fn check_eject_policy(
    pool: &ReadPool,
    distribution: Distribution,
    findings: &mut Findings,
) {
    let policy = pool.values.get(&EJECT_POLICY);
    let keeps = policy != EjectPolicy::Remap;
    let Some(given) = pool.values.given(&EJECT_POLICY).filter(|_| keeps) else {
        return;
    };
    if distribution.is_drawn() {
        let (policy, distribution) = (policy.name(), distribution.name());
        let message = format!(
            "`eject_policy: {policy}` keeps keys with their servers, and with `distribution: {distribution}` they have none"
        );
        let help = "remove it, or use another distribution";
        findings
            .problems
            .push(Problem::at(&given.position, message).help(help));
    }
}

/// Reports invalid `failover` settings. If the file could not be read to its end, missing pools are not
/// reported.
pub(super) fn check_failovers(pools: &[ReadPool], whole: bool, findings: &mut Findings) {
    for pool in pools {
        let values = &pool.values;
        let (Some(given), Some(name)) = (values.given(&FAILOVER), values.value(&FAILOVER)) else {
            continue;
        };
        let mut complain = |position: &Position, message: String, help: String| {
            let problem = Problem::at(position, message).help(help);
            findings.problems.push(problem);
        };
        if pool.whole && !values.get(&AUTO_EJECT_HOSTS) {
            let message = "`failover` needs `auto_eject_hosts: true`".to_owned();
            let help = format!("add it to pool `{}`, or remove `failover`", pool.name);
            complain(&given.key, message, help);
        }
        if let Some(distribution) = drawn(pool) {
            let message = format!(
                "`failover` needs keys that have a server, and with `distribution: {}` they have none",
                distribution.name()
            );
            let help = "remove it, or use another distribution".to_owned();
            complain(&given.key, message, help);
        }
        match pools.iter().find(|other| other.name == name) {
            Some(other) => {
                if let Some((message, help)) = misfit(pool, other) {
                    complain(&given.position, message, help);
                }
            }
            None if !whole => {}
            None => {
                let problem = Problem::at(&given.position, format!("there is no pool `{name}`"));
                let others = pools.iter().filter(|other| other.name != pool.name);
                let names = others.map(|other| other.name.as_str());
                findings.problems.push(problem.nearest(&name, names));
            }
        }
    }
}

/// Why `other` cannot be the failover pool of `pool`, if so, and what to do.
fn misfit(pool: &ReadPool, other: &ReadPool) -> Option<(String, String)> {
    let name = &other.name;
    let redis = |pool: &ReadPool| pool.values.value(&REDIS);
    if other.name == pool.name {
        let message = format!("pool `{name}` cannot be its own failover");
        return Some((message, "name another pool".into()));
    }
    if let (Some(mine), Some(theirs)) = (redis(pool), redis(other))
        && mine != theirs
    {
        let kind = |redis| if redis { "Redis" } else { "memcached" };
        let message = format!(
            "pool `{name}` speaks {}, and `{}` {}",
            kind(theirs),
            pool.name,
            kind(mine)
        );
        return Some((message, "name a pool of the same protocol".into()));
    }
    if other.values.value(&FAILOVER).is_some() {
        let message = format!("pool `{name}` has a failover itself");
        return Some((
            message,
            format!("remove `failover` from `{name}`, or name another pool"),
        ));
    }
    drawn(other).map(|distribution| {
        let distribution = distribution.name();
        let message = format!(
            "pool `{name}` has `distribution: {distribution}`, so keys have no server there"
        );
        (message, "name a pool with another distribution".into())
    })
}

/// The distribution of a pool, if it is one in which keys have no server of their own.
fn drawn(pool: &ReadPool) -> Option<Distribution> {
    let distribution = pool.values.value(&DISTRIBUTION);
    distribution.filter(|distribution| distribution.is_drawn())
}

/// Warns of settings that have no effect because of other settings.
pub(super) fn warn_of_idle_settings(pool: &ReadPool, findings: &mut Findings) {
    let values = &pool.values;
    let timeout = values.get(&TIMEOUT);
    let mut idle = |setting: &Setting, why: &str| {
        if let Some(given) = values.given(setting) {
            let name = setting.name;
            let text = format!("pool `{}`: `{name}` has no effect {why}", pool.name);
            findings.warn(&given.key, text);
        }
    };
    if !values.get(&AUTO_EJECT_HOSTS) {
        idle(&EJECT_POLICY, "without `auto_eject_hosts: true`");
        idle(&PROBE, "without `auto_eject_hosts: true`");
    }
    if values.value(&FAILOVER).is_none() {
        idle(&FAILOVER_TTL, "without `failover`");
    }
    if values.get(&TIMEOUT_ACTION) == TimeoutAction::Answer && timeout.is_none() {
        idle(&TIMEOUT_ACTION, "without `timeout`");
    }
    let connect_timeout = values.get(&CONNECT_TIMEOUT);
    if timeout.is_some_and(|timeout| connect_timeout.is_some_and(|connect| connect >= timeout)) {
        idle(
            &CONNECT_TIMEOUT,
            "for requests, as those that wait for a connection wait no longer than `timeout`",
        );
    }
}
