//! Pools whose servers are a Redis Cluster.

use std::time::Duration;

use super::file::ReadPool;
use super::report::{Findings, Problem};
use super::table::Setting;
use super::table::ours::{CLUSTER, CLUSTER_REFRESH, FAILOVER};
use super::table::theirs::{AUTO_EJECT_HOSTS, DISTRIBUTION, HASH, HASH_TAG, REDIS, SERVERS};
use super::types::ClusterConfig;

/// Smallest `cluster_refresh`.
const REFRESH_MIN: Duration = Duration::from_millis(100);

/// Reports settings that do not go with `cluster`, and warns of those that have no meaning then.
pub(super) fn check_cluster(pool: &ReadPool, findings: &mut Findings) {
    let values = &pool.values;
    let Some(given) = values.given(&CLUSTER) else {
        return;
    };
    let mut complain = |setting: &Setting, message: &str, help: &str| {
        if let Some(given) = values.given(setting) {
            let problem = Problem::at(&given.key, message.to_owned());
            findings.problems.push(problem.help(help));
        }
    };
    complain(
        &SERVERS,
        "a pool has `servers` or `cluster`, not both",
        "with `cluster` its servers are found out",
    );
    complain(
        &FAILOVER,
        "`failover` does not go with `cluster`",
        "remove it: a cluster replaces nodes that fail by itself",
    );
    if values.get(&AUTO_EJECT_HOSTS) {
        complain(
            &AUTO_EJECT_HOSTS,
            "`auto_eject_hosts` does not go with `cluster`",
            "remove it: a cluster replaces nodes that fail by itself",
        );
    }
    let refresh = values.given(&CLUSTER_REFRESH);
    if let Some(given) = refresh.filter(|_| values.get(&CLUSTER_REFRESH) < REFRESH_MIN) {
        let problem = Problem::at(&given.position, "`cluster_refresh` is too short");
        let help = format!("it is at least {} ms", REFRESH_MIN.as_millis());
        findings.problems.push(problem.help(help));
    }
    if pool.whole && values.value(&REDIS) != Some(true) {
        // Told already if `redis: false` is written down.
        if values.given(&REDIS).is_none() {
            let problem = Problem::at(&given.key, "`cluster` needs `redis: true`");
            findings.problems.push(problem.help("add it"));
        }
        return;
    }
    let (hash, distribution, tag): (&Setting, &Setting, &Setting) =
        (&HASH, &DISTRIBUTION, &HASH_TAG);
    for setting in [hash, distribution, tag] {
        if let Some(given) = values.given(setting) {
            let (name, setting) = (&pool.name, setting.name);
            let text = format!(
                "pool `{name}`: `{setting}` is without effect: the cluster decides where keys are"
            );
            findings.warn(&given.key, text);
        }
    }
}

/// The cluster that the servers of a pool are, if they are one.
pub(super) fn cluster(pool: &ReadPool) -> Option<ClusterConfig> {
    let nodes = pool.values.value(&CLUSTER)?;
    Some(ClusterConfig {
        seeds: nodes.into_iter().map(|(node, _)| node.address).collect(),
        refresh: pool.values.get(&CLUSTER_REFRESH),
    })
}
