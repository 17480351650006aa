//! The settings of one mapping, each parsed as the table of settings says.

use std::collections::BTreeMap;

use super::commands::read_commands;
use super::fault::faulty;
use super::guardrails::read_guardrails;
use super::kind::{Kind, Value, expected, read_text, text_of};
use super::node::{Content, Entry, Mapping, Node};
use super::parts::read_parts;
use super::replicas::read_replicas;
use super::report::{Findings, Position, Problem};
use super::servers::{read_nodes, read_servers};
use super::source::read_source;
use super::table::globals::ADMIN_TOKEN;
use super::table::ours::USERS;
use super::table::theirs::REDIS_AUTH;
use super::table::{Origin, Row, Scope, Setting, find, of};
use super::types::{ServerSource, Servers, Written};
use super::users::read_users;

/// A value that was given, and its position.
#[derive(Debug, Clone)]
pub(super) struct Given {
    /// The setting.
    pub(super) setting: &'static Setting,
    /// The position of the key.
    pub(super) key: Position,
    /// The position of the value.
    pub(super) position: Position,
    /// The value; `None` when it could not be read, which has been reported.
    pub(super) value: Option<Value>,
}

/// The settings of one mapping.
#[derive(Debug, Default)]
pub(super) struct Values {
    given: BTreeMap<&'static str, Given>,
}

/// Which settings a mapping may hold.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules<'r> {
    /// The mapping's name in messages: "pool `alpha`".
    pub(super) owner: &'r str,
    /// The scopes whose settings are allowed.
    pub(super) scopes: &'r [Scope],
    /// Whether only our own settings are allowed.
    pub(super) overlay: bool,
}

impl Values {
    /// Reads a mapping.
    pub(super) fn read(mapping: &Mapping, rules: Rules<'_>, findings: &mut Findings) -> Self {
        let mut values = Self::default();
        for entry in &mapping.entries {
            let Some(setting) = admit(entry, rules, findings) else {
                continue;
            };
            if let Some(first) = values.given.get(setting.name) {
                let message = format!("setting `{}` is a duplicate in {}", entry.key, rules.owner);
                let problem = Problem::at(&entry.position, message);
                findings
                    .problems
                    .push(problem.help(format!("it was first given in line {}", first.key.line)));
                continue;
            }
            let value = read_value(setting, entry, rules, findings);
            let (key, position) = (entry.position.clone(), entry.value.position.clone());
            let given = Given {
                setting,
                key,
                position,
                value,
            };
            values.given.insert(setting.name, given);
        }
        values
    }

    /// Adds the values of `over`, which replace those already here.
    pub(super) fn lay_over(&mut self, over: Self) {
        self.given.extend(over.given);
    }

    /// The settings of one scope.
    pub(super) fn only(&self, scope: Scope) -> Self {
        let given = self.given.iter();
        let given = given.filter(|(_, given)| given.setting.scope == scope);
        let given = given.map(|(name, given)| (*name, given.clone())).collect();
        Self { given }
    }

    /// What was given for a setting, if anything.
    pub(super) fn given(&self, setting: &Setting) -> Option<&Given> {
        self.given.get(setting.name)
    }

    /// The value given for a setting, if there is one that could be parsed.
    pub(super) fn read_of(&self, setting: &Setting) -> Option<&Value> {
        self.given(setting).and_then(|given| given.value.as_ref())
    }

    /// The settings that were given, by name.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Given> {
        self.given.values()
    }

    /// What is written down, to compare one configuration with another.
    pub(super) fn written(&self) -> BTreeMap<&'static str, Written> {
        let written = |given: &Given| {
            let value = given.value.as_ref()?;
            let text = text_of(value, &given.setting.kind);
            let is_secret = [REDIS_AUTH.name, USERS.name].contains(&given.setting.name);
            let written = match password_of(value) {
                Some(password) => Written::new(format!("{text} {password}"), true),
                None => Written::new(text, is_secret),
            };
            Some((given.setting.name, written))
        };
        self.iter().filter_map(written).collect()
    }

    /// The value of a setting: as given, else its default; `None` if it has no default, or if the given value
    /// could not be parsed.
    pub(super) fn value<T>(&self, row: &Row<T>) -> Option<T> {
        match self.given(row) {
            Some(given) => given.value.as_ref().and_then(|value| row.read(value)),
            None => row.value(None),
        }
    }

    /// The same, or the type's default if there is no value.
    pub(super) fn get<T: Default>(&self, row: &Row<T>) -> T {
        self.value(row).unwrap_or_default()
    }
}

/// The password within a value, if there is one.
fn password_of(value: &Value) -> Option<&str> {
    match value {
        Value::Servers(Servers::Found(ServerSource::Sentinel(source))) => {
            source.password.as_deref()
        }
        _ => None,
    }
}

