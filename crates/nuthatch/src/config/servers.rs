//! The list of a pool's servers.

use std::collections::HashMap;

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
