//! Everything that the demo starts, in one value. Dropping it stops everything.

use std::fs::{self, DirBuilder};
use std::io::{self, Read};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use crate::cache::Source;
use crate::child::Child;
use crate::kind::Kind;
use crate::narrator::{Narrator, Stop};
use crate::pool::DemoPool;
use crate::port::Port;

/// How long the proxy may take to listen after its start.
const START_LIMIT: Duration = Duration::from_secs(10);

/// How long it may take to exit.
const END_LIMIT: Duration = Duration::from_secs(3);

/// Longest stats document that is read.
const LONGEST_DOCUMENT: u64 = 1 << 20;

/// The program to run as the proxy, with its arguments.
#[derive(Debug, Clone)]
pub(crate) struct Program {
    pub(crate) path: PathBuf,
    pub(crate) arguments: Vec<String>,
    /// Whether it has an admin port.
    pub(crate) has_admin: bool,
}

impl Program {
    /// This executable.
    pub(crate) fn this_one() -> Result<Program, Stop> {
        let path = std::env::current_exe()
            .map_err(|error| Stop::Failed(format!("cannot find my own program file: {error}")))?;
        Ok(Program {
            path,
            arguments: Vec::new(),
            has_admin: true,
        })
    }
}

/// The proxy, its pools and their directory. They are dropped in the order of the fields.
pub(crate) struct Setup {
    proxy: Child,
    pub(crate) pools: Vec<DemoPool>,
    stats: Port,
    admin: Option<Port>,
    conf: PathBuf,
    _dir: Scratch,
}

impl Setup {
    /// Starts the servers and the proxy, and prints what was started.
    pub(crate) fn build(program: &Program, narrator: &mut Narrator) -> Result<Setup, Stop> {
        narrator
            .say("Nuthatch: one proxy, two pools, three servers in each, all on 127.0.0.1.\n")?;
        let dir = Scratch::make()?;
        let mut pools = Vec::new();
        for kind in [Kind::Redis, Kind::Memcached] {
            let pool = DemoPool::start(kind, Source::find(kind), &dir.path)?;
            narrator.say(&introduction(&pool))?;
            pools.push(pool);
        }
        let conf = dir.path.join("nutcracker.yml");
        let text: Vec<String> = pools.iter().map(DemoPool::configuration).collect();
        fs::write(&conf, text.join("\n"))?;
        let stats = Port::reserve()?;
        let admin = program.has_admin.then(Port::reserve).transpose()?;
        let proxy = start_proxy(program, &conf, (&stats, admin.as_ref()), &dir.path)?;
        let mut setup = Setup {
            proxy,
            pools,
            stats,
            admin,
            conf,
            _dir: dir,
        };
        setup.wait_until_the_proxy_listens()?;
        narrator.say(&setup.proxy_line(program))?;
        Ok(setup)
    }

