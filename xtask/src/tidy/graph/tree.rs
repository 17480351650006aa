//! The module tree of a crate, and the names in scope in each module.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use syn::visit::{self, Visit};

use super::super::code::is_for_tests;
use super::super::files::ProjectFile;

/// One crate: a library, or a separate program.
pub(super) struct Tree {
    /// `proxy` for a library, `bench/loadgen` for a program beside one.
    pub(super) name: String,
    /// The packages in its manifest.
    pub(super) uses: Vec<String>,
    /// The nodes of the graph.
    pub(super) files: Vec<SourceFile>,
    /// The modules of these files, including inline ones; the first is the root.
    pub(super) modules: Vec<Module>,
}

/// A file of a crate.
pub(super) struct SourceFile {
    /// Relative to the top directory.
    pub(super) path: String,
    /// The module's name in code: `crate::engine::intake`.
    pub(super) module: String,
    pub(super) parsed: syn::File,
    /// The file's module, by its index in [`Tree::modules`].
    pub(super) top: usize,
}

/// A module; a file with inline modules has several.
#[derive(Default)]
pub(super) struct Module {
    pub(super) file: usize,
    /// `None` for the root.
    pub(super) parent: Option<usize>,
    pub(super) children: BTreeMap<String, usize>,
    /// Items defined here.
    pub(super) items: BTreeSet<String>,
    /// Names imported by `use`, with their paths as written.
    pub(super) imports: BTreeMap<String, Vec<String>>,
    /// Paths of glob imports (`use path::*`).
    pub(super) globs: Vec<Vec<String>>,
}

/// The crates among the files of the project: their `src/`, without tests.
pub(super) fn trees(files: &[ProjectFile]) -> Vec<Tree> {
    let by_path: BTreeMap<&str, &str> = files
        .iter()
        .map(|file| (file.path.as_str(), file.text.as_str()))
        .collect();
    by_path
        .keys()
        .filter_map(|path| Some((path, crate_name(path, &by_path)?)))
        .map(|(path, name)| read(name, path, &by_path))
        .collect()
}

/// The names that a `use` imports, each with its whole path; a glob's name is `*`.
pub(super) fn leaves(tree: &syn::UseTree) -> Vec<Leaf> {
    let mut found = Vec::new();
    add_leaves(tree, &mut Vec::new(), &mut found);
    found
}

/// One name of a `use`.
pub(super) struct Leaf {
    pub(super) name: String,
    pub(super) path: Vec<String>,
    /// It was written `{self}`, which imports no function.
    pub(super) is_self: bool,
    pub(super) line: usize,
}

/// The name of the crate whose root this file is, if it is one.
fn crate_name(path: &str, files: &BTreeMap<&str, &str>) -> Option<String> {
    let (package, source) = path.split_once("/src/")?;
    let directory = package.rsplit('/').next()?;
    let has_library = files.contains_key(format!("{package}/src/lib.rs").as_str());
    match source {
        "lib.rs" => Some(directory.into()),
        "main.rs" if has_library => Some(format!("{directory}/main")),
        "main.rs" => Some(directory.into()),
        _ => {
            let program = source.strip_prefix("bin/")?.strip_suffix(".rs")?;
            let program = program.strip_suffix("/main").unwrap_or(program);
            (!program.contains('/')).then(|| format!("{directory}/{program}"))
        }
    }
}

fn read(name: String, root: &str, files: &BTreeMap<&str, &str>) -> Tree {
    let directory = root.rsplit_once('/').map_or("", |(directory, _)| directory);
    let package = root.split_once("/src/").map_or("", |(package, _)| package);
    let manifest = files.get(format!("{package}/Cargo.toml").as_str());
    let mut reader = Reader {
        texts: files,
        tree: Tree {
            name,
            uses: manifest.map_or_else(Vec::new, |manifest| dependencies(manifest)),
            files: Vec::new(),
            modules: Vec::new(),
        },
        missing: VecDeque::new(),
        at: 0,
        directory: directory.into(),
        module: "crate".into(),
    };
    reader.add_file(root, None);
    while let Some(declared) = reader.missing.pop_front() {
        reader.find_file(declared);
    }
    reader.tree
}

/// The names in `[dependencies]`.
fn dependencies(manifest: &str) -> Vec<String> {
    let table = manifest.split_once("[dependencies]\n");
    let lines = table.map_or("", |(_, rest)| rest).lines();
    lines
        .take_while(|line| !line.starts_with('['))
        .filter_map(|line| line.split(['.', ' ', '=']).next())
        .filter(|name| !name.is_empty())
        .map(String::from)
        .collect()
}

/// A `mod x;` whose file has not been read yet.
struct Declared {
    name: String,
    parent: usize,
    directory: String,
    module: String,
}

struct Reader<'t> {
    texts: &'t BTreeMap<&'t str, &'t str>,
    tree: Tree,
    missing: VecDeque<Declared>,
    /// The current module.
    at: usize,
    /// The directory of its children's files.
    directory: String,
    /// Its path.
    module: String,
}

