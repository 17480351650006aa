//! One pool: from its settings, each valid by itself, to what the proxy runs on.

use std::sync::Arc;
use std::time::Duration;

use hashkit::{CharSign, Distribution, HashKind, Placement, index_order};
use proxy::settings::{
    ClientLimits, CrossShard, MemcachedSettings, PoolSettings, ProtocolSettings, RedisSettings,
    Resp3, ServerSettings,
};

use super::address::{Listen, ServerAddress, ServerLine};
use super::failure::{check_eject_policy, duration, failure_policy, warn_of_idle_settings};
use super::file::ReadPool;
use super::kind::{Value, expected};
use super::number::NUMBER_MAX;
use super::report::{Findings, Place, Problem};
use super::table::{Absent, Only, Scope, find, of};
use super::types::PoolConfig;
use super::values::Values;

/// Most slots of a modula pool, that is, the sum of its weights: each takes memory.
const MODULA_SLOTS_MAX: u64 = 1 << 24;

/// Checks a pool that listens on `listen`; `None` when anything is wrong with it, which has been reported.
pub(super) fn check_pool(
    pool: &ReadPool,
    listen: Option<Listen>,
    findings: &mut Findings,
) -> Option<PoolConfig> {
    check_required(pool, findings);
    check_protocol(pool, findings);
    let values = &pool.values;
    let placement = placement(values);
    check_eject_policy(pool, placement.distribution, findings);
    let servers = check_servers(pool, placement.distribution, findings);
    if values.iter().any(|(_, given)| given.value.is_none()) {
        return None;
    }
    let listen = listen?;
    warn_of_surprises(pool, placement, findings);
    warn_of_idle_settings(pool, findings);
    let (settings, servers) = pool_settings(pool, placement, servers?, findings);
    Some(PoolConfig {
        settings,
        listen,
        backlog: number(values, "backlog"),
        client_connections: number(values, "client_connections"),
        tcpkeepalive: values.bool("tcpkeepalive"),
        reuseport: values.bool("reuseport"),
        servers,
    })
}

/// Complains about what is missing.
fn check_required(pool: &ReadPool, findings: &mut Findings) {
    if !pool.whole {
        return;
    }
    let required = of(Scope::Pool).filter(|setting| setting.absent == Absent::Required);
    for setting in required.filter(|setting| pool.values.get(setting.name).is_none()) {
        let message = format!(
            "setting `{}` is missing in pool `{}`",
            setting.name, pool.name
        );
        findings
            .problems
            .push(Problem::at(&pool.place, message).help(expected(&setting.kind)));
    }
}

/// Complains about settings that only the other protocol has.
fn check_protocol(pool: &ReadPool, findings: &mut Findings) {
    let redis = match pool.values.value("redis") {
        Some(Value::Bool(redis)) => redis,
        _ => return,
    };
    for (name, given) in pool.values.iter() {
        let only = find(Scope::Pool, name).and_then(|setting| setting.only);
        let (kind, help) = match (only, redis) {
            (Some(Only::Redis), false) => ("redis", "set `redis: true`, or remove it"),
            (Some(Only::Memcached), true) => ("memcached", "remove it, or `redis: true`"),
            _ => continue,
        };
        let message = format!("setting `{name}` is only valid for a {kind} pool");
        findings
            .problems
            .push(Problem::at(&given.key, message).help(help));
    }
}

/// The servers in index order, when nothing is wrong with them.
fn check_servers(
    pool: &ReadPool,
    distribution: Distribution,
    findings: &mut Findings,
) -> Option<Vec<ServerLine>> {
    let Some(Value::Servers(lines)) = pool.values.value("servers") else {
        return None;
    };
    let before = findings.problems.len();
    if lines.is_empty() {
        let place = pool
            .values
            .get("servers")
            .map_or(&pool.place, |given| &given.key);
        let message = format!("pool `{}` has no servers", pool.name);
        findings.problems.push(Problem::at(place, message));
    }
    check_weights(&lines, distribution, findings);
    let sound = findings.problems.len() == before;
    let mut servers: Vec<ServerLine> = lines.into_iter().map(|(server, _)| server).collect();
    servers.sort_by(|a, b| index_order(a.name.as_bytes(), b.name.as_bytes()));
    sound.then_some(servers)
}

/// Complains about the line with which the sum of the weights passes what can be reckoned with.
fn check_weights(
    lines: &[(ServerLine, Place)],
    distribution: Distribution,
    findings: &mut Findings,
) {
    let (limit, what) = match distribution {
        // The C program adds weights up in 32 bits; beyond, its shares would be nonsense.
        Distribution::Ketama => (u64::from(u32::MAX), ""),
        Distribution::Modula => (MODULA_SLOTS_MAX, " with `distribution: modula`"),
        Distribution::Random => return,
    };
    let mut sum = 0;
    for (server, place) in lines {
        sum += u64::from(server.weight);
        if sum > limit {
            let problem = Problem::at(place, "the weights of the servers add up to too much");
            let help = format!("their sum can be at most {limit}{what}");
            findings.problems.push(problem.help(help));
            return;
        }
    }
}

