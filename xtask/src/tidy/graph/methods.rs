//! Finds the file that defines each associated function of a crate.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};

use super::super::code::is_for_tests;
use super::names::{Target, resolve};
use super::tree::{Tree, attributes};

/// Method names that common standard library types have too (collections, strings, iterators, options,
/// streams, threads, durations): a call does not show which type is meant, even if only one of ours has it.
const COMMON: &str = "accept add all and any append args as_bytes as_deref as_micros as_millis as_mut as_nanos as_ref as_secs \
    as_slice as_str borrow bytes capacity chain chars chunks clear clone cloned cmp collect concat connect \
    contains contains_key copied count default deref drain drop end ends_with entry eq err expect extend \
    fetch_add fetch_sub fill filter find find_map first flatten flush fmt fold from get get_mut get_or_insert \
    get_or_insert_with hash id index insert into into_inner into_iter is_empty is_finished is_none is_ok is_some \
    iter iter_mut join keys kill last len lines load local_addr lock map max min ne next nth ok or or_default \
    or_insert path peek peer_addr pop pop_back pop_front port position push push_back push_front push_str range \
    read read_exact read_to_end recv remove replace reserve resize retain rev seek send set shrink_to_fit \
    shutdown skip sort spawn split split_at split_off start starts_with stderr stdin stdout step_by store sub \
    sum swap take then to_owned to_string trim truncate try_from try_into try_recv unwrap values values_mut wait \
    wake with write write_all write_fmt write_vectored zip";

/// A type or trait: the file that defines it, and its name there.
pub(super) type Owner = (usize, String);

/// Which file defines each associated function or constant.
#[derive(Default)]
pub(super) struct Methods {
    /// By type or trait: from the `impl` blocks of all files, except those of traits.
    of_owner: BTreeMap<Owner, BTreeMap<String, BTreeSet<usize>>>,
    /// Callable with a dot, on any type. What an `impl` of one of our own traits defines belongs to the
    /// trait.
    by_name: BTreeMap<String, Vec<Method>>,
}

/// A method, with what decides which calls may mean it.
struct Method {
    /// `None` if another crate defines it.
    file: Option<usize>,
    /// Number of parameters besides `self`; `None` if a macro defines it.
    arguments: Option<usize>,
    seen: Seen,
}

/// The visibility of a method.
#[derive(Clone)]
enum Seen {
    /// The modules in and below this one.
    Below(String),
    /// Every crate.
    Everywhere,
}

/// A method call on a value of unknown type.
pub(super) struct Call<'c> {
    pub(super) name: &'c str,
    /// `None` if unknown.
    pub(super) arguments: Option<usize>,
    /// The calling module.
    pub(super) from: &'c str,
}

impl Methods {
    /// The methods of a crate, and those that it can call of other workspace crates.
    pub(super) fn of(tree: &Tree, used: &[&Tree]) -> Methods {
        let mut methods = Methods::default();
        collect(tree, &mut methods);
        for used in used {
            let mut theirs = Methods::default();
            collect(used, &mut theirs);
            for (name, found) in theirs.by_name {
                let public = found
                    .into_iter()
                    .filter(|method| matches!(method.seen, Seen::Everywhere));
                let public = public.map(|method| Method {
                    file: None,
                    ..method
                });
                methods.by_name.entry(name).or_default().extend(public);
            }
        }
        methods
    }

    /// The files that define `name` for this type or trait.
    pub(super) fn of_owner(&self, owner: &Owner, name: &str) -> Vec<usize> {
        let defined = self.of_owner.get(owner).and_then(|names| names.get(name));
        defined.into_iter().flatten().copied().collect()
    }

    /// The file that a call must mean, if all methods that it can mean are defined in the same one.
    pub(super) fn meant(&self, call: &Call<'_>) -> Option<usize> {
        if COMMON.split(' ').any(|common| common == call.name) {
            return None;
        }
        let files: BTreeSet<Option<usize>> = self
            .by_name
            .get(call.name)?
            .iter()
            .filter(|method| method.can_be_meant(call))
            .map(|method| method.file)
            .collect();
        let first = files.first().copied().flatten();
        first.filter(|_| files.len() == 1)
    }

    fn add_owned(&mut self, owner: &Owner, name: &str, file: usize) {
        let names = self.of_owner.entry(owner.clone()).or_default();
        names.entry(name.into()).or_default().insert(file);
    }

    fn add_method(&mut self, name: &str, method: Method) {
        self.by_name.entry(name.into()).or_default().push(method);
    }
}

impl Method {
    fn can_be_meant(&self, call: &Call<'_>) -> bool {
        let fits = self.arguments.is_none()
            || call.arguments.is_none()
            || self.arguments == call.arguments;
        fits && match &self.seen {
            Seen::Everywhere => true,
            Seen::Below(module) => call
                .from
                .strip_prefix(module.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with("::")),
        }
    }
}

