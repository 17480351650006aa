//! Problems in a configuration and how they are shown.
//!
//! All problems are collected and shown together, so that the user can fix them in one go. Each one has its
//! position and shows the line with a caret under the wrong part.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use super::nearest::nearest;
use super::secrets::{MASK, hidden, userinfo, without_userinfo};

/// Maximum number of problems shown per file; the others are only counted.
const SHOWN: usize = 100;

/// Maximum number of characters shown of a line, around the caret.
const LINE_SHOWN: usize = 120;

/// A file's text, kept so that its lines can be shown.
pub struct Source {
    /// The file's name as the user gave it.
    pub name: String,
    /// What is in it.
    pub text: String,
    /// Where each line begins.
    lines: Vec<usize>,
    /// The characters before the password in each line that has one; found when a line is shown.
    hidden: OnceLock<HashMap<usize, usize>>,
}

/// Without the text, which may hold a password.
impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl Source {
    /// Keeps a file's text.
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Arc<Self> {
        let text = text.into();
        let ends = text.match_indices('\n').map(|(end, _)| end + 1);
        let lines = std::iter::once(0).chain(ends).collect();
        let name = printable(&name.into());
        let hidden = OnceLock::new();
        Arc::new(Self {
            name,
            text,
            lines,
            hidden,
        })
    }

    /// A line's text without its line end; lines are counted from 1. Empty past the end.
    pub fn line(&self, number: usize) -> &str {
        let begin = |index: usize| self.lines.get(index).copied().unwrap_or(self.text.len());
        let line = &self.text[begin(number.wrapping_sub(1))..begin(number)];
        line.trim_end_matches(['\n', '\r'])
    }

    /// The number of characters before the password in a line, if it has one.
    fn hidden_from(&self, number: usize) -> Option<usize> {
        let hidden = self
            .hidden
            .get_or_init(|| hidden((1..=self.lines.len()).map(|number| self.line(number))));
        hidden.get(&number).copied()
    }
}

/// A range of characters in a file.
#[derive(Debug, Clone)]
pub struct Position {
    /// The file.
    pub source: Arc<Source>,
    /// Line, counted from 1.
    pub line: usize,
    /// Column of the first character, counted in characters from 1.
    pub column: usize,
    /// Number of characters, at least 1; those past the line's end are not marked.
    pub width: usize,
}

impl Position {
    /// Whether a password stands here, so that what is written here must not be shown.
    pub(super) fn is_secret(&self) -> bool {
        let hidden = self.source.hidden_from(self.line);
        hidden.is_some_and(|before| self.column > before)
    }

    /// The `width` characters starting `offset` characters further right.
    pub fn part(&self, offset: usize, width: usize) -> Self {
        Self {
            column: self.column + offset,
            width: width.max(1),
            ..self.clone()
        }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.source.name, self.line, self.column)
    }
}

/// A file that could not be read.
#[derive(Debug, Clone)]
pub struct Unread {
    /// What it is: `configuration file`.
    pub what: &'static str,
    /// Its name as the user gave it.
    pub name: String,
}

/// One problem.
#[derive(Debug, Clone)]
pub struct Problem {
    /// Where it is; `None` when it concerns the whole file.
    pub position: Option<Position>,
    /// What is wrong, in one line.
    pub message: String,
    /// What was expected, or what to do.
    pub help: Vec<String>,
    /// The file that could not be read, if it is that.
    pub unread: Option<Unread>,
}

impl Problem {
    /// A problem at a position.
    pub fn at(position: &Position, message: impl Into<String>) -> Self {
        Self {
            position: Some(position.clone()),
            message: without_userinfo(&message.into()),
            help: Vec::new(),
            unread: None,
        }
    }

    /// A problem of the whole file; the message should name the file.
    pub fn of_file(message: impl Into<String>) -> Self {
        Self {
            position: None,
            message: message.into(),
            help: Vec::new(),
            unread: None,
        }
    }

    /// A file could not be read.
    pub fn unread(file: Unread, message: impl Into<String>) -> Self {
        Self {
            unread: Some(file),
            ..Self::of_file(message)
        }
    }

