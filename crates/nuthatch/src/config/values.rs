//! The settings of one mapping, each read as the table of settings says.

use std::collections::BTreeMap;

use hashkit::HashTag;

use super::address::{Fault, ListenLine, ServerLine, listen};
use super::nearest::only_near;
use super::number::{NotANumber, bytes, digits};
use super::report::{Place, Problem};
use super::servers::read_servers;
use super::table::{Absent, Kind, Origin, Scope, Setting, WORKERS_MAX, find, of};
use super::written::{Content, Entry, Mapping, Node};

/// How many event loops there are to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Workers {
    /// One for every core that the process may use.
    Auto,
    /// So many, at least 1.
    Count(usize),
}

impl Workers {
    /// The number of event loops on this machine.
    pub fn count(self) -> usize {
        match self {
            Self::Auto => std::thread::available_parallelism().map_or(1, usize::from),
            Self::Count(count) => count,
        }
    }
}

/// A value, read as its setting's kind.
#[derive(Debug, Clone)]
pub(super) enum Value {
    /// Of [`Kind::Bool`].
    Bool(bool),
    /// Of [`Kind::Integer`] and [`Kind::Bytes`].
    Number(u64),
    /// Of [`Kind::Text`] and [`Kind::Choice`].
    Text(String),
    /// Of [`Kind::HashTag`].
    Tag(HashTag),
    /// Of [`Kind::Listen`].
    Listen(ListenLine),
    /// Of [`Kind::Servers`], with the place of each.
    Servers(Vec<(ServerLine, Place)>),
    /// Of [`Kind::Workers`].
    Workers(Workers),
}

/// Whether a value is the boolean `true`.
pub(super) fn is_true(value: &Value) -> bool {
    matches!(value, Value::Bool(true))
}

/// A value that was given, and where.
#[derive(Debug, Clone)]
pub(super) struct Given {
    /// The place of the key.
    pub(super) key: Place,
    /// The place of the value.
    pub(super) place: Place,
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
    /// The mapping, as a message calls it: "pool `alpha`".
    pub(super) owner: &'r str,
    /// The scopes whose settings are admitted.
    pub(super) scopes: &'r [Scope],
    /// Whether only our own settings are admitted.
    pub(super) overlay: bool,
}

/// What reading found besides the values.
#[derive(Debug, Default)]
pub(super) struct Findings {
    /// What is wrong.
    pub(super) problems: Vec<Problem>,
    /// What is allowed but probably not meant; one line each, beginning with the place.
    pub(super) warnings: Vec<String>,
}

impl Findings {
    /// Notes something that is allowed but probably not meant.
    pub(super) fn warn(&mut self, place: &Place, message: impl std::fmt::Display) {
        let line = format!("{place}: warning: {message}");
        self.warnings.push(super::report::printable(&line));
    }
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
                let problem = Problem::at(&entry.place, message);
                findings
                    .problems
                    .push(problem.help(format!("it was first given in line {}", first.key.line)));
                continue;
            }
            let value = read_value(setting, entry, rules, findings);
            let (key, place) = (entry.place.clone(), entry.value.place.clone());
            values
                .given
                .insert(setting.name, Given { key, place, value });
        }
        values
    }

    /// Lets what `over` has replace what is here.
    pub(super) fn lay_over(&mut self, over: Self) {
        self.given.extend(over.given);
    }

    /// The settings of one scope among these.
    pub(super) fn only(&self, scope: Scope) -> Self {
        let given = self
            .given
            .iter()
            .filter(|(name, _)| find(scope, name).is_some());
        let given = given.map(|(name, given)| (*name, given.clone())).collect();
        Self { given }
    }

    /// What was given for a setting, if anything.
    pub(super) fn get(&self, name: &str) -> Option<&Given> {
        self.given.get(name)
    }

    /// The settings that were given, by name.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&'static str, &Given)> {
        self.given.iter().map(|(name, given)| (*name, given))
    }

    /// The value of a setting: as given, else its default; `None` when it has none, or when what was
    /// given could not be read.
    pub(super) fn value(&self, name: &str) -> Option<Value> {
        match self.given.get(name) {
            Some(given) => given.value.clone(),
            None => default_value(name),
        }
    }

    /// The value of a boolean setting; false when it could not be read.
    pub(super) fn bool(&self, name: &str) -> bool {
        self.value(name).as_ref().is_some_and(is_true)
    }

    /// The value of a setting that is a number.
    pub(super) fn number(&self, name: &str) -> Option<u64> {
        match self.value(name) {
            Some(Value::Number(number)) => Some(number),
            _ => None,
        }
    }

    /// The value of a setting that is text; empty when it could not be read or is off.
    pub(super) fn text(&self, name: &str) -> String {
        match self.value(name) {
            Some(Value::Text(text)) => text,
            _ => String::new(),
        }
    }
}

