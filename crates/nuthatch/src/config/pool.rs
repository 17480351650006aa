//! Checks one pool's settings against each other and turns them into what the proxy runs on.

use std::sync::Arc;

use hashkit::{Distribution, HashKind, Placement, index_order};
use proxy::settings::{
    Address, FailoverSettings, MemcachedSettings, PoolSettings, ProtocolSettings, RedisSettings,
};

use super::address::{Listen, ServerLine};
use super::cluster::{check_cluster, cluster};
use super::denied::check_guardrails;
use super::failure::{check_eject_policy, warn_of_idle_settings};
use super::file::ReadPool;
use super::kind::expected;
use super::permitted::check_users;
use super::reads::{check_reads, fill_reads};
use super::report::{Findings, Position, Problem};
use super::table::ours::{CLUSTER, CROSS_SHARD, DATABASES, FAILOVER, FAILOVER_TTL, REDIS_DB_FIXED};
use super::table::theirs::{
    CLIENT_CONNECTIONS, DISTRIBUTION, HASH, LISTEN, REDIS, REDIS_AUTH, REDIS_DB, SERVERS,
};
use super::table::{Absent, Only, Scope, Setting, of, rows};
use super::tls::PoolTls;
use super::types::{Discovery, PoolConfig, ServerSource};
use super::values::Values;

/// Checks a pool that listens on `listen`; `None` if anything is wrong, which has been reported.
pub(super) fn check_pool(
    pool: &ReadPool,
    listen: Option<Listen>,
    tls: PoolTls,
    findings: &mut Findings,
) -> Option<PoolConfig> {
    check_required(pool, findings);
    check_protocol(pool, findings);
    check_guardrails(pool, findings);
    let users = check_users(pool, findings);
    check_sentinel(pool, findings);
    let values = &pool.values;
    let distribution = values.get(&DISTRIBUTION);
    check_eject_policy(pool, distribution, findings);
    check_cluster(pool, findings);
    let servers = check_servers(pool, distribution, findings);
    let names = servers.iter().flatten().map(|it| it.name.as_str());
    check_reads(pool, &names.collect::<Vec<_>>(), findings);
    if values.iter().any(|given| given.value.is_none()) {
        return None;
    }
    let listen = listen?;
    warn_of_surprises(pool, findings);
    warn_of_open_socket(pool, &listen, findings);
    warn_of_idle_settings(pool, findings);
    let mut config = pool_config(pool, listen, servers?, findings);
    fill_reads(pool, &mut config.settings);
    config.cluster = cluster(pool);
    if config.cluster.is_some() {
        config.settings.slots = Some(Arc::default());
        // As far as the file tells, keys have no server of their own.
        config.settings.placement = Placement {
            distribution: Distribution::Random,
            ..Placement::default()
        };
    }
    config.acceptance = tls.acceptance;
    config.listen_tls = tls.listen;
    config.settings.server_security = tls.security;
    config.settings.users = users;
    Some(config)
}

/// Reports required settings that are missing.
fn check_required(pool: &ReadPool, findings: &mut Findings) {
    if !pool.whole {
        return;
    }
    let required = of(Scope::Pool).filter(|setting| matches!(setting.absent, Absent::Required));
    let has_cluster = pool.values.given(&CLUSTER).is_some();
    let required = required.filter(|setting| setting.name != SERVERS.name || !has_cluster);
    for setting in required.filter(|setting| pool.values.given(setting).is_none()) {
        let message = format!(
            "setting `{}` is missing in pool `{}`",
            setting.name, pool.name
        );
        findings
            .problems
            .push(Problem::at(&pool.position, message).help(expected(&setting.kind)));
    }
}

/// Reports settings that only the other protocol has.
fn check_protocol(pool: &ReadPool, findings: &mut Findings) {
    let Some(redis) = pool.values.value(&REDIS) else {
        return;
    };
    for given in pool.values.iter() {
        let (kind, help) = match (given.setting.only, redis) {
            (Some(Only::Redis), false) => ("redis", "set `redis: true`, or remove it"),
            (Some(Only::Memcached), true) => ("memcached", "remove it, or `redis: true`"),
            _ => continue,
        };
        let name = given.setting.name;
        let message = format!("setting `{name}` is only valid for a {kind} pool");
        findings
            .problems
            .push(Problem::at(&given.key, message).help(help));
    }
}

