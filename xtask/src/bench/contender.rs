//! The servers, and the proxies in front of them that are compared ("contenders").

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;
use testkit::{Client, Endpoint, Process, Proxy, Server, Tool, eventually, free_port};

use super::options::{Mode, Options};
use super::programs::Bench;
use super::setup;
use super::shape::Protocol;

/// The proxy that all others are compared with.
pub(super) const BASE: &str = "nutcracker";

/// Our proxy.
pub(super) const OURS: &str = "nuthatch";

/// The program that answers by itself: a lower bound for every proxy.
pub(super) const FLOOR: &str = "floor";

/// The environment variable with the path of predixy's program, which is in no package.
const PREDIXY: &str = "NUTHATCH_BENCH_PREDIXY";

/// How long a proxy may take to listen after it is started.
const START_LIMIT: Duration = Duration::from_secs(20);

/// What can be measured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    /// Debian's nutcracker.
    Nutcracker,
    /// A build of ours, by its name in the tables.
    Nuthatch {
        name: String,
        program: PathBuf,
        workers: usize,
    },
    /// haproxy as a raw relay of bytes to the first server.
    Haproxy,
    /// Envoy with its Redis proxy filter.
    Envoy(PathBuf),
    /// predixy with one worker thread.
    Predixy(PathBuf),
    /// Our own minimal server that answers every request itself.
    Floor(PathBuf),
    /// No proxy: the first server itself.
    Direct,
}

impl Kind {
    pub(super) fn name(&self) -> &str {
        match self {
            Kind::Nutcracker => BASE,
            Kind::Nuthatch { name, .. } => name,
            Kind::Haproxy => "haproxy",
            Kind::Envoy(_) => "envoy",
            Kind::Predixy(_) => "predixy",
            Kind::Floor(_) => FLOOR,
            Kind::Direct => "direct",
        }
    }

    /// Ours, with this number of workers.
    pub(super) fn ours(bench: &Bench, name: &str, workers: usize) -> Kind {
        Kind::Nuthatch {
            name: name.into(),
            program: bench.nuthatch.clone(),
            workers,
        }
    }

    /// All that are installed and selected, the base first.
    pub(super) fn all(bench: &Bench, options: &Options, protocol: Protocol) -> Vec<Kind> {
        let mut kinds = vec![Kind::Nutcracker, Kind::ours(bench, OURS, options.workers)];
        for (name, program) in &options.candidates {
            kinds.push(Kind::Nuthatch {
                name: name.clone(),
                program: program.clone(),
                workers: options.workers,
            });
        }
        kinds.push(Kind::Haproxy);
        if protocol == Protocol::Redis {
            kinds.extend(setup::envoy().map(Kind::Envoy));
            kinds.extend(predixy().map(Kind::Predixy));
        }
        kinds.push(Kind::Floor(bench.floor.clone()));
        kinds.push(Kind::Direct);
        kinds.retain(|kind| kind.is_installed() && kind.is_wanted(options));
        kinds
    }

    fn is_installed(&self) -> bool {
        match self {
            Kind::Nutcracker => Tool::find("nutcracker").is_some(),
            Kind::Haproxy => Tool::find("haproxy").is_some(),
            Kind::Nuthatch { .. }
            | Kind::Envoy(_)
            | Kind::Predixy(_)
            | Kind::Floor(_)
            | Kind::Direct => true,
        }
    }

    fn is_wanted(&self, options: &Options) -> bool {
        let named = |name: &str| options.proxies.iter().any(|wanted| wanted == name);
        let is_candidate = options
            .candidates
            .iter()
            .any(|(name, _)| name == self.name());
        if options.proxies.is_empty() {
            // The targets do not mention these.
            let is_idle = matches!(self, Kind::Envoy(_) | Kind::Direct);
            return options.mode != Mode::Targets || !is_idle;
        }
        is_candidate || named(self.name())
    }
}

/// Servers and the contenders in front of them. Dropping it stops everything.
#[derive(Debug)]
pub(super) struct Rig {
    pub(super) contenders: Vec<Contender>,
    pub(super) servers: Vec<Server>,
}

/// A running contender.
#[derive(Debug)]
pub(super) struct Contender {
    pub(super) name: String,
    pub(super) address: SocketAddr,
    running: Running,
}