/// Reads a value of a kind that is written as one text. The text beside it is a warning.
pub(super) fn read_text(kind: &Kind, text: &str) -> Result<(Value, Option<String>), Fault> {
    let plain = |value| Ok((value, None));
    match kind {
        Kind::Bool => read_bool(text).map(|value| (Value::Bool(value), None)),
        Kind::Integer { min, max, unit } => {
            let help = integer_help(*min, *max, unit);
            plain(Value::Number(read_number(digits(text, *max), *min, help)?))
        }
        Kind::Bytes { min, max } => {
            let help =
                format!("expected a number of bytes from {min} to {max}; k, m and g may follow it");
            plain(Value::Number(read_number(bytes(text, *max), *min, help)?))
        }
        Kind::Choice { noun, names } => read_choice(text, noun, &names()).and_then(plain),
        Kind::Text => plain(Value::Text(text.to_owned())),
        Kind::HashTag => read_tag(text).and_then(plain),
        Kind::Listen => listen(text).map(|(listen, warning)| (Value::Listen(listen), warning)),
        Kind::Servers => {
            let help =
                "expected one server per line, each after a dash: `- host:port:weight [name]`";
            Err(Fault::new("is not a list of servers", help))
        }
        Kind::Workers if text == "auto" => plain(Value::Workers(Workers::Auto)),
        Kind::Workers => {
            let help = format!("expected a number from 1 to {WORKERS_MAX}, or `auto`");
            let count = read_number(digits(text, WORKERS_MAX), 1, help)?;
            plain(Value::Workers(Workers::Count(
                usize::try_from(count).unwrap_or(1),
            )))
        }
    }
}

