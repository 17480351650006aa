//! House rules for functions and macros, checked on the syntax tree.

use proc_macro2::{Span, TokenStream, TokenTree};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};

use super::files::ProjectFile;
use super::finding::Finding;

/// Maximum lines from `fn` to the closing brace, outside of tests.
const LONGEST_FUNCTION: usize = 70;

/// Macros that mark unfinished work.
const UNFINISHED: [&str; 3] = ["todo", "unimplemented", "dbg"];

/// Checks function lengths and looks for unfinished work.
pub(super) fn check(file: &ProjectFile, parsed: &syn::File) -> Vec<Finding> {
    let mut rules = Rules {
        file,
        in_test: file.is_test(),
        findings: Vec::new(),
    };
    rules.visit_file(parsed);
    rules.findings
}

/// Whether an attribute makes its item test code.
pub(super) fn is_for_tests(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        syn::Meta::List(list) if list.path.is_ident("cfg") => list.tokens.to_string() == "test",
        meta => meta.path().is_ident("test"),
    })
}

struct Rules<'f> {
    file: &'f ProjectFile,
    in_test: bool,
    findings: Vec<Finding>,
}

impl Rules<'_> {
    fn measure(&mut self, signature: &syn::Signature, whole: Span) {
        let first = signature.span().start().line;
        let lines = whole.end().line - first + 1;
        if lines > LONGEST_FUNCTION && !self.in_test {
            let name = &signature.ident;
            let says = format!("{name} has {lines} lines; at most {LONGEST_FUNCTION} are readable");
            self.findings.push(Finding::on_line(self.file, first, says));
        }
    }

    /// Visits an item as test code if its attributes say so.
    fn within(&mut self, attributes: &[syn::Attribute], visit: impl FnOnce(&mut Self)) {
        let outside = self.in_test;
        self.in_test |= is_for_tests(attributes);
        visit(self);
        self.in_test = outside;
    }

    fn look_for_unfinished(&mut self, name: &str, at: Span) {
        if UNFINISHED.contains(&name) {
            let says = format!("{name}! marks unfinished work");
            self.findings
                .push(Finding::on_line(self.file, at.start().line, says));
        }
    }

    /// Arguments of a macro are only tokens to the parser.
    fn look_inside(&mut self, tokens: TokenStream) {
        let mut before: Option<proc_macro2::Ident> = None;
        for token in tokens {
            match token {
                TokenTree::Ident(ident) => before = Some(ident),
                TokenTree::Punct(punct) => {
                    if let Some(ident) = before.take().filter(|_| punct.as_char() == '!') {
                        self.look_for_unfinished(&ident.to_string(), ident.span());
                    }
                }
                TokenTree::Group(group) => {
                    before = None;
                    self.look_inside(group.stream());
                }
                TokenTree::Literal(_) => before = None,
            }
        }
    }
}

impl<'ast> Visit<'ast> for Rules<'_> {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        self.within(&item.attrs, |rules| visit::visit_item_mod(rules, item));
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.within(&item.attrs, |rules| {
            rules.measure(&item.sig, item.span());
            visit::visit_item_fn(rules, item);
        });
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.within(&item.attrs, |rules| {
            rules.measure(&item.sig, item.span());
            visit::visit_impl_item_fn(rules, item);
        });
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        self.within(&item.attrs, |rules| {
            rules.measure(&item.sig, item.span());
            visit::visit_trait_item_fn(rules, item);
        });
    }

    fn visit_macro(&mut self, called: &'ast syn::Macro) {
        if let Some(last) = called.path.segments.last() {
            self.look_for_unfinished(&last.ident.to_string(), last.span());
        }
        self.look_inside(called.tokens.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(path: &str, text: &str) -> Vec<String> {
        let file = ProjectFile::new(path, text);
        let parsed = syn::parse_file(text).unwrap();
        check(&file, &parsed)
            .into_iter()
            .map(|f| f.at + " " + &f.says)
            .collect()
    }

    fn function_of(lines: usize) -> String {
        format!("fn long() {{\n{}}}\n", "    work();\n".repeat(lines - 2))
    }

    #[test]
    fn the_longest_function_has_seventy_lines() {
        assert_eq!(findings("crates/a/src/a.rs", &function_of(70)), [""; 0]);
        let found = findings("crates/a/src/a.rs", &function_of(71));
        assert_eq!(found.len(), 1);
        assert!(
            found[0].starts_with("crates/a/src/a.rs:1 long has 71 lines"),
            "{found:?}"
        );
    }

    #[test]
    fn methods_count_and_tests_do_not() {
        let long = function_of(71);
        assert_eq!(
            findings("crates/a/src/a.rs", &format!("impl A {{\n{long}}}")).len(),
            1
        );
        assert_eq!(
            findings("crates/a/src/a.rs", &format!("trait A {{\n{long}}}")).len(),
            1
        );
        let in_tests = format!("#[cfg(test)]\nmod tests {{\n{long}}}");
        assert_eq!(findings("crates/a/src/a.rs", &in_tests), [""; 0]);
        assert_eq!(findings("crates/a/tests/sim/main.rs", &long), [""; 0]);
        let not_test = format!("#[cfg(not(test))]\nmod real {{\n{long}}}");
        assert_eq!(findings("crates/a/src/a.rs", &not_test).len(), 1);
    }

    #[test]
    fn unfinished_work_is_found_wherever_it_hides() {
        for text in [
            "fn a() {\n    todo!()\n}",
            "fn a() {\n    std::unimplemented!()\n}",
            "fn a() {\n    assert!(vec![dbg!(1)].is_empty())\n}",
            "#[test]\nfn a() { todo!() }",
        ] {
            let found = findings("crates/a/src/a.rs", text);
            assert_eq!(found.len(), 1, "{text}");
            assert!(found[0].starts_with("crates/a/src/a.rs:2"), "{found:?}");
        }
        assert_eq!(
            findings("crates/a/src/a.rs", "fn todo() { todo() }"),
            [""; 0]
        );
    }
}
