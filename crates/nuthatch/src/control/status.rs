//! `nuthatch ctl status`.

use std::fmt::Write;
use std::time::{SystemTime, UNIX_EPOCH};

use proxy::settings::ProtocolSettings;
use proxy::{PlannedServer, PoolPlan};
use serde::Serialize;
use serde_json::Value;

use super::facts::Facts;
use super::message::Answer;
use crate::config::PoolConfig;
use crate::live::Live;
use crate::pool::{PoolShare, state_of};
use crate::recent::RecentLatency;
use crate::standing::Known;

/// What is in force, and how it is.
#[derive(Debug, Serialize)]
struct Status {
    version: &'static str,
    pid: u32,
    uptime_seconds: u64,
    workers: usize,
    clients: usize,
    config_file: String,
    reloads: ReloadStatus,
    /// The process that this one has replaced, until it has ended.
    old_process: Option<OldProcessStatus>,
    pools: Vec<PoolStatus>,
}

#[derive(Debug, Serialize)]
struct OldProcessStatus {
    pid: u32,
    clients: u64,
    server_connections: u64,
}

#[derive(Debug, Serialize)]
struct ReloadStatus {
    done: u64,
    refused: u64,
    /// When the last one was tried, in seconds since the Unix epoch.
    last_at: Option<u64>,
    /// Why the last one was refused.
    last_error: Option<String>,
}

#[derive(Debug, Serialize)]
struct PoolStatus {
    name: String,
    protocol: &'static str,
    listen: String,
    clients: usize,
    /// How many workers serve clients that connect.
    workers: usize,
    /// Counts the plans of the pool.
    plan: u64,
    /// The digest of where its keys are.
    ring: String,
    /// How the search for its servers stands, if they are found.
    discovery: Option<Known>,
    servers: Vec<ServerStatus>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    replicas: Vec<ServerStatus>,
}

#[derive(Debug, Serialize)]
struct ServerStatus {
    name: String,
    address: String,
    weight: u32,
    /// The name of the server whose replica it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    replica_of: Option<String>,
    state: &'static str,
    /// Of the requests that were answered lately.
    recent_latency: Value,
    #[serde(skip)]
    latency_text: Option<String>,
}

/// The answer.
pub(super) fn answer(live: &Live, facts: &Facts) -> Answer {
    let status = status(live, facts);
    Answer::done(text(&status), status)
}

fn status(live: &Live, facts: &Facts) -> Status {
    let reloads = live.reloads();
    let (done, refused) = live.directory().reloads();
    let (at, outcome) = reloads.last.clone().unzip();
    let seconds =
        |at: std::time::SystemTime| at.duration_since(UNIX_EPOCH).map_or(0, |at| at.as_secs());
    let pools = &live.directory().in_force().pools;
    Status {
        version: facts.version,
        pid: std::process::id(),
        uptime_seconds: facts.started.elapsed().as_secs(),
        workers: live.config().globals.workers.count(),
        clients: facts.counts.clients(),
        config_file: facts.conf_file.display().to_string(),
        reloads: ReloadStatus {
            done,
            refused,
            last_at: at.map(seconds),
            last_error: outcome.and_then(Result::err),
        },
        old_process: facts.view.old_process().map(|old| OldProcessStatus {
            pid: old.pid(),
            clients: old.clients(),
            server_connections: old.server_connections(),
        }),
        pools: live
            .config()
            .pools
            .iter()
            .zip(pools.iter())
            .map(|(config, pool)| pool_status(config, pool, &facts.stats.recent))
            .collect(),
    }
}

