//! A configuration file as written: YAML parsed into a tree of text, each node with its position.
//!
//! Every value is raw text here, as in nutcracker 0.5.0: `redis_auth: 0123` is four characters, not a number.
//! Other YAML syntax (flow style, a document marker, anchors and aliases) is accepted. Tags are not: a file that
//! nutcracker starts from cannot have them, and settings need none.

use std::sync::Arc;

use granit_parser::{Event, Marker, Parser, ScanError, Span};

use super::aliases::{Anchors, merge};
use super::node::{Content, Entry, Mapping, Node};
use super::report::{Position, Problem, Source};

/// Maximum nesting that is parsed: more than a valid file has, so that the error can name the entry at fault.
const DEEPEST: usize = 6;

/// Parses a file's text. If there are problems, the part that could be parsed is still returned, so that
/// everything is reported at once.
pub(super) fn read(source: &Arc<Source>, problems: &mut Vec<Problem>) -> Option<Node> {
    let options = granit_parser::options! {
        emit_comments: false,
        flow_nesting_limit: DEEPEST,
        block_nesting_limit: DEEPEST,
    };
    let mut builder = Builder {
        source,
        root: None,
        open: Vec::new(),
        documents: 0,
        anchors: Anchors::default(),
    };
    for event in Parser::new_from_str_with_options(&source.text, options) {
        let step = match event {
            Ok((event, span)) => builder.take(&event, span, problems),
            Err(error) => Err(syntax_problem(source, &error)),
        };
        if let Err(problem) = step {
            problems.push(problem);
            return builder.broken_off(problems);
        }
    }
    builder.root
}

/// Builds the tree from the parser's events, with an explicit stack instead of recursion.
struct Builder<'s> {
    source: &'s Arc<Source>,
    root: Option<Node>,
    open: Vec<Open>,
    documents: usize,
    anchors: Anchors,
}

/// A collection that has begun and not ended.
struct Open {
    position: Position,
    anchor: Option<usize>,
    collection: Collection,
}

enum Collection {
    List(Vec<Node>),
    Mapping(Vec<Entry>, Option<(String, Position)>),
}

impl Builder<'_> {
    /// Takes one event; an error ends the parsing.
    fn take(
        &mut self,
        event: &Event<'_>,
        span: Span,
        problems: &mut Vec<Problem>,
    ) -> Result<(), Problem> {
        let position = self.position(span);
        if let Some(tag) = event
            .tag()
            .filter(|tag| !tag.is_yaml_core_schema_tag("str"))
        {
            let message = match position.is_secret() {
                true => "a tag is not allowed".to_owned(),
                false => format!("the tag `{}` is not allowed", tag.original()),
            };
            problems
                .push(Problem::at(&position, message).help(
                "settings are plain text and need no tag; a value that begins with `!` needs quotes",
            ));
        }
        let anchor = event.anchor_id();
        match event {
            Event::DocumentStart(..) => return self.document(&position),
            // The parser reports a missing value as a null (`~`); here that is an empty text.
            Event::Scalar(..) if span.is_empty() => return self.scalar("", position, anchor),
            Event::Scalar(text, ..) => return self.scalar(text, position, anchor),
            Event::Alias(alias) => {
                let node = self.anchors.copy(*alias, &position)?;
                return self.add_node(node);
            }
            Event::SequenceStart(..) => {
                self.begin(position, anchor, Collection::List(Vec::new()))?
            }
            Event::MappingStart(..) => {
                self.begin(position, anchor, Collection::Mapping(Vec::new(), None))?;
            }
            Event::SequenceEnd | Event::MappingEnd => return self.end(true, problems),
            _ => {}
        }
        Ok(())
    }

    fn document(&mut self, position: &Position) -> Result<(), Problem> {
        self.documents += 1;
        match self.documents {
            1 => Ok(()),
            _ => Err(Problem::at(position, "a second YAML document begins here")
                .help("a configuration file holds exactly one document")),
        }
    }

    fn scalar(
        &mut self,
        text: &str,
        position: Position,
        anchor: Option<usize>,
    ) -> Result<(), Problem> {
        if let Some(Open {
            collection: Collection::Mapping(_, key @ None),
            ..
        }) = self.open.last_mut()
        {
            *key = Some((text.to_owned(), position));
            return Ok(());
        }
        let content = Content::Text(text.to_owned());
        self.finish_node(Node { position, content }, anchor)
    }

    fn begin(
        &mut self,
        position: Position,
        anchor: Option<usize>,
        collection: Collection,
    ) -> Result<(), Problem> {
        let in_key = matches!(
            self.open.last(),
            Some(Open {
                collection: Collection::Mapping(_, None),
                ..
            })
        );
        if in_key {
            return Err(key_problem(&position));
        }
        self.open.push(Open {
            position,
            anchor,
            collection,
        });
        Ok(())
    }

    fn end(&mut self, whole: bool, problems: &mut Vec<Problem>) -> Result<(), Problem> {
        let Some(Open {
            position,
            anchor,
            collection,
        }) = self.open.pop()
        else {
            return Ok(());
        };
        let content = match collection {
            Collection::List(items) if whole => Content::List(items),
            Collection::List(_) => Content::Broken,
            Collection::Mapping(entries, _) => Content::Mapping(Mapping {
                entries: merge(entries, problems),
                whole,
                is_template: anchor.is_some(),
            }),
        };
        self.finish_node(Node { position, content }, anchor)
    }

    /// Puts a finished node into its parent, and keeps it for aliases if it has an anchor.
    fn finish_node(&mut self, node: Node, anchor: Option<usize>) -> Result<(), Problem> {
        if let Some(anchor) = anchor {
            self.anchors.keep(anchor, &node)?;
        }
        self.add_node(node)
    }

    /// Puts a finished node into its parent.
    fn add_node(&mut self, node: Node) -> Result<(), Problem> {
        match self.open.last_mut().map(|open| &mut open.collection) {
            None => self.root = Some(node),
            Some(Collection::List(items)) => items.push(node),
            Some(Collection::Mapping(entries, key)) => {
                let Some((key, position)) = key.take() else {
                    return Err(key_problem(&node.position));
                };
                let value = node;
                entries.push(Entry {
                    key,
                    position,
                    value,
                });
            }
        }
        Ok(())
    }

    /// The tree as far as it was parsed when the file cannot be read to its end.
    fn broken_off(mut self, problems: &mut Vec<Problem>) -> Option<Node> {
        while !self.open.is_empty() {
            // A collection is put under the key that it had when it began, so no error is possible.
            let _ = self.end(false, problems);
        }
        self.root
    }

    fn position(&self, span: Span) -> Position {
        let one_line = span.end.line() == span.start.line();
        let width = match one_line {
            true => span.end.col().saturating_sub(span.start.col()),
            false => usize::MAX,
        };
        position_of(self.source, &span.start, width)
    }
}

