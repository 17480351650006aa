//! Lints about servers that fail.

use std::time::Duration;

use hashkit::{Distribution, Side, compare};
use proxy::settings::EjectPolicy;

use super::super::table::ours::{FAILOVER, RETRY_READS};
use super::super::table::theirs::{
    AUTO_EJECT_HOSTS, DISTRIBUTION, SERVER_FAILURE_LIMIT, SERVER_RETRY_TIMEOUT, TIMEOUT,
};
use super::row::{Check, Evidence, Lint, Subject, percent, time};
use crate::ring_diff::{members, server_shares};

/// How often a read is sent with `retry_reads`: once, and once again.
const ATTEMPTS: u32 = 2;

pub(super) const NO_TIMEOUT: Lint = Lint {
    name: "no-timeout",
    finds: "A pool without `timeout`. A server that accepts connections and does not answer is never noticed, and never \
            ejected.",
    consequence: "clients wait without limit for a server that hangs, and all requests behind theirs do, too",
    cure: "set `timeout`, in milliseconds, above what the slowest request may take",
    check: Check::Pool(no_timeout),
};

pub(super) const MODULA_WITH_EJECTION: Lint = Lint {
    name: "modula-with-ejection",
    finds: "`auto_eject_hosts: true` with `distribution: modula`, where keys move when a server is ejected (not with \
            `failover`, or an `eject_policy` other than `remap`). With one server less, nearly every hash has another \
            remainder.",
    consequence: "one failed server makes most keys miss, and they miss again when it returns",
    cure: "use `eject_policy: error` or `miss`, which move no key, or `distribution: ketama`, which moves them all once",
    check: Check::Pool(modula_with_ejection),
};

pub(super) const EJECTION_OF_THE_ONLY_SERVER: Lint = Lint {
    name: "ejection-of-the-only-server",
    finds: "`auto_eject_hosts: true` in a pool of one server without `failover`. There is no other server that could take \
            its keys.",
    consequence: "after short trouble all requests fail for `server_retry_timeout`, although the server may be back",
    cure: "remove `auto_eject_hosts`, or name a `failover` pool",
    check: Check::Pool(ejection_of_the_only_server),
};

pub(super) const REMAP_SERVES_OLD_VALUES: Lint = Lint {
    name: "remap-serves-old-values",
    finds: "`auto_eject_hosts: true` where other servers take the keys of an ejected one (`eject_policy: remap`, the \
            default, with `distribution: ketama`). What is written meanwhile stays there.",
    consequence: "when the server returns, clients read the values from before it was ejected",
    cure: "use `eject_policy: miss` or `error`, which keep keys with their servers, or `failover`; or let all values expire",
    check: Check::Pool(remap_serves_old_values),
};

pub(super) const FAILURE_LIMIT_OF_ONE: Lint = Lint {
    name: "failure-limit-of-one",
    finds: "`auto_eject_hosts: true` with a `server_failure_limit` of 0 or 1.",
    consequence: "one lost connection, or one late reply, ejects the server",
    cure: "use the default of 2, or more",
    check: Check::Pool(failure_limit_of_one),
};

pub(super) const RETRY_BELOW_FAILURE_LIMIT: Lint = Lint {
    name: "retry-below-failure-limit",
    finds: "`retry_reads: true` with a `server_failure_limit` that the attempts of one read cannot exceed: the server is \
            not ejected before the last attempt, which goes there, too. Clients that retry by themselves should do so \
            more often than the limit, as twemproxy's manual says.",
    consequence: "while a server fails, reads of its keys fail although they were retried",
    cure: "let clients retry more often than `server_failure_limit`",
    check: Check::Pool(retry_below_failure_limit),
};

pub(super) const RETRY_TIMEOUT_BELOW_TIMEOUT: Lint = Lint {
    name: "retry-timeout-below-timeout",
    finds: "`auto_eject_hosts: true` with a `server_retry_timeout` that is not longer than `timeout`.",
    consequence: "a server that hangs is used again before the requests to it have timed out, and keys move to and fro",
    cure: "set `server_retry_timeout` to many times `timeout`; the default is 30000",
    check: Check::Pool(retry_timeout_below_timeout),
};

pub(super) const FAILOVER_TO_SAME_SERVERS: Lint = Lint {
    name: "failover-to-same-servers",
    finds: "A `failover` pool that has servers of the pool itself.",
    consequence: "the keys of a failed server may go to that very server, and what a client writes before and after an \
                  ejection may reach a server in another order",
    cure: "name a pool of other servers",
    check: Check::Pool(failover_to_same_servers),
};

fn no_timeout(subject: &Subject<'_>) -> Vec<Evidence> {
    let settings = &subject.pool.settings;
    if settings.timeout.is_some() {
        return Vec::new();
    }
    let text = match settings.auto_eject_hosts {
        true => {
            "there is no `timeout`, so that a silent server is never ejected, whatever `auto_eject_hosts` says"
        }
        false => "there is no `timeout`, so that requests to a silent server wait without limit",
    };
    vec![subject.at(&TIMEOUT, text)]
}