/// The servers in index order, if they are valid.
fn check_servers(
    pool: &ReadPool,
    distribution: Distribution,
    findings: &mut Findings,
) -> Option<Vec<ServerLine>> {
    let lines = match pool.values.given(&CLUSTER) {
        Some(_) => pool.values.value(&CLUSTER)?,
        None => pool.server_lines()?,
    };
    let before = findings.problems.len();
    if lines.is_empty() {
        let position = pool
            .values
            .given(&SERVERS)
            .map_or(&pool.position, |given| &given.key);
        let message = format!("pool `{}` has no servers", pool.name);
        findings.problems.push(Problem::at(position, message));
    }
    check_weights(&lines, distribution, findings);
    let sound = findings.problems.len() == before;
    let servers = lines.into_iter().map(|(server, _)| server).collect();
    sound.then(|| in_index_order(servers))
}

/// Servers in the order of their indices, whatever the order of their lines.
pub(super) fn in_index_order(mut servers: Vec<ServerLine>) -> Vec<ServerLine> {
    servers.sort_by(|a, b| index_order(a.name.as_bytes(), b.name.as_bytes()));
    servers
}

/// Reports the line at which the sum of the weights exceeds the limit of the distribution.
fn check_weights(
    lines: &[(ServerLine, Position)],
    distribution: Distribution,
    findings: &mut Findings,
) {
    let limit = distribution.max_weights();
    let mut sum: u64 = 0;
    for (server, position) in lines {
        sum += u64::from(server.weight);
        if sum > limit {
            let problem = Problem::at(position, "the weights of the servers add up to too much");
            let mut help = format!("their sum can be at most {limit}");
            if distribution != Distribution::default() {
                help += &format!(" with `distribution: {}`", distribution.name());
            }
            findings.problems.push(problem.help(help));
            return;
        }
    }
}

/// Warns of settings that are valid but act differently than a reader may expect.
fn warn_of_surprises(pool: &ReadPool, findings: &mut Findings) {
    let (name, values) = (&pool.name, &pool.values);
    let given = |setting: &Setting| values.given(setting).map(|given| &given.key);
    let limit = values.get(&CLIENT_CONNECTIONS);
    if let Some(position) = given(&CLIENT_CONNECTIONS).filter(|_| limit > 0) {
        let text = format!(
            "pool `{name}`: the limit of {limit} client connections is enforced; twemproxy ignores it"
        );
        findings.warn(position, text);
    }
    if let Some(position) =
        given(&REDIS_DB).filter(|_| !values.get(&REDIS) && values.get(&REDIS_DB) > 0)
    {
        findings.warn(
            position,
            format!("pool `{name}`: `redis_db` is without effect in a memcached pool"),
        );
    }
    let ketama = values.get(&DISTRIBUTION) == Distribution::Ketama;
    let crc32 = values.get(&HASH) == HashKind::Crc32 && ketama;
    if let Some(position) = given(&HASH).filter(|_| crc32) {
        let text = format!(
            "pool `{name}`: `crc32` with ketama puts nearly all keys on one server, here as with twemproxy; \
             `crc32a` does not, but moves the keys"
        );
        findings.warn_in_short(position, text);
    }
}

/// Warns of a unix socket that everybody may connect to. It is as with nutcracker, so it cannot be refused.
fn warn_of_open_socket(pool: &ReadPool, listen: &Listen, findings: &mut Findings) {
    let (
        Listen::Unix {
            path, mode: None, ..
        },
        Some(given),
    ) = (listen, pool.values.given(&LISTEN))
    else {
        return;
    };
    let (name, path) = (&pool.name, path.display());
    let text = format!(
        "pool `{name}`: the socket has no mode, so with -d every user may connect (0777, as with twemproxy); \
         add one: `listen: {path} 0660`"
    );
    findings.warn(&given.position, text);
}

