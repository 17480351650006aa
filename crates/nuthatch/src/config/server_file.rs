//! The file that `servers: {file: PATH}` names: one server in each line, and comments.

use std::path::Path;

use proxy::settings::ServerSettings;

use super::address::ServerLine;
use super::file::ReadPool;
use super::node::{Content, Node};
use super::pool::in_index_order;
use super::report::{Findings, Position, Problem, Source, printable, reason};
use super::servers::read_servers;
use super::table::theirs::SERVERS;
use super::types::{Discovery, ServerSource};
use crate::tls::ReadFile;

/// Problems that a message tells of.
const SHOWN: usize = 3;

/// Reads the file that the settings of a pool name, if they do.
pub(super) fn read_server_file(pool: &mut ReadPool, read: ReadFile<'_>, findings: &mut Findings) {
    let (Some(ServerSource::File(path)), Some(given)) =
        (pool.source(), pool.values.given(&SERVERS))
    else {
        return;
    };
    let owner = format!("pool `{}`", pool.name);
    let lines = lines_of(&path, read, &owner, findings);
    if let Ok(lines) = &lines
        && lines.as_ref().is_some_and(Vec::is_empty)
    {
        let message = format!("the file '{}' lists no server", shown(&path));
        findings
            .problems
            .push(Problem::at(&given.position, message));
    }
    match lines {
        Ok(lines) => pool.in_file = lines,
        Err(error) => {
            let message = format!("the file '{}' cannot be read: {error}", shown(&path));
            findings
                .problems
                .push(Problem::at(&given.position, message));
        }
    }
}

/// What the file has now, in index order, for a pool whose servers are found there.
///
/// # Errors
///
/// What is wrong with the file, in one line.
pub(crate) fn read_lines(
    path: &Path,
    discovery: &Discovery,
    read: ReadFile<'_>,
) -> Result<Vec<ServerSettings>, String> {
    let mut findings = Findings::default();
    let lines = lines_of(path, read, "the file", &mut findings);
    let lines = lines.map_err(|error| format!("it cannot be read: {error}"))?;
    let problems = &findings.problems;
    let Some(lines) = lines.filter(|_| problems.is_empty()) else {
        let told: Vec<String> = problems.iter().take(SHOWN).map(in_one_line).collect();
        let more = match problems.len().saturating_sub(SHOWN) {
            0 => String::new(),
            more => format!("; and {more} more"),
        };
        return Err(told.join("; ") + &more);
    };
    let sum: u64 = lines.iter().map(|(line, _)| u64::from(line.weight)).sum();
    if sum > discovery.max_weights {
        let most = discovery.max_weights;
        return Err(format!(
            "the weights of the servers add up to more than {most}"
        ));
    }
    let lines = in_index_order(lines.into_iter().map(|(line, _)| line).collect());
    let settings = |line: &ServerLine| line.settings(discovery.database_of(&line.address));
    Ok(lines.iter().map(settings).collect())
}

fn in_one_line(problem: &Problem) -> String {
    let place = problem.position.as_ref().map(|position| {
        let Position { line, column, .. } = position;
        format!("line {line}, column {column}: ")
    });
    place.unwrap_or_default() + &problem.message
}

/// The servers in a file, each at its position; `None` if anything is wrong with them, which has been reported.
fn lines_of(
    path: &Path,
    read: ReadFile<'_>,
    owner: &str,
    findings: &mut Findings,
) -> Result<Option<Vec<(ServerLine, Position)>>, String> {
    let bytes = read(path).map_err(|error| reason(&error))?;
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let sound = &bytes[..error.valid_up_to()];
            let line = 1 + sound.iter().filter(|byte| **byte == b'\n').count();
            return Err(format!("it is not UTF-8 text (line {line})"));
        }
    };
    let source = Source::new(path.display().to_string(), text);
    let nodes: Vec<Node> = (1..)
        .zip(text.lines())
        .filter_map(|(number, line)| {
            let line = without_comment(line);
            let server = line.trim();
            let column = 1 + line.chars().take_while(|it| it.is_whitespace()).count();
            let position = Position {
                source: source.clone(),
                line: number,
                column,
                width: server.chars().count(),
            };
            let content = Content::Text(server.to_owned());
            (!server.is_empty()).then_some(Node { position, content })
        })
        .collect();
    Ok(read_servers(&nodes, owner, findings))
}

/// A line up to a `#` that stands at its beginning or behind a blank.
fn without_comment(line: &str) -> &str {
    let mut last = ' ';
    for (at, letter) in line.char_indices() {
        if letter == '#' && last.is_whitespace() {
            return &line[..at];
        }
        last = letter;
    }
    line
}

fn shown(path: &Path) -> String {
    printable(&path.display().to_string())
}

#[cfg(test)]
mod tests;
