//! What a run found: lines for the terminal, and docs/clients.md.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::known;
use super::place::{PLACES, Place};
use super::sections::{Outcome, Said};
use super::subject::{Kind, NOT_RUN, Protocol, Subject};
use crate::run::{at_root, output_of};

/// The sections that clients of Redis have, in the order of the columns.
const REDIS_SECTIONS: [&str; 13] = [
    "connect",
    "strings",
    "pipelines",
    "multi-key",
    "binary values",
    "an error keeps the connection",
    "reconnect",
    "transactions",
    "watch",
    "blocking pops",
    "publish/subscribe",
    "scans",
    "scripts",
];

/// Those of clients of memcached.
const MEMCACHED_SECTIONS: [&str; 7] = [
    "connect",
    "strings",
    "pipelines",
    "multi-key",
    "binary values",
    "an error keeps the connection",
    "reconnect",
];

/// Everything that was found about one client or application.
pub(super) struct Row {
    subject: Subject,
    said: BTreeMap<Place, Said>,
    /// Why it did not run, if so.
    pub(super) not_run: Option<String>,
}

impl Row {
    pub(super) fn new(subject: Subject) -> Row {
        Row {
            subject,
            said: BTreeMap::new(),
            not_run: None,
        }
    }

    pub(super) fn add(&mut self, place: Place, said: Said) {
        self.said.insert(place, said);
    }

    fn version(&self) -> &str {
        let versions = self.said.values().map(|said| said.version.as_str());
        versions.max().unwrap_or_default()
    }

    /// The names of its sections, in the order in which the script has them.
    fn sections(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for (name, _) in self.said.values().flat_map(|said| &said.sections) {
            if !names.contains(&name.as_str()) {
                names.push(name);
            }
        }
        names
    }

    fn outcome(&self, section: &str, place: Place) -> Option<Outcome> {
        let said = self.said.get(&place)?;
        let elsewhere = || {
            self.said
                .values()
                .any(|said| said.outcome(section).is_some())
        };
        match said.outcome(section) {
            Some(outcome) => Some(outcome.clone()),
            // Where an application is refused as a whole, it has no other sections.
            None if said.is_refused() => None,
            None => elsewhere().then(|| Outcome::Failed("the script did not get there".into())),
        }
    }

    /// What fails and should not: the section, the place and the reason.
    fn failures(&self) -> Vec<(&str, Place, String)> {
        let mut failures = Vec::new();
        for section in self.sections() {
            for place in PLACES {
                let known = known::about(self.subject.name, section, place);
                if let Some(Outcome::Failed(why)) = self.outcome(section, place)
                    && !known.is_some_and(|known| known.excuses(&why))
                {
                    failures.push((section, place, why));
                }
            }
        }
        failures
    }
}

/// The lines of one client for the terminal.
pub(super) fn lines(row: &Row) -> String {
    let mut text = format!("{}: {}\n", row.subject.name, row.version());
    if let Some(reason) = &row.not_run {
        let _ = writeln!(text, "  not run: {reason}");
    }
    for section in row.sections() {
        let _ = write!(text, "  {section:30}");
        for place in PLACES {
            let word = match row.outcome(section, place) {
                Some(Outcome::Works) => "ok",
                Some(Outcome::Refused(_)) => "refused",
                Some(Outcome::Failed(_)) => "FAILED",
                None => "-",
            };
            let _ = write!(text, " {}: {word:8}", place.name());
        }
        text.push('\n');
        for place in PLACES {
            if let Some(Outcome::Refused(why) | Outcome::Failed(why)) = row.outcome(section, place)
            {
                let known = known::about(row.subject.name, section, place);
                let known = known.map_or(String::new(), |known| format!(" (known: {})", known.why));
                let _ = writeln!(text, "    {}: {why}{known}", place.name());
            } else if let Some(known) = known::about(row.subject.name, section, place) {
                let _ = writeln!(
                    text,
                    "    {}: works, so it is not known to fail: {}",
                    place.name(),
                    known.why
                );
            }
        }
    }
    text
}

