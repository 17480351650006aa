//! The list of commands that a pool knows beyond the table.

use std::collections::HashMap;
use std::ops::RangeInclusive;

use proxy::limits::MAX_COMMANDS;
use proxy::settings::{CommandSettings, LONGEST_COMMAND, is_known_command};

use super::kind::{Kind, expected};
use super::node::{Content, Entry, Mapping, Node};
use super::report::{Findings, Position, Problem};

/// What a command may say of itself.
pub(super) const KEYS: [&str; 6] = ["name", "arity", "first", "last", "step", "access"];

/// A command that takes more arguments than this is counted by a minimum.
pub(super) const LARGEST: i64 = 127;

/// Reads the commands of `owner` ("pool `alpha`"); `None` if anything is wrong with them, which has been reported.
pub(super) fn read_commands(
    list: &Node,
    items: &[Node],
    owner: &str,
    findings: &mut Findings,
) -> Option<Vec<CommandSettings>> {
    let before = findings.problems.len();
    let mut commands = Vec::new();
    let mut seen: HashMap<String, &Position> = HashMap::new();
    let mut whole = true;
    for item in items {
        let Content::Mapping(mapping) = &item.content else {
            whole &= !matches!(item.content, Content::Broken);
            if !matches!(item.content, Content::Broken) {
                let message = "a command must be a mapping";
                let problem = Problem::at(&item.position, message);
                findings
                    .problems
                    .push(problem.help(expected(&Kind::Commands)));
            }
            continue;
        };
        let Some(command) = read_command(item, mapping, findings) else {
            continue;
        };
        if let Some(first) = seen.get(&command.name) {
            let message = format!("{owner} has two commands `{}`", command.name);
            let help = format!(
                "the other is in line {}; case makes no difference",
                first.line
            );
            let problem = Problem::at(&item.position, message).help(help);
            findings.problems.push(problem);
        }
        seen.insert(command.name.clone(), &item.position);
        commands.push(command);
    }
    if items.len() > MAX_COMMANDS {
        let message = format!("{owner} has {} commands", items.len());
        let help = format!("there can be at most {MAX_COMMANDS}");
        let problem = Problem::at(&list.position, message).help(help);
        findings.problems.push(problem);
    }
    (whole && findings.problems.len() == before).then_some(commands)
}

fn read_command(
    item: &Node,
    mapping: &Mapping,
    findings: &mut Findings,
) -> Option<CommandSettings> {
    let before = findings.problems.len();
    for entry in &mapping.entries {
        let (key, position) = (&entry.key, &entry.position);
        let of_name = mapping.entries.iter().filter(|other| other.key == *key);
        if !KEYS.contains(&key.as_str()) {
            let problem = Problem::at(position, format!("`{key}` is unknown in a command"));
            findings.problems.push(problem.nearest(key, KEYS));
        } else if of_name
            .take_while(|other| !std::ptr::eq(*other, entry))
            .count()
            > 0
        {
            let message = format!("`{key}` is given twice");
            let problem = Problem::at(position, message).help("remove one of the two");
            findings.problems.push(problem);
        }
    }
    let fields = Fields { item, mapping };
    let mut note = |problem: Problem| {
        findings.problems.push(problem);
    };
    let name = fields.name().map_err(&mut note).ok();
    let arity = fields.arity().map_err(&mut note).ok();
    let mut number = |key, range, default| {
        let number = fields.number(key, range, Some(default));
        number.map_err(&mut note).ok()
    };
    let first = number("first", 1..=LARGEST, 1);
    let last = number("last", -LARGEST..=LARGEST, first.unwrap_or(1));
    let step = number("step", 1..=LARGEST, 1);
    let access = fields.is_read().map_err(&mut note).ok();
    if !mapping.whole || findings.problems.len() > before {
        return None;
    }
    let (arity, first, last) = (arity?, first?, last?);
    let command = CommandSettings {
        name: name?,
        arity: i16::try_from(arity).ok()?,
        first: u8::try_from(first).ok()?,
        last: i8::try_from(last).ok()?,
        step: u8::try_from(step?).ok()?,
        is_read: access?,
    };
    match fields.misfit(arity, first, last) {
        Some(problem) => {
            findings.problems.push(problem);
            None
        }
        None => Some(command),
    }
}

