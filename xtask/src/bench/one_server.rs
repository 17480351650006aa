//! One server of a pool hangs or is slow: clients that use the keys of the other one must not notice.

use std::fmt::Write;
use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use testkit::{Proxy, Server, free_port};

use super::contender::start_server;
use super::cores::{Cores, KeepAwake};
use super::load::{Load, Running};
use super::open_loop::{OpenLoop, Results};
use super::options::Options;
use super::overload::word;
use super::programs::Bench;
use super::samples::{median, ratio};
use super::shape::{Ask, Protocol, Shape};
use super::slow_server::SlowServer;
use crate::run::{at_root, output_of};

/// What is wrong with a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trouble {
    /// It is stopped.
    Hangs,
    /// Its replies take [`SLOW`].
    IsSlow,
}

/// How long a slow server's replies take.
const SLOW: Duration = Duration::from_millis(100);

/// Requests per second to each server: a normal load of a busy pool, far from its limits.
const RATE: f64 = 3_000.0;

/// Requests per second to a slow server: 50 clients can have 500 answered when each waits for its last reply.
const RATE_OF_SLOW: f64 = 300.0;

/// How long the load on the other server lasts before and after the measured one.
const MARGIN: Duration = Duration::from_millis(500);

impl Trouble {
    /// Its name for `--shapes`.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Trouble::Hangs => "hang",
            Trouble::IsSlow => "slow",
        }
    }

    fn words(self) -> &'static str {
        match self {
            Trouble::Hangs => "hangs",
            Trouble::IsSlow => "answers after 100 ms",
        }
    }

    /// Maximum ratio of the 99th percentile meanwhile to that before.
    const fn most(self) -> f64 {
        match self {
            Trouble::Hangs => 1.5,
            Trouble::IsSlow => 1.2,
        }
    }

    /// Requests per second for the keys of that server.
    const fn rate(self) -> f64 {
        match self {
            Trouble::Hangs => RATE,
            Trouble::IsSlow => RATE_OF_SLOW,
        }
    }
}

/// A pool of two servers, and a hash tag for the keys of each.
struct Stage {
    servers: Vec<Server>,
    /// In front of the second one.
    slow: SlowServer,
    trouble: Trouble,
    proxy: Proxy,
    address: SocketAddr,
    protocol: Protocol,
    tags: [String; 2],
    cores: Cores,
}

/// Tests both protocols; returns the number of failed checks.
///
/// # Errors
///
/// When something does not start.
pub(super) fn run(
    bench: &Bench,
    options: &Options,
    cores: Cores,
    trouble: Trouble,
) -> Result<usize, String> {
    let mut broken = 0;
    let _awake = KeepAwake::keep()?;
    for protocol in [Protocol::Redis, Protocol::Memcached] {
        let mut stage = Stage::set(bench, options, protocol, cores, trouble)?;
        let (mut before, mut during) = (Vec::new(), Vec::new());
        for _ in 0..options.rounds {
            before.push(stage.play(bench, options, false)?);
            during.push(stage.play(bench, options, true)?);
        }
        let words = trouble.words();
        println!("\n== {protocol:?}: server B {words}, sessions of server A's keys");
        broken += report(trouble, &before, &during);
    }
    Ok(broken)
}

impl Stage {
    fn set(
        bench: &Bench,
        options: &Options,
        protocol: Protocol,
        cores: Cores,
        trouble: Trouble,
    ) -> Result<Stage, String> {
        let servers: Option<Vec<Server>> = (0..2).map(|_| start_server(protocol)).collect();
        let servers = servers.ok_or("the servers are not installed")?;
        let slow = SlowServer::start(servers[1].addr(), SLOW)?;
        let second = match trouble {
            Trouble::Hangs => servers[1].addr(),
            Trouble::IsSlow => slow.address(),
        };
        let port = free_port();
        let proxy = testkit::nuthatch(
            &bench.nuthatch,
            &["--workers", &options.workers.to_string()],
            &conf(protocol, port, [servers[0].addr(), second]),
        );
        let tags = [tag_of(bench, &proxy, "A")?, tag_of(bench, &proxy, "B")?];
        let stage = Stage {
            servers,
            slow,
            trouble,
            proxy,
            address: SocketAddr::from(([127, 0, 0, 1], port)),
            protocol,
            tags,
            cores,
        };
        let servers = stage.servers.iter().map(|server| server.pid());
        cores.bind(servers.chain([stage.proxy.pid()]))?;
        for tag in &stage.tags {
            stage.fill(bench, tag)?;
        }
        Ok(stage)
    }

