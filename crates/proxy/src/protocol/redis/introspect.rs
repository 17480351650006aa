//! INFO, answered from what the proxy knows of itself. The servers' own INFO is asked of the servers.

use std::fmt::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};

use redis_proto::encode;

use super::client::RedisClient;
use super::request::Request;
use super::state::release;
use crate::metrics::PoolMetric;
use crate::protocol::channel::ChannelKind;
use crate::protocol::report::PoolView;

type Pool<'a> = PoolView<'a, RedisClient>;

/// A section of INFO.
struct Section {
    name: &'static str,
    /// Whether it is shown unasked.
    default: bool,
    write: fn(&Pool<'_>, &mut String) -> fmt::Result,
}

const fn section(
    name: &'static str,
    default: bool,
    write: fn(&Pool<'_>, &mut String) -> fmt::Result,
) -> Section {
    Section {
        name,
        default,
        write,
    }
}

/// In the order of Redis. A section that has nothing here has a heading only.
const SECTIONS: &[Section] = &[
    section("Server", true, server),
    section("Clients", true, clients),
    section("Memory", true, memory),
    section("Persistence", true, persistence),
    section("Stats", true, stats),
    section("Replication", true, replication),
    section("CPU", true, cpu),
    section("Modules", true, nothing),
    section("Commandstats", false, nothing),
    section("Errorstats", true, nothing),
    section("Latencystats", false, nothing),
    section("Cluster", true, cluster),
    section("Keyspace", true, nothing),
    section("Nuthatch", true, nuthatch),
];

/// INFO.
pub(super) fn info(request: &Request<'_>, pool: &Pool<'_>, out: &mut Vec<u8>) {
    let words = || (1..request.args.len()).map(|index| request.arg(index));
    let asked = |name: &str| words().any(|word| word.eq_ignore_ascii_case(name.as_bytes()));
    let all = asked("all") || asked("everything");
    let default = request.args.len() == 1 || asked("default");
    let wanted = |section: &&Section| all || asked(section.name) || (default && section.default);
    let mut text = String::new();
    for section in SECTIONS.iter().filter(wanted) {
        let gap = if text.is_empty() { "" } else { "\r\n" };
        // Writing to a String never fails.
        let _ = write!(text, "{gap}# {}\r\n", section.name);
        let _ = (section.write)(pool, &mut text);
    }
    encode::text(out, &text, pool.asking.client.version);
}

fn server(pool: &Pool<'_>, out: &mut String) -> fmt::Result {
    let (place, uptime) = (pool.share.place(), pool.now.as_micros() / 1_000_000);
    let process = pool.share.process();
    line(out, "redis_version", release(pool.plan))?;
    line(out, "redis_git_sha1", "00000000")?;
    line(out, "redis_git_dirty", 0)?;
    line(out, "redis_mode", "standalone")?;
    line(out, "os", &process.os)?;
    line(out, "arch_bits", usize::BITS)?;
    line(out, "multiplexing_api", "epoll")?;
    line(out, "process_id", process.pid)?;
    line(out, "process_supervised", "no")?;
    line(out, "run_id", &process.run_id)?;
    line(out, "tcp_port", place.port)?;
    line(
        out,
        "server_time_usec",
        process.epoch_micros + pool.now.as_micros(),
    )?;
    line(out, "uptime_in_seconds", uptime)?;
    line(out, "uptime_in_days", uptime / 86_400)?;
    line(out, "executable", &process.executable)?;
    line(out, "config_file", &process.config_file)
}

fn clients(pool: &Pool<'_>, out: &mut String) -> fmt::Result {
    line(
        out,
        "connected_clients",
        pool.share.count(PoolMetric::ClientConnections),
    )?;
    line(out, "cluster_connections", 0)?;
    line(out, "maxclients", pool.share.place().max_clients)?;
    line(out, "blocked_clients", 0)?;
    line(out, "tracking_clients", 0)?;
    line(out, "clients_in_timeout_table", 0)
}

fn memory(pool: &Pool<'_>, out: &mut String) -> fmt::Result {
    let usage = &pool.share.process().usage;
    let (used, peak) = (read(&usage.memory), read(&usage.memory_peak));
    let buffers = pool.share.whole_memory();
    let most = buffers.limit().unwrap_or_default() as u64;
    for (name, bytes) in [
        ("used_memory", used),
        ("used_memory_rss", used),
        ("used_memory_peak", peak),
        ("maxmemory", most),
    ] {
        line(out, name, bytes)?;
        write!(out, "{name}_human:{}\r\n", Human(bytes))?;
    }
    line(out, "used_memory_lua", 0)?;
    line(out, "maxmemory_policy", "noeviction")?;
    line(out, "mem_fragmentation_ratio", "1.00")?;
    line(out, "mem_clients_normal", buffers.held())
}

fn persistence(pool: &Pool<'_>, out: &mut String) -> fmt::Result {
    line(out, "loading", 0)?;
    line(out, "async_loading", 0)?;
    line(out, "rdb_changes_since_last_save", 0)?;
    line(out, "rdb_bgsave_in_progress", 0)?;
    line(out, "rdb_last_save_time", start_seconds(pool))?;
    line(out, "rdb_last_bgsave_status", "ok")?;
    line(out, "aof_enabled", 0)?;
    line(out, "aof_rewrite_in_progress", 0)?;
    line(out, "aof_rewrite_scheduled", 0)?;
    line(out, "aof_last_bgrewrite_status", "ok")?;
    line(out, "aof_last_write_status", "ok")
}

fn stats(pool: &Pool<'_>, out: &mut String) -> fmt::Result {
    let share = pool.share;
    line(
        out,
        "total_connections_received",
        share.count(PoolMetric::ClientTotal),
    )?;
    line(
        out,
        "total_commands_processed",
        share.count(PoolMetric::ClientRequests),
    )?;
    line(out, "instantaneous_ops_per_sec", share.rate())?;
    for name in [
        "expired_keys",
        "evicted_keys",
        "keyspace_hits",
        "keyspace_misses",
        "latest_fork_usec",
    ] {
        line(out, name, 0)?;
    }
    for (name, kind) in [
        ("pubsub_channels", ChannelKind::Plain),
        ("pubsub_patterns", ChannelKind::Pattern),
        ("pubsubshard_channels", ChannelKind::Shard),
    ] {
        line(out, name, (pool.channels)(kind))?;
    }
    line(
        out,
        "total_error_replies",
        share.count(PoolMetric::ForwardError),
    )
}

fn replication(pool: &Pool<'_>, out: &mut String) -> fmt::Result {
    line(out, "role", "master")?;
    line(out, "connected_slaves", 0)?;
    line(out, "master_failover_state", "no-failover")?;
    line(out, "master_replid", &pool.share.process().run_id)?;
    line(out, "master_repl_offset", 0)?;
    line(out, "second_repl_offset", -1)?;
    line(out, "repl_backlog_active", 0)
}

fn cpu(pool: &Pool<'_>, out: &mut String) -> fmt::Result {
    let usage = &pool.share.process().usage;
    for (name, micros) in [
        ("used_cpu_sys", read(&usage.cpu_system)),
        ("used_cpu_user", read(&usage.cpu_user)),
        ("used_cpu_sys_children", 0),
        ("used_cpu_user_children", 0),
    ] {
        let (seconds, rest) = (micros / 1_000_000, micros % 1_000_000);
        write!(out, "{name}:{seconds}.{rest:06}\r\n")?;
    }
    Ok(())
}

fn cluster(_pool: &Pool<'_>, out: &mut String) -> fmt::Result {
    line(out, "cluster_enabled", 0)
}

fn nuthatch(pool: &Pool<'_>, out: &mut String) -> fmt::Result {
    let (share, servers) = (pool.share, &pool.plan.servers);
    let live = servers.iter().filter(|server| server.is_live()).count();
    line(out, "nuthatch_version", env!("CARGO_PKG_VERSION"))?;
    line(out, "pool", share.name())?;
    line(out, "pool_servers", servers.len())?;
    line(out, "pool_servers_live", live)?;
    line(out, "pool_plan", pool.plan.number)?;
    line(out, "workers", share.workers())
}

fn nothing(_pool: &Pool<'_>, _out: &mut String) -> fmt::Result {
    Ok(())
}

/// When the proxy started, in seconds since the Unix epoch.
pub(super) fn start_seconds(pool: &Pool<'_>) -> u64 {
    pool.share.process().epoch_micros / 1_000_000
}

fn line(out: &mut String, name: &str, value: impl fmt::Display) -> fmt::Result {
    write!(out, "{name}:{value}\r\n")
}

pub(super) fn read(value: &AtomicU64) -> u64 {
    value.load(Ordering::Relaxed)
}

/// A number of bytes as Redis shows it to people.
struct Human(u64);

impl fmt::Display for Human {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [(40, "T"), (30, "G"), (20, "M"), (10, "K")];
        match units.into_iter().find(|(shift, _)| self.0 >> shift > 0) {
            Some((shift, unit)) => {
                let value = self.0 as f64 / (1_u64 << shift) as f64;
                write!(f, "{value:.2}{unit}")
            }
            None => write!(f, "{}B", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_shown_as_redis_shows_them() {
        let rows = [
            (0, "0B"),
            (1_023, "1023B"),
            (1_024, "1.00K"),
            (1_558_168, "1.49M"),
            (25_276_502_016, "23.54G"),
        ];
        for (bytes, shown) in rows {
            assert_eq!(Human(bytes).to_string(), shown);
        }
    }
}