/// What a command says of itself.
struct Fields<'n> {
    item: &'n Node,
    mapping: &'n Mapping,
}

impl<'n> Fields<'n> {
    fn entry(&self, key: &str) -> Option<&'n Entry> {
        self.mapping.entries.iter().find(|entry| entry.key == key)
    }

    /// The position of a value, or of the command if it has none.
    fn position(&self, key: &str) -> &'n Position {
        self.entry(key)
            .map_or(&self.item.position, |entry| &entry.value.position)
    }

    fn text(&self, key: &str) -> Result<Option<&'n str>, Problem> {
        match self.entry(key).map(|entry| &entry.value.content) {
            None => Ok(None),
            Some(Content::Text(text)) if !text.is_empty() => Ok(Some(text)),
            Some(_) => {
                let message = format!("`{key}` of a command must be one word");
                Err(Problem::at(self.position(key), message).help(expected(&Kind::Commands)))
            }
        }
    }

    fn required(&self, key: &str) -> Problem {
        let message = format!("`{key}` of a command is missing");
        Problem::at(&self.item.position, message).help(expected(&Kind::Commands))
    }

    fn name(&self) -> Result<String, Problem> {
        let name = self.text("name")?.ok_or_else(|| self.required("name"))?;
        let at = |message: String| Problem::at(self.position("name"), message);
        let is_plain = |byte: u8| byte.is_ascii_graphic() && !b"|\"'".contains(&byte);
        if name.len() > LONGEST_COMMAND || !name.bytes().all(is_plain) {
            let help = format!(
                "expected at most {LONGEST_COMMAND} ASCII characters, without blanks, quotes and `|`"
            );
            return Err(at(format!("`{name}` is no name of a command")).help(help));
        }
        if is_known_command(name) {
            let message = format!("the command `{name}` is known already");
            let help =
                "remove it: what becomes of it is in `nuthatch docs redis`, and cannot be changed";
            return Err(at(message).help(help));
        }
        Ok(name.to_ascii_lowercase())
    }

    fn arity(&self) -> Result<i64, Problem> {
        match self.number("arity", -LARGEST..=LARGEST, None)? {
            -1..=1 => {
                let message = "a command without arguments has no key";
                let help = "expected the number of arguments with the name, such as 2, or -2 for 2 and more";
                Err(Problem::at(self.position("arity"), message).help(help))
            }
            arity => Ok(arity),
        }
    }

    fn number(
        &self,
        key: &str,
        range: RangeInclusive<i64>,
        default: Option<i64>,
    ) -> Result<i64, Problem> {
        let Some(text) = self.text(key)? else {
            return default.ok_or_else(|| self.required(key));
        };
        let digits = text.strip_prefix('-').unwrap_or(text);
        let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        match text.parse::<i64>() {
            Ok(number) if is_number && range.contains(&number) => Ok(number),
            _ => {
                let message = format!("`{key}` of a command cannot be `{text}`");
                let (low, high) = range.into_inner();
                let help = format!("expected a number from {low} to {high}");
                Err(Problem::at(self.position(key), message).help(help))
            }
        }
    }

    fn is_read(&self) -> Result<bool, Problem> {
        match self.text("access")? {
            None | Some("write") => Ok(false),
            Some("read") => Ok(true),
            Some(other) => {
                let message = format!("`access` of a command cannot be `{other}`");
                let help = "expected `read` for a command that changes nothing, else `write`";
                Err(Problem::at(self.position("access"), message).help(help))
            }
        }
    }

    /// Numbers that do not fit together.
    fn misfit(&self, arity: i64, first: i64, last: i64) -> Option<Problem> {
        let least = arity.abs();
        if first >= least {
            let message = format!("a command of {least} arguments has no key at index {first}");
            let help = "the name counts as an argument, and has index 0";
            return Some(Problem::at(self.position("first"), message).help(help));
        }
        let is_behind = match last {
            0 => true,
            1.. => last < first,
            // Counted from the end of the shortest request.
            _ => least + last < first,
        };
        is_behind.then(|| {
            let message = format!("`last` is before `first` ({first}) where there are {least} arguments");
            let help = "expected the index of the last key, or a negative one that counts from the end: -1 is the last argument";
            Problem::at(self.position("last"), message).help(help)
        })
    }
}