#[derive(Debug)]
enum Running {
    Sharding(Proxy),
    Other { process: Process, _files: TempDir },
    Nothing,
}

impl Rig {
    /// Starts `count` servers and each of `kinds` in front of them.
    ///
    /// # Errors
    ///
    /// When one of them does not listen.
    pub(super) fn start(protocol: Protocol, count: usize, kinds: &[Kind]) -> Result<Rig, String> {
        let servers: Option<Vec<Server>> = (0..count).map(|_| start_server(protocol)).collect();
        let servers = servers.ok_or("the servers are not installed")?;
        let contenders = kinds
            .iter()
            .map(|kind| Contender::start(kind, protocol, &servers))
            .collect::<Result<_, _>>()?;
        Ok(Rig {
            contenders,
            servers,
        })
    }

    /// The ids of the servers' processes.
    pub(super) fn server_pids(&self) -> Vec<u32> {
        self.servers.iter().map(|server| server.pid()).collect()
    }
}

impl Contender {
    /// The process id of the proxy; none for a direct connection.
    pub(super) fn pid(&self) -> Option<u32> {
        match &self.running {
            Running::Sharding(proxy) => Some(proxy.pid()),
            Running::Other { process, .. } => Some(process.pid()),
            Running::Nothing => None,
        }
    }

    fn start(kind: &Kind, protocol: Protocol, servers: &[Server]) -> Result<Contender, String> {
        let port = free_port();
        let mut address = SocketAddr::from(([127, 0, 0, 1], port));
        let running = match kind {
            Kind::Nutcracker => {
                let conf = pool_conf(protocol, port, servers);
                Running::Sharding(testkit::nutcracker(&conf).ok_or("nutcracker is not installed")?)
            }
            Kind::Nuthatch {
                program, workers, ..
            } => {
                let conf = pool_conf(protocol, port, servers);
                let workers = workers.to_string();
                let arguments = ["--workers", workers.as_str()];
                Running::Sharding(testkit::nuthatch(program, &arguments, &conf))
            }
            Kind::Haproxy => start_haproxy(port, servers[0].addr())?,
            Kind::Envoy(program) => start_envoy(program, port, servers)?,
            Kind::Predixy(program) => start_predixy(program, port, servers)?,
            Kind::Floor(program) => start_floor(program, port)?,
            Kind::Direct => {
                address = servers[0].addr();
                Running::Nothing
            }
        };
        Ok(Contender {
            name: kind.name().into(),
            address,
            running,
        })
    }
}

pub(super) fn start_server(protocol: Protocol) -> Option<Server> {
    match protocol {
        Protocol::Redis => testkit::redis_with(&["--maxclients", "19000"]),
        Protocol::Memcached => testkit::memcached_with(&["-c", "19000", "-m", "512", "-I", "4m"]),
    }
}

/// The configuration of both nutcracker and nuthatch.
fn pool_conf(protocol: Protocol, port: u16, servers: &[Server]) -> String {
    let redis = protocol == Protocol::Redis;
    let lines: String = (0..)
        .zip(servers)
        .map(|(number, server)| format!("    - {}:1 server-{number}\n", server.endpoint()))
        .collect();
    format!(
        "bench:\n  listen: 127.0.0.1:{port}\n  redis: {redis}\n  hash: fnv1a_64\n  distribution: ketama\n  \
         preconnect: true\n  backlog: 1024\n  servers:\n{lines}"
    )
}

fn start_haproxy(port: u16, server: SocketAddr) -> Result<Running, String> {
    let tool = Tool::find("haproxy").ok_or("haproxy is not installed")?;
    let conf = format!(
        "global\n  nbthread 1\n  maxconn 9000\n\
         defaults\n  mode tcp\n  timeout connect 5s\n  timeout client 5m\n  timeout server 5m\n\
         listen bench\n  bind 127.0.0.1:{port}\n  server one {server}\n"
    );
    start_other(tool.command(), &["-db", "-f"], "haproxy.cfg", &conf, port)
}

