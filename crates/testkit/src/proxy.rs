//! Proxies under test: nutcracker and Nuthatch.

use std::io::Read;
use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::{Client, Endpoint, Process, Tool, eventually, free_port};

/// How long a proxy may take to listen after it is started.
const START_LIMIT: Duration = Duration::from_secs(20);

/// A running proxy with its configuration in a temporary directory.
///
/// It is a [`Process`] too: `pid`, `kill`, `signal`, `stderr`, `wait_exit`, ...
#[derive(Debug)]
pub struct Proxy {
    process: Process,
    conf: PathBuf,
    stats_port: u16,
    dir: TempDir,
}

/// Runs nutcracker with the configuration `conf_text`; `None` when it is not installed.
///
/// # Panics
///
/// When it does not listen on the addresses of its configuration; the message contains its log.
pub fn nutcracker(conf_text: &str) -> Option<Proxy> {
    let tool = Tool::find("nutcracker")?;
    // Debian's build logs to a system file unless given the empty name.
    Some(Proxy::start(tool.path(), &["-o", ""], conf_text))
}

/// Runs the proxy binary `bin` with more arguments and the configuration `conf_text`.
///
/// `-c`, `-a 127.0.0.1` and `-s` with a free port come before `args`.
///
/// # Panics
///
/// When it does not listen on the addresses of its configuration; the message contains its output.
pub fn nuthatch(bin: &Path, args: &[&str], conf_text: &str) -> Proxy {
    Proxy::start(bin, args, conf_text)
}

impl Proxy {
    fn start(bin: &Path, args: &[&str], conf_text: &str) -> Proxy {
        let dir = TempDir::with_prefix("testkit-").expect("a temporary directory can be made");
        let conf = dir.path().join("nutcracker.yml");
        std::fs::write(&conf, conf_text).expect("the temporary directory can be written");
        let stats_port = free_port();
        let mut command = Command::new(bin);
        command.current_dir(dir.path()).arg("-c").arg(&conf);
        command.args(["-a", "127.0.0.1", "-s", &stats_port.to_string()]);
        command.args(args);
        let mut proxy = Proxy {
            process: Process::spawn(command),
            conf,
            stats_port,
            dir,
        };
        proxy.wait_until_it_listens(&listen_endpoints(conf_text));
        proxy
    }

    /// The configuration file; tests may rewrite it.
    pub fn conf(&self) -> &Path {
        &self.conf
    }

    /// The temporary directory it runs in.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The port of 127.0.0.1 of its statistics.
    pub fn stats_port(&self) -> u16 {
        self.stats_port
    }

    /// The statistics document.
    pub fn stats(&self) -> String {
        let mut stream = std::net::TcpStream::connect(("127.0.0.1", self.stats_port))
            .unwrap_or_else(|error| panic!("no stats on port {}: {error}", self.stats_port));
        stream
            .set_read_timeout(Some(Duration::from_secs(10)))
            .expect("ten seconds are not zero");
        let mut text = String::new();
        stream
            .read_to_string(&mut text)
            .expect("the stats document is text");
        text
    }

    fn wait_until_it_listens(&mut self, endpoints: &[Endpoint]) {
        for endpoint in endpoints {
            let listening = eventually(START_LIMIT, || {
                if let Some(status) = self.process.exited() {
                    panic!("the proxy ended ({status}):\n{}", self.output());
                }
                Client::try_connect(endpoint).ok()
            });
            let output = self.output();
            assert!(
                listening.is_some(),
                "nobody listens on {endpoint}:\n{output}"
            );
        }
    }

    fn output(&self) -> String {
        self.process.stdout() + &self.process.stderr()
    }
}

impl Deref for Proxy {
    type Target = Process;
    fn deref(&self) -> &Process {
        &self.process
    }
}

impl DerefMut for Proxy {
    fn deref_mut(&mut self) -> &mut Process {
        &mut self.process
    }
}

/// The addresses of the `listen:` lines of a configuration. Parsed as text, independently of the
/// configuration code under test.
fn listen_endpoints(conf_text: &str) -> Vec<Endpoint> {
    conf_text
        .lines()
        .filter_map(|line| line.trim().strip_prefix("listen:"))
        .map(|value| value.trim().trim_matches(['"', '\'']))
        .map(|value| match value.rsplit_once(':') {
            Some((_, port)) if !value.starts_with('/') => {
                Endpoint::loopback(port.parse().expect("a port after the last colon"))
            }
            _ => Endpoint::Unix(PathBuf::from(value.split(' ').next().unwrap_or(value))),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{memcached, skip};

    #[test]
    fn listen_lines_of_every_form_are_found() {
        let text = "a:\n  listen: 127.0.0.1:22121\nb:\n  listen: '/run/b.sock 0660'\n";
        let expected = [
            Endpoint::loopback(22121),
            Endpoint::Unix(PathBuf::from("/run/b.sock")),
        ];
        assert_eq!(listen_endpoints(text), expected);
    }

    #[test]
    fn nutcracker_proxies_and_counts() {
        let Some(server) = memcached() else {
            skip!("memcached is not installed");
        };
        let port = free_port();
        let conf = format!(
            "pool:\n  listen: 127.0.0.1:{port}\n  servers:\n    - {}:1 one\n",
            server.endpoint()
        );
        let Some(mut proxy) = nutcracker(&conf) else {
            skip!("nutcracker is not installed");
        };
        let mut client = Client::to_port(port);
        client.send(b"set k 0 0 1\r\nx\r\n");
        assert_eq!(client.line(), b"STORED\r\n");
        assert!(proxy.stats().contains("\"pool\""));
        proxy.signal(crate::Signal::INT);
        assert_eq!(proxy.wait_exit(Duration::from_secs(5)).code(), Some(1));
    }
}
