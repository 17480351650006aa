//! The list of commands that a pool knows beyond the table.

use std::ops::RangeInclusive;

use proxy::limits::MAX_COMMANDS;
use proxy::settings::{CommandSettings, LONGEST_COMMAND, is_known_command};

use super::fields::{Fields, Items};
use super::kind::Kind;
use super::node::Node;
use super::report::{Findings, Problem};

/// What a command may say of itself.
pub(super) const KEYS: [&str; 6] = ["name", "arity", "first", "last", "step", "access"];

/// A command that takes more arguments than this is counted by a minimum.
pub(super) const LARGEST: i64 = 127;

const COMMANDS: Items = Items {
    noun: "command",
    keys: &KEYS,
    kind: Kind::Commands,
    most: MAX_COMMANDS,
};

/// Reads the commands of `owner` ("pool `alpha`"); `None` if anything is wrong with them, which has been reported.
pub(super) fn read_commands(
    list: &Node,
    items: &[Node],
    owner: &str,
    findings: &mut Findings,
) -> Option<Vec<CommandSettings>> {
    let name = |command: &CommandSettings| format!("`{}`", command.name);
    COMMANDS.read((list, items), owner, findings, read_command, name)
}

fn read_command(fields: &Fields<'_>, findings: &mut Findings) -> Option<CommandSettings> {
    let mut note = |problem: Problem| {
        findings.problems.push(problem);
    };
    let name = name(fields).map_err(&mut note).ok();
    let arity = arity(fields).map_err(&mut note).ok();
    let mut number = |key, range, default| {
        let number = number(fields, key, range, Some(default));
        number.map_err(&mut note).ok()
    };
    let first = number("first", 1..=LARGEST, 1);
    let last = number("last", -LARGEST..=LARGEST, first.unwrap_or(1));
    let step = number("step", 1..=LARGEST, 1);
    let access = is_read(fields).map_err(&mut note).ok();
    let (arity, first, last) = (arity?, first?, last?);
    let command = CommandSettings {
        name: name?,
        arity: i16::try_from(arity).ok()?,
        first: u8::try_from(first).ok()?,
        last: i8::try_from(last).ok()?,
        step: u8::try_from(step?).ok()?,
        is_read: access?,
    };
    findings.problems.extend(misfit(fields, arity, first, last));
    Some(command)
}

fn name(fields: &Fields<'_>) -> Result<String, Problem> {
    let name = fields.text("name")?.ok_or_else(|| fields.missing("name"))?;
    let at = |message: String| Problem::at(fields.position("name"), message);
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

fn arity(fields: &Fields<'_>) -> Result<i64, Problem> {
    match number(fields, "arity", -LARGEST..=LARGEST, None)? {
        -1..=1 => {
            let message = "a command without arguments has no key";
            let help =
                "expected the number of arguments with the name, such as 2, or -2 for 2 and more";
            Err(Problem::at(fields.position("arity"), message).help(help))
        }
        arity => Ok(arity),
    }
}

fn number(
    fields: &Fields<'_>,
    key: &str,
    range: RangeInclusive<i64>,
    default: Option<i64>,
) -> Result<i64, Problem> {
    let given = fields.number(key, range)?;
    given.or(default).ok_or_else(|| fields.missing(key))
}

fn is_read(fields: &Fields<'_>) -> Result<bool, Problem> {
    match fields.text("access")? {
        None | Some("write") => Ok(false),
        Some("read") => Ok(true),
        Some(other) => {
            let help = "expected `read` for a command that changes nothing, else `write`";
            Err(fields.cannot_be("access", other, help))
        }
    }
}

/// Numbers that do not fit together.
fn misfit(fields: &Fields<'_>, arity: i64, first: i64, last: i64) -> Option<Problem> {
    let least = arity.abs();
    if first >= least {
        let message = format!("a command of {least} arguments has no key at index {first}");
        let help = "the name counts as an argument, and has index 0";
        return Some(Problem::at(fields.position("first"), message).help(help));
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
        Problem::at(fields.position("last"), message).help(help)
    })
}
