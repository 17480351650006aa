//! Small crates, and the edges and circles found in them.

use super::*;

/// A crate `a` of these files, by their paths below `src/`.
fn sources(files: &[(&str, &str)]) -> Vec<ProjectFile> {
    let named =
        |(path, text): &(&str, &str)| ProjectFile::new(format!("crates/a/src/{path}"), *text);
    files.iter().map(named).collect()
}

/// The edges of a crate as `from -> to: what, what`.
fn edges_in(files: &[ProjectFile], name: &str) -> Vec<String> {
    let trees = trees(files);
    let tree = trees.iter().find(|tree| tree.name == name).unwrap();
    let edges = edges_of(tree, &trees);
    let mut lines: Vec<String> = edges
        .iter()
        .map(|((from, to), named)| {
            let mut what: Vec<&str> = named.iter().map(|named| named.what.as_str()).collect();
            what.dedup();
            let module = |file: &usize| tree.files[*file].module.trim_start_matches("crate::");
            format!("{} -> {}: {}", module(from), module(to), what.join(", "))
        })
        .collect();
    lines.sort();
    lines
}

fn edges_between(files: &[(&str, &str)]) -> Vec<String> {
    edges_in(&sources(files), "a")
}

/// What a module `x` names, where `y` (and its child `y::z`) define the given items.
fn named_by(x: &str) -> Vec<String> {
    edges_between(&[
        ("lib.rs", "mod x; mod y; pub use y::z::{Deep, deep as shallow};"),
        ("x.rs", x),
        (
            "y.rs",
            "pub mod z; pub struct Y; pub enum E { One } pub fn f() {} pub trait T { fn go(&self); }
             impl Y { pub fn only(&self) {} pub fn new() -> Y { Y } pub fn iter(&self) {} fn own(&self) {} }
             made! { pub struct Made; }",
        ),
        ("y/z.rs", "pub struct Deep; pub fn deep() {}"),
    ])
}

#[test]
fn every_way_to_name_an_item_is_an_edge() {
    for (text, what) in [
        ("use crate::y::Y;", "y: Y"),
        ("use super::y::{f as g, Y};", "y: Y, f"),
        ("use crate::y; fn a() { y::f(); }", "y: f"),
        ("use crate::y::{self}; fn a() -> y::Y { todo() }", "y: Y"),
        ("fn a(x: crate::y::E) {}", "y: E"),
        ("fn a() { super::y::E::One; }", "y: E"),
        ("fn a() { super::y::Y::new(); }", "y: Y, Y::new"),
        ("impl super::y::T for A {}", "y: T"),
        ("fn a() { <A as crate::y::T>::go(); }", "y: T, T::go"),
        ("fn a<P: crate::y::T>() {}", "y: T"),
        ("fn a() { assert!(b, crate::y::f(1)); }", "y: f"),
        ("fn a() { vec![crate::y::E::One]; }", "y: E"),
        ("use crate::y::Made;", "y: Made"),
        ("use crate::y::*; fn a() { f(); }", "y: f"),
        ("use crate::y::T as _;", "y: T"),
        ("mod inner { use super::super::y::Y; }", "y: Y"),
        ("fn a() { use crate::y::Y; }", "y: Y"),
        ("macro_rules! m { () => { $crate::y::f() } }", "y: f"),
    ] {
        assert_eq!(named_by(text), [format!("x -> {what}")], "{text}");
    }
}

#[test]
fn a_reexport_leads_to_who_defines_the_item() {
    assert_eq!(named_by("use crate::Deep;"), ["x -> y::z: Deep"]);
    assert_eq!(named_by("use crate::shallow;"), ["x -> y::z: deep"]);
    let chain = edges_between(&[
        ("lib.rs", "mod a; mod b; mod c; pub use b::Z;"),
        ("a.rs", "use crate::Z;"),
        ("b.rs", "pub use super::c::C as Z;"),
        ("c.rs", "pub struct C;"),
    ]);
    // `b` is not the parent of `c`: what it re-exports it uses.
    assert_eq!(chain, ["a -> c: C", "b -> c: C"]);
}

#[test]
fn a_declaration_a_module_alone_and_a_parents_reexport_are_no_edges() {
    let files = [
        ("lib.rs", "mod a; pub use a::A; pub(crate) use a::b::B;"),
        ("a/mod.rs", "pub mod b; pub use b::B; pub struct A;"),
        ("a/b.rs", "use super::super::a; pub struct B;"),
    ];
    assert_eq!(edges_between(&files), [""; 0]);
    let mut used = files;
    used[1].1 = "pub mod b; pub use b::B; pub struct A; fn f(b: B) {}";
    assert_eq!(edges_between(&used), ["a -> a::b: B"]);
}