/// Whether the run is good.
pub(super) fn verdict(rows: &[Row]) -> Result<(), String> {
    let mut said = String::new();
    for row in rows {
        for (section, place, why) in row.failures() {
            let _ = write!(
                said,
                "\n  {}, {section}, {}: {why}",
                row.subject.name,
                place.name()
            );
        }
    }
    let run = rows.iter().filter(|row| row.not_run.is_none()).count();
    println!("clients: {run} ran, {} not", rows.len() - run);
    if !said.is_empty() {
        return Err(format!("these sections fail:{said}"));
    }
    let in_ci = testkit::in_ci()
        && rows
            .iter()
            .any(|row| row.subject.smoke && row.not_run.is_some());
    match in_ci {
        true => Err("a client of the smoke is not installed".into()),
        false => Ok(()),
    }
}

/// The text of docs/clients.md.
///
/// # Errors
///
/// When a version cannot be asked for.
pub(super) fn document(rows: &[Row]) -> Result<String, String> {
    let mut notes = Notes::default();
    let mut text = introduction()?;
    for (title, protocol, sections) in [
        ("Redis and Valkey", Protocol::Redis, &REDIS_SECTIONS[..]),
        ("memcached", Protocol::Memcached, &MEMCACHED_SECTIONS[..]),
    ] {
        let _ = write!(text, "\n## Clients of {title}\n\n| client |");
        for section in sections {
            let _ = write!(text, " {section} |");
        }
        let _ = write!(text, "\n|{}\n", " --- |".repeat(sections.len() + 1));
        let of_kind =
            |row: &&Row| row.subject.kind == Kind::Client && row.subject.protocol == protocol;
        for row in rows
            .iter()
            .filter(of_kind)
            .filter(|row| row.not_run.is_none())
        {
            let _ = write!(text, "| {} |", title_of(row));
            for section in sections {
                let _ = write!(text, " {} |", cell(row, section, &PLACES, &mut notes));
            }
            text.push('\n');
        }
    }
    applications(rows, &mut notes, &mut text);
    notes.write(&mut text);
    not_run(rows, &mut text);
    Ok(text)
}

fn introduction() -> Result<String, String> {
    let date = output_of(at_root("date").args(["-u", "+%F"]))?;
    let redis = output_of(at_root("redis-server").arg("--version"))?;
    let redis = redis
        .split("v=")
        .nth(1)
        .and_then(|rest| rest.split(' ').next());
    let memcached = output_of(at_root("memcached").arg("--version"))?;
    Ok(format!(
        "# Clients and applications\n\n\
        Made by `cargo xtask clients --full --write` on {}, with redis-server {} and {}; not written by hand.\n\n\
        Every library has its default settings. Its script (`tests/clients/matrix`, `tests/applications`) runs with a\n\
        server directly, through the proxy before one server with default settings, and through the proxy before three\n\
        servers with `hash_tag: \"{{}}\"`. `ok`: works in all three. `-`: the library does not have it, or its script does not\n\
        try it. Otherwise a cell names the places where it is not so, with a number that is explained below.\n\n\
        \"An error keeps the connection\": connections are counted; pymemcache and aiomcache close theirs by themselves.\n\
        \"Reconnect\": all connections are cut while the client is idle, and it comes back at the latest at its third\n\
        request; hiredis and the blocking connection of redis-rs do not come back by themselves, so their scripts connect again.\n",
        date.trim(),
        redis.unwrap_or("of an unknown version"),
        memcached.trim(),
    ))
}

fn title_of(row: &Row) -> String {
    format!("{}: {}", row.subject.name, row.version())
}

/// Numbered explanations.
#[derive(Default)]
struct Notes {
    /// Why, where that is known, and what the client said first.
    texts: Vec<(Option<&'static str>, String)>,
}

impl Notes {
    /// The number of what is known, or of what a client said.
    fn number(&mut self, known: Option<&'static str>, said: &str) -> usize {
        let said = said.replace('`', "'");
        let found = self.texts.iter().position(|(why, text)| match known {
            Some(_) => *why == known,
            None => *text == said,
        });
        let index = found.unwrap_or_else(|| {
            self.texts.push((known, said));
            self.texts.len() - 1
        });
        index + 1
    }

