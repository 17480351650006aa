//! Settings that are mappings with settings of their own.

use super::fault::faulty;
use super::kind::{Part, Parts, Value, expected, read_text};
use super::nearest::only_near;
use super::node::{Content, Entry, Mapping, Node};
use super::report::{Findings, Problem};
use super::table::Setting;

/// Reads the mapping of `setting`, which has these parts; `None` if anything is wrong with it, which has been reported.
pub(super) fn read_parts(
    setting: &Setting,
    node: &Node,
    (mapping, parts): (&Mapping, &'static [Part]),
    findings: &mut Findings,
) -> Option<Parts> {
    let before = findings.problems.len();
    let mut given = Parts::default();
    for entry in &mapping.entries {
        let Some(part) = find(setting, entry, parts, findings) else {
            continue;
        };
        if given.get(part.name).is_some() {
            let message = format!("`{}` is given twice", entry.key);
            let problem = Problem::at(&entry.position, message).help("remove one of the two");
            findings.problems.push(problem);
        } else if let Some(value) = read(setting, part, entry, findings) {
            given.add(part, value, entry.value.position.clone());
        }
    }
    let is_there = |part: &&Part| mapping.entries.iter().any(|entry| entry.key == part.name);
    let missing = parts
        .iter()
        .filter(|part| part.is_required && !is_there(part));
    for part in missing.filter(|_| mapping.whole) {
        let message = format!("`{}` of `{}` is missing", part.name, setting.name);
        let problem = Problem::at(&node.position, message);
        findings
            .problems
            .push(problem.help(expected(&setting.kind)));
    }
    (mapping.whole && findings.problems.len() == before).then_some(given)
}

fn find(
    setting: &Setting,
    entry: &Entry,
    parts: &'static [Part],
    findings: &mut Findings,
) -> Option<&'static Part> {
    let found = parts.iter().find(|part| part.name == entry.key);
    if found.is_none() {
        let (key, name) = (&entry.key, setting.name);
        let names = parts.iter().map(|part| part.name);
        let near = only_near(key, names.clone());
        let names: Vec<&str> = names.collect();
        let known = format!("`{name}` has: {}", names.join(", "));
        let help = match near {
            Some(near) => format!("did you mean `{near}`? {known}"),
            None => known,
        };
        let message = format!("`{key}` is unknown in `{name}`");
        let problem = Problem::at(&entry.position, message);
        findings.problems.push(problem.help(help));
    }
    found
}

fn read(setting: &Setting, part: &Part, entry: &Entry, findings: &mut Findings) -> Option<Value> {
    let subject = format!("`{}` of `{}`", part.name, setting.name);
    let problem = match &entry.value.content {
        Content::Broken => return None,
        Content::Text(text) if text.is_empty() => {
            let problem = Problem::at(&entry.position, format!("{subject} has no value"));
            problem.help(expected(&part.kind))
        }
        Content::Text(text) => match read_text(&part.kind, text) {
            Ok((value, warning)) => {
                if let Some(warning) = warning {
                    findings.warn(&entry.value.position, format_args!("{subject}: {warning}"));
                }
                return Some(value);
            }
            Err(fault) => faulty(&subject, text, &entry.value.position, fault),
        },
        Content::List(_) | Content::Mapping(_) => {
            let message = format!("{subject} must be one word");
            Problem::at(&entry.value.position, message).help(expected(&part.kind))
        }
    };
    findings.problems.push(problem);
    None
}
