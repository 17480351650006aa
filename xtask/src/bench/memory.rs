//! The memory that connections, bursts and large values need.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

use super::contender::{Contender, Kind, Rig};
use super::figures::{self, Memory};
use super::load::{Amount, Load, Unwatched};
use super::options::Options;
use super::programs::Bench;
use super::samples::Ratio;
use super::shape::{Ask, Protocol, Shape};

/// Clients that connect, send one request and stay idle.
const IDLE: usize = 5_000;

/// Requests of a burst, all sent before any reply is read.
const BURST: usize = 20_000;

/// How long a client waits.
const TIME_LIMIT: Duration = Duration::from_secs(10);

/// Time for a proxy to return memory.
const REST: Duration = Duration::from_secs(3);

/// One figure that is measured once rather than in rounds.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Fact {
    /// What was measured; targets refer to it.
    pub(super) name: &'static str,
    /// The contender.
    pub(super) contender: String,
    pub(super) value: Ratio,
    pub(super) unit: &'static str,
}

/// Bytes of resident memory per idle connection.
pub(super) const IDLE_BYTES: &str = "resident bytes per idle connection";
/// Resident memory after a burst, relative to that before.
pub(super) const AFTER_BURST: &str = "resident after a burst / before";
/// Growth of the peak while large values are transferred, relative to the bytes in flight.
pub(super) const COPIES: &str = "peak growth with 1 MiB values / bytes in flight";

/// Measures everything for nutcracker and ours, on newly started processes.
///
/// # Errors
///
/// When something does not start or does not answer.
pub(super) fn measure(bench: &Bench, options: &Options) -> Result<Vec<Fact>, String> {
    let mut facts = Vec::new();
    for protocol in [Protocol::Redis, Protocol::Memcached] {
        let mut kinds = Kind::all(bench, options, protocol);
        kinds.retain(|kind| matches!(kind, Kind::Nutcracker | Kind::Nuthatch { .. }));
        for kind in kinds {
            eprintln!("memory of {} ({protocol:?}) ...", kind.name());
            let part: [(&'static str, &'static str, Part); 3] = [
                (IDLE_BYTES, "B", idle_bytes),
                (AFTER_BURST, "", after_burst),
                (COPIES, "", copies),
            ];
            for (name, unit, measure) in part {
                let rig = Rig::start(protocol, 2, std::slice::from_ref(&kind))?;
                let value = measure(bench, &rig.contenders[0], protocol)?;
                facts.push(Fact {
                    name,
                    contender: format!("{} {}", kind.name(), protocol_name(protocol)),
                    value: Ratio::exact(value),
                    unit,
                });
            }
        }
    }
    Ok(facts)
}

type Part = fn(&Bench, &Contender, Protocol) -> Result<f64, String>;

/// The name of a protocol in a fact.
pub(super) fn protocol_name(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Redis => "redis",
        Protocol::Memcached => "memcached",
    }
}

/// 5,000 clients that have each got one reply.
fn idle_bytes(bench: &Bench, contender: &Contender, protocol: Protocol) -> Result<f64, String> {
    warm_up(bench, contender, protocol)?;
    let before = resident(contender)?;
    let clients = (0..IDLE)
        .map(|_| ask_once(contender.address, protocol))
        .collect::<std::io::Result<Vec<_>>>()
        .map_err(|error| format!("an idle client: {error}"))?;
    thread::sleep(REST);
    let after = resident(contender)?;
    drop(clients);
    Ok((after as f64 - before as f64) / IDLE as f64)
}

fn ask_once(address: SocketAddr, protocol: Protocol) -> std::io::Result<TcpStream> {
    let (question, answer): (&[u8], &[u8]) = match protocol {
        Protocol::Redis => (b"*2\r\n$3\r\nGET\r\n$4\r\nnone\r\n", b"$-1\r\n"),
        Protocol::Memcached => (b"get none\r\n", b"END\r\n"),
    };
    let mut stream = TcpStream::connect_timeout(&address, TIME_LIMIT)?;
    stream.set_read_timeout(Some(TIME_LIMIT))?;
    stream.write_all(question)?;
    let mut got = vec![0; answer.len()];
    stream.read_exact(&mut got)?;
    if got == answer {
        return Ok(stream);
    }
    let text = String::from_utf8_lossy(&got).into_owned();
    Err(std::io::Error::other(format!("answered {text:?}")))
}

/// Bursts from one client and from fifty.
fn after_burst(bench: &Bench, contender: &Contender, protocol: Protocol) -> Result<f64, String> {
    warm_up(bench, contender, protocol)?;
    let before = resident(contender)?;
    for clients in [1, 50] {
        let shape = Shape {
            clients,
            pipeline: BURST / clients,
            ..plain(protocol, 100)
        };
        load(bench, contender, shape).play(Amount::Requests(BURST as u64), &mut Unwatched)?;
    }
    thread::sleep(REST);
    Ok(resident(contender)? as f64 / before as f64)
}

fn copies(bench: &Bench, contender: &Contender, protocol: Protocol) -> Result<f64, String> {
    warm_up(bench, contender, protocol)?;
    let shape = Shape {
        clients: 20,
        ..plain(protocol, 1 << 20)
    };
    let load = load(bench, contender, shape);
    let pid = pid(contender)?;
    let before = figures::memory(pid)?;
    load.fill()?;
    figures::forget_peak(pid);
    load.play(Amount::Time(Duration::from_secs(2)), &mut Unwatched)?;
    let Memory { peak, .. } = figures::memory(pid)?;
    let in_flight = shape.in_flight() * shape.size;
    Ok(peak.saturating_sub(before.resident) as f64 / in_flight as f64)
}

/// Ordinary load, so that one-time allocations of a proxy are not counted.
fn warm_up(bench: &Bench, contender: &Contender, protocol: Protocol) -> Result<(), String> {
    let load = load(bench, contender, plain(protocol, 100));
    load.fill()?;
    load.play(Amount::Time(Duration::from_secs(1)), &mut Unwatched)?;
    thread::sleep(REST);
    Ok(())
}

fn load<'b>(bench: &'b Bench, contender: &Contender, shape: Shape) -> Load<'b> {
    Load {
        bench,
        shape,
        address: contender.address,
        wrapper: Vec::new(),
    }
}

fn plain(protocol: Protocol, size: usize) -> Shape {
    Shape {
        name: "memory",
        protocol,
        clients: 50,
        pipeline: 1,
        size,
        ask: Ask::Mixed,
        servers: 2,
    }
}

fn resident(contender: &Contender) -> Result<u64, String> {
    Ok(figures::memory(pid(contender)?)?.resident)
}

fn pid(contender: &Contender) -> Result<u32, String> {
    contender
        .pid()
        .ok_or_else(|| "a direct connection has no memory".into())
}