impl Reader<'_> {
    fn find_file(&mut self, declared: Declared) {
        let Declared {
            name,
            parent,
            directory,
            module,
        } = declared;
        let below = format!("{directory}/{name}");
        let path = [format!("{below}.rs"), format!("{below}/mod.rs")]
            .into_iter()
            .find(|path| self.texts.contains_key(path.as_str()));
        // Files that git does not know yet, or that a macro declares, are skipped.
        let Some(path) = path else { return };
        self.directory = below;
        self.module = module;
        if let Some(number) = self.add_file(&path, Some(parent)) {
            self.tree.modules[parent].children.insert(name, number);
        }
    }

    fn add_file(&mut self, path: &str, parent: Option<usize>) -> Option<usize> {
        // A file that does not parse is a separate finding.
        let parsed = syn::parse_file(self.texts.get(path)?).ok()?;
        let top = self.tree.modules.len();
        self.tree.modules.push(Module {
            file: self.tree.files.len(),
            parent,
            ..Module::default()
        });
        self.at = top;
        self.visit_file(&parsed);
        self.tree.files.push(SourceFile {
            path: path.into(),
            module: self.module.clone(),
            parsed,
            top,
        });
        Some(top)
    }

    fn add_item(&mut self, name: &syn::Ident) {
        let module = &mut self.tree.modules[self.at];
        module.items.insert(name.to_string());
    }
}

impl<'ast> Visit<'ast> for Reader<'_> {
    /// Items within functions count as their module's, because they are in the same file.
    fn visit_item(&mut self, item: &'ast syn::Item) {
        if is_for_tests(attributes(item)) {
            return;
        }
        match item {
            syn::Item::Const(item) => self.add_item(&item.ident),
            syn::Item::Enum(item) => self.add_item(&item.ident),
            syn::Item::Fn(item) => self.add_item(&item.sig.ident),
            syn::Item::Static(item) => self.add_item(&item.ident),
            syn::Item::Struct(item) => self.add_item(&item.ident),
            syn::Item::Trait(item) => self.add_item(&item.ident),
            syn::Item::Type(item) => self.add_item(&item.ident),
            syn::Item::Union(item) => self.add_item(&item.ident),
            syn::Item::Macro(item) => item.ident.iter().for_each(|name| self.add_item(name)),
            _ => {}
        }
        visit::visit_item(self, item);
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        let name = item.ident.to_string();
        let declared = Declared {
            parent: self.at,
            directory: self.directory.clone(),
            module: format!("{}::{name}", self.module),
            name,
        };
        let Some((_, items)) = &item.content else {
            self.missing.push_back(declared);
            return;
        };
        let number = self.tree.modules.len();
        self.tree.modules.push(Module {
            file: self.tree.modules[self.at].file,
            parent: Some(self.at),
            ..Module::default()
        });
        let outside = (self.at, self.directory.clone(), self.module.clone());
        let children = &mut self.tree.modules[self.at].children;
        children.insert(declared.name.clone(), number);
        self.at = number;
        self.directory = format!("{}/{}", declared.directory, declared.name);
        self.module = declared.module;
        for item in items {
            self.visit_item(item);
        }
        (self.at, self.directory, self.module) = outside;
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        // `::x` belongs to another crate.
        if item.leading_colon.is_some() {
            return;
        }
        let module = &mut self.tree.modules[self.at];
        for leaf in leaves(&item.tree) {
            match leaf.name.as_str() {
                "*" => module.globs.push(leaf.path),
                "_" => {}
                _ => {
                    module.imports.insert(leaf.name, leaf.path);
                }
            }
        }
    }
}

/// The attributes of an item.
pub(super) fn attributes(item: &syn::Item) -> &[syn::Attribute] {
    match item {
        syn::Item::Const(item) => &item.attrs,
        syn::Item::Enum(item) => &item.attrs,
        syn::Item::Fn(item) => &item.attrs,
        syn::Item::Impl(item) => &item.attrs,
        syn::Item::Macro(item) => &item.attrs,
        syn::Item::Mod(item) => &item.attrs,
        syn::Item::Static(item) => &item.attrs,
        syn::Item::Struct(item) => &item.attrs,
        syn::Item::Trait(item) => &item.attrs,
        syn::Item::Type(item) => &item.attrs,
        syn::Item::Union(item) => &item.attrs,
        syn::Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

fn add_leaves(tree: &syn::UseTree, before: &mut Vec<String>, found: &mut Vec<Leaf>) {
    let mut add = |name: String, last: Option<&syn::Ident>, line: usize| {
        let last = last.filter(|last| *last != "self").map(ToString::to_string);
        let path: Vec<String> = before.iter().cloned().chain(last).collect();
        // `use a::b::{self}` imports `b`.
        let is_self = path.len() == before.len();
        let name = match name.as_str() {
            "self" => path.last().cloned().unwrap_or(name),
            _ => name,
        };
        found.push(Leaf {
            name,
            path,
            is_self,
            line,
        });
    };
    match tree {
        syn::UseTree::Path(path) => {
            before.push(path.ident.to_string());
            add_leaves(&path.tree, before, found);
            before.pop();
        }
        syn::UseTree::Group(group) => {
            for tree in &group.items {
                add_leaves(tree, before, found);
            }
        }
        syn::UseTree::Glob(glob) => add("*".into(), None, line_of(glob.star_token.span)),
        syn::UseTree::Name(name) => {
            let line = line_of(name.ident.span());
            add(name.ident.to_string(), Some(&name.ident), line);
        }
        syn::UseTree::Rename(rename) => {
            let line = line_of(rename.rename.span());
            add(rename.rename.to_string(), Some(&rename.ident), line);
        }
    }
}

fn line_of(span: proc_macro2::Span) -> usize {
    span.start().line
}
