//! What is wrong with one value, before it is known where the value stands.

use std::ops::Range;

use super::report::{Place, Problem};

/// What is wrong with a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// In one line; reads on from the setting's name ("... has an invalid port").
    pub message: String,
    /// What was expected.
    pub help: String,
    /// The bytes of the value that are to blame, when it is not the whole.
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

    /// The same fault, of a part of the value.
    pub(super) fn in_part(self, part: Range<usize>) -> Self {
        Self {
            part: Some(part),
            ..self
        }
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
fn part_of(text: &str, place: &Place, part: &Range<usize>) -> Place {
    let line = place.source.line(place.line);
    let written: String = line.chars().skip(place.column - 1).collect();
    let quote = usize::from(written.starts_with(['"', '\'']));
    if !written[quote..].starts_with(text) {
        return place.clone();
    }
    let offset = quote + text[..part.start].chars().count();
    place.part(offset, text[part.clone()].chars().count())
}
