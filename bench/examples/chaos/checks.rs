//! What must hold when all faults are healed and all clients have gone.

use std::io::Write;
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use nuthatch_bench::faults::{Fault, Owner};
use serde_json::Value;
use testkit::{Signal, eventually};

use crate::keyspace::REGISTERS;
use crate::model::Excuse;
use crate::request::Ask;
use crate::rig::Rig;
use crate::schedule::Schedule;
use crate::settings::{GUTTER, POOL, SHUTDOWN_MS, Settings};
use crate::tally::Tally;

/// How long gauges may take to return to zero.
const QUIET_LIMIT: Duration = Duration::from_secs(5);

/// How much longer than `shutdown_timeout` the proxy may take to end.
const EXIT_SLACK: Duration = Duration::from_secs(2);

/// How long the last requests may take to reach the servers.
const LAST_REQUESTS: Duration = Duration::from_millis(50);

/// Log lines of one kind about one server, or of one kind about clients, in a second; see `docs/failure.md`.
const LINES_PER_SECOND: usize = 2;

/// Kinds of log lines that a scenario may cause again and again.
const LINE_KINDS: usize = 12;

/// Log lines of the start and the end.
const FIXED_LINES: usize = 60;

/// Resident memory besides buffers.
const BASE_MEMORY: u64 = 64 << 20;

/// What clients can hold without a limit, as far as they do here: each has up to 200 requests outstanding.
const UNLIMITED_MEMORY: u64 = 512 << 20;

/// The counters that show what the scenarios were about.
const COUNTED: [&str; 5] = [
    "server_ejects",
    "failovers",
    "retries",
    "client_shed",
    "unheard",
];

/// The gauges of a pool that must return to zero.
const POOL_GAUGES: [&str; 3] = ["client_connections", "buffered_bytes", "client_held_back"];

/// The gauges of a server that must.
const SERVER_GAUGES: [&str; 4] = ["in_queue", "in_queue_bytes", "out_queue", "out_queue_bytes"];

/// What the statistics say of failures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failures {
    ejections: u64,
    shed: u64,
    /// Connections that ended and requests that were late, of each server.
    servers: Vec<u64>,
}

impl Failures {
    /// Reads them.
    pub(crate) fn read(rig: &Rig, settings: &Settings) -> Result<Self, String> {
        let stats = rig.stats()?;
        let servers = server_names(settings)
            .map(|(pool, name)| {
                let server = &stats[pool][name];
                number(server, "server_eof")
                    + number(server, "server_err")
                    + number(server, "server_timedout")
            })
            .collect();
        let of_pools = |metric| number(&stats[POOL], metric) + number(&stats[GUTTER], metric);
        Ok(Self {
            ejections: of_pools("server_ejects"),
            shed: of_pools("client_shed"),
            servers,
        })
    }

    /// Whether what an excuse says has happened.
    pub(crate) fn excuse(&self, excuse: Excuse) -> bool {
        let is_short = self.shed > 0;
        match excuse {
            Excuse::None => true,
            Excuse::Ejected => self.ejections > 0,
            Excuse::AnyServer => is_short || self.servers.iter().any(|&count| count > 0),
            Excuse::Server(server) => is_short || self.servers[server] > 0,
            Excuse::Shed => is_short,
        }
    }
}

/// Checks statistics, log, memory and the end of the proxy. Returns the most memory that it has had, in bytes.
pub(crate) fn check(
    rig: &mut Rig,
    settings: &Settings,
    schedule: &Schedule,
    tally: &mut Tally,
    lasted: Duration,
) -> u64 {
    if let Err(error) = check_stats(rig, settings, schedule, tally) {
        tally.flaw(error);
    }
    let peak = peak_memory(rig.proxy.pid());
    let limit = BASE_MEMORY
        + match settings.max_memory {
            // What a worker has freed may not be available to the others at once.
            Some(megabytes) => (megabytes << 20) * (1 + settings.workers),
            None => UNLIMITED_MEMORY,
        };
    if peak > limit {
        tally.flaw(format!("{} MiB of resident memory", peak >> 20));
    }
    check_end(rig, settings, tally);
    let log = rig.log();
    if let Some(line) = log.lines().find(|line| line.contains("panicked")) {
        tally.flaw(line.to_owned());
    }
    let servers = settings.servers + settings.gutters;
    let seconds = lasted.as_secs() as usize + 1;
    let most = FIXED_LINES + seconds * LINES_PER_SECOND * LINE_KINDS * (servers + 1);
    let count = log.lines().count();
    if count > most {
        tally.flaw(format!("{count} lines in the log, and not {most} at most"));
    }
    peak
}

fn check_stats(
    rig: &mut Rig,
    settings: &Settings,
    schedule: &Schedule,
    tally: &mut Tally,
) -> Result<(), String> {
    let mut stats = rig.stats()?;
    let is_quiet = eventually(QUIET_LIMIT, || {
        stats = rig.stats().ok()?;
        busy_gauges(&stats, settings).is_empty().then_some(())
    });
    if is_quiet.is_none() {
        let busy = busy_gauges(&stats, settings).join(", ");
        tally.flaw(format!("gauges that are not zero: {busy}"));
    }
    check_clients(&stats, settings, tally);
    for metric in COUNTED {
        let count = number(&stats[POOL], metric) + number(&stats[GUTTER], metric);
        *tally.counted.entry(metric).or_default() += count;
    }
    for (number, (pool, name)) in server_names(settings).enumerate() {
        if let Err(what) = check_server(&stats, pool, &name, schedule.has_failing(number)) {
            tally.flaw(format!("server {name}: {what}"));
        }
    }
    Ok(())
}