    /// Adds a line of advice.
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help.push(help.into());
        self
    }

    /// Suggests the known name that is nearest to a misspelt one, if any is near.
    pub fn nearest<'n>(self, name: &str, known: impl IntoIterator<Item = &'n str>) -> Self {
        match nearest(name, known) {
            Some(near) => self.help(format!("did you mean `{near}`?")),
            None => self,
        }
    }

    fn same_file(&self, other: &Self) -> bool {
        match (&self.position, &other.position) {
            (Some(a), Some(b)) => Arc::ptr_eq(&a.source, &b.source),
            (a, b) => a.is_none() && b.is_none(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let message = printable(&self.message);
        match &self.position {
            Some(position) => {
                writeln!(f, "{position}: {message}")?;
                write_excerpt(f, position)?;
            }
            None => writeln!(f, "{message}")?,
        }
        for help in &self.help {
            writeln!(f, "  = {}", printable(help))?;
        }
        Ok(())
    }
}

/// Everything that is wrong with a configuration; never empty.
#[derive(Debug, Clone)]
pub struct Report {
    problems: Vec<Problem>,
}

impl Report {
    /// A report of `problems`: grouped by file in order of first appearance, each group in line order.
    pub fn new(problems: Vec<Problem>) -> Self {
        let mut files: Vec<Vec<Problem>> = Vec::new();
        for problem in problems {
            match files.iter_mut().find(|file| file[0].same_file(&problem)) {
                Some(file) => file.push(problem),
                None => files.push(vec![problem]),
            }
        }
        for file in &mut files {
            let line_and_column =
                |it: &Problem| it.position.as_ref().map(|at| (at.line, at.column));
            file.sort_by_key(line_and_column);
            // What is merged into several mappings is read with each of them.
            file.dedup_by(|a, b| {
                a.position.is_some()
                    && line_and_column(a) == line_and_column(b)
                    && a.message == b.message
            });
        }
        Self {
            problems: files.into_iter().flatten().collect(),
        }
    }

    /// What is to be said of all of it in one line: which file is to blame, and that it could not be read, or
    /// that its syntax is invalid as nutcracker says.
    pub fn verdict(&self, file: &Path, overlay: Option<&Path>) -> String {
        if let Some(file) = self.problems.iter().find_map(|it| it.unread.as_ref()) {
            return format!("{} '{}' cannot be read", file.what, file.name);
        }
        let overlay = overlay.filter(|overlay| self.count_in(overlay) == self.problems.len());
        match overlay {
            Some(overlay) => format!("overlay '{}' syntax is invalid", overlay.display()),
            None => format!("configuration file '{}' syntax is invalid", file.display()),
        }
    }

    /// How many of the problems stand in `file`, or are that it cannot be read.
    pub fn count_in(&self, file: &Path) -> usize {
        let name = file.display().to_string();
        let shown = printable(&name);
        let stands_there = |it: &&Problem| match (&it.position, &it.unread) {
            (Some(position), _) => position.source.name == shown,
            (None, Some(unread)) => unread.name == name,
            (None, None) => false,
        };
        self.problems.iter().filter(stands_there).count()
    }

    /// The problems, in the order shown.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in self.problems.iter().take(SHOWN) {
            write!(f, "{problem}")?;
        }
        match self.problems.len().checked_sub(SHOWN) {
            Some(hidden) if hidden > 0 => writeln!(f, "... and {hidden} more problems"),
            _ => Ok(()),
        }
    }
}

impl std::error::Error for Report {}

/// Problems and warnings found while reading.
#[derive(Debug, Default)]
pub(super) struct Findings {
    /// What is wrong.
    pub(super) problems: Vec<Problem>,
    /// Things that are allowed but probably not intended.
    pub(super) warnings: Vec<Warning>,
}

/// Something that is allowed but probably not intended.
#[derive(Debug)]
pub(super) struct Warning {
    /// Where it is.
    pub(super) position: Position,
    /// What it is, in one line.
    pub(super) message: String,
    /// Whether a lint says the same with figures.
    pub(super) has_lint: bool,
}

/// One line that begins with the position.
impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = format!("{}: warning: {}", self.position, self.message);
        f.write_str(&printable(&without_userinfo(&line)))
    }
}

impl Findings {
    /// Adds a warning about something that is allowed but probably not intended.
    pub(super) fn warn(&mut self, position: &Position, message: impl std::fmt::Display) {
        self.warnings.push(Warning {
            position: position.clone(),
            message: message.to_string(),
            has_lint: false,
        });
    }

    /// The same, where a lint of `nuthatch check` says more.
    pub(super) fn warn_in_short(&mut self, position: &Position, message: impl std::fmt::Display) {
        self.warn(position, message);
        if let Some(last) = self.warnings.last_mut() {
            last.has_lint = true;
        }
    }
}

/// `text` without control characters, which could move a terminal's cursor.
pub(crate) fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}

/// The text of a system error, without the number that Rust appends.
pub(super) fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    match text.split_once(" (os error") {
        Some((words, _)) => words.to_owned(),
        None => text,
    }
}

/// The line of `position` without its password, and a caret under it.
fn write_excerpt(f: &mut fmt::Formatter<'_>, position: &Position) -> fmt::Result {
    let number = position.line.to_string();
    let gutter = " ".repeat(number.len());
    let (line, start, width) = without_secrets(position);
    // If the line is too long to show whole, a window around the caret.
    let first = if start < LINE_SHOWN {
        0
    } else {
        start - LINE_SHOWN / 2
    };
    let shown: String = line.iter().skip(first).take(LINE_SHOWN).collect();
    let room = line.len().min(first + LINE_SHOWN).saturating_sub(start);
    let carets = "^".repeat(width.min(room).max(1));
    writeln!(f, " {number} | {}", shown.trim_end())?;
    writeln!(f, " {gutter} | {}{carets}", " ".repeat(start - first))
}

