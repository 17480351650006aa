//! Which servers the reads of a pool go to, checked against its other settings.

use std::sync::Arc;

use proxy::settings::{PoolSettings, ReadFrom, ReadSettings, ServerSettings};

use super::file::ReadPool;
use super::nearest::nearest;
use super::report::{Findings, Problem};
use super::table::ours::CLUSTER;
use super::table::replicas::{READ_FROM, READ_YOUR_WRITES, REPLICAS, ZONE};
use super::types::{ReadPolicy, ServerSource};

/// Reports what does not go together of the settings of a pool that concern replicas.
pub(super) fn check_reads(pool: &ReadPool, servers: &[&str], findings: &mut Findings) {
    let values = &pool.values;
    let policy = values.get(&READ_FROM);
    if policy == ReadPolicy::Zone
        && values.given(&ZONE).is_none()
        && let Some(given) = values.given(&READ_FROM)
    {
        let problem = Problem::at(&given.position, "`read_from: zone` needs `zone`");
        let help = "add the zone that the proxy is in";
        findings.problems.push(problem.help(help));
    }
    let is_found = match pool.source() {
        Some(ServerSource::Sentinel(_)) => true,
        Some(_) => false,
        None => values.given(&CLUSTER).is_some(),
    };
    let is_listed = !is_found && pool.source().is_none();
    check_replicas(pool, (is_listed, servers), findings);
    let Some(given) = values
        .given(&READ_FROM)
        .filter(|_| policy != ReadPolicy::Master)
    else {
        return;
    };
    let lists = values.value(&REPLICAS).unwrap_or_default();
    let has_some = |server: &str| lists.iter().any(|list| list.server == server);
    let without = servers.iter().find(|server| !has_some(server));
    let message = match without {
        _ if is_found => return,
        _ if !is_listed => "no replicas are known of servers that are found in this way".to_owned(),
        _ if lists.is_empty() => "`read_from` needs `replicas`".to_owned(),
        Some(server) if policy == ReadPolicy::Replica => {
            format!("server `{server}` has no replica, so that nothing could be read there")
        }
        _ => return,
    };
    let help = match is_listed {
        true => {
            "list them under `replicas`, or use `read_from: prefer_replica` where only some servers have any"
        }
        false => "remove `read_from`, or list `servers` with their `replicas`",
    };
    // What is wrong with the list has been told.
    if values
        .given(&REPLICAS)
        .is_none_or(|given| given.value.is_some())
    {
        findings
            .problems
            .push(Problem::at(&given.position, message).help(help));
    }
}

fn check_replicas(pool: &ReadPool, (is_listed, servers): (bool, &[&str]), findings: &mut Findings) {
    let values = &pool.values;
    let Some(given) = values.given(&REPLICAS) else {
        return;
    };
    if !is_listed {
        let message = "`replicas` needs a list of `servers`";
        let help =
            "remove it: replicas of a cluster, and those that Sentinels watch, are found out";
        findings
            .problems
            .push(Problem::at(&given.key, message).help(help));
        return;
    }
    for list in values.value(&REPLICAS).unwrap_or_default() {
        if servers.contains(&list.server.as_str()) {
            continue;
        }
        let message = format!("pool `{}` has no server `{}`", pool.name, list.server);
        let problem = Problem::at(&list.position, message);
        let near = nearest(&list.server, servers.iter().copied());
        let help = match near {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("it has: {}", servers.join(", ")),
        };
        findings.problems.push(problem.help(help));
    }
    if values.get(&READ_FROM) == ReadPolicy::Master {
        let name = &pool.name;
        let text = format!("pool `{name}`: `replicas` is without effect: `read_from` is `master`");
        findings.warn(&given.key, text);
    }
}

/// Puts what is said of replicas and reads into the settings of a pool.
pub(super) fn fill_reads(pool: &ReadPool, settings: &mut PoolSettings) {
    let values = &pool.values;
    let from = match values.get(&READ_FROM) {
        ReadPolicy::Master => return,
        ReadPolicy::Replica => ReadFrom::Replica,
        ReadPolicy::PreferReplica => ReadFrom::PreferReplica,
        ReadPolicy::Zone => ReadFrom::Zone,
        ReadPolicy::Fastest => ReadFrom::Fastest,
    };
    settings.reads = Some(Arc::new(ReadSettings {
        from,
        own_writes: values.get(&READ_YOUR_WRITES),
        zone: values.value(&ZONE).map(Into::into),
    }));
    for list in values.value(&REPLICAS).unwrap_or_default() {
        let is_it = |server: &&mut ServerSettings| server.name == list.server;
        if let Some(server) = settings.servers.iter_mut().find(is_it) {
            let (own, replicas): (Vec<_>, Vec<_>) = list
                .replicas
                .into_iter()
                .partition(|it| it.address == server.address);
            server.replication.zone = own.into_iter().find_map(|it| it.zone);
            server.replication.replicas = replicas;
        }
    }
}
