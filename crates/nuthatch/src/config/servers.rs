//! The list of a pool's servers.

use std::collections::HashMap;

use proxy::settings::Address;

use super::address::{ServerLine, server};
use super::fault::faulty;
use super::kind::{Kind, expected};
use super::node::{Content, Node};
use super::report::{Findings, Position, Problem};

/// Reads the servers of `owner` ("pool `alpha`"); `None` if anything is wrong with them, which has been
/// reported.
pub(super) fn read_servers(
    items: &[Node],
    owner: &str,
    findings: &mut Findings,
) -> Option<Vec<(ServerLine, Position)>> {
    let mut servers = Vec::with_capacity(items.len());
    let mut sound = true;
    for item in items {
        match (&item.content, read_server(item)) {
            (_, Ok(server)) => servers.push((server, item.position.clone())),
            (Content::Broken, _) => sound = false,
            (_, Err(problem)) => {
                findings.problems.push(problem);
                sound = false;
            }
        }
    }
    let distinct = check_names(&servers, owner, findings);
    (sound && distinct).then_some(servers)
}

fn read_server(item: &Node) -> Result<ServerLine, Problem> {
    match &item.content {
        Content::Text(text) if text.is_empty() => Err(Problem::at(
            &item.position,
            "a server is missing after the dash",
        )
        .help(expected(&Kind::Servers))),
        Content::Text(text) => server(text)
            .map_err(|fault| faulty(&format!("server `{text}`"), text, &item.position, fault)),
        _ => Err(
            Problem::at(&item.position, "a server must be one line of text")
                .help(expected(&Kind::Servers)),
        ),
    }
}

/// Most nodes that a list may name: one that answers is enough.
pub(super) const MOST_NODES: usize = 100;

/// Reads the nodes of a cluster, `host:port` each; `None` if anything is wrong with them, which has been reported.
pub(super) fn read_nodes(
    list: &Node,
    items: &[Node],
    findings: &mut Findings,
) -> Option<Vec<(ServerLine, Position)>> {
    let before = findings.problems.len();
    let mut nodes: Vec<(ServerLine, Position)> = Vec::new();
    for item in items {
        match read_node(item) {
            Ok(node) if nodes.iter().any(|(known, _)| known.address == node.address) => {
                let message = format!("node `{}` is listed twice", node.name);
                findings.problems.push(Problem::at(&item.position, message));
            }
            Ok(node) => nodes.push((node, item.position.clone())),
            Err(problem) => findings.problems.push(problem),
        }
    }
    if items.is_empty() || items.len() > MOST_NODES {
        let message = format!("a cluster has from 1 to {MOST_NODES} nodes to begin with");
        let problem = Problem::at(&list.position, message);
        findings.problems.push(problem.help(expected(&Kind::Nodes)));
    }
    (findings.problems.len() == before).then_some(nodes)
}

fn read_node(item: &Node) -> Result<ServerLine, Problem> {
    let Content::Text(text) = &item.content else {
        let problem = Problem::at(&item.position, "a node must be one line of text");
        return Err(problem.help(expected(&Kind::Nodes)));
    };
    let Some((host, port)) = host_and_port(text) else {
        let problem = Problem::at(&item.position, format!("node `{text}` is no `host:port`"));
        return Err(problem.help(expected(&Kind::Nodes)));
    };
    let address = Address::tcp(host, port);
    Ok(ServerLine {
        name: address.to_string(),
        pname: format!("{address}:1"),
        weight: 1,
        address,
        is_named: false,
    })
}

/// The host and the port of `host:port`; the brackets of an IPv6 address do not belong to it.
pub(super) fn host_and_port(text: &str) -> Option<(&str, u16)> {
    let (host, port) = text.rsplit_once(':')?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let port = port.parse().ok().filter(|port| *port != 0)?;
    let is_sound = !host.is_empty()
        && host
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b'/');
    is_sound.then_some((host, port))
}

/// Reports servers with the same name, which would own the same points of the ring.
fn check_names(servers: &[(ServerLine, Position)], owner: &str, findings: &mut Findings) -> bool {
    let mut seen: HashMap<&str, &Position> = HashMap::with_capacity(servers.len());
    let mut distinct = true;
    for (server, position) in servers {
        let Some(first) = seen.get(server.name.as_str()) else {
            seen.insert(&server.name, position);
            continue;
        };
        let message = format!("{owner} has servers with same name `{}`", server.name);
        let help = format!(
            "the other is in line {}; a name after the weight tells them apart",
            first.line
        );
        findings
            .problems
            .push(Problem::at(position, message).help(help));
        distinct = false;
    }
    distinct
}
