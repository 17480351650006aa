//! The settings of a pool that say what happens when servers or clients fail, and how they go together.

use std::time::Duration;

use hashkit::Distribution;
use proxy::settings::{EjectPolicy, FailoverSettings, FailurePolicy, TimeoutAction};

use super::file::ReadPool;
use super::kind::Value;
use super::report::{Findings, Place, Problem};
use super::values::Values;

/// The policy that the settings amount to; each of them is valid by itself.
pub(super) fn failure_policy(values: &Values) -> FailurePolicy {
    FailurePolicy {
        eject: match values.text("eject_policy").as_str() {
            "error" => EjectPolicy::Error,
            "miss" => EjectPolicy::Miss,
            _ => EjectPolicy::Remap,
        },
        probe: values.bool("probe"),
        connect_timeout: duration(values, "connect_timeout"),
        timeout_action: match values.text("timeout_action").as_str() {
            "answer" => TimeoutAction::Answer,
            _ => TimeoutAction::Close,
        },
        client_idle_timeout: duration(values, "client_idle_timeout"),
        client_request_timeout: duration(values, "client_request_timeout"),
        retry_reads: values.bool("retry_reads"),
        failover: failover(values),
    }
}

fn failover(values: &Values) -> Option<FailoverSettings> {
    let pool = values.text("failover");
    let seconds = values.number("failover_ttl")?;
    let seconds = u32::try_from(seconds).unwrap_or(u32::MAX);
    (!pool.is_empty()).then_some(FailoverSettings { pool, seconds })
}

/// A time; `None` for 0, which sets no limit.
pub(super) fn duration(values: &Values, name: &str) -> Option<Duration> {
    let millis = values.number(name).filter(|millis| *millis > 0);
    millis.map(Duration::from_millis)
}

/// Complains about keys that are to stay with their servers where they have none.
pub(super) fn check_eject_policy(
    pool: &ReadPool,
    distribution: Distribution,
    findings: &mut Findings,
) {
    let policy = pool.values.text("eject_policy");
    let keeps = matches!(policy.as_str(), "error" | "miss");
    let Some(given) = pool.values.get("eject_policy").filter(|_| keeps) else {
        return;
    };
    if distribution == Distribution::Random {
        let message = format!(
            "`eject_policy: {policy}` keeps keys with their servers, and with `distribution: random` they have none"
        );
        let help = "remove it, or use another distribution";
        findings
            .problems
            .push(Problem::at(&given.place, message).help(help));
    }
}

/// Complains about failover pools that cannot be. Of a file that broke off nobody knows which pools it has.
pub(super) fn check_failovers(pools: &[ReadPool], whole: bool, findings: &mut Findings) {
    for pool in pools {
        let name = pool.values.text("failover");
        let Some(given) = pool.values.get("failover").filter(|_| !name.is_empty()) else {
            continue;
        };
        let mut complain = |place: &Place, message: String, help: String| {
            let problem = Problem::at(place, message).help(help);
            findings.problems.push(problem);
        };
        if pool.whole && !pool.values.bool("auto_eject_hosts") {
            let message = "`failover` needs `auto_eject_hosts: true`".to_owned();
            let help = format!("add it to pool `{}`, or remove `failover`", pool.name);
            complain(&given.key, message, help);
        }
        if is_random(pool) {
            let message = "`failover` needs keys that have a server, and with `distribution: random` they have none";
            let help = "remove it, or use another distribution".to_owned();
            complain(&given.key, message.to_owned(), help);
        }
        match pools.iter().find(|other| other.name == name) {
            Some(other) => {
                if let Some((message, help)) = misfit(pool, other) {
                    complain(&given.place, message, help);
                }
            }
            None if !whole => {}
            None => {
                let problem = Problem::at(&given.place, format!("there is no pool `{name}`"));
                let others = pools.iter().filter(|other| other.name != pool.name);
                let names = others.map(|other| other.name.as_str());
                findings.problems.push(problem.nearest(&name, names));
            }
        }
    }
}

/// Why `other` cannot be the failover of `pool`, if it cannot, and what to do.
fn misfit(pool: &ReadPool, other: &ReadPool) -> Option<(String, String)> {
    let name = &other.name;
    let redis = |pool: &ReadPool| match pool.values.value("redis") {
        Some(Value::Bool(redis)) => Some(redis),
        _ => None,
    };
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
    if !other.values.text("failover").is_empty() {
        let message = format!("pool `{name}` has a failover itself");
        return Some((
            message,
            format!("remove `failover` from `{name}`, or name another pool"),
        ));
    }
    is_random(other).then(|| {
        let message =
            format!("pool `{name}` has `distribution: random`, so keys have no server there");
        (message, "name a pool with another distribution".into())
    })
}

fn is_random(pool: &ReadPool) -> bool {
    pool.values.text("distribution") == Distribution::Random.name()
}

/// Warns of settings that are without effect because of others.
pub(super) fn warn_of_idle_settings(pool: &ReadPool, findings: &mut Findings) {
    let values = &pool.values;
    let timeout = duration(values, "timeout");
    let mut idle = |setting: &str, why: &str| {
        if let Some(given) = values.get(setting) {
            let text = format!("pool `{}`: `{setting}` has no effect {why}", pool.name);
            findings.warn(&given.key, text);
        }
    };
    if !values.bool("auto_eject_hosts") {
        idle("eject_policy", "without `auto_eject_hosts: true`");
        idle("probe", "without `auto_eject_hosts: true`");
    }
    if values.text("failover").is_empty() {
        idle("failover_ttl", "without `failover`");
    }
    if values.text("timeout_action") == "answer" && timeout.is_none() {
        idle("timeout_action", "without `timeout`");
    }
    let connect_timeout = duration(values, "connect_timeout");
    if timeout.is_some_and(|timeout| connect_timeout.is_some_and(|connect| connect >= timeout)) {
        idle(
            "connect_timeout",
            "for requests, as those that wait for a connection wait no longer than `timeout`",
        );
    }
}
