//! Real redis-server (or valkey-server) and memcached processes.

use std::net::SocketAddr;
use std::ops::{Deref, DerefMut};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::{Client, Endpoint, Process, Tool, eventually, free_port};

/// How long a server may take to answer after it is started.
const START_LIMIT: Duration = Duration::from_secs(20);

/// A running cache server with a temporary directory of its own.
///
/// It is a [`Process`] too: `pid`, `kill`, `stop`, `cont`, `signal`, `stdout`, ...
#[derive(Debug)]
pub struct Server {
    process: Process,
    kind: Kind,
    endpoint: Endpoint,
    extra: Vec<String>,
    dir: TempDir,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Redis,
    Memcached,
}

/// A Redis server on a free port; `None` when neither redis-server nor valkey-server is installed.
pub fn redis() -> Option<Server> {
    redis_with(&[])
}

/// The same with further arguments, such as `["--requirepass", "secret"]`.
pub fn redis_with(extra: &[&str]) -> Option<Server> {
    Server::start(Kind::Redis, extra, |_| Endpoint::loopback(free_port()))
}

/// A Redis server at an address, of which another one may have the port.
pub fn redis_at(address: SocketAddr) -> Option<Server> {
    Server::start(Kind::Redis, &[], |_| Endpoint::Tcp(address))
}

/// A Redis server that listens on a unix socket only.
pub fn redis_unix(extra: &[&str]) -> Option<Server> {
    Server::start(Kind::Redis, extra, |dir| {
        Endpoint::Unix(dir.path().join("redis.sock"))
    })
}

/// A memcached on a free port; `None` when it is not installed.
pub fn memcached() -> Option<Server> {
    memcached_with(&[])
}

/// The same with further arguments, such as `["-I", "8m"]`.
pub fn memcached_with(extra: &[&str]) -> Option<Server> {
    Server::start(Kind::Memcached, extra, |_| Endpoint::loopback(free_port()))
}

/// A memcached that listens on a unix socket only.
pub fn memcached_unix(extra: &[&str]) -> Option<Server> {
    Server::start(Kind::Memcached, extra, |dir| {
        Endpoint::Unix(dir.path().join("memcached.sock"))
    })
}

impl Server {
    fn start(kind: Kind, extra: &[&str], place: impl Fn(&TempDir) -> Endpoint) -> Option<Server> {
        let tool = kind.tool()?;
        let dir = TempDir::with_prefix("testkit-").expect("a temporary directory can be made");
        let endpoint = place(&dir);
        let extra: Vec<String> = extra.iter().map(ToString::to_string).collect();
        let process = Process::spawn(kind.command(&tool, &endpoint, &dir, &extra));
        let mut server = Server {
            process,
            kind,
            endpoint,
            extra,
            dir,
        };
        server.wait_until_it_answers();
        Some(server)
    }

    /// Where it listens.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Its TCP address.
    ///
    /// # Panics
    ///
    /// When it listens on a unix socket.
    pub fn addr(&self) -> SocketAddr {
        match &self.endpoint {
            Endpoint::Tcp(address) => *address,
            Endpoint::Unix(path) => panic!("listens on {}, not on a port", path.display()),
        }
    }

    /// Its TCP port.
    pub fn port(&self) -> u16 {
        self.addr().port()
    }

    /// A new direct connection to it.
    pub fn client(&self) -> Client {
        Client::connect(&self.endpoint)
    }

    /// Starts it again, empty, at the same address; kills it first if it runs.
    pub fn restart(&mut self) {
        self.process.kill();
        let tool = self.kind.tool().expect("it was found before");
        let command = self
            .kind
            .command(&tool, &self.endpoint, &self.dir, &self.extra);
        self.process = Process::spawn(command);
        self.wait_until_it_answers();
    }

    fn wait_until_it_answers(&mut self) {
        let answered = eventually(START_LIMIT, || {
            if let Some(status) = self.process.exited() {
                panic!("a server ended ({status}):\n{}", self.output());
            }
            self.kind.answers(&self.endpoint).then_some(())
        });
        assert!(
            answered.is_some(),
            "a server does not answer:\n{}",
            self.output()
        );
    }

    fn output(&self) -> String {
        self.process.stdout() + &self.process.stderr()
    }
}