/// Whether the keys of ejected servers move to others of the pool.
fn remaps(subject: &Subject<'_>) -> bool {
    let settings = &subject.pool.settings;
    let policy = &settings.failure;
    let moves = policy.eject == EjectPolicy::Remap && policy.failover.is_none();
    settings.auto_eject_hosts && moves && subject.has_several()
}

fn modula_with_ejection(subject: &Subject<'_>) -> Vec<Evidence> {
    let settings = &subject.pool.settings;
    if settings.placement.distribution != Distribution::Modula || !remaps(subject) {
        return Vec::new();
    }
    // In a large pool it is much the same for each server, so one is computed.
    let before = members(&settings.servers);
    let mut after = before.clone();
    let Some(first) = after.first_mut() else {
        return Vec::new();
    };
    first.live = false;
    let same: Vec<Option<usize>> = (0..before.len()).map(Some).collect();
    let side = |members| Side {
        placement: &settings.placement,
        members,
    };
    let told = compare(side(&before), side(&after), &same);
    let own = server_shares(settings)[0];
    let text = format!(
        "the ejection of `{}`, which has {} of the keys, moves {} of all keys",
        settings.servers[0].name,
        percent(own),
        percent(told.share(told.moved))
    );
    vec![subject.at(&DISTRIBUTION, text)]
}

fn ejection_of_the_only_server(subject: &Subject<'_>) -> Vec<Evidence> {
    let settings = &subject.pool.settings;
    let is_alone = !subject.has_several() && settings.failure.failover.is_none();
    if !settings.auto_eject_hosts || !is_alone {
        return Vec::new();
    }
    let text = format!(
        "{} in a row make all requests fail for at least {}",
        failures(settings.server_failure_limit),
        time(settings.server_retry_timeout)
    );
    vec![subject.at(&AUTO_EJECT_HOSTS, text)]
}

fn remap_serves_old_values(subject: &Subject<'_>) -> Vec<Evidence> {
    let settings = &subject.pool.settings;
    if settings.placement.distribution != Distribution::Ketama || !remaps(subject) {
        return Vec::new();
    }
    let shares = server_shares(settings);
    let most = shares.iter().copied().fold(0.0, f64::max);
    let text = format!(
        "an ejection moves up to {} of the keys for at least {}, and back",
        percent(most),
        time(settings.server_retry_timeout)
    );
    vec![subject.at(&AUTO_EJECT_HOSTS, text)]
}

fn failure_limit_of_one(subject: &Subject<'_>) -> Vec<Evidence> {
    let settings = &subject.pool.settings;
    // The only server has a lint of its own.
    if !settings.auto_eject_hosts || settings.server_failure_limit > 1 || !subject.has_several() {
        return Vec::new();
    }
    let text = format!(
        "a single failure takes a server out of use for at least {}",
        time(settings.server_retry_timeout)
    );
    vec![subject.at(&SERVER_FAILURE_LIMIT, text)]
}

fn retry_below_failure_limit(subject: &Subject<'_>) -> Vec<Evidence> {
    let settings = &subject.pool.settings;
    let limit = settings.server_failure_limit;
    let is_it = settings.auto_eject_hosts && settings.failure.retry_reads && limit >= ATTEMPTS;
    let has_others = subject.has_several() || settings.failure.failover.is_some();
    if !is_it || !has_others {
        return Vec::new();
    }
    let text = format!(
        "a read is sent {ATTEMPTS} times at most, and {} eject a server",
        failures(limit)
    );
    vec![subject.at(&RETRY_READS, text)]
}

fn retry_timeout_below_timeout(subject: &Subject<'_>) -> Vec<Evidence> {
    let settings = &subject.pool.settings;
    let retry = settings.server_retry_timeout;
    let timeout = settings.timeout.unwrap_or(Duration::ZERO);
    if !settings.auto_eject_hosts || retry > timeout {
        return Vec::new();
    }
    let text = format!(
        "an ejected server may be used again after {}, and requests wait for {}",
        time(retry),
        time(timeout)
    );
    vec![subject.at(&SERVER_RETRY_TIMEOUT, text)]
}

fn failover_to_same_servers(subject: &Subject<'_>) -> Vec<Evidence> {
    let Some(other) = subject.config.failover_of(subject.pool) else {
        return Vec::new();
    };
    let other = &subject.config.pools[other].settings;
    let own = &subject.pool.settings.servers;
    let is_shared = |it: &&proxy::settings::ServerSettings| {
        other
            .servers
            .iter()
            .any(|server| server.address == it.address)
    };
    let shared: Vec<String> = own
        .iter()
        .filter(is_shared)
        .map(|it| it.address.to_string())
        .collect();
    match shared.first() {
        None => Vec::new(),
        Some(first) => {
            let text = format!(
                "{} of {} servers are in pool `{}`, too, such as {first}",
                shared.len(),
                own.len(),
                other.name
            );
            vec![subject.at(&FAILOVER, text)]
        }
    }
}

fn failures(limit: u32) -> String {
    match limit {
        0 | 1 => "1 failure".into(),
        limit => format!("{limit} failures"),
    }
}
