//! What is wrong with one value, without the position of the value in the file.

use std::ops::Range;

use super::report::{Position, Problem};

/// What is wrong with a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// One line that continues the setting's name ("... has an invalid port").
    pub message: String,
    /// What was expected.
    pub help: String,
    /// The bytes of the value that are wrong, if not all of it.
    pub part: Option<Range<usize>>,
}

impl Fault {
    /// A fault of the whole value.
    pub fn new(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            help: help.into(),
            part: None,
        }
    }

    /// The same fault, limited to a part of the value.
    pub(super) fn in_part(self, part: Range<usize>) -> Self {
        Self {
            part: Some(part),
            ..self
        }
    }
}

/// Turns the fault into a problem with a caret under the wrong part.
pub(super) fn faulty(subject: &str, text: &str, position: &Position, fault: Fault) -> Problem {
    let position = match &fault.part {
        Some(part) => part_of(text, position, part),
        None => position.clone(),
    };
    Problem::at(&position, format!("{subject} {}", fault.message)).help(fault.help)
}

/// The position of a part of a value. If the value does not appear literally in the file (escapes, several
/// lines), it is the position of the whole value.
fn part_of(text: &str, position: &Position, part: &Range<usize>) -> Position {
    let line = position.source.line(position.line);
    let written: String = line.chars().skip(position.column - 1).collect();
    let quote = usize::from(written.starts_with(['"', '\'']));
    if !written[quote..].starts_with(text) {
        return position.clone();
    }
    let offset = quote + text[..part.start].chars().count();
    position.part(offset, text[part.clone()].chars().count())
}
