//! `--tls`: what TLS towards clients costs, beside no TLS, and beside stunnel in front of the proxy.

use std::path::Path;

use testkit::{Authority, Process, Proxy, Server, Tool, free_port};

use super::figures::{cpu_nanos, raise_descriptor_limit};
use super::options::Options;
use super::programs::Bench;
use super::samples::{median, ratio};

/// Requests of one run.
const REQUESTS: u32 = 200_000;

/// Seconds in which handshakes are made.
const SECONDS: &str = "2";

/// Which handshakes are made, with the options of `openssl s_time`. It reads no tickets of TLS 1.3, so that it resumes
/// sessions of 1.2 only.
const HANDSHAKES: [(&str, [&str; 2]); 3] = [
    ("1.3, new", ["-tls1_3", "-new"]),
    ("1.2, new", ["-tls1_2", "-new"]),
    ("1.2, resumed", ["-tls1_2", "-reuse"]),
];

/// The proxy with and without TLS, and stunnel in front of it.
struct Rig {
    authority: Authority,
    _server: Server,
    proxy: Proxy,
    stunnel: Process,
    ways: [Way; 3],
}

/// A way to the proxy.
#[derive(Clone, Copy)]
struct Way {
    name: &'static str,
    port: u16,
    is_secured: bool,
    /// Whether stunnel is on it.
    has_stunnel: bool,
}

/// Measures and prints two tables.
///
/// # Errors
///
/// When something does not start, or a load fails.
pub(super) fn run(bench: &Bench, options: &Options) -> Result<(), String> {
    raise_descriptor_limit();
    let rig = Rig::start(&bench.nuthatch)?;
    println!(
        "CPU of the proxy (and of stunnel) per GET of 100 bytes, 50 clients, medians of {} rounds",
        options.rounds
    );
    println!(
        "{:24} {:>8} {:>10} {:>26}",
        "", "pipeline", "us", "ratio to no TLS"
    );
    for depth in ["1", "16"] {
        let mut rounds = [const { Vec::new() }; 3];
        for _ in 0..options.rounds {
            for (way, costs) in rig.ways.iter().zip(&mut rounds) {
                costs.push(rig.cost(*way, || rig.load(*way, depth))? / f64::from(REQUESTS));
            }
        }
        for (way, costs) in rig.ways.iter().zip(&rounds) {
            let against = ratio(costs, &rounds[0]).map_or(String::new(), |it| {
                format!("{:.2} ({:.2}-{:.2})", it.median, it.low, it.high)
            });
            let micros = median(costs) / 1e3;
            println!("{:24} {depth:>8} {micros:>10.2} {against:>26}", way.name);
        }
    }
    println!(
        "\nhandshakes by one client of OpenSSL, one after the other, medians of {} rounds",
        options.rounds
    );
    println!(
        "{:24} {:>14} {:>12} {:>16}",
        "", "", "per second", "us of CPU each"
    );
    for way in rig.ways.iter().filter(|way| way.is_secured) {
        for (name, kind) in HANDSHAKES {
            let (mut rates, mut costs) = (Vec::new(), Vec::new());
            for _ in 0..options.rounds {
                let mut made = (0.0, 1.0);
                let nanos = rig.cost(*way, || {
                    made = rig.handshakes(*way, kind)?;
                    Ok(())
                })?;
                rates.push(made.0 / made.1);
                costs.push(nanos / made.0.max(1.0) / 1e3);
            }
            let (rate, cost) = (median(&rates), median(&costs));
            println!("{:24} {name:>14} {rate:>12.0} {cost:>16.0}", way.name);
        }
    }
    Ok(())
}

