//! The lists of the replicas of a pool's servers.

use proxy::limits::MAX_REPLICAS;
use proxy::settings::{Address, ReplicaSettings};

use super::kind::{Kind, expected};
use super::node::{Content, Mapping, Node};
use super::report::{Findings, Problem};
use super::servers::host_and_port;
use super::types::ReplicasOf;

/// Longest name of a zone, in bytes.
const MAX_ZONE: usize = 255;

/// Reads the replicas of servers; `None` if anything is wrong with them, which has been reported.
pub(super) fn read_replicas(mapping: &Mapping, findings: &mut Findings) -> Option<Vec<ReplicasOf>> {
    let before = findings.problems.len();
    let mut all: Vec<ReplicasOf> = Vec::new();
    for entry in &mapping.entries {
        if all.iter().any(|known| known.server == entry.key) {
            let message = format!("the replicas of `{}` are listed twice", entry.key);
            let problem = Problem::at(&entry.position, message);
            findings.problems.push(problem.help("put them in one list"));
            continue;
        }
        all.push(ReplicasOf {
            server: entry.key.clone(),
            position: entry.position.clone(),
            replicas: read_list(&entry.key, &entry.value, findings),
        });
    }
    (mapping.whole && findings.problems.len() == before).then_some(all)
}

fn read_list(server: &str, list: &Node, findings: &mut Findings) -> Vec<ReplicaSettings> {
    let mut replicas: Vec<ReplicaSettings> = Vec::new();
    let items = match &list.content {
        Content::List(items) => items,
        Content::Broken => return replicas,
        Content::Text(_) | Content::Mapping(_) => {
            let message = format!("the replicas of `{server}` must be a list");
            let problem = Problem::at(&list.position, message);
            findings
                .problems
                .push(problem.help(expected(&Kind::Replicas)));
            return replicas;
        }
    };
    // The server itself may be one of them.
    if items.len() > MAX_REPLICAS + 1 {
        let message = format!("`{server}` has more than {MAX_REPLICAS} replicas");
        findings.problems.push(Problem::at(&list.position, message));
    }
    for item in items {
        match read_replica(item) {
            Ok(replica)
                if replicas
                    .iter()
                    .any(|known| known.address == replica.address) =>
            {
                let message = format!("replica `{}` is listed twice", replica.name);
                findings.problems.push(Problem::at(&item.position, message));
            }
            Ok(replica) => replicas.push(replica),
            Err(problem) => findings.problems.push(problem),
        }
    }
    replicas
}

fn read_replica(item: &Node) -> Result<ReplicaSettings, Problem> {
    let wrong = |message: String| {
        let problem = Problem::at(&item.position, message);
        Err(problem.help(expected(&Kind::Replicas)))
    };
    let Content::Text(text) = &item.content else {
        return wrong("a replica must be one line of text".into());
    };
    let mut words = text.split_ascii_whitespace();
    let (place, zone, more) = (words.next().unwrap_or_default(), words.next(), words.next());
    let Some((host, port)) = host_and_port(place) else {
        return wrong(format!("replica `{text}` does not begin with `host:port`"));
    };
    match zone {
        Some(_) if more.is_some() => {
            wrong(format!("replica `{text}` has more than a zone behind it"))
        }
        Some(zone) if zone.len() > MAX_ZONE => wrong(format!(
            "the zone of replica `{place}` has more than {MAX_ZONE} bytes"
        )),
        zone => Ok(ReplicaSettings::at(
            Address::tcp(host, port),
            zone.map(Into::into),
        )),
    }
}
