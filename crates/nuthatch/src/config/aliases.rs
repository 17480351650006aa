//! YAML's anchors (`&name`), aliases (`*name`) and merges (`<<: *name`): a node that stands for a copy of another
//! one. Copies keep the positions of what they are copies of, so that errors point to where it is written.

use std::collections::{HashMap, HashSet};

use super::node::{Content, Entry, Mapping, Node};
use super::report::{Position, Problem};

/// Nodes that aliases may make in one file: more than a file without aliases can have, and little memory. Without
/// a bound, aliases of aliases would grow without end.
const MAX_COPIED: usize = 1 << 18;

/// The key of a merge.
const MERGE: &str = "<<";

/// The nodes that have anchors, by the parser's numbers.
#[derive(Debug, Default)]
pub(super) struct Anchors {
    nodes: HashMap<usize, Node>,
    copied: usize,
}

impl Anchors {
    /// A node with an anchor is complete.
    pub(super) fn keep(&mut self, anchor: usize, node: &Node) -> Result<(), Problem> {
        self.count(node, &node.position)?;
        let mut node = node.clone();
        if let Content::Mapping(mapping) = &mut node.content {
            mapping.is_template = false;
        }
        self.nodes.insert(anchor, node);
        Ok(())
    }

    /// The node that the alias at `position` stands for.
    pub(super) fn copy(&mut self, anchor: usize, position: &Position) -> Result<Node, Problem> {
        let Some(node) = self.nodes.get(&anchor) else {
            return Err(Problem::at(
                position,
                "this alias stands for what it is part of",
            ));
        };
        let node = node.clone();
        self.count(&node, position)?;
        Ok(node)
    }

    fn count(&mut self, node: &Node, position: &Position) -> Result<(), Problem> {
        self.copied += size(node);
        match self.copied <= MAX_COPIED {
            true => Ok(()),
            false => Err(Problem::at(position, "aliases make the file too large")),
        }
    }
}

/// How many nodes there are in a node.
fn size(node: &Node) -> usize {
    1 + match &node.content {
        Content::List(items) => items.iter().map(size).sum(),
        Content::Mapping(mapping) => mapping.entries.iter().map(|it| size(&it.value)).sum(),
        Content::Text(_) | Content::Broken => 0,
    }
}

/// Replaces the merges of a mapping by the entries of the mappings that they name. Entries of its own have
/// precedence, then those of earlier mappings.
pub(super) fn merge(entries: Vec<Entry>, problems: &mut Vec<Problem>) -> Vec<Entry> {
    if entries.iter().all(|entry| entry.key != MERGE) {
        return entries;
    }
    let (merges, mut entries): (Vec<Entry>, Vec<Entry>) =
        entries.into_iter().partition(|entry| entry.key == MERGE);
    let mut known: HashSet<String> = entries.iter().map(|entry| entry.key.clone()).collect();
    let merged = merges
        .into_iter()
        .flat_map(|entry| match entry.value.content {
            Content::List(items) => items,
            _ => vec![entry.value],
        });
    for node in merged {
        match node.content {
            Content::Mapping(Mapping { entries: more, .. }) => {
                let news = more
                    .into_iter()
                    .filter(|entry| known.insert(entry.key.clone()));
                entries.extend(news);
            }
            Content::Broken => {}
            Content::Text(_) | Content::List(_) => {
                let problem = Problem::at(&node.position, "`<<` takes a mapping");
                let help = "name one that has an anchor: `<<: *name`, or several: `<<: [*a, *b]`";
                problems.push(problem.help(help));
            }
        }
    }
    entries
}