/// The setting of an entry, if it may stand there.
fn admit(entry: &Entry, rules: Rules<'_>, findings: &mut Findings) -> Option<&'static Setting> {
    let setting = rules
        .scopes
        .iter()
        .find_map(|scope| find(*scope, &entry.key));
    let key = &entry.key;
    let problem = match setting {
        Some(setting) if rules.overlay && setting.origin == Origin::Nutcracker => Problem::at(
            &entry.place,
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

fn unknown(entry: &Entry, rules: Rules<'_>) -> Problem {
    let key = &entry.key;
    let problem = Problem::at(
        &entry.place,
        format!("setting `{key}` is unknown in {}", rules.owner),
    );
    if find(Scope::Global, key).is_some() {
        return problem.help("it belongs under the top-level key `nuthatch:`");
    }
    if find(Scope::Pool, key).is_some() {
        return problem
            .help("it belongs in a pool; a mapping `nuthatch:` is a pool when it has a `listen`");
    }
    let known = rules.scopes.iter().flat_map(|scope| of(*scope));
    let known = known.filter(|setting| !rules.overlay || setting.origin == Origin::Nuthatch);
    problem.nearest(key, known.map(|setting| setting.name))
}

/// Reads an entry's value, or says why not.
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
            let problem = Problem::at(&entry.place, format!("setting `{key}` has no value"));
            problem.help(expected(&setting.kind))
        }
        (Kind::Servers, Content::List(items)) => {
            return read_servers(items, rules.owner, findings).map(Value::Servers);
        }
        (kind, Content::Text(text)) => match read_text(kind, text) {
            Ok((value, warning)) => {
                if let Some(warning) = warning {
                    findings.warn(&node.place, format_args!("`{key}`: {warning}"));
                }
                return Some(value);
            }
            Err(fault) => faulty(&format!("setting `{key}`"), text, &node.place, fault),
        },
        (kind, Content::List(_)) => wrong_shape(key, node, "list", kind),
        (kind, Content::Mapping(_)) => wrong_shape(key, node, "mapping", kind),
    };
    findings.problems.push(problem);
    None
}

fn wrong_shape(key: &str, node: &Node, shape: &str, kind: &Kind) -> Problem {
    let problem = Problem::at(&node.place, format!("setting `{key}` cannot be a {shape}"));
    match kind {
        // `hash_tag: {}` is an empty mapping for YAML.
        Kind::HashTag => problem.help("quote it: \"{}\""),
        _ => problem.help(expected(kind)),
    }
}

/// A fault of a value as a problem, with the caret under the part to blame.
pub(super) fn faulty(subject: &str, text: &str, place: &Place, fault: Fault) -> Problem {
    let place = match &fault.part {
        Some(part) => part_of(text, place, part),
        None => place.clone(),
    };
    Problem::at(&place, format!("{subject} {}", fault.message)).help(fault.help)
}

/// The place of a part of a value. When the value does not stand in the file as it reads (escapes,
/// several lines), it is the place of the whole.
fn part_of(text: &str, place: &Place, part: &std::ops::Range<usize>) -> Place {
    let line = place.source.line(place.line);
    let written: String = line.chars().skip(place.column - 1).collect();
    let quote = usize::from(written.starts_with(['"', '\'']));
    if !written[quote..].starts_with(text) {
        return place.clone();
    }
    let offset = quote + text[..part.start].chars().count();
    place.part(offset, text[part.clone()].chars().count())
}

fn read_bool(text: &str) -> Result<bool, Fault> {
    match text {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(Fault::new(
            "is not \"true\" or \"false\"",
            expected(&Kind::Bool),
        )),
    }
}

fn read_number(number: Result<u64, NotANumber>, min: u64, help: String) -> Result<u64, Fault> {
    match number {
        Ok(number) if number >= min => Ok(number),
        Ok(0) => Err(Fault::new("cannot be 0", help)),
        Ok(_) => Err(Fault::new("is too small", help)),
        Err(NotANumber::TooLarge) => Err(Fault::new("is too large", help)),
        Err(NotANumber::NotDigits) => Err(Fault::new("is not a number", help)),
    }
}

fn integer_help(min: u64, max: u64, unit: &str) -> String {
    let of = if unit.is_empty() {
        String::new()
    } else {
        format!(" of {unit}")
    };
    format!("expected a number{of} from {min} to {max}, in digits only")
}

fn read_choice(text: &str, noun: &str, names: &[&'static str]) -> Result<Value, Fault> {
    if names.contains(&text) {
        return Ok(Value::Text(text.to_owned()));
    }
    let mut help = format!("expected one of: {}", names.join(", "));
    if let Some(near) = only_near(text, names.iter().copied()) {
        help = format!("did you mean `{near}`? {help}");
    }
    Err(Fault::new(format!("is not a valid {noun}: `{text}`"), help))
}

fn read_tag(text: &str) -> Result<Value, Fault> {
    match *text.as_bytes() {
        [open, close] => Ok(Value::Tag(HashTag { open, close })),
        _ => Err(Fault::new(
            "is not a valid hash tag string with two characters",
            expected(&Kind::HashTag),
        )),
    }
}

/// What a value of this kind looks like.
pub(super) fn expected(kind: &Kind) -> String {
    match kind {
        Kind::Bool => "expected `true` or `false`".into(),
        Kind::Integer { min, max, unit } => integer_help(*min, *max, unit),
        Kind::Bytes { .. } => "expected a number of bytes; k, m and g may follow it".into(),
        Kind::Choice { names, .. } => format!("expected one of: {}", names().join(", ")),
        Kind::Text => "expected a text; remove the line to leave it unset".into(),
        Kind::HashTag => "expected two ASCII characters in quotes, such as \"{}\"".into(),
        Kind::Listen => "expected `host:port` or `/path/of/socket [mode]`".into(),
        Kind::Servers => {
            "expected `- host:port:weight [name]` or `- /path/of/socket:weight [name]`".into()
        }
        Kind::Workers => format!("expected a number from 1 to {WORKERS_MAX}, or `auto`"),
    }
}

/// What a setting is when nothing is written.
fn default_value(name: &str) -> Option<Value> {
    let setting = [Scope::Pool, Scope::Global]
        .into_iter()
        .find_map(|scope| find(scope, name))?;
    match setting.absent {
        Absent::Value(text) => read_text(&setting.kind, text).ok().map(|(value, _)| value),
        Absent::Required | Absent::Nothing | Absent::Computed(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::table::SETTINGS;
    use super::*;

    #[test]
    fn every_default_can_be_read() {
        for setting in SETTINGS {
            let has_default = matches!(setting.absent, Absent::Value(_));
            assert_eq!(
                default_value(setting.name).is_some(),
                has_default,
                "{}",
                setting.name
            );
        }
    }

    #[test]
    fn workers_are_auto_or_a_number() {
        assert!(matches!(
            read_text(&Kind::Workers, "auto"),
            Ok((Value::Workers(Workers::Auto), None))
        ));
        assert!(matches!(
            read_text(&Kind::Workers, "4"),
            Ok((Value::Workers(Workers::Count(4)), None))
        ));
        for text in ["0", "1025", "-1", "Auto", "", "99999999999999999999"] {
            assert!(read_text(&Kind::Workers, text).is_err(), "{text}");
        }
        assert!(Workers::Auto.count() >= 1);
    }
}