fn pool_status(config: &PoolConfig, pool: &PoolShare, recent: &RecentLatency) -> PoolStatus {
    let plan: std::sync::Arc<PoolPlan> = pool.core().plan();
    PoolStatus {
        name: pool.name().to_owned(),
        protocol: match &plan.settings.protocol {
            ProtocolSettings::Redis(_) => "redis",
            ProtocolSettings::Memcached(_) => "memcached",
        },
        listen: config.listen.text().to_owned(),
        clients: pool.clients(),
        workers: pool.core().serving_workers(),
        plan: plan.number,
        ring: format!("{:08x}", plan.settings.ring_digest()),
        discovery: pool.standing().map(|it| it.known()),
        servers: plan
            .servers
            .iter()
            .map(|server| server_status(server, recent))
            .collect(),
        replicas: plan
            .replicas
            .iter()
            .map(|replica| ServerStatus {
                replica_of: Some(plan.servers[replica.of].share.name().to_owned()),
                ..server_status(&replica.server, recent)
            })
            .collect(),
    }
}

fn server_status(server: &PlannedServer, recent: &RecentLatency) -> ServerStatus {
    let latency = recent.of(server);
    ServerStatus {
        name: server.share.name().to_owned(),
        address: server.endpoint.address.to_string(),
        weight: server.weight,
        replica_of: None,
        state: state_of(server),
        recent_latency: latency.json(),
        latency_text: latency.text(),
    }
}

fn text(status: &Status) -> String {
    let mut text = String::new();
    let Status {
        version,
        pid,
        uptime_seconds,
        workers,
        clients,
        config_file,
        reloads,
        old_process,
        pools,
    } = status;
    // Writing to a String never fails.
    let _ = writeln!(
        text,
        "nuthatch {version}, pid {pid}, up {uptime_seconds} s, {workers} workers, {clients} clients\n\
         configuration {config_file}: {} reloads, {} refused",
        reloads.done, reloads.refused
    );
    if let Some(error) = &reloads.last_error {
        let _ = writeln!(text, "the last reload was refused: {error}");
    }
    if let Some(old) = old_process {
        let _ = writeln!(
            text,
            "the process before the upgrade, pid {}, still has {} clients and {} connections to servers",
            old.pid, old.clients, old.server_connections
        );
    }
    pools.iter().for_each(|pool| write_pool(&mut text, pool));
    text
}

fn write_pool(text: &mut String, pool: &PoolStatus) {
    let PoolStatus {
        name,
        protocol,
        listen,
        clients,
        workers,
        plan,
        ring,
        discovery,
        servers,
        replicas,
    } = pool;
    let _ = writeln!(
        text,
        "\npool {name} ({protocol}) on {listen}: {clients} clients, {workers} workers, plan {plan}, ring {ring}"
    );
    discovery
        .iter()
        .for_each(|known| write_discovery(text, known));
    let all = || servers.iter().chain(replicas);
    let width = all().map(|server| server.name.len()).max().unwrap_or(0);
    for ServerStatus {
        name,
        address,
        weight,
        replica_of,
        state,
        recent_latency: _,
        latency_text,
    } in all()
    {
        let _ = write!(text, "  {name:width$}  {state:8} {address}, ");
        let _ = match replica_of {
            Some(server) => write!(text, "replica of {server}"),
            None => write!(text, "weight {weight}"),
        };
        if let Some(latency) = latency_text {
            let _ = write!(text, ", {latency}");
        }
        text.push('\n');
    }
}

fn write_discovery(text: &mut String, known: &Known) {
    let Known {
        source,
        found,
        last_success,
        failures,
        problem,
        held_back,
        ..
    } = known;
    let since = last_success.map(|at| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        now.map_or(0, |now| now.as_secs().saturating_sub(at))
    });
    let since = match since {
        Some(seconds) => format!("{found} servers found, {seconds} s ago"),
        None => format!("{found} servers found, and none in force yet"),
    };
    let _ = writeln!(
        text,
        "  servers from {source}: {since}, {failures} failures"
    );
    if let Some(problem) = problem {
        let _ = writeln!(text, "  the last search failed: {problem}");
    }
    if let Some(reason) = held_back {
        let _ = writeln!(
            text,
            "  what was found last is not in force: {reason}; `nuthatch ctl accept-servers` puts it in force"
        );
    }
}