fn start_envoy(program: &PathBuf, port: u16, servers: &[Server]) -> Result<Running, String> {
    let endpoints: String = servers
        .iter()
        .map(|server| {
            format!(
                "        - endpoint: {{ address: {{ socket_address: {{ address: 127.0.0.1, port_value: {} }} }} }}\n",
                server.port()
            )
        })
        .collect();
    let conf = ENVOY_CONF.replace("PORT", &port.to_string()) + &endpoints;
    let arguments = [
        "--concurrency",
        "1",
        "--disable-hot-restart",
        "-l",
        "error",
        "-c",
    ];
    start_other(Command::new(program), &arguments, "envoy.yaml", &conf, port)
}

/// Envoy's Redis filter over a ring, without batching delays; its endpoints follow.
const ENVOY_CONF: &str = "\
static_resources:
  listeners:
  - address: { socket_address: { address: 127.0.0.1, port_value: PORT } }
    filter_chains:
    - filters:
      - name: envoy.filters.network.redis_proxy
        typed_config:
          '@type': type.googleapis.com/envoy.extensions.filters.network.redis_proxy.v3.RedisProxy
          stat_prefix: bench
          settings: { op_timeout: 60s }
          prefix_routes: { catch_all_route: { cluster: servers } }
  clusters:
  - name: servers
    connect_timeout: 5s
    type: STATIC
    lb_policy: RING_HASH
    circuit_breakers: { thresholds: [ { max_connections: 20000, max_pending_requests: 1000000, max_requests: 1000000 } ] }
    load_assignment:
      cluster_name: servers
      endpoints:
      - lb_endpoints:
";

/// predixy's program, if the environment variable names it.
pub(super) fn predixy() -> Option<PathBuf> {
    std::env::var_os(PREDIXY).map(PathBuf::from)
}

/// A message if predixy is not measured.
pub(super) fn predixy_is_absent() -> Option<String> {
    predixy()
        .is_none()
        .then(|| format!("predixy is not measured: {PREDIXY} names no program"))
}

/// Written for predixy 7.0.1: one master per group, no hash tag.
fn start_predixy(program: &PathBuf, port: u16, servers: &[Server]) -> Result<Running, String> {
    let groups: String = (0..)
        .zip(servers)
        .map(|(number, server)| format!("  Group s{number} {{\n    + {}\n  }}\n", server.addr()))
        .collect();
    let conf = format!(
        "Name bench\nBind 127.0.0.1:{port}\nWorkerThreads 1\nLogInfoSample 0\n\
         Authority {{\n  Auth {{\n    Mode write\n  }}\n}}\n\
         StandaloneServerPool {{\n  Hash crc16\n  Distribution modula\n  RefreshMethod fixed\n{groups}}}\n"
    );
    start_other(Command::new(program), &[], "predixy.conf", &conf, port)
}

fn start_floor(program: &PathBuf, port: u16) -> Result<Running, String> {
    let files = directory()?;
    let mut command = Command::new(program);
    command.arg(port.to_string());
    await_listening(command, FLOOR, port, files)
}

/// Starts a proxy that takes its configuration file as the last argument.
fn start_other(
    mut command: Command,
    arguments: &[&str],
    file: &str,
    conf: &str,
    port: u16,
) -> Result<Running, String> {
    let files = directory()?;
    let path = files.path().join(file);
    std::fs::write(&path, conf).map_err(|error| format!("{}: {error}", path.display()))?;
    command.args(arguments).arg(&path);
    await_listening(command, file, port, files)
}

fn directory() -> Result<TempDir, String> {
    TempDir::with_prefix("bench-").map_err(|error| format!("no directory: {error}"))
}

/// Starts `command` in its own directory and waits until it listens.
fn await_listening(
    mut command: Command,
    what: &str,
    port: u16,
    files: TempDir,
) -> Result<Running, String> {
    command.current_dir(files.path());
    let mut process = Process::spawn(command);
    let endpoint = Endpoint::loopback(port);
    let listening = eventually(START_LIMIT, || {
        let has_ended = process.exited().is_some();
        (has_ended || Client::try_connect(&endpoint).is_ok()).then_some(!has_ended)
    });
    match listening {
        Some(true) => Ok(Running::Other {
            process,
            _files: files,
        }),
        _ => Err(format!(
            "the proxy with {what} does not listen:\n{}{}",
            process.stdout(),
            process.stderr()
        )),
    }
}
