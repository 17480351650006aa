//! `servers` as a mapping: where they are found.

use super::fields::{Fields, Items};
use super::kind::Kind;
use super::node::Node;
use super::report::Findings;
use super::types::ServerSource;

/// What the mapping may say.
pub(super) const KEYS: [&str; 1] = ["file"];

const ITEMS: Items = Items {
    noun: "mapping of servers",
    keys: &KEYS,
    kind: Kind::Servers,
    most: 1,
};

/// Reads the mapping of `owner` ("pool `alpha`"); `None` if anything is wrong with it, which has been reported.
pub(super) fn read_source(
    node: &Node,
    owner: &str,
    findings: &mut Findings,
) -> Option<ServerSource> {
    let items = (node, std::slice::from_ref(node));
    let name = |_: &ServerSource| String::new();
    let mut sources = ITEMS.read(items, owner, findings, read_one, name)?;
    sources.pop()
}

fn read_one(fields: &Fields<'_>, findings: &mut Findings) -> Option<ServerSource> {
    let file = fields.text("file").and_then(|file| {
        let file = file.ok_or_else(|| fields.missing("file"))?;
        Ok(ServerSource::File(file.into()))
    });
    file.map_err(|problem| findings.problems.push(problem)).ok()
}