fn pool_config(
    pool: &ReadPool,
    listen: Listen,
    servers: Vec<ServerLine>,
    findings: &mut Findings,
) -> PoolConfig {
    let values = &pool.values;
    let databases = databases(pool, &servers, findings);
    let server_settings = |server: &ServerLine| {
        let over_unix = matches!(server.address, Address::Unix(_));
        server.settings(if over_unix { databases.1 } else { databases.0 })
    };
    let server_settings = servers.iter().map(server_settings);
    let protocol = match values.get(&REDIS) {
        true => ProtocolSettings::Redis(RedisSettings {
            ask_release: true,
            ..RedisSettings::default()
        }),
        false => ProtocolSettings::Memcached(MemcachedSettings::default()),
    };
    let mut settings = PoolSettings::new(&pool.name, server_settings.collect(), protocol);
    settings.failure.failover = failover(values);
    let mut config = PoolConfig::new(settings, listen);
    config.has_cross_shard = values.given(&CROSS_SHARD).is_some();
    config.written = values.written();
    for row in rows(Scope::Pool) {
        row.fill_pool(values.read_of(row.setting()), &mut config);
    }
    config.discovery = pool.source().map(|source| Discovery {
        source,
        databases,
        max_weights: values.get(&DISTRIBUTION).max_weights(),
        max_removed: config.max_removed,
    });
    config
}

/// Reports what a pool has whose masters are told by Sentinels, and that does not go with it.
fn check_sentinel(pool: &ReadPool, findings: &mut Findings) {
    let (Some(ServerSource::Sentinel(_)), Some(given)) =
        (pool.source(), pool.values.given(&SERVERS))
    else {
        return;
    };
    if pool.values.value(&REDIS) == Some(false) {
        let message = "Sentinels watch Redis servers only";
        let problem = Problem::at(&given.position, message).help("set `redis: true`");
        findings.problems.push(problem);
    }
}

fn failover(values: &Values) -> Option<FailoverSettings> {
    Some(FailoverSettings {
        pool: values.value(&FAILOVER)?,
        seconds: values.value(&FAILOVER_TTL)?,
    })
}

/// The databases that the data is in of servers that are reached over TCP, and over unix sockets.
///
/// nutcracker 0.5.0 sends SELECT before AUTH, so a server with a password refuses it; over a unix socket,
/// where connecting completes at once, it sends no SELECT at all. In both cases its users have their data in
/// database 0, whatever `redis_db` says. Selecting another one now would hide that data, so it is only done
/// with `redis_db_fixed`.
fn databases(pool: &ReadPool, servers: &[ServerLine], findings: &mut Findings) -> (u32, u32) {
    let values = &pool.values;
    let db = values.get(&REDIS_DB);
    let Some(given) = values
        .given(&REDIS_DB)
        .filter(|_| db > 0 && values.get(&REDIS))
    else {
        return (0, 0);
    };
    if values.get(&DATABASES) > 1 {
        let message = "`redis_db` gives the pool one database, and `databases` several".to_owned();
        let help = "remove one of them: with `databases` clients select theirs";
        findings
            .problems
            .push(Problem::at(&given.key, message).help(help));
    }
    let with_auth = values.value(&REDIS_AUTH).is_some();
    let missed = |server: &ServerLine| with_auth || matches!(server.address, Address::Unix(_));
    if values.get(&REDIS_DB_FIXED) {
        return (db, db);
    }
    let missed_now = match with_auth {
        true => (0, 0),
        false => (db, 0),
    };
    if !with_auth && !servers.iter().any(missed) {
        return missed_now;
    }
    let why = match with_auth {
        true => "`redis_auth` is set",
        false => "there are servers on unix sockets",
    };
    let whose = match servers.iter().all(missed) {
        true => "the data stays",
        false => "their data stays",
    };
    let name = &pool.name;
    let text = format!(
        "pool `{name}`: twemproxy fails to select database {db} because {why}; {whose} in database 0, \
         where it is. Set `redis_db_fixed: true` to use database {db}"
    );
    findings.warn(&given.key, text);
    missed_now
}