fn key_problem(position: &Position) -> Problem {
    Problem::at(position, "a key must be plain text")
}

fn position_of(source: &Arc<Source>, marker: &Marker, width: usize) -> Position {
    Position {
        source: source.clone(),
        line: marker.line().max(1),
        column: marker.col() + 1,
        width: width.max(1),
    }
}

fn syntax_problem(source: &Arc<Source>, error: &ScanError) -> Problem {
    let position = position_of(source, error.marker(), 1);
    if let Some(tab) = indenting_tab(&position, &error.info()) {
        return Problem::at(
            &tab,
            "this is not valid YAML: a line is indented with a tab",
        )
        .help("YAML is indented with blanks; a tab is not allowed");
    }
    Problem::at(
        &position,
        format!("this is not valid YAML: {}", error.info()),
    )
}

/// The tab that is the cause of an error there: it indents the line of the error or the one before it, or, if the
/// error speaks of a tab, the line behind.
fn indenting_tab(position: &Position, info: &str) -> Option<Position> {
    let line = position.line;
    let behind = info.contains("tab").then_some(line + 1);
    let lines = [Some(line), behind, line.checked_sub(1)];
    let lines = lines.into_iter().flatten();
    lines.filter(|line| *line > 0).find_map(|line| {
        let text = position.source.line(line);
        let indent = &text[..text.len() - text.trim_start().len()];
        let column = 1 + indent.chars().position(|it| it == '\t')?;
        Some(Position {
            line,
            column,
            width: 1,
            ..position.clone()
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str) -> (Option<Node>, Vec<Problem>) {
        let source = Source::new("t.yml", text);
        let mut problems = Vec::new();
        let root = read(&source, &mut problems);
        (root, problems)
    }

    fn show(node: &Node) -> String {
        match &node.content {
            Content::Text(text) => format!("{text:?}"),
            Content::List(items) => {
                format!("[{}]", items.iter().map(show).collect::<Vec<_>>().join(" "))
            }
            Content::Mapping(mapping) => {
                let entries = mapping
                    .entries
                    .iter()
                    .map(|e| format!("{}={}", e.key, show(&e.value)));
                let end = if mapping.whole { "}" } else { "..." };
                format!("{{{}{end}", entries.collect::<Vec<_>>().join(" "))
            }
            Content::Broken => "broken".into(),
        }
    }

    #[test]
    fn values_are_raw_text() {
        let text = "a:\n  x: 0123\n  y: \"true\"\n  z: ~\n  s:\n   - 1:2:3 n # c\n   - 'q'\n";
        let (root, problems) = read_text(text);
        assert!(problems.is_empty());
        let tree = show(&root.expect("a root"));
        assert_eq!(tree, r#"{a={x="0123" y="true" z="~" s=["1:2:3 n" "q"]}}"#);
    }

    #[test]
    fn nothing_is_an_empty_text() {
        let (root, problems) = read_text("a:\n  x:\n  y: ''\n  s:\n  -\n  - ~\n: z\n");
        assert!(problems.is_empty());
        assert_eq!(
            show(&root.expect("a root")),
            r#"{a={x="" y="" s=["" "~"]} ="z"}"#
        );
    }

    #[test]
    fn flow_style_and_markers_are_yaml() {
        let (root, problems) = read_text("---\na: {x: 1, s: [b, c]}\n...\n");
        assert!(problems.is_empty());
        assert_eq!(show(&root.expect("a root")), r#"{a={x="1" s=["b" "c"]}}"#);
    }

    #[test]
    fn places_are_counted_in_characters_from_one() {
        let (root, _) = read_text("é:\n  öä: 'ß'\n");
        let Some(Content::Mapping(root)) = root.map(|root| root.content) else {
            panic!("a mapping");
        };
        let Content::Mapping(pool) = &root.entries[0].value.content else {
            panic!("a mapping");
        };
        let entry = &pool.entries[0];
        assert_eq!(
            (
                entry.position.line,
                entry.position.column,
                entry.position.width
            ),
            (2, 3, 2)
        );
        assert_eq!(
            (entry.value.position.column, entry.value.position.width),
            (7, 3)
        );
    }

    #[test]
    fn aliases_are_copies_and_merges_fill_in_what_is_missing() {
        for (text, expected) in [
            ("a: &x 1\nb: *x\n", r#"{a="1" b="1"}"#),
            (
                "a: &x [1, &y 2]\nb: *x\nc: *y\n",
                r#"{a=["1" "2"] b=["1" "2"] c="2"}"#,
            ),
            ("a: &x\nb: *x\n", r#"{a="" b=""}"#),
            ("a: &x 1\nb: &x 2\nc: *x\n", r#"{a="1" b="2" c="2"}"#),
            (
                "a: &x {p: 1, q: 2}\nb: {q: 3, <<: *x, r: 4}\n",
                r#"{a={p="1" q="2"} b={q="3" r="4" p="1"}}"#,
            ),
            (
                "a: &x {p: 1}\nb: &y {p: 2, q: 2}\nc: {<<: [*x, *y]}\nd: {<<: *y, <<: *x}\n",
                r#"{a={p="1"} b={p="2" q="2"} c={p="1" q="2"} d={p="2" q="2"}}"#,
            ),
            (
                "a: &x {p: 1}\nb: &y {<<: *x, q: 2}\nc: {<<: *y}\n",
                r#"{a={p="1"} b={q="2" p="1"} c={q="2" p="1"}}"#,
            ),
        ] {
            let (root, problems) = read_text(text);
            assert!(problems.is_empty(), "{text:?}: {}", problems[0]);
            assert_eq!(show(&root.expect("a root")), expected, "{text:?}");
        }
    }

    #[test]
    fn aliases_of_aliases_end_early() {
        let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x]\n");
        for level in 1..40 {
            let alias = format!("*a{}, ", level - 1).repeat(8);
            text += &format!("a{level}: &a{level} [{alias}]\n");
        }
        let (_, problems) = read_text(&text);
        assert!(problems[0].message.contains("too large"), "{}", problems[0]);
    }

    #[test]
    fn what_precedes_an_error_is_kept() {
        let (root, problems) = read_text("a:\n  x: 1\nb:\n  y: 2\n  z: [\n");
        assert_eq!(problems.len(), 1);
        assert_eq!(
            show(&root.expect("a root")),
            r#"{a={x="1"} b={y="2" z=broken......"#
        );
    }

    #[test]
    fn what_is_not_allowed_is_named() {
        for (text, message) in [
            ("a: *x\n", "not valid YAML"),
            ("a: &x [*x]\n", "stands for what it is part of"),
            ("a: &x 1\n*x : b\n", "a key must be plain text"),
            ("a: &x 1\nb: {<<: *x}\n", "`<<` takes a mapping"),
            ("a: {<<: 1}\n", "`<<` takes a mapping"),
            ("a: !!int 1\n", "the tag `!!int`"),
            ("? [a]\n: b\n", "a key must be plain text"),
            ("a: b\n---\nc: d\n", "second YAML document"),
            ("a:\n\tb: c\n", "not valid YAML"),
            ("a: \"b\n", "not valid YAML"),
        ] {
            let (_, problems) = read_text(text);
            assert_eq!(problems.len(), 1, "{text:?}");
            assert!(
                problems[0].message.contains(message),
                "{text:?}: {}",
                problems[0]
            );
        }
    }

    #[test]
    fn deep_nesting_ends_early() {
        for text in [
            "[".repeat(100_000),
            "a: ".repeat(10_000),
            "- ".repeat(100_000),
        ] {
            let (_, problems) = read_text(&text);
            assert_eq!(problems.len(), 1);
        }
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]

        #[test]
        fn any_text_is_read_or_refused(text in "[a-c:\\-\\[\\]{}\"'#&*!|>%@ \\t\\n\u{e9}]{0,60}") {
            let (root, problems) = read_text(&text);
            if let Some(root) = root { show(&root); }
            for problem in problems { problem.to_string(); }
        }
    }
}