/// The line of `position` with a mask for its password, which is as long whatever it hides, and where the caret
/// belongs in it: the characters before it, and its width.
fn without_secrets(position: &Position) -> (Vec<char>, usize, usize) {
    let line = position.source.line(position.line).chars();
    let line = line.map(|c| if c.is_control() { ' ' } else { c });
    let mut line: Vec<char> = line.collect();
    let (start, width) = (position.column - 1, position.width);
    if let Some(from) = position.source.hidden_from(position.line) {
        line.truncate(from);
        line.extend(MASK.chars());
        return match start >= from {
            true => (line, from, MASK.len()),
            false => (line, start, width),
        };
    }
    let Some((from, count)) = userinfo(&line) else {
        return (line, start, width);
    };
    line.splice(from..from + count, MASK.chars());
    let moved = |at: usize| match at {
        _ if at <= from => at,
        _ if at >= from + count => at - count + MASK.len(),
        _ => from,
    };
    let end = moved(start.saturating_add(width));
    let start = moved(start);
    (line, start, end.saturating_sub(start).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn position(text: &str, line: usize, column: usize, width: usize) -> Position {
        Position {
            source: Source::new("a.yml", text),
            line,
            column,
            width,
        }
    }

    #[test]
    fn a_problem_shows_its_line() {
        let problem = Problem::at(&position("alpha:\n\tredis: yes\n", 2, 9, 3), "no").help("do");
        let text = "a.yml:2:9: no\n 2 |  redis: yes\n   |         ^^^\n  = do\n";
        assert_eq!(problem.to_string(), text);
    }

    #[test]
    fn a_long_line_is_cut_around_the_caret() {
        let line = format!("{}X{}", "a".repeat(5000), "b".repeat(5000));
        let text = Problem::at(&position(&line, 1, 5001, 1), "no").to_string();
        let lines: Vec<&str> = text.lines().collect();
        let caret = lines[2].find('^').expect("a caret");
        assert_eq!(&lines[1][caret..=caret], "X");
        assert!(lines[1].len() < 140);
    }

    #[test]
    fn a_place_beyond_the_text_is_no_accident() {
        let text = Problem::at(&position("a", 7, 9, 3), "no").to_string();
        assert!(text.starts_with("a.yml:7:9: no\n"));
        let text = Problem::at(&position("a", 1, 9, 3), "no").to_string();
        assert!(text.ends_with("        ^\n"), "{text}");
    }

    #[test]
    fn what_the_file_says_cannot_drive_the_terminal() {
        let text = Problem::at(&position("a\u{1b}[2J", 1, 1, 1), "bad `\u{1b}[2J`").to_string();
        assert!(!text.contains('\u{1b}'));
    }

    #[test]
    fn passwords_are_not_shown_and_the_caret_stays_right() {
        let text = "p:\n  redis: y\n  redis_auth: hunter2hunter2 x\n  - redis://:hunter2@h:1:1\n";
        let shown = |line, column, width| {
            let text = Problem::at(&position(text, line, column, width), "no").to_string();
            assert!(!text.contains("hunter2"), "{text}");
            let mut lines = text.lines().skip(1);
            let line = lines.next().expect("a line").to_owned();
            (line, lines.next().expect("a caret").to_owned())
        };
        let masked = " 3 |   redis_auth: ********";
        for (column, width, caret) in [
            (3, 10, "   |   ^^^^^^^^^^"),
            (15, 14, "   |               ^^^^^^^^"),
            (30, 1, "   |               ^^^^^^^^"),
            (400, 1, "   |               ^^^^^^^^"),
        ] {
            assert_eq!(shown(3, column, width), (masked.into(), caret.into()));
        }
        let masked = " 4 |   - redis://********@h:1:1";
        for (column, width, caret) in [
            (5, 8, "   |     ^^^^^^^^"),
            (5, 22, "   |     ^^^^^^^^^^^^^^^^^^^^^^"),
            (14, 3, "   |             ^"),
            (21, 2, "   |                     ^^"),
        ] {
            assert_eq!(shown(4, column, width), (masked.into(), caret.into()));
        }
        let (line, _) = shown(2, 3, 5);
        assert_eq!(line, " 2 |   redis: y");
    }

    #[test]
    fn problems_of_a_file_stand_together_in_order() {
        let (a, b) = (position("x", 3, 1, 1), position("y", 2, 1, 1));
        let first = a.part(0, 1);
        let a1 = Position {
            line: 1,
            ..a.clone()
        };
        let report = Report::new(vec![
            Problem::at(&first, "3"),
            Problem::at(&b, "2"),
            Problem::at(&a1, "1"),
        ]);
        let order: Vec<&str> = report
            .problems()
            .iter()
            .map(|p| p.message.as_str())
            .collect();
        assert_eq!(order, ["1", "3", "2"]);
    }

    #[test]
    fn a_flood_of_problems_is_counted() {
        let report = Report::new(vec![Problem::of_file("x"); SHOWN + 7]);
        let text = report.to_string();
        assert_eq!(text.lines().count(), SHOWN + 1);
        assert!(text.ends_with("... and 7 more problems\n"));
    }
}