    fn load<'b>(&self, bench: &'b Bench) -> Load<'b> {
        Load {
            bench,
            shape: Shape {
                name: self.trouble.name(),
                protocol: self.protocol,
                clients: 50,
                pipeline: 1,
                size: 100,
                ask: Ask::Mixed,
                servers: 2,
            },
            address: self.address,
            wrapper: self.cores.of_load(),
        }
    }

    /// Sets every key with this tag.
    fn fill(&self, bench: &Bench, tag: &str) -> Result<(), String> {
        let amount = super::load::Amount::Time(Duration::from_secs(60));
        let mut words = self.load(bench).loadgen_words("fill", amount);
        words.extend(["--tag", tag].map(String::from));
        let mut running = Running::spawn(&words)?;
        running.line()?;
        running.go()?;
        let report = running.line()?;
        match report.contains("\"errors\":0,\"unanswered\":0") {
            true => Ok(()),
            false => Err(running.failure(&report)),
        }
    }

    /// Runs both loads at once; if there `is_trouble`, B has it while A's load is measured. Returns the results of A's
    /// requests and of B's.
    fn play(
        &mut self,
        bench: &Bench,
        options: &Options,
        is_trouble: bool,
    ) -> Result<[Results; 2], String> {
        let load = self.load(bench);
        let [a, b] = &self.tags;
        let longer = options.seconds + 2 * MARGIN;
        let mut offer_a = OpenLoop::prepare(&load, a, RATE, options.seconds)?;
        let mut offer_b = OpenLoop::prepare(&load, b, self.trouble.rate(), longer)?;
        offer_b.begin()?;
        thread::sleep(MARGIN);
        if is_trouble {
            self.begin_trouble();
        }
        offer_a.begin()?;
        let of_a = offer_a.end();
        if is_trouble {
            self.end_trouble();
        }
        Ok([of_a?, offer_b.end()?])
    }

    fn begin_trouble(&mut self) {
        match self.trouble {
            Trouble::Hangs => self.servers[1].stop(),
            Trouble::IsSlow => self.slow.set_slow(true),
        }
    }

    fn end_trouble(&mut self) {
        match self.trouble {
            Trouble::Hangs => self.servers[1].cont(),
            Trouble::IsSlow => self.slow.set_slow(false),
        }
    }
}

fn conf(protocol: Protocol, port: u16, servers: [SocketAddr; 2]) -> String {
    let mut text = format!(
        "bench:\n  listen: 127.0.0.1:{port}\n  redis: {}\n  hash: fnv1a_64\n  hash_tag: \"{{}}\"\n  \
         distribution: ketama\n  timeout: 400\n  servers:\n",
        protocol == Protocol::Redis
    );
    for (server, name) in servers.iter().zip(["A", "B"]) {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "    - {server}:1 server-{name}");
    }
    text
}

/// A tag whose keys are all on the server called `name`, according to the proxy itself.
fn tag_of(bench: &Bench, proxy: &Proxy, name: &str) -> Result<String, String> {
    for number in 0..100 {
        // The number comes first: for this hash, keys that differ only at their end are close to each other.
        let tag = format!("{number}-tag");
        let mut ask = at_root(&bench.nuthatch.to_string_lossy());
        ask.arg("locate").arg("-c").arg(proxy.conf());
        let told = output_of(ask.arg(format!("{{{tag}}}")))?;
        if told.contains(&format!("server-{name}")) {
            return Ok(tag);
        }
    }
    Err(format!("no key is at server {name}"))
}