#[test]
fn a_module_and_a_function_may_share_a_name() {
    let found = |x: &str| {
        edges_between(&[
            ("lib.rs", "mod x; mod y; pub fn y() {}"),
            ("x.rs", x),
            ("y.rs", "pub fn f() {}"),
        ])
    };
    assert_eq!(
        found("use crate::y::{self}; fn a() { y::f() }"),
        ["x -> y: f"]
    );
    assert_eq!(found("fn a() { crate::y::f() }"), ["x -> y: f"]);
    assert_eq!(found("use crate::y;"), ["x -> crate: y"]);
    let both = found("use crate::y; fn a() { y(); y::f(); }");
    assert_eq!(both, ["x -> crate: y", "x -> y: f"]);
}

#[test]
fn what_is_for_tests_other_crates_and_local_names_are_no_edges() {
    for text in [
        "#[cfg(test)] use crate::y::Y;",
        "#[cfg(test)] mod tests { use crate::y::Y; }",
        "#[cfg(test)] fn a() { crate::y::f(); }",
        "impl A { #[cfg(test)] fn a() { crate::y::f(); } }",
        "use std::y::Y; use y::f; fn a() { y::f() }",
        "use ::y::Y;",
        "use crate::x::Y; struct Y;",
        "use crate::y::*; fn a() { let f = 1; f; }",
        "fn a() { assert!('y: f); b.f; f { f: 1 } }",
        "use x::x; use self::x::x; fn a() { x::b() }",
    ] {
        assert_eq!(named_by(text), [""; 0], "{text}");
    }
}

#[test]
fn a_method_counts_when_only_one_module_can_be_meant() {
    assert_eq!(named_by("fn a(v: V) { v.only(); }"), ["x -> y: .only()"]);
    assert_eq!(
        named_by("fn a(v: V) { f!(v.only()); }"),
        ["x -> y: .only()"]
    );
    assert_eq!(
        named_by("fn a(v: V) { f!(v.w.only::<W>()); }"),
        ["x -> y: .only()"]
    );
    for text in [
        // A different number of arguments.
        "fn a(v: V) { v.only(1); f!(v.only(1)); }",
        // Not visible here.
        "fn a(v: V) { v.own(); }",
        // The standard library has it too.
        "fn a(v: V) { v.iter(); }",
        // A field, a method of this module, and one that two modules define.
        "fn a(v: V) { v.only; f!(v.only); }",
        "impl A { fn only(&self) {} } fn a(v: A) { v.only(); }",
        "impl Foreign for A { fn only(&self) {} } fn a(v: A) { v.only(); }",
        // It takes no `self`.
        "fn a(v: V) { v.new(); }",
    ] {
        assert_eq!(named_by(text), [""; 0], "{text}");
    }
}

#[test]
fn an_implementation_of_our_trait_defines_no_method() {
    let found = edges_between(&[
        ("lib.rs", "mod a; mod b; mod t;"),
        ("a.rs", "fn f(v: V) { v.go(); }"),
        ("b.rs", "impl crate::t::T for B { fn go(&self) {} }"),
        ("t.rs", "pub trait T { fn go(&self); }"),
    ]);
    assert_eq!(found, ["a -> t: .go()", "b -> t: T"]);
}

#[test]
fn a_type_with_blocks_in_several_files_finds_its_own_functions() {
    let found = edges_between(&[
        ("lib.rs", "mod e; mod other;"),
        (
            "e/mod.rs",
            "mod more; pub struct E; impl E { fn a(&self) { self.b(); Self::C; f!(self.b()); } }",
        ),
        (
            "e/more.rs",
            "impl super::E { const C: u8 = 1; pub(super) fn b(&self) {} fn d(&self) { self.a() } }",
        ),
        ("other.rs", "pub struct O; impl O { pub fn b(&self) {} }"),
    ]);
    let expected = ["e -> e::more: .b(), Self::C", "e::more -> e: .a(), E"];
    assert_eq!(found, expected);
}

#[test]
fn a_method_may_be_of_another_crate_of_ours() {
    let mut files = sources(&[
        ("lib.rs", "mod x; mod y;"),
        ("x.rs", "fn a(v: V) { v.go(); v.stay(); }"),
        (
            "y.rs",
            "impl Y { pub fn go(&self) {} pub fn stay(&self) {} }",
        ),
    ]);
    files.push(ProjectFile::new(
        "crates/b/src/lib.rs",
        "impl B { pub fn go(&self) {} fn stay(&self) {} }",
    ));
    let manifest = |text| ProjectFile::new("crates/a/Cargo.toml", text);
    files.push(manifest("[dependencies]\nb.workspace = true\n\n[lints]\n"));
    assert_eq!(edges_in(&files, "a"), ["x -> y: .stay()"]);
    files.pop();
    files.push(manifest(
        "[dependencies]\n\n[dev-dependencies]\nb = \"1\"\n",
    ));
    assert_eq!(edges_in(&files, "a"), ["x -> y: .go(), .stay()"]);
}

