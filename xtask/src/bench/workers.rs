//! The cost of a second worker, and whether the workers share the servers evenly.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use testkit::Tool;

use super::contender::{Kind, OURS, Rig};
use super::load::{Amount, Load, Unwatched};
use super::memory::{Fact, protocol_name};
use super::options::Options;
use super::programs::Bench;
use super::rounds::{self, Figure};
use super::samples::Ratio;
use super::shape::{self, Ask, Protocol, Shape};
use crate::run::{at_root, output_of};

/// CPU per request with two workers, relative to one.
pub(super) const TWO_WORKERS: &str = "CPU per request, two workers / one";
/// Difference between the number of server connections and workers x server_connections x servers.
pub(super) const CONNECTIONS: &str = "server connections too many or too few, two workers";
/// Bytes on the busiest connection, relative to the mean of its server.
pub(super) const EVENNESS: &str = "busiest server connection / mean of its server";

const TWO: usize = 2;

/// The shapes that are tested with a second worker.
const TRIED: [&str; 2] = ["redis-50-p1-3b", "redis-50-p16-3b"];

/// Measures everything.
///
/// # Errors
///
/// When something does not start or a reply is wrong.
pub(super) fn measure(bench: &Bench, options: &Options) -> Result<Vec<Fact>, String> {
    let mut facts = Vec::new();
    for name in TRIED {
        facts.extend(compare(bench, options, shape::find(name)?)?);
    }
    for protocol in [Protocol::Redis, Protocol::Memcached] {
        facts.extend(connections(bench, options, protocol)?);
    }
    Ok(facts)
}

/// One worker and two, in the same rounds.
fn compare(bench: &Bench, options: &Options, shape: Shape) -> Result<Option<Fact>, String> {
    let two = "nuthatch-2w";
    let kinds = [Kind::ours(bench, OURS, 1), Kind::ours(bench, two, TWO)];
    let result = rounds::play_to(bench, options, shape, &kinds)?;
    let Some(ratio) = result.ratio(Figure::Cpu, two, OURS) else {
        return Ok(None);
    };
    Ok(Some(Fact {
        name: TWO_WORKERS,
        contender: shape.name.into(),
        value: ratio,
        unit: "",
    }))
}

fn connections(bench: &Bench, options: &Options, protocol: Protocol) -> Result<Vec<Fact>, String> {
    let servers = 2;
    let rig = Rig::start(protocol, servers, &[Kind::ours(bench, OURS, TWO)])?;
    let shape = Shape {
        name: "connections",
        protocol,
        clients: 50,
        pipeline: 1,
        size: 100,
        ask: Ask::Mixed,
        servers,
    };
    let load = Load {
        bench,
        shape,
        address: rig.contenders[0].address,
        wrapper: Vec::new(),
    };
    load.fill()?;
    load.play(Amount::Time(options.seconds), &mut Unwatched)?;
    if Tool::find("ss").is_none() {
        println!("server connections: not counted, because ss (package iproute2) is not installed");
        return Ok(Vec::new());
    }
    let addresses: Vec<SocketAddr> = rig.servers.iter().map(|server| server.addr()).collect();
    let sent = bytes_by_server(&addresses)?;
    let count: usize = sent.values().map(Vec::len).sum();
    let fact = |name, value| Fact {
        name,
        contender: format!("{OURS} {}", protocol_name(protocol)),
        value: Ratio::exact(value),
        unit: "",
    };
    let busiest = sent.values().map(|bytes| unevenness(bytes));
    Ok(vec![
        fact(CONNECTIONS, count.abs_diff(TWO * servers) as f64),
        fact(EVENNESS, busiest.fold(0.0, f64::max)),
    ])
}

/// Bytes sent on each connection to each server.
fn bytes_by_server(servers: &[SocketAddr]) -> Result<BTreeMap<SocketAddr, Vec<f64>>, String> {
    let mut sent = BTreeMap::new();
    for server in servers {
        let filter = format!("dst {} and dport = :{}", server.ip(), server.port());
        let text = output_of(at_root("ss").args(["-tinHO", "state", "established", &filter]))?;
        sent.insert(*server, text.lines().filter_map(bytes_sent).collect());
    }
    Ok(sent)
}

fn bytes_sent(line: &str) -> Option<f64> {
    let (_, rest) = line.split_once("bytes_sent:")?;
    rest.split(' ').next()?.parse().ok()
}

/// The largest value relative to the mean; infinite without values.
fn unevenness(bytes: &[f64]) -> f64 {
    let mean = bytes.iter().sum::<f64>() / bytes.len() as f64;
    let largest = bytes.iter().copied().fold(0.0, f64::max);
    if mean > 0.0 {
        largest / mean
    } else {
        f64::INFINITY
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_bytes_are_read_and_compared() {
        let line =
            "0 0 127.0.0.1:1 127.0.0.1:2 cubic wscale:7,7 rto:200 bytes_sent:1500 bytes_acked:1501";
        assert_eq!(bytes_sent(line), Some(1500.0));
        assert_eq!(bytes_sent("0 0 127.0.0.1:1 127.0.0.1:2"), None);
        assert_eq!(unevenness(&[100.0, 300.0]), 1.5);
        assert!(unevenness(&[]).is_infinite());
    }
}