impl Rig {
    fn start(program: &Path) -> Result<Self, String> {
        let server = testkit::redis().ok_or("no redis-server")?;
        let stunnel = Tool::find("stunnel4").ok_or("no stunnel4: cargo xtask setup")?;
        let authority = Authority::new();
        let own = authority.sign("proxy", &["localhost", "127.0.0.1"]);
        let (cert, key) = (own.cert.display(), own.key.display());
        let [plain, secured, wrapped] = [(); 3].map(|()| free_port());
        let conf = format!(
            "p:\n  listen: 127.0.0.1:{plain}\n  redis: true\n  tls: {{listen: 127.0.0.1:{secured}, cert: {cert}, key: {key}}}\n  \
             servers: ['{}:1']\n",
            server.endpoint()
        );
        let proxy = testkit::nuthatch(program, &[], &conf);
        let file = authority.dir().join("stunnel.conf");
        let text = format!(
            "foreground = yes\npid =\n[s]\naccept = 127.0.0.1:{wrapped}\nconnect = 127.0.0.1:{plain}\ncert = {cert}\nkey = {key}\n"
        );
        std::fs::write(&file, text).map_err(|error| error.to_string())?;
        let mut command = stunnel.command();
        command.arg(&file);
        let stunnel = Process::spawn(command);
        let way = |name, port, is_secured, has_stunnel| Way {
            name,
            port,
            is_secured,
            has_stunnel,
        };
        let rig = Self {
            authority,
            _server: server,
            proxy,
            stunnel,
            ways: [
                way("nuthatch, no TLS", plain, false, false),
                way("nuthatch, TLS", secured, true, false),
                way("stunnel, then nuthatch", wrapped, true, true),
            ],
        };
        rig.wait()?;
        Ok(rig)
    }

    /// Waits until stunnel listens.
    fn wait(&self) -> Result<(), String> {
        let endpoint = testkit::Endpoint::loopback(self.ways[2].port);
        let limit = std::time::Duration::from_secs(10);
        let up = || testkit::Client::try_connect(&endpoint).ok().map(drop);
        testkit::eventually(limit, up).ok_or_else(|| "stunnel does not listen".into())
    }

    /// CPU that a load costs, in nanoseconds.
    fn cost(&self, way: Way, load: impl FnOnce() -> Result<(), String>) -> Result<f64, String> {
        let mut pids = vec![self.proxy.pid()];
        pids.extend(way.has_stunnel.then(|| self.stunnel.pid()));
        let used = || {
            pids.iter()
                .map(|pid| cpu_nanos(*pid))
                .sum::<Result<u64, String>>()
        };
        let before = used()?;
        load()?;
        Ok((used()? - before) as f64)
    }

    fn load(&self, way: Way, depth: &str) -> Result<(), String> {
        let tool = Tool::find("redis-benchmark").ok_or("no redis-benchmark")?;
        let mut command = tool.command();
        command.args([
            "-h",
            "127.0.0.1",
            "-p",
            &way.port.to_string(),
            "-q",
            "-t",
            "get",
        ]);
        command.args([
            "-c",
            "50",
            "-d",
            "100",
            "-P",
            depth,
            "-n",
            &REQUESTS.to_string(),
        ]);
        if way.is_secured {
            command
                .args(["--tls", "--cacert"])
                .arg(self.authority.file());
        }
        let output = command.output().map_err(|error| error.to_string())?;
        match output.status.success() {
            true => Ok(()),
            false => Err(format!(
                "redis-benchmark failed: {}",
                String::from_utf8_lossy(&output.stderr)
            )),
        }
    }

    /// How many handshakes were made, and in how many seconds.
    fn handshakes(&self, way: Way, kind: [&str; 2]) -> Result<(f64, f64), String> {
        let tool = Tool::find("openssl").ok_or("no openssl")?;
        let mut command = tool.command();
        command.args(["s_time", "-connect", &format!("127.0.0.1:{}", way.port)]);
        command
            .args(["-time", SECONDS])
            .args(kind)
            .arg("-CAfile")
            .arg(self.authority.file());
        let output = command.output().map_err(|error| error.to_string())?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        // `1234 connections in 3 real seconds, 0 bytes read per connection`
        let line = text.lines().find(|line| line.contains("real seconds"));
        let mut words = line.unwrap_or_default().split(' ');
        let mut number = |skip| words.nth(skip).and_then(|word| word.parse::<f64>().ok());
        match (number(0), number(2)) {
            (Some(count), Some(seconds)) => Ok((count, seconds.max(1.0))),
            _ => Err(format!("openssl s_time said: {text}")),
        }
    }
}
