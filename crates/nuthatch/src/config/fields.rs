//! Items of a list that are mappings: what they have in common, whatever they are about.

use std::ops::RangeInclusive;

use super::kind::{Kind, expected};
use super::node::{Content, Entry, Mapping, Node};
use super::report::{Findings, Position, Problem};

/// What the items of a list are.
pub(super) struct Items {
    /// One of them, in a word.
    pub(super) noun: &'static str,
    /// What each may say of itself.
    pub(super) keys: &'static [&'static str],
    /// The kind of the list.
    pub(super) kind: Kind,
    /// How many there may be.
    pub(super) most: usize,
}

impl Items {
    /// Reads the items of `owner`'s list ("pool `alpha`") one by one with `read`, which reports what is wrong with one and
    /// returns `None` then; `name` tells what no two of them have alike. `None` if anything is wrong, which has been reported.
    pub(super) fn read<T>(
        &self,
        (list, items): (&Node, &[Node]),
        owner: &str,
        findings: &mut Findings,
        read: impl Fn(&Fields<'_>, &mut Findings) -> Option<T>,
        name: impl Fn(&T) -> String,
    ) -> Option<Vec<T>> {
        let before = findings.problems.len();
        let (mut found, mut whole) = (Vec::new(), true);
        let mut seen: Vec<(String, &Position)> = Vec::new();
        for item in items {
            let Some(fields) = self.fields(item, findings) else {
                whole &= !matches!(item.content, Content::Broken);
                continue;
            };
            let Some(one) = fields.read_whole(findings, &read) else {
                continue;
            };
            let name = name(&one);
            if let Some((_, first)) = seen.iter().find(|(other, _)| *other == name) {
                let message = format!("{owner} has two {}s {name}", self.noun);
                let help = format!("the other is in line {}", first.line);
                let problem = Problem::at(&item.position, message).help(help);
                findings.problems.push(problem);
            }
            seen.push((name, &item.position));
            found.push(one);
        }
        if items.len() > self.most {
            let message = format!("{owner} has {} {}s", items.len(), self.noun);
            let help = format!("there can be at most {}", self.most);
            let problem = Problem::at(&list.position, message).help(help);
            findings.problems.push(problem);
        }
        (whole && findings.problems.len() == before).then_some(found)
    }

    fn fields<'n>(&'n self, item: &'n Node, findings: &mut Findings) -> Option<Fields<'n>> {
        match &item.content {
            Content::Mapping(mapping) => Some(Fields {
                items: self,
                item,
                mapping,
            }),
            Content::Broken => None,
            Content::Text(_) | Content::List(_) => {
                let message = format!("a {} must be a mapping", self.noun);
                let problem = Problem::at(&item.position, message);
                findings.problems.push(problem.help(expected(&self.kind)));
                None
            }
        }
    }
}

/// What one item says of itself.
pub(super) struct Fields<'n> {
    items: &'n Items,
    item: &'n Node,
    mapping: &'n Mapping,
}

impl<'n> Fields<'n> {
    /// What `read` makes of it, unless anything is wrong with it.
    fn read_whole<T>(
        &self,
        findings: &mut Findings,
        read: impl Fn(&Self, &mut Findings) -> Option<T>,
    ) -> Option<T> {
        let before = findings.problems.len();
        self.check_keys(findings);
        let one = read(self, findings);
        one.filter(|_| self.mapping.whole && findings.problems.len() == before)
    }

    /// Reports keys that are unknown, or given twice.
    fn check_keys(&self, findings: &mut Findings) {
        let entries = &self.mapping.entries;
        for (index, Entry { key, position, .. }) in entries.iter().enumerate() {
            let known = self.items.keys;
            if !known.contains(&key.as_str()) {
                let message = format!("`{key}` is unknown in a {}", self.items.noun);
                let problem = Problem::at(position, message);
                findings
                    .problems
                    .push(problem.nearest(key, known.iter().copied()));
            } else if entries[..index].iter().any(|other| other.key == *key) {
                let message = format!("`{key}` is given twice");
                let problem = Problem::at(position, message).help("remove one of the two");
                findings.problems.push(problem);
            }
        }
    }

    /// What stands at this key.
    pub(super) fn value(&self, key: &str) -> Option<&'n Node> {
        let mut entries = self.mapping.entries.iter();
        let entry = entries.find(|entry| entry.key == key);
        entry.map(|entry| &entry.value)
    }

    /// The position of a value, or of the item if it has none.
    pub(super) fn position(&self, key: &str) -> &'n Position {
        self.value(key)
            .map_or(&self.item.position, |value| &value.position)
    }

    /// The word at this key.
    pub(super) fn text(&self, key: &str) -> Result<Option<&'n str>, Problem> {
        match self.value(key).map(|value| &value.content) {
            None => Ok(None),
            Some(Content::Text(text)) if !text.is_empty() => Ok(Some(text)),
            Some(_) => {
                let message = format!("`{key}` of a {} must be one word", self.items.noun);
                Err(Problem::at(self.position(key), message).help(expected(&self.items.kind)))
            }
        }
    }

    /// The number at this key.
    pub(super) fn number(
        &self,
        key: &str,
        range: RangeInclusive<i64>,
    ) -> Result<Option<i64>, Problem> {
        let Some(text) = self.text(key)? else {
            return Ok(None);
        };
        let digits = text.strip_prefix('-').unwrap_or(text);
        let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        match text.parse::<i64>() {
            Ok(number) if is_number && range.contains(&number) => Ok(Some(number)),
            _ => {
                let (low, high) = range.into_inner();
                let help = format!("expected a number from {low} to {high}");
                Err(self.cannot_be(key, text, help))
            }
        }
    }

    /// The problem that this key has such a value.
    pub(super) fn cannot_be(&self, key: &str, text: &str, help: impl Into<String>) -> Problem {
        let message = format!("`{key}` of a {} cannot be `{text}`", self.items.noun);
        Problem::at(self.position(key), message).help(help)
    }

    /// The problem that this key is missing.
    pub(super) fn missing(&self, key: &str) -> Problem {
        let message = format!("`{key}` of a {} is missing", self.items.noun);
        Problem::at(&self.item.position, message).help(expected(&self.items.kind))
    }
}
