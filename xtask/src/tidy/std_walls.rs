//! Checks that the crates below `nuthatch` do not use certain parts of the standard library.
//!
//! They get bytes and a time, and return bytes and a deadline; they must not name a socket, file, thread,
//! process or clock.

use proc_macro2::{Span, TokenStream, TokenTree};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};

use super::code::is_for_tests;
use super::files::ProjectFile;
use super::finding::Finding;

/// The crates below `nuthatch`.
const BELOW: [&str; 4] = ["hashkit", "memcached-proto", "proxy", "redis-proto"];

/// Never allowed, not even in tests.
const FORBIDDEN: [&str; 4] = [
    "std::net",
    "std::os",
    "std::time::Instant",
    "std::time::SystemTime",
];

/// Allowed in tests: they read golden data, run seeds in parallel, and stop a run that does not end.
const FORBIDDEN_OUTSIDE_TESTS: [&str; 6] = [
    "std::env",
    "std::fs",
    "std::process",
    "std::thread",
    // stdin, stdout and stderr; the traits and errors beside them are allowed.
    "std::io::std",
    "io::std",
];

/// Macros that write to the terminal; allowed in tests.
const TERMINAL: [&str; 4] = ["print", "println", "eprint", "eprintln"];

/// Checks one file; files of other crates are not restricted.
pub(super) fn check(file: &ProjectFile, parsed: &syn::File) -> Vec<Finding> {
    let Some((name, _)) = file
        .path
        .strip_prefix("crates/")
        .and_then(|rest| rest.split_once('/'))
    else {
        return Vec::new();
    };
    if !BELOW.contains(&name) {
        return Vec::new();
    }
    let mut wall = Wall {
        file,
        in_test: file.is_test(),
        findings: Vec::new(),
    };
    wall.visit_file(parsed);
    wall.findings
}

struct Wall<'f> {
    file: &'f ProjectFile,
    in_test: bool,
    findings: Vec<Finding>,
}

impl Wall<'_> {
    /// Checks a path as written; `imports_all` if everything below it is imported.
    fn look_at(&mut self, path: &str, imports_all: bool, at: Span) {
        let rules = FORBIDDEN.iter().chain(match self.in_test {
            true => [].iter(),
            false => FORBIDDEN_OUTSIDE_TESTS.iter(),
        });
        let broken = rules
            .into_iter()
            .find(|rule| is_below(path, rule) || (imports_all && brings_along(path, rule)));
        if let Some(rule) = broken {
            let says = format!("uses {rule} (as {path}): only the binary may");
            self.findings
                .push(Finding::on_line(self.file, at.start().line, says));
        }
    }

    fn look_at_use(&mut self, prefix: &str, tree: &syn::UseTree) {
        let join = |name: &syn::Ident| match prefix {
            "" => name.to_string(),
            _ => format!("{prefix}::{name}"),
        };
        match tree {
            syn::UseTree::Path(path) => self.look_at_use(&join(&path.ident), &path.tree),
            syn::UseTree::Group(group) => {
                for tree in &group.items {
                    self.look_at_use(prefix, tree);
                }
            }
            syn::UseTree::Glob(glob) => self.look_at(prefix, true, glob.span()),
            syn::UseTree::Name(name) if name.ident == "self" => {
                self.look_at(prefix, true, name.span());
            }
            syn::UseTree::Name(name) => self.look_at(&join(&name.ident), true, name.span()),
            syn::UseTree::Rename(rename) => {
                let path = if rename.ident == "self" {
                    prefix.into()
                } else {
                    join(&rename.ident)
                };
                self.look_at(&path, true, rename.span());
            }
        }
    }

    /// Arguments of a macro are only tokens to the parser.
    fn look_inside(&mut self, tokens: TokenStream) {
        let mut path = String::new();
        let mut at = Span::call_site();
        for token in tokens {
            match token {
                TokenTree::Ident(ident) => {
                    if path.is_empty() || !path.ends_with("::") {
                        self.look_at(&path, false, at);
                        path.clear();
                        at = ident.span();
                    }
                    path += &ident.to_string();
                }
                TokenTree::Punct(punct) if punct.as_char() == ':' => path.push(':'),
                other => {
                    self.look_at(&path, false, at);
                    path.clear();
                    if let TokenTree::Group(group) = other {
                        self.look_inside(group.stream());
                    }
                }
            }
        }
        self.look_at(&path, false, at);
    }

    fn within(&mut self, attributes: &[syn::Attribute], visit: impl FnOnce(&mut Self)) {
        let outside = self.in_test;
        self.in_test |= is_for_tests(attributes);
        visit(self);
        self.in_test = outside;
    }
}