/// Prints the results; returns the number of failed checks.
fn report(trouble: Trouble, before: &[[Results; 2]], during: &[[Results; 2]]) -> usize {
    let most = trouble.most();
    let calmly = [
        judge_p99("of a round", most, before, during, |fate| fate.p99),
        judge_p99("of a tenth of a second", most, before, during, |fate| {
            fate.p99_typical
        }),
    ];
    let rounds = || before.iter().chain(during);
    let of_a = |of: fn(&Results) -> f64| rounds().map(|[a, _]| of(a)).sum::<f64>();
    let of_b = |of: fn(&Results) -> f64| rounds().map(|[_, b]| of(b)).sum::<f64>();
    println!(
        "{:28} {:>10.0}",
        "A: answered right",
        of_a(|fate| fate.right)
    );
    println!(
        "{:28} {:>10.0}",
        "B: answered right",
        of_b(|fate| fate.right)
    );
    println!(
        "{:28} {:>10.0}",
        "B: answered with an error",
        of_b(|fate| fate.errors)
    );
    let faults = of_a(|fate| fate.errors + fate.wrong + fate.unanswered + fate.unsent);
    println!("{} A: every reply right", word(faults == 0.0));
    let lost = of_b(|fate| fate.wrong + fate.unanswered);
    println!("{} B: none unanswered, none wrong", word(lost == 0.0));
    [calmly[0], calmly[1], faults == 0.0, lost == 0.0]
        .into_iter()
        .filter(|kept| !kept)
        .count()
}

/// Prints a percentile of A's replies, before and during; returns whether its rise is within the limit.
fn judge_p99(
    name: &str,
    most: f64,
    before: &[[Results; 2]],
    during: &[[Results; 2]],
    of: fn(&Results) -> f64,
) -> bool {
    let each = |rounds: &[[Results; 2]]| rounds.iter().map(|[a, _]| of(a)).collect::<Vec<_>>();
    let (calm, troubled) = (each(before), each(during));
    let rise = ratio(&troubled, &calm);
    let calmly = rise.is_some_and(|rise| rise.low <= most);
    if let Some(rise) = rise {
        let (calm, troubled) = (median(&calm), median(&troubled));
        println!(
            "{} p99 {name}: {calm:.0} us before, {troubled:.0} during: {rise}, at most {most}",
            word(calmly)
        );
    }
    calmly
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rounds(p99: f64, errors_of_a: f64, unanswered_of_b: f64) -> [[Results; 2]; 3] {
        let a = Results {
            p99,
            p99_typical: 100.0,
            errors: errors_of_a,
            ..Results::default()
        };
        let b = Results {
            errors: 100.0,
            unanswered: unanswered_of_b,
            ..Results::default()
        };
        [[a, b]; 3]
    }

    #[test]
    fn a_later_reply_a_fault_and_a_lost_request_are_broken_promises() {
        let before = rounds(100.0, 0.0, 0.0);
        let report = |during: &[_]| report(Trouble::Hangs, &before, during);
        assert_eq!(report(&rounds(149.0, 0.0, 0.0)), 0);
        assert_eq!(report(&rounds(151.0, 0.0, 0.0)), 1);
        assert_eq!(report(&rounds(151.0, 1.0, 1.0)), 3);
        let typically_later = before.map(|[a, b]| {
            let p99_typical = 151.0;
            [Results { p99_typical, ..a }, b]
        });
        assert_eq!(report(&typically_later), 1);
        let slow = |during| super::report(Trouble::IsSlow, &before, &rounds(during, 0.0, 0.0));
        assert_eq!((slow(119.0), slow(121.0)), (0, 1));
    }
}