/// The setting of an entry, if it is allowed here.
fn admit(entry: &Entry, rules: Rules<'_>, findings: &mut Findings) -> Option<&'static Setting> {
    let setting = rules
        .scopes
        .iter()
        .find_map(|scope| find(*scope, &entry.key));
    let key = &entry.key;
    let problem = match setting {
        Some(setting) if rules.overlay && setting.origin == Origin::Nutcracker => Problem::at(
            &entry.position,
            format!("`{key}` is a setting of twemproxy's"),
        )
        .help(
            "an overlay holds settings of Nuthatch's own only; change it in the configuration file",
        ),
        Some(setting) => return Some(setting),
        None => unknown(entry, rules),
    };
    findings.problems.push(problem);
    None
}

/// What other programs call some settings, and what they are called here.
const ELSEWHERE: [(&str, &str); 9] = [
    ("database", "redis_db"),
    ("db", "redis_db"),
    ("password", "redis_auth"),
    ("auth", "redis_auth"),
    ("requirepass", "redis_auth"),
    ("bind", "listen"),
    ("port", "listen"),
    ("maxclients", "client_connections"),
    ("hosts", "servers"),
];

fn unknown(entry: &Entry, rules: Rules<'_>) -> Problem {
    let (key, owner) = (&entry.key, rules.owner);
    // A comma or colon in a password that has no quotes may begin what looks like another setting.
    if entry.position.is_secret() {
        let message = format!("there is an unknown setting behind a password in {owner}");
        return Problem::at(&entry.position, message).help("a password needs quotes around it");
    }
    let problem = Problem::at(
        &entry.position,
        format!("setting `{key}` is unknown in {owner}"),
    );
    if find(Scope::Global, key).is_some() {
        return problem.help("it belongs under the top-level key `nuthatch:`");
    }
    if find(Scope::Pool, key).is_some() {
        return problem
            .help("it belongs in a pool; a mapping `nuthatch:` is a pool when it has a `listen`");
    }
    if let Some((_, ours)) = ELSEWHERE.iter().find(|(name, _)| name == key) {
        return problem.help(format!("the setting for that is `{ours}`"));
    }
    let known = rules.scopes.iter().flat_map(|scope| of(*scope));
    let known = known.filter(|setting| !rules.overlay || setting.origin == Origin::Nuthatch);
    problem.nearest(key, known.map(|setting| setting.name))
}

/// Parses an entry's value, or reports why it cannot.
fn read_value(
    setting: &Setting,
    entry: &Entry,
    rules: Rules<'_>,
    findings: &mut Findings,
) -> Option<Value> {
    let (key, node) = (&entry.key, &entry.value);
    let problem = match (&setting.kind, &node.content) {
        (_, Content::Broken) => return None,
        (_, Content::Text(text)) if text.is_empty() => {
            let problem = Problem::at(&entry.position, format!("setting `{key}` has no value"));
            problem.help(expected(&setting.kind))
        }
        (Kind::Servers, Content::List(items)) => {
            let servers = read_servers(items, rules.owner, findings);
            return servers.map(|it| Value::Servers(Servers::Listed(it)));
        }
        (Kind::Servers, Content::Mapping(_)) => {
            let source = read_source(node, rules.owner, findings);
            return source.map(|it| Value::Servers(Servers::Found(it)));
        }
        (Kind::Nodes, Content::List(items)) => {
            return read_nodes(node, items, findings).map(Value::Nodes);
        }
        (Kind::Replicas, Content::Mapping(mapping)) => {
            return read_replicas(mapping, findings).map(Value::Replicas);
        }
        (Kind::Commands, Content::List(items)) => {
            return read_commands(node, items, rules.owner, findings).map(Value::Commands);
        }
        (Kind::Guardrails, Content::List(items)) => {
            return read_guardrails(node, items, rules.owner, findings).map(Value::Guardrails);
        }
        (Kind::Users, Content::List(items)) => {
            return read_users(node, items, rules.owner, findings).map(Value::Users);
        }
        (Kind::Mapping { parts, .. }, Content::Mapping(mapping)) => {
            return read_parts(setting, node, (mapping, parts), findings).map(Value::Mapping);
        }
        (kind, Content::Text(text)) => match read_text(kind, text) {
            Ok((value, warning)) => {
                let warning = warning.or_else(|| warn_of_comment(setting, node));
                if let Some(warning) = warning {
                    findings.warn(&node.position, format_args!("`{key}`: {warning}"));
                }
                return Some(value);
            }
            Err(fault) => faulty(&format!("setting `{key}`"), text, &node.position, fault),
        },
        (kind, Content::List(_)) => wrong_shape(key, node, "list", kind),
        (kind, Content::Mapping(_)) => wrong_shape(key, node, "mapping", kind),
    };
    findings.problems.push(problem);
    None
}

/// A password that goes on with ` #` may be cut off.
fn warn_of_comment(setting: &Setting, node: &Node) -> Option<String> {
    if ![REDIS_AUTH.name, ADMIN_TOKEN.name].contains(&setting.name) {
        return None;
    }
    let position = &node.position;
    let line = position.source.line(position.line).chars();
    let end = position.column.checked_add(position.width)? - 1;
    let rest: String = line.skip(end).collect();
    let comment = rest.trim_start().strip_prefix('#')?;
    // With a blank after it, it is meant as a comment.
    let is_comment = comment.is_empty() || comment.starts_with([' ', '\t', '#']);
    (!is_comment).then(|| {
        "the rest of the line, from `#` on, is a comment; quote the value if it is part of it"
            .into()
    })
}

fn wrong_shape(key: &str, node: &Node, shape: &str, kind: &Kind) -> Problem {
    let problem = Problem::at(
        &node.position,
        format!("setting `{key}` cannot be a {shape}"),
    );
    match kind {
        // `hash_tag: {}` is an empty mapping in YAML.
        Kind::HashTag => problem.help("quote it: \"{}\""),
        _ => problem.help(expected(kind)),
    }
}
