//! One cache server of the demo: the real program if it is installed, else an embedded one.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use crate::child::{Child, find_program};
use crate::client::{Answer, Client};
use crate::embedded::Embedded;
use crate::embedded_memcached::MemcachedHandler;
use crate::embedded_redis::RedisHandler;
use crate::kind::Kind;
use crate::narrator::Stop;
use crate::port::Port;

/// How long a server may take to answer after it is started.
const START_LIMIT: Duration = Duration::from_secs(10);

/// Where servers of one kind come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    /// This program.
    Program(PathBuf),
    /// Threads of this process.
    Embedded,
}

impl Source {
    /// A real server if one is on PATH.
    pub(crate) fn find(kind: Kind) -> Source {
        let names: &[&str] = match kind {
            Kind::Redis => &["redis-server", "valkey-server"],
            Kind::Memcached => &["memcached"],
        };
        let found = names.iter().find_map(|name| find_program(name));
        found.map_or(Source::Embedded, Source::Program)
    }

    /// A phrase for the demo's output.
    pub(crate) fn describe(&self, kind: Kind) -> String {
        match (self, kind) {
            (Source::Program(path), _) => path.display().to_string(),
            (Source::Embedded, Kind::Redis) => {
                "embedded (neither redis-server nor valkey-server is on PATH)".into()
            }
            (Source::Embedded, Kind::Memcached) => "embedded (memcached is not on PATH)".into(),
        }
    }
}

/// A server with a fixed name and port, running or not.
pub(crate) struct CacheServer {
    pub(crate) name: String,
    kind: Kind,
    source: Source,
    port: Port,
    dir: PathBuf,
    running: Option<Running>,
}

/// Dropping it stops the server.
enum Running {
    Child(Child),
    Embedded(Embedded),
}

impl CacheServer {
    /// Starts a server and waits until it answers; its files go to `dir`.
    pub(crate) fn start(
        kind: Kind,
        name: String,
        source: &Source,
        dir: &Path,
    ) -> Result<CacheServer, Stop> {
        let mut server = CacheServer {
            name,
            kind,
            source: source.clone(),
            port: Port::reserve()?,
            dir: dir.to_path_buf(),
            running: None,
        };
        server.revive()?;
        Ok(server)
    }

    /// Its port on 127.0.0.1.
    pub(crate) fn port(&self) -> u16 {
        self.port.number()
    }

    /// Whether it is running as far as the demo knows: started and not killed since.
    pub(crate) fn is_up(&self) -> bool {
        self.running.is_some()
    }

    /// Kills it at once, as a crash would.
    pub(crate) fn kill(&mut self) {
        self.running = None;
    }

    /// Starts it again, empty, on the same port.
    ///
    /// # Errors
    ///
    /// When it does not start or does not answer in time.
    pub(crate) fn revive(&mut self) -> Result<(), Stop> {
        self.running = Some(match &self.source {
            Source::Program(path) => {
                let log = self.dir.join(format!("{}.log", self.name));
                let command = command(self.kind, path, self.port(), &self.dir);
                let child = Child::spawn(&command, &log)
                    .map_err(|error| self.failure(&format!("did not start: {error}")))?;
                Running::Child(child)
            }
            Source::Embedded => Running::Embedded(match self.kind {
                Kind::Redis => Embedded::start(self.port(), RedisHandler::new)?,
                Kind::Memcached => Embedded::start(self.port(), MemcachedHandler::new)?,
            }),
        });
        self.wait_until_it_answers()
    }

    /// Asks this server directly, not through the proxy, for a key.
    ///
    /// # Errors
    ///
    /// When it does not answer.
    pub(crate) fn ask(&self, key: &str) -> Result<Answer, Stop> {
        Client::connect(self.kind, self.port())
            .and_then(|mut client| client.get(key))
            .map_err(|error| self.failure(&format!("does not answer: {error}")))
    }

    fn wait_until_it_answers(&mut self) -> Result<(), Stop> {
        let end = Instant::now() + START_LIMIT;
        loop {
            let greeted = Client::connect(self.kind, self.port()).and_then(|mut c| c.greet());
            if matches!(greeted, Ok(true)) {
                return Ok(());
            }
            let ended = match &mut self.running {
                Some(Running::Child(child)) => !child.is_running(),
                Some(Running::Embedded(server)) => !server.is_running(),
                None => true,
            };
            if ended || Instant::now() > end {
                return Err(self.failure("does not answer"));
            }
            thread::sleep(Duration::from_millis(10));
        }
    }

    fn failure(&self, what: &str) -> Stop {
        let words = match &self.running {
            Some(Running::Child(child)) => child.last_words(),
            Some(Running::Embedded(_)) | None => String::new(),
        };
        let Source::Program(path) = &self.source else {
            return Stop::Failed(format!("{} {what}", self.name));
        };
        Stop::Failed(format!(
            "{} ({}) {what}\n{words}",
            self.name,
            path.display()
        ))
    }
}

/// The command of a server on loopback that writes no files outside `dir`.
fn command(kind: Kind, program: &Path, port: u16, dir: &Path) -> Command {
    let mut command = Command::new(program);
    let port = port.to_string();
    match kind {
        Kind::Redis => {
            command.args(["--bind", "127.0.0.1", "--port", &port]);
            command.args(["--save", "", "--appendonly", "no", "--daemonize", "no"]);
            command.arg("--dir").arg(dir);
        }
        Kind::Memcached => {
            command.args(["-l", "127.0.0.1", "-p", &port, "-U", "0"]);
            command.args(["-m", "64", "-t", "1"]);
            if rustix::process::geteuid().is_root() {
                // memcached refuses to run as root unless told to.
                command.args(["-u", "root"]);
            }
        }
    }
    command
}
