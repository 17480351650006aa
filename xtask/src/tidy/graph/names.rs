//! Resolves paths: which file of the crate defines what a path names.

use super::tree::{Module, Tree};

/// Maximum imports of imports that are followed; more are a circle of imports.
const DEEPEST: u32 = 32;

/// What a path names in its crate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    Module(usize),
    Item(Item),
}

/// An item of a module, and what the path names inside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Item {
    pub(super) file: usize,
    pub(super) name: String,
    /// A variant, or an associated function, if the path continues.
    pub(super) below: Option<String>,
}

/// Resolves `path` in a module of `tree`, through imports and re-exports; `None` if it names nothing in this
/// crate.
pub(super) fn resolve(tree: &Tree, module: usize, path: &[String]) -> Option<Target> {
    Resolver { tree, depth: 0 }.resolve(module, path, false)
}

/// The same for a path that means a module or a type even if a function has that name as well.
pub(super) fn resolve_type(tree: &Tree, module: usize, path: &[String]) -> Option<Target> {
    Resolver { tree, depth: 0 }.resolve(module, path, true)
}

struct Resolver<'t> {
    tree: &'t Tree,
    depth: u32,
}

impl Resolver<'_> {
    /// `goes_on`: more follows the path.
    fn resolve(&mut self, module: usize, path: &[String], goes_on: bool) -> Option<Target> {
        let (first, mut rest) = path.split_first()?;
        let mut target = match first.as_str() {
            "crate" => Target::Module(0),
            "self" => Target::Module(module),
            "super" => Target::Module(self.module(module).parent?),
            name => self.in_scope(module, name, goes_on || !rest.is_empty())?,
        };
        while let Some((name, after)) = rest.split_first() {
            target = match target {
                Target::Module(module) if name == "super" => {
                    Target::Module(self.module(module).parent?)
                }
                Target::Module(module) => self
                    .in_scope(module, name, goes_on || !after.is_empty())
                    .unwrap_or_else(|| self.unseen(module, name)),
                Target::Item(item) => return Some(Target::Item(with_below(item, name))),
            };
            rest = after;
        }
        Some(target)
    }

    /// The meaning of a name within a module. A module and a function may share it: a path that continues can
    /// only mean the module, one that ends there more likely means the function.
    fn in_scope(&mut self, number: usize, name: &str, goes_on: bool) -> Option<Target> {
        let module = &self.tree.modules[number];
        let child = module.children.get(name).copied().map(Target::Module);
        if goes_on && child.is_some() {
            return child;
        }
        if module.items.contains(name) {
            return Some(Target::Item(item(module.file, name)));
        }
        let imported = module.imports.get(name);
        let imported = imported
            .and_then(|path| self.deeper(|resolver| resolver.resolve(number, path, goes_on)));
        if matches!(imported, Some(Target::Item(_))) {
            return imported;
        }
        child
            .or(imported)
            .or_else(|| self.in_globs(number, name, goes_on))
    }

    fn in_globs(&mut self, number: usize, name: &str, goes_on: bool) -> Option<Target> {
        self.tree.modules[number].globs.iter().find_map(|path| {
            self.deeper(|resolver| match resolver.resolve(number, path, true)? {
                Target::Module(from) => resolver.in_scope(from, name, goes_on),
                // The variants of an enum were imported, and their names are not known here.
                Target::Item(_) => None,
            })
        })
    }

    fn deeper(&mut self, look: impl FnOnce(&mut Self) -> Option<Target>) -> Option<Target> {
        if self.depth == DEEPEST {
            return None;
        }
        self.depth += 1;
        let found = look(self);
        self.depth -= 1;
        found
    }

    /// An item defined by a macro: it belongs to the module that is named before it.
    fn unseen(&self, module: usize, name: &str) -> Target {
        Target::Item(item(self.module(module).file, name))
    }

    fn module(&self, number: usize) -> &Module {
        &self.tree.modules[number]
    }
}

fn item(file: usize, name: &str) -> Item {
    Item {
        file,
        name: name.into(),
        below: None,
    }
}

fn with_below(item: Item, name: &str) -> Item {
    Item {
        below: Some(name.into()),
        ..item
    }
}
