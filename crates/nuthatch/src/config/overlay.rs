//! The overlay: a second file of the same form that holds only Nuthatch's own settings, so that nutcracker
//! can still start from the first file.

use super::file::{RESERVED, ReadPool, distinct, is_template, mapping_of, top_level};
use super::node::{Entry, Mapping, Node};
use super::report::{Findings, Problem};
use super::table::Scope;
use super::values::{Rules, Values};

/// The contents of an overlay.
#[derive(Debug, Default)]
pub(super) struct Overlay {
    /// Settings of the whole process.
    pub(super) globals: Values,
    /// Settings of pools, by their index in the file.
    pub(super) pools: Vec<(usize, Values)>,
}

/// Reads an overlay for these pools.
pub(super) fn read_overlay(root: &Node, pools: &[ReadPool], findings: &mut Findings) -> Overlay {
    let mut overlay = Overlay::default();
    let Some(top) = top_level(root, findings) else {
        return overlay;
    };
    for entry in distinct(top, "pool", findings) {
        let Some(mapping) = mapping_of(entry, findings) else {
            continue;
        };
        let index = pools.iter().position(|pool| pool.name == entry.key);
        if entry.key == RESERVED {
            // If a pool has that name too, its settings may be here as well: no setting exists in both
            // scopes.
            overlay.globals = read_scope(entry, mapping, index.is_some(), findings);
            overlay
                .pools
                .extend(index.map(|index| (index, overlay.globals.only(Scope::Pool))));
            continue;
        }
        match index {
            None if is_template(mapping) => {}
            Some(index) => overlay
                .pools
                .push((index, read_pool(entry, mapping, findings))),
            None => findings.problems.push(no_such_pool(entry, pools)),
        }
    }
    overlay
}

fn read_scope(entry: &Entry, mapping: &Mapping, pool_too: bool, findings: &mut Findings) -> Values {
    let both = [Scope::Global, Scope::Pool];
    let rules = Rules {
        owner: &format!("`{}`", entry.key),
        scopes: if pool_too { &both } else { &both[..1] },
        overlay: true,
    };
    Values::read(mapping, rules, findings)
}

fn read_pool(entry: &Entry, mapping: &Mapping, findings: &mut Findings) -> Values {
    let rules = Rules {
        owner: &format!("pool `{}`", entry.key),
        scopes: &[Scope::Pool],
        overlay: true,
    };
    Values::read(mapping, rules, findings)
}

fn no_such_pool(entry: &Entry, pools: &[ReadPool]) -> Problem {
    let message = format!("pool `{}` is not in the configuration file", entry.key);
    let known = pools
        .iter()
        .map(|pool| pool.name.as_str())
        .chain([RESERVED]);
    Problem::at(&entry.position, message).nearest(&entry.key, known)
}