/// Whether importing `path` makes `rule` accessible under another name.
fn brings_along(path: &str, rule: &str) -> bool {
    is_below(rule, path) && !rule.ends_with("io::std")
}

/// Whether `path` is `ancestor` or is below it.
fn is_below(path: &str, ancestor: &str) -> bool {
    match path.strip_prefix(ancestor) {
        Some(rest) => rest.is_empty() || rest.starts_with("::") || ancestor.ends_with("::std"),
        None => false,
    }
}

impl<'ast> Visit<'ast> for Wall<'_> {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        self.within(&item.attrs, |wall| visit::visit_item_mod(wall, item));
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.within(&item.attrs, |wall| visit::visit_item_fn(wall, item));
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.within(&item.attrs, |wall| wall.look_at_use("", &item.tree));
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let names: Vec<String> = path.segments.iter().map(|s| s.ident.to_string()).collect();
        self.look_at(&names.join("::"), false, path.span());
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, called: &'ast syn::Macro) {
        if let Some(last) = called.path.segments.last()
            && TERMINAL.iter().any(|name| last.ident == name)
            && !self.in_test
        {
            let says = format!(
                "{}! writes to the terminal: only the binary may",
                last.ident
            );
            self.findings
                .push(Finding::on_line(self.file, last.span().start().line, says));
        }
        self.look_inside(called.tokens.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings_in(path: &str, text: &str) -> usize {
        let file = ProjectFile::new(path, text);
        check(&file, &syn::parse_file(text).unwrap()).len()
    }

    fn findings(text: &str) -> usize {
        findings_in("crates/proxy/src/session.rs", text)
    }

    #[test]
    fn every_way_to_name_a_clock_or_a_socket_is_found() {
        for text in [
            "use std::time::Instant;",
            "use std::{time::{Duration, Instant}};",
            "use std::time;",
            "use std::time::{self, Duration};",
            "use std::time as t;",
            "use std::*;",
            "use std::net::TcpStream;",
            "use std::net::*;",
            "use ::std::os::fd::RawFd;",
            "fn f() { let t = std::time::SystemTime::now(); }",
            "fn f(s: std::net::TcpStream) {}",
            "fn f() { std::thread::spawn(|| ()); }",
            "fn f() { assert!(std::fs::exists(\"x\").is_ok()); }",
            "fn f() { std::io::stdout(); }",
            "use std::io::stderr;",
            "use std::io; fn f() { io::stdin(); }",
            "fn f() { println!(\"x\"); }",
        ] {
            assert_eq!(findings(text), 1, "{text}");
        }
    }

    #[test]
    fn data_types_are_free() {
        for text in [
            "use std::time::Duration;",
            "use std::io::{self, Write};",
            "use std::collections::{VecDeque, HashMap};",
            "fn f() -> core::time::Duration { std::mem::take(todo) }",
            "use std::sync::atomic::AtomicU64;",
        ] {
            assert_eq!(findings(text), 0, "{text}");
        }
    }

    #[test]
    fn tests_may_read_files_but_no_clock() {
        let in_tests = |line: &str| format!("#[cfg(test)]\nmod tests {{ {line} }}");
        assert_eq!(findings(&in_tests("use std::fs;")), 0);
        assert_eq!(findings(&in_tests("use std::time::Instant;")), 1);
        assert_eq!(findings("#[cfg(test)] use std::fs;"), 0);
        let sim = "crates/proxy/tests/sim/main.rs";
        assert_eq!(
            findings_in(
                sim,
                "fn f() { println!(\"{}\", std::env::args().count()); }"
            ),
            0
        );
        assert_eq!(findings_in(sim, "use std::net::TcpStream;"), 1);
    }

    #[test]
    fn other_crates_have_no_such_wall() {
        assert_eq!(
            findings_in("crates/nuthatch/src/worker.rs", "use std::net::*;"),
            0
        );
        assert_eq!(findings_in("xtask/src/run.rs", "use std::fs;"), 0);
    }
}