#[test]
fn programs_are_crates_of_their_own() {
    let mut files = sources(&[("lib.rs", ""), ("main.rs", ""), ("bin/b.rs", "")]);
    files.push(ProjectFile::new("c/src/main.rs", "mod d;"));
    files.push(ProjectFile::new("c/src/d.rs", ""));
    files.push(ProjectFile::new("crates/a/tests/it/main.rs", "mod x;"));
    let mut names: Vec<String> = trees(&files).into_iter().map(|tree| tree.name).collect();
    names.sort();
    assert_eq!(names, ["a", "a/b", "a/main", "c"]);
    let shown = text(&files, "c").unwrap();
    assert!(shown.starts_with("c: 2 modules, 0 edges"), "{shown}");
    assert!(text(&files, "e").unwrap_err().contains("c, a/b, a, a/main"));
}

const CIRCLE: [(&str, &str); 5] = [
    ("lib.rs", "mod one; mod two; mod three; mod four;"),
    ("one.rs", "pub struct One;\nuse crate::two::Two;"),
    ("two.rs", "pub struct Two;\n\nuse crate::three::Three;"),
    (
        "three.rs",
        "pub struct Three;\nuse crate::one::One;\nuse crate::four::Four;",
    ),
    ("four.rs", "pub struct Four;"),
];

fn findings(files: &[(&str, &str)], exceptions: &[Exception]) -> Vec<String> {
    let found = check_all(&trees(&sources(files)), exceptions);
    found.into_iter().map(|f| f.at + ": " + &f.says).collect()
}

#[test]
fn a_circle_is_shown_with_the_line_of_every_edge() {
    let found = findings(&CIRCLE, &[]);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with("crates/a/src/one.rs:2: modules in a circle, of 3 that"));
    for line in [
        "\n  crate::one -> crate::two (crates/a/src/one.rs:2 names Two)",
        "\n  crate::two -> crate::three (crates/a/src/two.rs:3 names Three)",
        "\n  crate::three -> crate::one (crates/a/src/three.rs:2 names One)",
    ] {
        assert!(found[0].contains(line), "{found:?}");
    }
    let shown = text(&sources(&CIRCLE), "a").unwrap();
    assert!(shown.contains("* crate::one -> crate::two  (crates/a/src/one.rs: 2 Two)"));
    assert!(shown.contains("  crate::three -> crate::four  "), "{shown}");
    assert!(
        shown.ends_with("in one circle: crate::one, crate::two, crate::three\n"),
        "{shown}"
    );
}

#[test]
fn an_exception_lets_a_circle_be_and_no_other() {
    let all: &[&str] = &["crate::one", "crate::two", "crate::three"];
    let exception = |modules| Exception {
        tree: "a",
        modules,
        reason: "a reason",
    };
    assert_eq!(findings(&CIRCLE, &[exception(all)]), [""; 0]);
    let mut wider = CIRCLE;
    wider[4].1 = "pub struct Four; use crate::two::Two;";
    let found = findings(&wider, &[exception(all)]);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].contains("crate::four -> crate::two"), "{found:?}");
    assert!(
        found[0].contains("crate::three -> crate::four"),
        "{found:?}"
    );
}

#[test]
fn an_exception_that_is_not_needed_is_found() {
    let more: &[&str] = &[
        "crate::one",
        "crate::two",
        "crate::three",
        "crate::four",
        "crate::gone",
    ];
    let exception = |tree, modules| Exception {
        tree,
        modules,
        reason: "a reason",
    };
    let found = findings(&CIRCLE, &[exception("a", more)]);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].starts_with("a: crate::four is in no circle of its exception (a reason)"));
    assert!(found[1].starts_with("a: crate::gone"), "{found:?}");
    let found = findings(&CIRCLE[..1], &[exception("b", more)]);
    assert_eq!(found, ["b: has an exception for a circle, but is no crate"]);
}

#[test]
fn no_module_has_two_exceptions() {
    let listed = EXCEPTIONS.iter().flat_map(|exception| {
        exception
            .modules
            .iter()
            .map(|module| (exception.tree, *module))
    });
    let mut seen = BTreeSet::new();
    for module in listed {
        assert!(seen.insert(module), "{module:?}");
    }
}
