//! Checks that the modules of each crate do not name each other in a circle.
//!
//! The nodes are the files below `src/`; code that is compiled only for tests is left out. There is an edge
//! from `a` to `b` if the code of `a`
//!
//! - names an item that `b` defines, by `use` or by any path, through any re-exports (a type that a macro
//!   defines belongs to the module by which it is named);
//! - names an associated function or constant that an `impl` in `b` defines, even for another module's type;
//! - calls a method on `self` that an `impl` in `b` defines for this type, or the trait that is implemented;
//! - calls a method on anything else whose name is defined in exactly one file of the crate, which is `b`.
//!   Methods that the call cannot mean do not count: those with another number of arguments, or not visible
//!   from `a`. The call does not count either if the method may belong to another workspace crate that this
//!   one uses, or to a common standard library type (`methods.rs` lists these names).
//!
//! These are not edges: `mod b;`, a module that is named alone (`use super::b;` counts where `b::f()`
//! follows), and a parent's `pub use` of items below it, which it passes on without using them. A file with
//! inline modules is one node.

mod circles;
mod edges;
mod exceptions;
mod methods;
mod names;
mod tree;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use super::files::ProjectFile;
use super::finding::Finding;
use circles::{components, graph, shortest};
use edges::{Edges, edges};
use exceptions::{EXCEPTIONS, Exception};
use tree::{Tree, trees};

/// Checks every crate for circles, and every exception for being necessary.
pub(super) fn check(files: &[ProjectFile]) -> Vec<Finding> {
    check_all(&trees(files), &EXCEPTIONS)
}

/// The edges of a crate (and of the programs beside its library) as text: `*` marks edges of a circle.
///
/// # Errors
///
/// When there is no such crate.
pub(super) fn text(files: &[ProjectFile], name: &str) -> Result<String, String> {
    let trees = trees(files);
    let beside = format!("{name}/");
    let asked = |tree: &&Tree| tree.name == name || tree.name.starts_with(&beside);
    let shown: Vec<String> = trees
        .iter()
        .filter(asked)
        .map(|tree| shown(tree, &edges_of(tree, &trees)))
        .collect();
    if shown.is_empty() {
        let names: Vec<&str> = trees.iter().map(|tree| tree.name.as_str()).collect();
        return Err(format!("no crate {name}; there are {}", names.join(", ")));
    }
    Ok(shown.concat())
}

fn edges_of(tree: &Tree, trees: &[Tree]) -> Edges {
    let used = trees.iter().filter(|other| tree.uses.contains(&other.name));
    edges(tree, &used.collect::<Vec<_>>())
}

fn shown(tree: &Tree, edges: &Edges) -> String {
    let components = components(&graph(edges.keys().copied()));
    let mut text = format!(
        "{}: {} modules, {} edges\n",
        tree.name,
        tree.files.len(),
        edges.len()
    );
    for ((from, to), named) in edges {
        let in_circle = components
            .iter()
            .any(|component| component.contains(from) && component.contains(to));
        let mut seen = BTreeSet::new();
        let named: Vec<String> = named
            .iter()
            .filter(|named| seen.insert(&named.what))
            .map(|named| format!("{} {}", named.line, named.what))
            .collect();
        text += &format!(
            "{} {} -> {}  ({}: {})\n",
            if in_circle { '*' } else { ' ' },
            tree.files[*from].module,
            tree.files[*to].module,
            tree.files[*from].path,
            named.join(", ")
        );
    }
    for component in &components {
        let modules: Vec<&str> = component
            .iter()
            .map(|n| tree.files[*n].module.as_str())
            .collect();
        text += &format!("in one circle: {}\n", modules.join(", "));
    }
    text
}

fn check_all(trees: &[Tree], exceptions: &[Exception]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for tree in trees {
        let edges = edges_of(tree, trees);
        let own: Vec<&Exception> = exceptions
            .iter()
            .filter(|exception| exception.tree == tree.name)
            .collect();
        findings.extend(circles_in(tree, &edges, &own));
        for exception in own {
            findings.extend(not_needed(tree, &edges, exception));
        }
    }
    let unknown = exceptions
        .iter()
        .filter(|exception| trees.iter().all(|tree| tree.name != exception.tree));
    findings.extend(unknown.map(|exception| {
        Finding::new(
            exception.tree,
            "has an exception for a circle, but is no crate",
        )
    }));
    findings
}

/// One finding, with its shortest circle, for each set of modules that reach each other.
fn circles_in(tree: &Tree, edges: &Edges, exceptions: &[&Exception]) -> Vec<Finding> {
    // The modules of an exception are one node, represented by the first of them.
    let groups: Vec<BTreeSet<usize>> = exceptions
        .iter()
        .map(|exception| numbers(tree, exception))
        .collect();
    let node = |file: usize| {
        let group = groups.iter().find(|group| group.contains(&file));
        group
            .and_then(|group| group.first().copied())
            .unwrap_or(file)
    };
    let graph = graph(edges.keys().map(|(from, to)| (node(*from), node(*to))));
    components(&graph)
        .iter()
        .map(|component| {
            let circle = shortest(&graph, component);
            let next = circle.iter().skip(1).chain(&circle[..1]);
            let steps: Vec<(usize, usize)> = circle
                .iter()
                .zip(next)
                .filter_map(|(from, to)| {
                    let real = |(a, b): &&(usize, usize)| node(*a) == *from && node(*b) == *to;
                    edges.keys().find(real).copied()
                })
                .collect();
            describe(tree, edges, &steps, component.len())
        })
        .collect()
}

fn describe(tree: &Tree, edges: &Edges, steps: &[(usize, usize)], of: usize) -> Finding {
    let mut at = String::new();
    let mut lines = Vec::new();
    for (from, to) in steps {
        let first = &edges[&(*from, *to)][0];
        let source = &tree.files[*from];
        if at.is_empty() {
            at = format!("{}:{}", source.path, first.line);
        }
        lines.push(format!(
            "\n  {} -> {} ({}:{} names {})",
            source.module, tree.files[*to].module, source.path, first.line, first.what
        ));
    }
    let says = format!(
        "modules in a circle, of {of} that lead to each other (cargo xtask tidy --graph {} shows all edges){}",
        tree.name,
        lines.concat()
    );
    Finding::new(at, says)
}

fn not_needed(tree: &Tree, edges: &Edges, exception: &Exception) -> Vec<Finding> {
    let numbers = numbers(tree, exception);
    let within = edges
        .keys()
        .copied()
        .filter(|(from, to)| numbers.contains(from) && numbers.contains(to));
    let components = components(&graph(within));
    exception
        .modules
        .iter()
        .filter(|module| {
            let number = number(tree, module);
            !number.is_some_and(|number| components.iter().any(|component| component.contains(&number)))
        })
        .map(|module| {
            let says = format!(
                "{module} is in no circle of its exception ({}): remove it from xtask/src/tidy/graph/exceptions.rs",
                exception.reason
            );
            Finding::new(&tree.name, says)
        })
        .collect()
}

fn numbers(tree: &Tree, exception: &Exception) -> BTreeSet<usize> {
    let numbers = exception.modules.iter();
    numbers.filter_map(|module| number(tree, module)).collect()
}

fn number(tree: &Tree, module: &str) -> Option<usize> {
    tree.files.iter().position(|file| file.module == module)
}
