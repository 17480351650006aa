//! Finds which file of a crate names items of which other file.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{Delimiter, Span, TokenStream, TokenTree};
use syn::parse::Parser;
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};

use super::super::code::is_for_tests;
use super::methods::{Call, Methods, Owner, owner, self_type};
use super::names::{Target, resolve, resolve_type};
use super::tree::{Tree, attributes, leaves};

/// From a file to another one whose items it names, each with these names, in line order.
pub(super) type Edges = BTreeMap<(usize, usize), Vec<Named>>;

/// One place that causes an edge.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Named {
    pub(super) line: usize,
    /// `Engine`, `Engine::feed` or `.feed()`.
    pub(super) what: String,
}

/// The edges between the files of a crate; `used` are the workspace crates that it depends on.
pub(super) fn edges(tree: &Tree, used: &[&Tree]) -> Edges {
    let methods = Methods::of(tree, used);
    let mut edges = Edges::new();
    for (file, source) in tree.files.iter().enumerate() {
        let mut finder = Finder {
            tree,
            methods: &methods,
            edges: &mut edges,
            file,
            module: source.top,
            owners: Vec::new(),
            locals: BTreeSet::new(),
        };
        finder.visit_file(&source.parsed);
    }
    for named in edges.values_mut() {
        named.sort();
        named.dedup();
    }
    edges
}

struct Finder<'t> {
    tree: &'t Tree,
    methods: &'t Methods,
    edges: &'t mut Edges,
    file: usize,
    module: usize,
    /// The meaning of `Self`: a type, and the trait that is implemented for it or declared.
    owners: Vec<Owner>,
    /// Names bound in the function: a path of only one of these is a variable.
    locals: BTreeSet<String>,
}

impl Finder<'_> {
    fn add(&mut self, to: usize, what: String, at: Span) {
        if to != self.file {
            let line = at.start().line;
            let named = self.edges.entry((self.file, to)).or_default();
            named.push(Named { line, what });
        }
    }

    fn name_path(&mut self, path: &[String], at: Span) {
        match path {
            [] => {}
            [first] if self.locals.contains(first) => {}
            [first] if first == "Self" => {}
            [first, name, ..] if first == "Self" => {
                self.name_own(name, format!("Self::{name}"), at);
            }
            _ => {
                if let Some(Target::Item(item)) = resolve(self.tree, self.module, path) {
                    self.add(item.file, item.name.clone(), at);
                    if let Some(name) = item.below {
                        let what = format!("{}::{name}", item.name);
                        for to in self.methods.of_owner(&(item.file, item.name), &name) {
                            self.add(to, what.clone(), at);
                        }
                    }
                }
            }
        }
    }

    /// An associated function of `Self`; false if its owner is unknown.
    fn name_own(&mut self, name: &str, what: String, at: Span) -> bool {
        let found = self.owners.iter();
        let found: Vec<usize> = found
            .flat_map(|owner| self.methods.of_owner(owner, name))
            .collect();
        for to in &found {
            self.add(*to, what.clone(), at);
        }
        !found.is_empty()
    }

    fn call_method(&mut self, name: &str, arguments: Option<usize>, of_self: bool, at: Span) {
        let what = format!(".{name}()");
        if of_self && self.name_own(name, what.clone(), at) {
            return;
        }
        let call = Call {
            name,
            arguments,
            from: &self.tree.files[self.file].module,
        };
        if let Some(to) = self.methods.meant(&call) {
            self.add(to, what, at);
        }
    }

    /// Arguments of a macro are only tokens to the parser.
    fn look_inside(&mut self, tokens: TokenStream) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let mut at = 0;
        while at < tokens.len() {
            match &tokens[at] {
                TokenTree::Group(group) => self.look_inside(group.stream()),
                TokenTree::Ident(first) => {
                    let path = path_at(&tokens[at..]);
                    let next = at + 3 * path.len() - 2;
                    self.look_at(&tokens[..at], &path, &tokens[next..], first.span());
                    at = next;
                    continue;
                }
                _ => {}
            }
            at += 1;
        }
    }

    /// A path among tokens, with the tokens before and after it.
    fn look_at(&mut self, before: &[TokenTree], path: &[String], after: &[TokenTree], at: Span) {
        let (is_called, arguments) = call_in(after);
        match before {
            // The end of a range.
            [.., TokenTree::Punct(a), TokenTree::Punct(b)]
                if a.as_char() == '.' && b.as_char() == '.' => {}
            [.., TokenTree::Ident(receiver), TokenTree::Punct(dot)]
                if dot.as_char() == '.' && receiver == "self" && is_called =>
            {
                return self.call_method(&path[0], arguments, true, at);
            }
            [.., TokenTree::Punct(dot)] if dot.as_char() == '.' => {
                if is_called {
                    self.call_method(&path[0], arguments, false, at);
                }
                return;
            }
            // The rest of a path that begins with `<T>::` or `::`, and lifetimes.
            [.., TokenTree::Punct(mark)] if matches!(mark.as_char(), '\'') => return,
            [.., TokenTree::Punct(a), TokenTree::Punct(b)]
                if a.as_char() == ':' && b.as_char() == ':' =>
            {
                return;
            }
            _ => {}
        }
        // A single lower-case word is a variable, a field or a keyword, unless it is called.
        let is_word = path.len() == 1 && path[0].starts_with(|c: char| !c.is_uppercase());
        if is_called || !is_word {
            self.name_path(path, at);
        }
    }

    fn within_function(
        &mut self,
        attributes: &[syn::Attribute],
        bind: impl FnOnce(&mut Bindings),
        visit: impl FnOnce(&mut Self),
    ) {
        if is_for_tests(attributes) {
            return;
        }
        let mut bindings = Bindings(self.locals.clone());
        bind(&mut bindings);
        let outside = std::mem::replace(&mut self.locals, bindings.0);
        visit(self);
        self.locals = outside;
    }
}