    fn write(&self, text: &mut String) {
        if self.texts.is_empty() {
            return;
        }
        text.push_str("\n## What the numbers mean\n\n");
        for (index, (known, said)) in self.texts.iter().enumerate() {
            let why = known.map_or(String::new(), |why| format!("{why}. For instance: "));
            let _ = writeln!(text, "{}. {why}`{said}`", index + 1);
        }
    }
}

/// One cell: how a section ended in these places.
fn cell(row: &Row, section: &str, places: &[Place], notes: &mut Notes) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut works = false;
    for place in places {
        let Some(outcome) = row.outcome(section, *place) else {
            continue;
        };
        let known = known::about(row.subject.name, section, *place);
        let refusal = known.is_some_and(|known| known.is_refusal);
        let (word, said) = match outcome {
            Outcome::Works => {
                works = true;
                continue;
            }
            Outcome::Refused(said) => ("refused", said),
            Outcome::Failed(said) if refusal => ("refused", said),
            Outcome::Failed(said) => ("fails", said),
        };
        let number = notes.number(known.map(|known| known.why), &said);
        let at = if places.len() > 1 {
            format!("{}: ", place.name())
        } else {
            String::new()
        };
        parts.push(format!("{at}{word} ({number})"));
    }
    match (parts.is_empty(), works) {
        (true, true) => "ok".into(),
        (true, false) => "-".into(),
        (false, _) => parts.join(", "),
    }
}

fn applications(rows: &[Row], notes: &mut Notes, text: &mut String) {
    text.push_str(
        "\n## Applications\n\nA real job each. The last column says which options of the application or of the pool were used before\n\
        three servers. \"One-server pool only\": the application is refused as a whole, with the error that is explained below, and\n\
        nothing of the refused job is stored.\n\n\
        | application | job | direct | one server | three servers | options before three servers |\n\
        | --- | --- | --- | --- | --- | --- |\n",
    );
    let shown = rows
        .iter()
        .filter(|row| row.subject.kind == Kind::Application);
    for row in shown.filter(|row| row.not_run.is_none()) {
        let three = row.said.get(&Place::Three);
        let note = three.map_or("", |said| said.note.as_str());
        let note = if note.is_empty() { "none" } else { note };
        for section in row.sections() {
            let _ = write!(text, "| {} | {section} |", title_of(row));
            for place in PLACES {
                let _ = write!(text, " {} |", cell(row, section, &[place], notes));
            }
            let _ = writeln!(text, " {note} |");
        }
    }
}

fn not_run(rows: &[Row], text: &mut String) {
    text.push_str("\n## Not run\n\n");
    for row in rows {
        if let Some(reason) = &row.not_run {
            let _ = writeln!(text, "- {}: {reason}", row.subject.name);
        }
    }
    for (name, reason) in NOT_RUN {
        let _ = writeln!(text, "- {name}: {reason}");
    }
}

#[cfg(test)]
mod tests {
    use super::super::subject::SUBJECTS;
    use super::*;

    fn row(outputs: [&str; 3]) -> Row {
        let mut row = Row::new(SUBJECTS[0]);
        for (place, output) in PLACES.iter().zip(outputs) {
            row.add(*place, Said::read(output));
        }
        row
    }

    #[test]
    fn a_cell_says_where_a_section_does_not_work() {
        let good = "version lib 1\nstrings ok\nscans ok\n";
        let row = row([good, good, "strings refused: ERR `no`\nscans ok\n"]);
        let mut notes = Notes::default();
        assert_eq!(cell(&row, "scans", &PLACES, &mut notes), "ok");
        assert_eq!(cell(&row, "scripts", &PLACES, &mut notes), "-");
        let refused = "three: refused (1)";
        assert_eq!(cell(&row, "strings", &PLACES, &mut notes), refused);
        assert_eq!(cell(&row, "strings", &PLACES, &mut notes), refused);
        assert_eq!(notes.texts, [(None, "ERR 'no'".to_string())]);
        let numbers = ["a", "b"].map(|said| notes.number(Some("why"), said));
        assert_eq!(numbers, [2, 2]);
        assert_eq!(title_of(&row), "redis-py (RESP2): lib 1");
        assert!(verdict(&[row]).is_ok());
    }

    #[test]
    fn what_fails_and_what_a_script_did_not_get_to_is_a_failure() {
        let row = row([
            "strings ok\nscans ok\n",
            "strings FAILED: x\nscans ok\n",
            "strings ok\n",
        ]);
        assert!(lines(&row).contains("one: FAILED"), "{}", lines(&row));
        let error = verdict(&[row]).unwrap_err();
        assert!(error.contains("strings, one: x"), "{error}");
        assert!(
            error.contains("scans, three: the script did not get there"),
            "{error}"
        );
    }
}