    /// The proxy's statistics document.
    ///
    /// # Errors
    ///
    /// When it cannot be read or is not JSON.
    pub(crate) fn stats(&self) -> Result<serde_json::Value, Stop> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.stats.number()));
        let time_limit = Duration::from_secs(5);
        let stream = TcpStream::connect_timeout(&address, time_limit)?;
        stream.set_read_timeout(Some(time_limit))?;
        let mut text = String::new();
        stream.take(LONGEST_DOCUMENT).read_to_string(&mut text)?;
        serde_json::from_str(&text)
            .map_err(|error| Stop::Failed(format!("the stats are no JSON: {error}\n{text}")))
    }

    /// An error with the proxy's last output if it has exited.
    pub(crate) fn check_proxy_runs(&mut self) -> Result<(), Stop> {
        if self.proxy.is_running() {
            return Ok(());
        }
        let words = self.proxy.last_words();
        Err(Stop::Failed(format!("the proxy has ended:\n{words}")))
    }

    /// Commands to paste into another terminal.
    pub(crate) fn invitation(&self) -> String {
        let port = |kind| {
            self.pools
                .iter()
                .find(|p| p.kind == kind)
                .map_or(0, DemoPool::port)
        };
        let (redis, memcached) = (port(Kind::Redis), port(Kind::Memcached));
        let (stats, conf) = (self.stats.number(), self.conf.display());
        let dashboard = self.admin.as_ref().map_or_else(String::new, |admin| {
            let port = admin.number();
            format!(
                "Dashboard:         http://127.0.0.1:{port}/\n\
                 Metrics:           http://127.0.0.1:{port}/metrics\n"
            )
        });
        format!(
            "\nTry it yourself:\n\n  \
             redis-cli -p {redis} set greeting hello\n  \
             redis-cli -p {redis} mget greeting user:alice user:bob\n  \
             printf 'PING\\r\\nGET user:alice\\r\\nQUIT\\r\\n' | nc 127.0.0.1 {redis}\n  \
             printf 'get user:alice user:bob\\r\\nquit\\r\\n' | nc 127.0.0.1 {memcached}\n\n\
             {dashboard}\
             Stats (JSON):      nc 127.0.0.1 {stats}\n\
             Configuration:     {conf}\n"
        )
    }

    fn proxy_line(&self, program: &Program) -> String {
        let ports: Vec<String> = self
            .pools
            .iter()
            .map(|pool| format!("{} on {}", pool.name(), pool.port()))
            .collect();
        let (path, pid) = (program.path.display(), self.proxy.pid());
        let (ports, stats) = (ports.join(", "), self.stats.number());
        format!(
            "  {:<16}{path}, pid {pid}: {ports}, stats on {stats}",
            "proxy"
        )
    }

    fn wait_until_the_proxy_listens(&mut self) -> Result<(), Stop> {
        let end = Instant::now() + START_LIMIT;
        while !self.proxy_listens() {
            self.check_proxy_runs()?;
            if Instant::now() > end {
                let words = self.proxy.last_words();
                return Err(Stop::Failed(format!("the proxy does not listen:\n{words}")));
            }
            thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    fn proxy_listens(&self) -> bool {
        let ports = self.pools.iter().map(DemoPool::port);
        let admin = self.admin.as_ref().map(Port::number);
        ports
            .chain([self.stats.number()])
            .chain(admin)
            .all(|port| TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok())
    }
}

impl Drop for Setup {
    fn drop(&mut self) {
        self.proxy.stop(END_LIMIT);
    }
}

fn introduction(pool: &DemoPool) -> String {
    let ports: Vec<String> = pool.servers.iter().map(|s| s.port().to_string()).collect();
    let source = pool.source.describe(pool.kind);
    let names = format!("{}-1..{}", pool.name(), pool.servers.len());
    format!("  {names:<16}{source}, ports {}", ports.join(" "))
}

fn start_proxy(
    program: &Program,
    conf: &Path,
    (stats, admin): (&Port, Option<&Port>),
    dir: &Path,
) -> Result<Child, Stop> {
    let mut command = Command::new(&program.path);
    command.arg("-c").arg(conf).args(["-a", "127.0.0.1"]);
    command.args(["-s", &stats.number().to_string()]);
    if let Some(admin) = admin {
        command.arg(format!("--admin=127.0.0.1:{}", admin.number()));
    }
    command.args(&program.arguments);
    for name in [
        "NUTHATCH_WORKERS",
        "NUTHATCH_SHUTDOWN_TIMEOUT",
        "NUTHATCH_ADMIN_TOKEN_FILE",
    ] {
        command.env_remove(name);
    }
    Child::spawn(&command, &dir.join("proxy.log")).map_err(|error| {
        let path = program.path.display();
        Stop::Failed(format!("{path} did not start: {error}"))
    })
}

/// A temporary directory, removed when dropped.
struct Scratch {
    path: PathBuf,
}

impl Scratch {
    fn make() -> io::Result<Scratch> {
        let pid = std::process::id();
        // A name that exists belongs to another demo, or to one that was killed.
        for attempt in 0..1000 {
            let path = std::env::temp_dir().join(format!("nuthatch-demo-{pid}-{attempt}"));
            match DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => return Ok(Scratch { path }),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // It holds only logs of servers that have exited.
        let _ = fs::remove_dir_all(&self.path);
    }
}
