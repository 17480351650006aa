//! Pools that lead back to themselves: a request would go round for ever.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use proxy::settings::Address;

use super::address::Listen;
use super::file::ReadPool;
use super::report::{Findings, Position, Problem};
use super::table::ours::CLUSTER;

/// Reports pools that list their own listen address as a server, or that of another pool which leads back.
/// Addresses are compared as far as that is possible without a look-up.
pub(super) fn check_loops(pools: &[ReadPool], listens: &[Option<Listen>], findings: &mut Findings) {
    let steps: Vec<Vec<Step>> = pools.iter().map(|pool| steps_of(pool, listens)).collect();
    let mut reported = vec![false; pools.len()];
    for start in 0..pools.len() {
        let Some(round) = way_back(&steps, start).filter(|_| !reported[start]) else {
            continue;
        };
        round.iter().for_each(|step| reported[step.pool] = true);
        let message = match round.as_slice() {
            [_] => format!("pool `{}` listens here itself", pools[start].name),
            round => {
                let names = round
                    .iter()
                    .map(|step| format!("`{}`", pools[step.pool].name));
                let names: Vec<String> = names.collect();
                format!(
                    "pool `{}` leads back to itself: to {}",
                    pools[start].name,
                    names.join(", then ")
                )
            }
        };
        let problem = Problem::at(&round[0].position, message);
        let help = "its requests would go round for ever; list the cache servers";
        findings.problems.push(problem.help(help));
    }
}

/// A server of one pool that is another pool.
#[derive(Clone)]
struct Step {
    pool: usize,
    position: Position,
}

fn steps_of(pool: &ReadPool, listens: &[Option<Listen>]) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut by_port: HashMap<Option<u16>, Vec<usize>> = HashMap::new();
    for (index, listen) in listens.iter().enumerate() {
        if let Some(listen) = listen {
            by_port.entry(port_of(listen)).or_default().push(index);
        }
    }
    let nodes = pool.values.value(&CLUSTER).into_iter().flatten();
    let servers = pool.server_lines().into_iter().flatten();
    for (server, position) in servers.chain(nodes) {
        let port = match &server.address {
            Address::Tcp { port, .. } => Some(*port),
            Address::Unix(_) | Address::Unknown => None,
        };
        for index in by_port.get(&port).into_iter().flatten() {
            let listen = listens[*index].as_ref();
            if listen.is_some_and(|listen| leads_to(&server.address, listen)) {
                steps.push(Step {
                    pool: *index,
                    position: position.clone(),
                });
            }
        }
    }
    steps
}

fn port_of(listen: &Listen) -> Option<u16> {
    match listen {
        Listen::Tcp { addr, .. } => Some(addr.port()),
        Listen::Unix { .. } => None,
    }
}

/// The shortest way from a pool to itself, if there is any.
fn way_back(steps: &[Vec<Step>], start: usize) -> Option<Vec<Step>> {
    let mut seen = vec![false; steps.len()];
    let mut ways: Vec<Vec<Step>> = vec![Vec::new()];
    while !ways.is_empty() {
        let mut further = Vec::new();
        for way in ways {
            let end = way.last().map_or(start, |step| step.pool);
            for step in &steps[end] {
                let mut way = way.clone();
                way.push(step.clone());
                if step.pool == start {
                    return Some(way);
                }
                if !std::mem::replace(&mut seen[step.pool], true) {
                    further.push(way);
                }
            }
        }
        ways = further;
    }
    None
}

/// Whether a server's address is sure to be where a pool listens. The ports are known to be the same.
fn leads_to(server: &Address, listen: &Listen) -> bool {
    match (server, listen) {
        (Address::Unix(server), Listen::Unix { path, .. }) => **server == **path,
        (Address::Tcp { host, .. }, Listen::Tcp { addr, text }) => {
            let own_host = text.rsplit_once(':').map_or("", |(host, _)| host);
            **host == *own_host || ips_of(host).iter().any(|ip| takes(addr.ip(), *ip))
        }
        _ => false,
    }
}

/// The addresses that a host is sure to have.
fn ips_of(host: &str) -> Vec<IpAddr> {
    let loopbacks: [IpAddr; 2] = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
    match host.parse::<IpAddr>().map(|ip| ip.to_canonical()) {
        // The system connects to this machine then.
        Ok(ip) if ip.is_unspecified() => loopbacks
            .iter()
            .copied()
            .filter(|it| it.is_ipv4() == ip.is_ipv4())
            .collect(),
        Ok(ip) => vec![ip],
        Err(_) if host.eq_ignore_ascii_case("localhost") => loopbacks.to_vec(),
        Err(_) => Vec::new(),
    }
}

/// Whether who listens on `own` is sure to get connections to `ip`.
fn takes(own: IpAddr, ip: IpAddr) -> bool {
    let own = own.to_canonical();
    match own {
        IpAddr::V4(own) if own.is_unspecified() => ip.is_ipv4() && ip.is_loopback(),
        IpAddr::V6(own) if own.is_unspecified() => ip.is_loopback(),
        own => own == ip,
    }
}
