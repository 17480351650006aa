//! Reads the top level of a file: pools, and the settings of the whole process.

use std::collections::HashMap;

use super::address::ServerLine;
use super::node::{Content, Entry, Mapping, Node};
use super::report::{Findings, Position, Problem};
use super::table::theirs::{LISTEN, SERVERS};
use super::table::{Scope, find};
use super::types::{ServerSource, Servers};
use super::values::{Rules, Values};

/// The top-level key that is reserved for settings of the whole process.
pub(super) const RESERVED: &str = "nuthatch";

/// A pool as read: its settings are not yet checked against each other.
#[derive(Debug)]
pub(super) struct ReadPool {
    /// Its name.
    pub(super) name: String,
    /// The position of the name.
    pub(super) position: Position,
    /// Its settings, including the overlay's.
    pub(super) values: Values,
    /// False if the file could not be read to the pool's end.
    pub(super) whole: bool,
    /// The servers in the file that its settings name, each at its position; none until that was read.
    pub(super) in_file: Option<Vec<(ServerLine, Position)>>,
}

impl ReadPool {
    /// The servers that are known, each at its position: those that are listed, or those in the file that is named.
    pub(super) fn server_lines(&self) -> Option<Vec<(ServerLine, Position)>> {
        match self.values.value(&SERVERS)? {
            Servers::Listed(servers) => Some(servers),
            Servers::Found(ServerSource::File(_)) => self.in_file.clone(),
            // Until they are found there is one that is nowhere.
            Servers::Found(ServerSource::Srv(name) | ServerSource::Dns(name, _)) => {
                let position = &self.values.given(&SERVERS)?.position;
                Some(vec![(ServerLine::unknown(&name, 1), position.clone())])
            }
            Servers::Found(ServerSource::Sentinel(source)) => {
                let position = &self.values.given(&SERVERS)?.position;
                let lines = source
                    .shards
                    .iter()
                    .map(|(name, weight)| (ServerLine::unknown(name, *weight), position.clone()));
                Some(lines.collect())
            }
        }
    }

    /// Where its servers are found, if they are not listed.
    pub(super) fn source(&self) -> Option<ServerSource> {
        match self.values.value(&SERVERS)? {
            Servers::Listed(_) => None,
            Servers::Found(source) => Some(source),
        }
    }
}

/// The pools and the global settings that a file holds.
pub(super) fn read_file(root: Option<&Node>, findings: &mut Findings) -> (Vec<ReadPool>, Values) {
    let (mut pools, mut globals) = (Vec::new(), Values::default());
    let Some(top) = root.and_then(|root| top_level(root, findings)) else {
        if findings.problems.is_empty() {
            findings.problems.push(no_pools(root));
        }
        return (pools, globals);
    };
    for entry in distinct(top, "pool", findings) {
        let Some(mapping) = mapping_of(entry, findings) else {
            continue;
        };
        if is_template(mapping) {
            continue;
        }
        if is_reserved(entry, mapping) {
            let rules = Rules {
                owner: "`nuthatch`",
                scopes: &[Scope::Global],
                overlay: false,
            };
            globals = Values::read(mapping, rules, findings);
        } else {
            pools.push(read_pool(entry, mapping, findings));
        }
    }
    if pools.is_empty() && top.whole && findings.problems.is_empty() {
        findings.problems.push(no_pools(root));
    }
    (pools, globals)
}

/// The mapping at the top of a file.
pub(super) fn top_level<'n>(root: &'n Node, findings: &mut Findings) -> Option<&'n Mapping> {
    match &root.content {
        Content::Mapping(mapping) => return Some(mapping),
        Content::Broken => {}
        Content::Text(text) if text.is_empty() => findings.problems.push(no_pools(Some(root))),
        Content::Text(_) | Content::List(_) => {
            let problem = Problem::at(&root.position, "the file must be a mapping of pools");
            findings.problems.push(problem.help(POOL_HELP));
        }
    }
    None
}

/// The entries of a mapping; reports keys that are empty or repeated.
pub(super) fn distinct<'m>(
    mapping: &'m Mapping,
    what: &str,
    findings: &mut Findings,
) -> Vec<&'m Entry> {
    let mut seen: HashMap<&str, &Position> = HashMap::new();
    let mut entries = Vec::with_capacity(mapping.entries.len());
    for entry in &mapping.entries {
        if entry.key.is_empty() {
            let problem = Problem::at(&entry.position, format!("a {what} needs a name"));
            findings.problems.push(problem.help(POOL_HELP));
        } else if let Some(first) = seen.get(entry.key.as_str()) {
            let problem = Problem::at(
                &entry.position,
                format!("{what} `{}` is a duplicate", entry.key),
            );
            findings
                .problems
                .push(problem.help(format!("the other begins in line {}", first.line)));
        } else {
            seen.insert(&entry.key, &entry.position);
            entries.push(entry);
        }
    }
    entries
}

/// The settings under a top-level key.
pub(super) fn mapping_of<'e>(entry: &'e Entry, findings: &mut Findings) -> Option<&'e Mapping> {
    let key = &entry.key;
    let problem = match &entry.value.content {
        Content::Mapping(mapping) => return Some(mapping),
        Content::Broken => return None,
        _ if find(Scope::Pool, key).is_some() => Problem::at(
            &entry.position,
            format!("setting `{key}` stands outside of a pool"),
        )
        .help("indent it under the name of its pool"),
        Content::Text(text) if text.is_empty() => {
            Problem::at(&entry.position, format!("`{key}` has no settings")).help(POOL_HELP)
        }
        _ => Problem::at(
            &entry.value.position,
            format!("`{key}` must be a mapping of settings"),
        )
        .help(POOL_HELP),
    };
    findings.problems.push(problem);
    None
}

const POOL_HELP: &str =
    "a pool is a name, a colon, and indented settings such as `listen: 127.0.0.1:22121`";

/// Whether an entry holds the global settings. One with a `listen` is a pool that happens to have this name:
/// files that nutcracker accepts keep their meaning.
fn is_reserved(entry: &Entry, mapping: &Mapping) -> bool {
    entry.key == RESERVED && !mapping.entries.iter().any(|entry| entry.key == LISTEN.name)
}

/// Whether a mapping is there only for pools to be made of it: it has an anchor, and not what a pool needs.
pub(super) fn is_template(mapping: &Mapping) -> bool {
    let of_pool = |entry: &Entry| [LISTEN.name, SERVERS.name].contains(&entry.key.as_str());
    mapping.is_template && !mapping.entries.iter().any(of_pool)
}

/// Whether the file was read to its end.
pub(super) fn is_whole(root: &Node) -> bool {
    matches!(&root.content, Content::Mapping(mapping) if mapping.whole)
}

fn no_pools(root: Option<&Node>) -> Problem {
    let problem = match root {
        Some(root) => Problem::at(&root.position, "the file has no pools"),
        None => Problem::of_file("the configuration has no pools"),
    };
    problem.help(POOL_HELP)
}

fn read_pool(entry: &Entry, mapping: &Mapping, findings: &mut Findings) -> ReadPool {
    let rules = Rules {
        owner: &format!("pool `{}`", entry.key),
        scopes: &[Scope::Pool],
        overlay: false,
    };
    ReadPool {
        name: entry.key.clone(),
        position: entry.position.clone(),
        values: Values::read(mapping, rules, findings),
        whole: mapping.whole,
        in_file: None,
    }
}