/// The names at the beginning of these tokens, joined by `::`.
fn path_at(tokens: &[TokenTree]) -> Vec<String> {
    let mut path = Vec::new();
    let mut rest = tokens;
    while let [TokenTree::Ident(name), after @ ..] = rest {
        path.push(name.to_string());
        rest = match after {
            [TokenTree::Punct(a), TokenTree::Punct(b), more @ ..]
                if a.as_char() == ':' && b.as_char() == ':' =>
            {
                more
            }
            _ => break,
        };
    }
    path
}

/// Whether these tokens call what precedes them, and with how many arguments, if that is visible.
fn call_in(after: &[TokenTree]) -> (bool, Option<usize>) {
    match after {
        [TokenTree::Group(group), ..] => {
            let arguments = Punctuated::<syn::Expr, syn::Token![,]>::parse_terminated
                .parse2(group.stream())
                .map(|arguments| arguments.len());
            (group.delimiter() == Delimiter::Parenthesis, arguments.ok())
        }
        // `::<T>(...)`
        [
            TokenTree::Punct(a),
            TokenTree::Punct(b),
            TokenTree::Punct(c),
            ..,
        ] => {
            let called = (a.as_char(), b.as_char(), c.as_char()) == (':', ':', '<');
            (called, None)
        }
        _ => (false, None),
    }
}

/// Names that a function binds.
struct Bindings(BTreeSet<String>);

impl<'ast> Visit<'ast> for Bindings {
    fn visit_pat_ident(&mut self, pattern: &'ast syn::PatIdent) {
        let name = pattern.ident.to_string();
        // `None` and constants are patterns too.
        if name.starts_with(|c: char| !c.is_uppercase()) {
            self.0.insert(name);
        }
        visit::visit_pat_ident(self, pattern);
    }
}

impl<'ast> Visit<'ast> for Finder<'_> {
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

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        if item.leading_colon.is_some() {
            return;
        }
        let exports = !matches!(item.vis, syn::Visibility::Inherited);
        let own = format!("{}::", self.tree.files[self.file].module);
        for leaf in leaves(&item.tree) {
            let meant = match leaf.is_self {
                true => resolve_type(self.tree, self.module, &leaf.path),
                false => resolve(self.tree, self.module, &leaf.path),
            };
            let Some(Target::Item(found)) = meant else {
                continue;
            };
            // A parent that re-exports its children's items does not use them.
            let is_child = self.tree.files[found.file].module.starts_with(&own);
            if found.file != self.file && !(exports && is_child) {
                let named = self.edges.entry((self.file, found.file)).or_default();
                named.push(Named {
                    line: leaf.line,
                    what: found.name,
                });
            }
        }
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        let of_trait = item.trait_.as_ref().map(|(path, _)| path);
        let of_trait = of_trait.and_then(|path| owner(self.tree, self.module, path));
        let of_type = self_type(self.tree, self.module, item);
        let owners = of_type.into_iter().chain(of_trait).collect();
        let outside = std::mem::replace(&mut self.owners, owners);
        visit::visit_item_impl(self, item);
        self.owners = outside;
    }

    fn visit_item_trait(&mut self, item: &'ast syn::ItemTrait) {
        let owners = vec![(self.file, item.ident.to_string())];
        let outside = std::mem::replace(&mut self.owners, owners);
        visit::visit_item_trait(self, item);
        self.owners = outside;
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        let bind = |bindings: &mut Bindings| bindings.visit_item_fn(item);
        self.within_function(&item.attrs, bind, |finder| {
            visit::visit_item_fn(finder, item);
        });
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        let bind = |bindings: &mut Bindings| bindings.visit_impl_item_fn(item);
        self.within_function(&item.attrs, bind, |finder| {
            visit::visit_impl_item_fn(finder, item);
        });
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        let bind = |bindings: &mut Bindings| bindings.visit_trait_item_fn(item);
        self.within_function(&item.attrs, bind, |finder| {
            visit::visit_trait_item_fn(finder, item);
        });
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        if path.leading_colon.is_none() {
            let names: Vec<String> = path.segments.iter().map(|s| s.ident.to_string()).collect();
            self.name_path(&names, path.span());
        }
        visit::visit_path(self, path);
    }

    fn visit_expr_method_call(&mut self, call: &'ast syn::ExprMethodCall) {
        let of_self = match &*call.receiver {
            syn::Expr::Path(receiver) => receiver.path.is_ident("self"),
            _ => false,
        };
        let name = call.method.to_string();
        self.call_method(&name, Some(call.args.len()), of_self, call.method.span());
        visit::visit_expr_method_call(self, call);
    }

    fn visit_macro(&mut self, called: &'ast syn::Macro) {
        self.visit_path(&called.path);
        self.look_inside(called.tokens.clone());
    }
}
