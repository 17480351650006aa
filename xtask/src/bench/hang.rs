//! One server of a pool hangs: clients that use the keys of the other one must not notice.

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
use crate::run::{at_root, output_of};

/// Its name for `--shapes`.
pub(super) const NAME: &str = "hang";

/// Maximum ratio of the 99th percentile during the hang to that before.
const MOST: f64 = 1.5;

/// Requests per second to each server: a normal load of a busy pool, far from its limits.
const RATE: f64 = 3_000.0;

/// How long the load on the other server lasts before and after the measured one.
const MARGIN: Duration = Duration::from_millis(500);

/// A pool of two servers, and a hash tag for the keys of each.
struct Stage {
    servers: Vec<Server>,
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
pub(super) fn run(bench: &Bench, options: &Options, cores: Cores) -> Result<usize, String> {
    let mut broken = 0;
    let _awake = KeepAwake::keep()?;
    for protocol in [Protocol::Redis, Protocol::Memcached] {
        let mut stage = Stage::set(bench, options, protocol, cores)?;
        let (mut before, mut during) = (Vec::new(), Vec::new());
        for _ in 0..options.rounds {
            before.push(stage.play(bench, options, false)?);
            during.push(stage.play(bench, options, true)?);
        }
        println!("\n== {protocol:?}: server B hangs, sessions of server A's keys");
        broken += report(&before, &during);
    }
    Ok(broken)
}

impl Stage {
    fn set(
        bench: &Bench,
        options: &Options,
        protocol: Protocol,
        cores: Cores,
    ) -> Result<Stage, String> {
        let servers: Option<Vec<Server>> = (0..2).map(|_| start_server(protocol)).collect();
        let servers = servers.ok_or("the servers are not installed")?;
        let port = free_port();
        let proxy = testkit::nuthatch(
            &bench.nuthatch,
            &["--workers", &options.workers.to_string()],
            &conf(protocol, port, &servers),
        );
        let tags = [tag_of(bench, &proxy, "A")?, tag_of(bench, &proxy, "B")?];
        let stage = Stage {
            servers,
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
                name: NAME,
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

    /// Runs both loads at once; if it `hangs`, B is stopped while A's load is measured. Returns the results
    /// of A's requests and of B's.
    fn play(
        &mut self,
        bench: &Bench,
        options: &Options,
        hangs: bool,
    ) -> Result<[Results; 2], String> {
        let load = self.load(bench);
        let [a, b] = &self.tags;
        let longer = options.seconds + 2 * MARGIN;
        let mut offer_a = OpenLoop::prepare(&load, a, RATE, options.seconds)?;
        let mut offer_b = OpenLoop::prepare(&load, b, RATE, longer)?;
        offer_b.begin()?;
        thread::sleep(MARGIN);
        if hangs {
            self.servers[1].stop();
        }
        offer_a.begin()?;
        let of_a = offer_a.end();
        if hangs {
            self.servers[1].cont();
        }
        Ok([of_a?, offer_b.end()?])
    }
}

fn conf(protocol: Protocol, port: u16, servers: &[Server]) -> String {
    let mut text = format!(
        "hang:\n  listen: 127.0.0.1:{port}\n  redis: {}\n  hash: fnv1a_64\n  hash_tag: \"{{}}\"\n  \
         distribution: ketama\n  timeout: 400\n  servers:\n",
        protocol == Protocol::Redis
    );
    for (server, name) in servers.iter().zip(["A", "B"]) {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "    - {}:1 server-{name}", server.endpoint());
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
fn report(before: &[[Results; 2]], during: &[[Results; 2]]) -> usize {
    let calmly = [
        judge_p99("of a round", before, during, |fate| fate.p99),
        judge_p99("of a tenth of a second", before, during, |fate| {
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
    before: &[[Results; 2]],
    during: &[[Results; 2]],
    of: fn(&Results) -> f64,
) -> bool {
    let each = |rounds: &[[Results; 2]]| rounds.iter().map(|[a, _]| of(a)).collect::<Vec<_>>();
    let (calm, hung) = (each(before), each(during));
    let rise = ratio(&hung, &calm);
    let calmly = rise.is_some_and(|rise| rise.low <= MOST);
    if let Some(rise) = rise {
        let (calm, hung) = (median(&calm), median(&hung));
        println!(
            "{} p99 {name}: {calm:.0} us before, {hung:.0} during: {rise}, at most {MOST}",
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
        assert_eq!(report(&before, &rounds(149.0, 0.0, 0.0)), 0);
        assert_eq!(report(&before, &rounds(151.0, 0.0, 0.0)), 1);
        assert_eq!(report(&before, &rounds(151.0, 1.0, 1.0)), 3);
        let typically_later = before.map(|[a, b]| {
            let p99_typical = 151.0;
            [Results { p99_typical, ..a }, b]
        });
        assert_eq!(report(&before, &typically_later), 1);
    }
}