fn check_clients(stats: &Value, settings: &Settings, tally: &mut Tally) {
    let pool = &stats[POOL];
    let total = number(pool, "client_total");
    let ends = number(pool, "client_eof") + number(pool, "client_err");
    if ends != total {
        tally.flaw(format!("{total} clients connected, and {ends} have gone"));
    }
    // One more connection is made to see whether the proxy listens.
    let made = tally.connects + 1;
    let is_right = match settings.client_limit {
        Some(_) => total <= made,
        None => total == made,
    };
    if !is_right {
        tally.flaw(format!("{made} connections were made and {total} counted"));
    }
    let errors = number(pool, "forward_error");
    if errors < tally.failures {
        let failures = tally.failures;
        tally.flaw(format!(
            "clients got {failures} errors, and {errors} are counted"
        ));
    }
    let requests = number(pool, "client_requests");
    if !(tally.replies..=tally.commands).contains(&requests) {
        let (commands, replies) = (tally.commands, tally.replies);
        tally.flaw(format!(
            "{commands} commands were sent and {replies} answered, and {requests} counted"
        ));
    }
}

/// What adds up for a server: each request has a response, unless a connection has ended.
fn check_server(stats: &Value, pool: &str, name: &str, has_failed: bool) -> Result<(), String> {
    let server = &stats[pool][name];
    let metric = |name| number(server, name);
    let (requests, responses) = (metric("requests"), metric("responses"));
    if responses > requests {
        return Err(format!("{responses} responses to {requests} requests"));
    }
    let endings = metric("server_eof") + metric("server_err") + metric("server_timedout");
    if endings == 0 && requests != responses {
        return Err(format!(
            "{responses} responses to {requests} requests, and no connection has ended"
        ));
    }
    // A machine with much to do may be late, which is no fault of the server's either.
    let ended = endings - metric("server_timedout");
    if !has_failed && ended > 0 {
        return Err(format!(
            "{ended} connections have ended, and it has not failed"
        ));
    }
    if endings == 0 && metric("server_ejected_at") > 0 {
        return Err("it was ejected, and no connection has ended".into());
    }
    if metric("server_connections") > metric("server_total") {
        return Err("more connections than were opened".into());
    }
    Ok(())
}

fn busy_gauges(stats: &Value, settings: &Settings) -> Vec<String> {
    let mut busy = Vec::new();
    let mut look = |of: &Value, owner: &str, gauges: &[&str]| {
        for gauge in gauges {
            match of[*gauge].as_i64() {
                Some(0) => {}
                value => busy.push(format!("{gauge} of {owner} is {value:?}")),
            }
        }
    };
    look(&stats[POOL], POOL, &POOL_GAUGES);
    for (pool, name) in server_names(settings) {
        look(&stats[pool][&name], &name, &SERVER_GAUGES);
    }
    busy
}

/// Has the proxy end while a client is connected, which may wait for a server that hangs.
fn check_end(rig: &mut Rig, settings: &Settings, tally: &mut Tally) {
    if let Some(status) = rig.proxy.exited() {
        return tally.flaw(format!("the proxy has ended: {status}"));
    }
    // If it cannot connect or write, the proxy has less to do at its end.
    let client = TcpStream::connect(rig.address);
    if settings.ends_busy {
        for server in &mut rig.servers {
            server.break_by(Fault::Freeze);
        }
        let _ = client.and_then(|mut client| {
            client.write_all(&last_requests(settings))?;
            thread::sleep(LAST_REQUESTS);
            end(rig, tally);
            Ok(client)
        });
    } else {
        end(rig, tally);
    }
}

fn end(rig: &mut Rig, tally: &mut Tally) {
    rig.proxy.signal(Signal::TERM);
    let limit = Duration::from_millis(SHUTDOWN_MS) + EXIT_SLACK;
    match eventually(limit, || rig.proxy.exited()) {
        Some(status) if status.success() => {}
        Some(status) => tally.flaw(format!("the proxy ended with {status} after SIGTERM")),
        None => tally.flaw(format!("the proxy still runs {limit:?} after SIGTERM")),
    }
}

/// Requests for keys of all servers.
fn last_requests(settings: &Settings) -> Vec<u8> {
    let owner = Owner { pool: 0, client: 0 };
    let mut out = Vec::new();
    if settings.has_password {
        Ask::Auth.push(&mut out, settings.protocol, owner);
    }
    for key in REGISTERS {
        let keys = vec![(key, 0)];
        Ask::Get { keys }.push(&mut out, settings.protocol, owner);
    }
    out
}

/// The pools and names of all servers.
fn server_names(settings: &Settings) -> impl Iterator<Item = (&'static str, String)> + use<> {
    let own = (0..settings.servers).map(|number| (POOL, format!("s{number}")));
    own.chain((0..settings.gutters).map(|number| (GUTTER, format!("g{number}"))))
}

fn number(of: &Value, metric: &str) -> u64 {
    of[metric].as_u64().unwrap_or(0)
}

/// The most resident memory that a process has had, in bytes.
fn peak_memory(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let peak = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
    peak.unwrap_or(0) << 10
}
