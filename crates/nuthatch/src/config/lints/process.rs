//! Lints about the whole process.

use proxy::settings::PoolSettings;

use super::super::table::ours::LEASED_CONNECTIONS;
use super::super::table::theirs::SERVER_CONNECTIONS;
use super::row::{Check, Evidence, Lint, Subjects};
use crate::descriptors::{Needs, sum};

pub(super) const TOO_FEW_DESCRIPTORS: Lint = Lint {
    name: "too-few-descriptors",
    finds: "More connections to servers, over all pools and workers, than the limit of open descriptors has room for, or \
            so many that the clients which `max_clients` or `client_connections` allow do not fit beside them. The limit \
            is that of the process that checks: run it where the proxy runs, and as its user.",
    consequence: "clients are refused before their limit is reached, or servers cannot be reached",
    cure: "raise the limit (`ulimit -Hn`, LimitNOFILE of systemd), or use fewer workers or connections",
    check: Check::Whole(too_few_descriptors),
};

fn too_few_descriptors(subjects: &Subjects<'_>) -> Vec<Evidence> {
    let config = subjects.config;
    let Some(first) = subjects.pools.first() else {
        return Vec::new();
    };
    let workers = config.globals.workers.count();
    let all = config.with_failovers();
    let (needs, leased) = (
        Needs::of(&all, workers, config.globals.server_connections_total),
        Needs::leased(&all, workers),
    );
    let limit = subjects.descriptors;
    let wanted = wanted_clients(subjects);
    let is_given =
        |it: &&super::row::Subject<'_>| it.read.values.given(&SERVER_CONNECTIONS).is_some();
    let is_leased =
        |it: &&super::row::Subject<'_>| it.read.values.given(&LEASED_CONNECTIONS).is_some();
    let (blamed, setting) = match subjects.pools.iter().find(is_leased) {
        Some(pool) => (pool, &*LEASED_CONNECTIONS),
        None => {
            let pool = subjects.pools.iter().find(is_given).unwrap_or(first);
            (pool, &*SERVER_CONNECTIONS)
        }
    };
    let (servers, total) = (needs.server_connections, needs.total());
    let text = match needs.clients(limit) {
        None => format!(
            "{servers} server connections ({workers} workers) need {total} descriptors, and the limit is {limit}"
        ),
        Some(clients) => {
            // Each lease has a client, so that no more of them can be in use than there are clients.
            let with_leases = |clients: u64| clients.saturating_add(leased.min(clients));
            if wanted == 0 || with_leases(wanted) <= clients {
                return Vec::new();
            }
            format!(
                "{wanted} clients are allowed, up to {} of them with a connection of their own to a server; they and \
                 {servers} other server connections ({workers} workers) need {} descriptors, and the limit is {limit}",
                leased.min(wanted),
                total.saturating_add(with_leases(wanted))
            )
        }
    };
    let mut evidence = blamed.at(setting, text);
    evidence.pool = None;
    vec![evidence]
}

pub(super) const TOO_FEW_SERVER_CONNECTIONS: Lint = Lint {
    name: "too-few-server-connections",
    finds: "A `server_connections_total` that is less than one worker needs to serve each pool: one connection to each server, \
            two with `resp3: auto`, and as many to those of the failover pool. Servers that are found are not counted here.",
    consequence: "each pool is served by one worker, and there may be more connections to servers than that all the same",
    cure: "raise `server_connections_total`, or set `resp3: off` where no client uses RESP3",
    check: Check::Whole(too_few_server_connections),
};

fn too_few_server_connections(subjects: &Subjects<'_>) -> Vec<Evidence> {
    let (config, total) = (
        subjects.config,
        subjects.config.globals.server_connections_total,
    );
    let least = sum(&config.with_failovers(), 1, PoolSettings::versions);
    let Some(first) = subjects
        .pools
        .first()
        .filter(|_| total > 0 && least > total)
    else {
        return Vec::new();
    };
    let text = format!(
        "all pools need {least} connections to servers, and `server_connections_total` is {total}"
    );
    let mut evidence = first.at_position(&first.read.position, text);
    evidence.pool = None;
    vec![evidence]
}

/// How many clients the configuration allows; 0 if it sets no limit.
fn wanted_clients(subjects: &Subjects<'_>) -> u64 {
    let limits = subjects.config.pools.iter();
    let limits: Vec<u64> = limits
        .map(|pool| u64::from(pool.client_connections))
        .collect();
    let of_pools = match limits.contains(&0) {
        true => 0,
        false => limits.iter().sum(),
    };
    match (subjects.config.globals.max_clients, of_pools) {
        (0, sum) | (sum, 0) => sum,
        (most, sum) => most.min(sum),
    }
}