impl Deref for Server {
    type Target = Process;
    fn deref(&self) -> &Process {
        &self.process
    }
}

impl DerefMut for Server {
    fn deref_mut(&mut self) -> &mut Process {
        &mut self.process
    }
}

impl Kind {
    fn tool(self) -> Option<Tool> {
        match self {
            Kind::Redis => Tool::find("redis-server").or_else(|| Tool::find("valkey-server")),
            Kind::Memcached => Tool::find("memcached"),
        }
    }

    fn command(self, tool: &Tool, at: &Endpoint, dir: &TempDir, extra: &[String]) -> Command {
        let mut command = tool.command();
        command.current_dir(dir.path());
        match self {
            Kind::Redis => redis_arguments(&mut command, at),
            Kind::Memcached => memcached_arguments(&mut command, at),
        }
        command.args(extra);
        command
    }

    /// Whether it answers at all; an error for a missing password counts.
    fn answers(self, endpoint: &Endpoint) -> bool {
        let (question, good): (&[u8], &[&[u8]]) = match self {
            Kind::Redis => (b"PING\r\n", &[b"+PONG", b"-NOAUTH"]),
            Kind::Memcached => (
                b"version\r\n",
                &[b"VERSION", b"CLIENT_ERROR unauthenticated"],
            ),
        };
        let Ok(mut client) = Client::try_connect(endpoint) else {
            return false;
        };
        client.send(question);
        let line = client.line();
        good.iter().any(|start| line.starts_with(start))
    }
}

fn redis_arguments(command: &mut Command, endpoint: &Endpoint) {
    command.args(["--save", "", "--appendonly", "no", "--daemonize", "no"]);
    match endpoint {
        Endpoint::Tcp(address) => {
            command.args(["--bind", &address.ip().to_string()]);
            command.args(["--port", &address.port().to_string()]);
        }
        Endpoint::Unix(path) => {
            command.args(["--port", "0", "--unixsocket"]).arg(path);
        }
    }
}

fn memcached_arguments(command: &mut Command, endpoint: &Endpoint) {
    command.args(["-U", "0", "-t", "1", "-c", "4096"]);
    if rustix::process::geteuid().is_root() {
        // memcached refuses to run as root unless told to.
        command.args(["-u", "root"]);
    }
    match endpoint {
        Endpoint::Tcp(address) => {
            command.args(["-l", &address.ip().to_string()]);
            command.args(["-p", &address.port().to_string()]);
        }
        Endpoint::Unix(path) => {
            command.arg("-s").arg(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::skip;

    #[test]
    fn redis_lives_freezes_dies_and_comes_back_empty() {
        let Some(mut server) = redis() else {
            skip!("neither redis-server nor valkey-server is installed");
        };
        let mut client = server.client();
        assert_eq!(client.ask(&["SET", "key", "value"]), "+OK\r\n");
        server.stop();
        client.command(&[b"GET", b"key"]);
        assert!(client.is_silent(Duration::from_millis(100)));
        server.cont();
        assert_eq!(client.reply(), b"$5\r\nvalue\r\n");
        server.kill();
        assert!(Client::try_connect(server.endpoint()).is_err());
        server.restart();
        assert_eq!(server.client().ask(&["GET", "key"]), "$-1\r\n");
    }

    #[test]
    fn extra_arguments_and_unix_sockets_reach_redis() {
        let Some(server) = redis_unix(&["--requirepass", "secret"]) else {
            skip!("neither redis-server nor valkey-server is installed");
        };
        assert!(server.client().ask(&["PING"]).starts_with("-NOAUTH"));
        assert_eq!(server.client().ask(&["AUTH", "secret"]), "+OK\r\n");
    }

    #[test]
    fn memcached_answers_on_both_kinds_of_sockets() {
        let (Some(tcp), Some(unix)) = (memcached(), memcached_unix(&["-m", "8"])) else {
            skip!("memcached is not installed");
        };
        for server in [tcp, unix] {
            let mut client = server.client();
            client.send(b"set k 0 0 1\r\nx\r\nget k\r\n");
            assert_eq!(
                client.until(b"END\r\n"),
                b"STORED\r\nVALUE k 0 1\r\nx\r\nEND\r\n"
            );
        }
    }
}
