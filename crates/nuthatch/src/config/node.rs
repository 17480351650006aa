//! The tree that a configuration file is read into: text in lists and mappings, each node with its position.

use super::report::Position;

/// A node of the tree.
#[derive(Debug, Clone)]
pub(super) struct Node {
    /// Its position.
    pub(super) position: Position,
    /// Its content.
    pub(super) content: Content,
}

/// The content of a node.
#[derive(Debug, Clone)]
pub(super) enum Content {
    /// Text, quoted or not; empty when no value is written.
    Text(String),
    /// A sequence.
    List(Vec<Node>),
    /// A mapping.
    Mapping(Mapping),
    /// Something that was reported already.
    Broken,
}

/// A mapping in file order; keys may repeat.
#[derive(Debug, Clone)]
pub(super) struct Mapping {
    /// Its entries.
    pub(super) entries: Vec<Entry>,
    /// False if the file could not be read to the mapping's end: a missing key may only be unread.
    pub(super) whole: bool,
    /// It has an anchor, so that others can be made of it.
    pub(super) is_template: bool,
}

/// A key with its value.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    /// The key.
    pub(super) key: String,
    /// Where the key stands.
    pub(super) position: Position,
    /// The value.
    pub(super) value: Node,
}