/// The type or trait of this crate that a path names.
pub(super) fn owner(tree: &Tree, module: usize, path: &syn::Path) -> Option<Owner> {
    let names: Vec<String> = path.segments.iter().map(|s| s.ident.to_string()).collect();
    match resolve(tree, module, &names)? {
        Target::Item(item) => Some((item.file, item.name)),
        Target::Module(_) => None,
    }
}

/// The type of this crate that a block implements something for.
pub(super) fn self_type(tree: &Tree, module: usize, item: &syn::ItemImpl) -> Option<Owner> {
    match &*item.self_ty {
        syn::Type::Path(path) => owner(tree, module, &path.path),
        _ => None,
    }
}

fn collect(tree: &Tree, methods: &mut Methods) {
    for (file, source) in tree.files.iter().enumerate() {
        let mut collector = Collector {
            tree,
            file,
            module: source.top,
            methods,
        };
        collector.visit_file(&source.parsed);
    }
}

struct Collector<'t> {
    tree: &'t Tree,
    file: usize,
    module: usize,
    methods: &'t mut Methods,
}

impl Collector<'_> {
    fn add(&mut self, owner: Option<&Owner>, signature: &syn::Signature, seen: Seen) {
        let name = signature.ident.to_string();
        if let Some(owner) = owner {
            self.methods.add_owned(owner, &name, self.file);
        }
        if signature.receiver().is_some() {
            let method = Method {
                file: Some(self.file),
                arguments: Some(signature.inputs.len() - 1),
                seen,
            };
            self.methods.add_method(&name, method);
        }
    }

    fn seen(&self, visibility: &syn::Visibility) -> Seen {
        let here = self.tree.files[self.file].module.as_str();
        let parent = here.rsplit_once("::").map_or("crate", |(parent, _)| parent);
        match visibility {
            syn::Visibility::Public(_) => Seen::Everywhere,
            syn::Visibility::Inherited => Seen::Below(here.into()),
            syn::Visibility::Restricted(to) if to.path.is_ident("self") => Seen::Below(here.into()),
            syn::Visibility::Restricted(to) if to.path.is_ident("super") => {
                Seen::Below(parent.into())
            }
            syn::Visibility::Restricted(_) => Seen::Below("crate".into()),
        }
    }

    /// Functions that a macro defines are recognised by `fn name`.
    fn look_inside(&mut self, tokens: TokenStream) {
        let mut after_fn = false;
        for token in tokens {
            match token {
                TokenTree::Ident(name) if after_fn => {
                    let method = Method {
                        file: Some(self.file),
                        arguments: None,
                        seen: Seen::Everywhere,
                    };
                    self.methods.add_method(&name.to_string(), method);
                    after_fn = false;
                }
                TokenTree::Ident(name) => after_fn = name == "fn",
                TokenTree::Group(group) => self.look_inside(group.stream()),
                _ => after_fn = false,
            }
        }
    }
}

impl<'ast> Visit<'ast> for Collector<'_> {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        if !is_for_tests(attributes(item)) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        let outside = self.module;
        if item.content.is_some() {
            self.module = self.tree.modules[outside].children[&item.ident.to_string()];
        }
        visit::visit_item_mod(self, item);
        self.module = outside;
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        let of_trait = item.trait_.as_ref().map(|(path, _)| path);
        let is_ours = |path: &syn::Path| owner(self.tree, self.module, path).is_some();
        if of_trait.is_some_and(is_ours) {
            return;
        }
        let owner = match of_trait {
            Some(_) => None,
            None => self_type(self.tree, self.module, item),
        };
        for part in &item.items {
            match part {
                syn::ImplItem::Fn(function) if !is_for_tests(&function.attrs) => {
                    let seen = match of_trait {
                        Some(_) => Seen::Everywhere,
                        None => self.seen(&function.vis),
                    };
                    self.add(owner.as_ref(), &function.sig, seen);
                }
                syn::ImplItem::Const(constant) if !is_for_tests(&constant.attrs) => {
                    if let Some(owner) = &owner {
                        let name = constant.ident.to_string();
                        self.methods.add_owned(owner, &name, self.file);
                    }
                }
                _ => {}
            }
        }
    }

    fn visit_item_trait(&mut self, item: &'ast syn::ItemTrait) {
        let owner = (self.file, item.ident.to_string());
        let seen = self.seen(&item.vis);
        for part in &item.items {
            match part {
                syn::TraitItem::Fn(function) => {
                    self.add(Some(&owner), &function.sig, seen.clone());
                }
                syn::TraitItem::Const(constant) => {
                    let name = constant.ident.to_string();
                    self.methods.add_owned(&owner, &name, self.file);
                }
                _ => {}
            }
        }
    }

    fn visit_macro(&mut self, called: &'ast syn::Macro) {
        self.look_inside(called.tokens.clone());
    }
}
