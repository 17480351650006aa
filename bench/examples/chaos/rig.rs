//! The servers, their relays, and the proxy in front of them.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use nuthatch_bench::load::Protocol;
use serde_json::Value;
use testkit::{Proxy, Server, free_port};

use crate::faulty_server::FaultyServer;
use crate::model::MAX_SERVERS;
use crate::request::{PASSWORD, command};
use crate::settings::Settings;

/// The proxy's log, in its directory.
pub(crate) const LOG: &str = "nuthatch.log";

/// How long a server or the statistics port may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Everything that runs. Dropping it ends everything.
#[derive(Debug)]
pub(crate) struct Rig {
    pub(crate) proxy: Proxy,
    pub(crate) servers: Vec<FaultyServer>,
    /// Where the pool listens.
    pub(crate) address: SocketAddr,
    /// Where the servers listen, behind their relays.
    direct: Vec<SocketAddr>,
}

impl Rig {
    /// Starts servers, relays and the proxy `nuthatch`.
    ///
    /// # Errors
    ///
    /// When a program is not installed, or the proxy refuses the configuration.
    pub(crate) fn start(nuthatch: &Path, settings: &Settings, seed: u64) -> Result<Self, String> {
        let count = settings.servers + settings.gutters;
        assert!(count <= MAX_SERVERS, "the settings have too many servers");
        let servers = (0..count).map(|_| start_server(settings));
        let servers: Option<Vec<Server>> = servers.collect();
        let servers = servers.ok_or("redis-server or memcached is not installed")?;
        let direct = servers.iter().map(|server| server.addr()).collect();
        let hits = Arc::new(AtomicU64::new(0));
        let servers: Vec<_> = servers
            .into_iter()
            .map(|server| FaultyServer::new(server, settings.protocol, seed, &hits))
            .collect();
        let ports: Vec<u16> = servers.iter().map(FaultyServer::port).collect();
        let listen = [free_port(), free_port()];
        let conf = settings.conf(listen, &ports);
        check(nuthatch, &conf)?;
        Ok(Self {
            proxy: testkit::nuthatch(nuthatch, &["-o", LOG], &conf),
            servers,
            address: SocketAddr::from(([127, 0, 0, 1], listen[0])),
            direct,
        })
    }

    /// The log.
    pub(crate) fn log(&self) -> String {
        let bytes = std::fs::read(self.proxy.dir().join(LOG)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The statistics.
    ///
    /// # Errors
    ///
    /// When there are none.
    pub(crate) fn stats(&self) -> Result<Value, String> {
        let port = SocketAddr::from(([127, 0, 0, 1], self.proxy.stats_port()));
        let told = |error: std::io::Error| format!("the statistics port: {error}");
        let mut stream = TcpStream::connect_timeout(&port, PATIENCE).map_err(told)?;
        stream.set_read_timeout(Some(PATIENCE)).map_err(told)?;
        let mut text = String::new();
        stream.read_to_string(&mut text).map_err(told)?;
        serde_json::from_str(&text).map_err(|error| format!("the statistics: {error}: {text}"))
    }

    /// For each of these keys, which of the pool's servers have it.
    ///
    /// # Errors
    ///
    /// When a server does not say so.
    pub(crate) fn locate(
        &self,
        settings: &Settings,
        keys: &[Vec<u8>],
    ) -> Result<Vec<Vec<usize>>, String> {
        let mut found = vec![Vec::new(); keys.len()];
        for server in 0..settings.servers {
            let lines = self.ask_for(settings, server, keys)?;
            for (key, line) in lines.iter().enumerate() {
                if line == ":1" || line == "TOUCHED" {
                    found[key].push(server);
                }
            }
        }
        Ok(found)
    }

    fn ask_for(
        &self,
        settings: &Settings,
        server: usize,
        keys: &[Vec<u8>],
    ) -> Result<Vec<String>, String> {
        let mut out = Vec::new();
        let mut greetings = 0;
        if settings.has_password {
            command(&mut out, &[b"AUTH", PASSWORD.as_bytes()]);
            greetings += 1;
        }
        if settings.database > 0 {
            command(
                &mut out,
                &[b"SELECT", settings.database.to_string().as_bytes()],
            );
            greetings += 1;
        }
        for key in keys {
            match settings.protocol {
                Protocol::Redis => command(&mut out, &[b"EXISTS", key]),
                Protocol::Memcached => {
                    out.extend_from_slice(b"touch ");
                    out.extend_from_slice(key);
                    out.extend_from_slice(b" 0\r\n");
                }
            }
        }
        let lines = exchange(self.direct[server], &out, greetings + keys.len())
            .map_err(|error| format!("server {server}: {error}"))?;
        Ok(lines[greetings..].to_vec())
    }
}

/// Sends these requests and reads so many lines.
fn exchange(address: SocketAddr, out: &[u8], count: usize) -> std::io::Result<Vec<String>> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(out)?;
    let mut input = Vec::new();
    let mut buffer = [0; 4096];
    while input.iter().filter(|&&byte| byte == b'\n').count() < count {
        match stream.read(&mut buffer)? {
            0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
            read => input.extend_from_slice(&buffer[..read]),
        }
    }
    let text = String::from_utf8_lossy(&input).into_owned();
    Ok(text.lines().map(str::to_owned).collect())
}

/// Has the proxy check the configuration.
fn check(nuthatch: &Path, conf: &str) -> Result<(), String> {
    let told = |error: std::io::Error| format!("checking the configuration: {error}");
    let dir = tempfile::tempdir().map_err(told)?;
    let file = dir.path().join("chaos.yml");
    std::fs::write(&file, conf).map_err(told)?;
    let output = Command::new(nuthatch)
        .arg("check")
        .arg(&file)
        .output()
        .map_err(told)?;
    match output.status.success() {
        true => Ok(()),
        false => Err(format!(
            "the configuration is refused:\n{}{}\n{conf}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        )),
    }
}

fn start_server(settings: &Settings) -> Option<Server> {
    match settings.protocol {
        Protocol::Redis if settings.has_password => {
            testkit::redis_with(&["--requirepass", PASSWORD])
        }
        Protocol::Redis => testkit::redis(),
        Protocol::Memcached => testkit::memcached_with(&["-m", "512", "-I", "2m"]),
    }
}