fn placement(values: &Values) -> Placement {
    Placement {
        hash: HashKind::from_name(&values.text("hash")).unwrap_or_default(),
        sign: match values.text("hash_char").as_str() {
            "unsigned" => CharSign::Unsigned,
            _ => CharSign::Signed,
        },
        tag: match values.value("hash_tag") {
            Some(Value::Tag(tag)) => Some(tag),
            _ => None,
        },
        distribution: Distribution::from_name(&values.text("distribution")).unwrap_or_default(),
    }
}

/// Warns of what is valid, but not what the reader of the file would expect.
fn warn_of_surprises(pool: &ReadPool, placement: Placement, findings: &mut Findings) {
    let (name, values) = (&pool.name, &pool.values);
    let given = |name: &str| values.get(name).map(|given| &given.key);
    if let Some(place) =
        given("client_connections").filter(|_| values.number("client_connections") > Some(0))
    {
        let limit = number(values, "client_connections");
        let text = format!(
            "pool `{name}`: the limit of {limit} client connections is enforced; twemproxy ignores it"
        );
        findings.warn(place, text);
    }
    if let Some(place) = given("redis_db").filter(|_| !values.bool("redis") && db(values) > 0) {
        findings.warn(
            place,
            format!("pool `{name}`: `redis_db` is without effect in a memcached pool"),
        );
    }
    let crc32 = placement.hash == HashKind::Crc32 && placement.distribution == Distribution::Ketama;
    if let Some(place) = given("hash").filter(|_| crc32) {
        let text = format!(
            "pool `{name}`: `crc32` with ketama puts nearly all keys on one server, here as with twemproxy; \
             `crc32a` does not, but moves the keys"
        );
        findings.warn(place, text);
    }
}

fn pool_settings(
    pool: &ReadPool,
    placement: Placement,
    servers: Vec<ServerLine>,
    findings: &mut Findings,
) -> (PoolSettings, Vec<ServerAddress>) {
    let values = &pool.values;
    let databases = databases(pool, &servers, findings);
    let server_settings = |(server, db): (&ServerLine, u32)| ServerSettings {
        name: server.name.clone(),
        pname: server.pname.clone(),
        weight: server.weight,
        db,
    };
    let settings = PoolSettings {
        name: pool.name.clone(),
        servers: servers.iter().zip(databases).map(server_settings).collect(),
        placement,
        timeout: duration(values, "timeout"),
        preconnect: values.bool("preconnect"),
        auto_eject_hosts: values.bool("auto_eject_hosts"),
        server_connections: number(values, "server_connections") as usize,
        server_retry_timeout: duration(values, "server_retry_timeout").unwrap_or(Duration::ZERO),
        server_failure_limit: number(values, "server_failure_limit"),
        error_detail: values.bool("error_detail"),
        allow_flush: values.bool("allow_flush"),
        clients: client_limits(values),
        failure: failure_policy(values),
        protocol: protocol(values),
    };
    (
        settings,
        servers.into_iter().map(|server| server.address).collect(),
    )
}

fn client_limits(values: &Values) -> ClientLimits {
    let bytes = |name| values.number(name).unwrap_or_default();
    ClientLimits {
        backlog: usize::try_from(bytes("client_backlog")).unwrap_or(usize::MAX),
        min_rate: bytes("client_min_rate"),
        stall_timeout: duration(values, "client_stall_timeout"),
    }
}

fn protocol(values: &Values) -> ProtocolSettings {
    if !values.bool("redis") {
        let max_value = values.number("max_value");
        return ProtocolSettings::Memcached(match max_value {
            Some(max_value) => MemcachedSettings { max_value },
            None => MemcachedSettings::default(),
        });
    }
    let auth = values.text("redis_auth");
    ProtocolSettings::Redis(RedisSettings {
        auth: (!auth.is_empty()).then(|| Arc::from(auth.as_bytes())),
        resp3: match values.text("resp3").as_str() {
            "off" => Resp3::Off,
            _ => Resp3::Auto,
        },
        cross_shard: match values.text("cross_shard").as_str() {
            "error" => CrossShard::Error,
            _ => CrossShard::FirstKey,
        },
    })
}

/// The database in which each server's data is.
///
/// nutcracker 0.5.0 sends SELECT before AUTH, so that a server with a password refuses it, and none at
/// all over a unix socket, where connecting completes at once; the data of its users is in database 0
/// then, whatever `redis_db` says. Selecting another now would lose it from sight, so that is only done
/// when asked for.
fn databases(pool: &ReadPool, servers: &[ServerLine], findings: &mut Findings) -> Vec<u32> {
    let values = &pool.values;
    let db = db(values);
    let Some(given) = values
        .get("redis_db")
        .filter(|_| db > 0 && values.bool("redis"))
    else {
        return vec![0; servers.len()];
    };
    let with_auth = !values.text("redis_auth").is_empty();
    let missed =
        |server: &ServerLine| with_auth || matches!(server.address, ServerAddress::Unix(_));
    if values.bool("redis_db_fixed") || !servers.iter().any(missed) {
        return vec![db; servers.len()];
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
    servers
        .iter()
        .map(|server| if missed(server) { 0 } else { db })
        .collect()
}

fn db(values: &Values) -> u32 {
    number(values, "redis_db")
}

/// The value of a numeric setting that has a default; numbers are at most [`NUMBER_MAX`].
fn number(values: &Values, name: &str) -> u32 {
    let number = values.number(name).unwrap_or(0).min(NUMBER_MAX);
    u32::try_from(number).unwrap_or(u32::MAX)
}
