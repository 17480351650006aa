//! The settings of a pool that say what happens when servers or clients fail, and how they go together.

use std::time::Duration;

use hashkit::Distribution;
use proxy::settings::{EjectPolicy, FailurePolicy, TimeoutAction};

use super::pool::ReadPool;
use super::report::Problem;
use super::values::{Findings, Values};

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
    }
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
