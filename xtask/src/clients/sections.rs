//! What a script prints: its version, and a line for each section.

/// How a section of a script ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It works.
    Works,
    /// It is refused with a clear error, and nothing was done in part.
    Refused(String),
    /// It does not work.
    Failed(String),
}

/// All that a script said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Said {
    /// The library and its version, as the script names them.
    pub(super) version: String,
    /// What it needs before several servers, if it says so.
    pub(super) note: String,
    /// Its sections in their order.
    pub(super) sections: Vec<(String, Outcome)>,
}

impl Said {
    /// Reads the lines `version ...`, `note ...`, `... ok`, `... refused: why` and `... FAILED: why`; others are passed over.
    pub(super) fn read(output: &str) -> Said {
        let mut said = Said::default();
        for line in output.lines() {
            if let Some(version) = line.strip_prefix("version ") {
                said.version = version.to_string();
            } else if let Some(note) = line.strip_prefix("note ") {
                said.note = note.to_string();
            } else if let Some(section) = section(line) {
                said.sections.push(section);
            }
        }
        said
    }

    /// Adds what is not in the lines: the script ended in another way than it should.
    pub(super) fn ended_early(&mut self, why: &str) {
        let outcome = Outcome::Failed(why.to_string());
        self.sections.push(("the whole".to_string(), outcome));
    }

    /// Whether anything was refused.
    pub(super) fn is_refused(&self) -> bool {
        let refused = |(_, outcome): &(String, Outcome)| matches!(outcome, Outcome::Refused(_));
        self.sections.iter().any(refused)
    }

    /// How a section ended, if the script has it.
    pub(super) fn outcome(&self, name: &str) -> Option<&Outcome> {
        let found = self.sections.iter().find(|(section, _)| section == name);
        found.map(|(_, outcome)| outcome)
    }
}

fn section(line: &str) -> Option<(String, Outcome)> {
    if let Some(name) = line.strip_suffix(" ok") {
        return Some((name.to_string(), Outcome::Works));
    }
    if let Some((name, why)) = line.split_once(" FAILED: ") {
        return Some((name.to_string(), Outcome::Failed(why.to_string())));
    }
    let (name, why) = line.split_once(" refused: ")?;
    Some((name.to_string(), Outcome::Refused(why.to_string())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_line_is_read_and_others_are_passed_over() {
        let output =
            "version lib 1.2\nstrings ok\na warning\nwatch refused: ERR no\nscans FAILED: a: b\n";
        let mut said = Said::read(output);
        assert_eq!(said.version, "lib 1.2");
        let refused = Outcome::Refused("ERR no".into());
        assert_eq!(said.outcome("strings"), Some(&Outcome::Works));
        assert_eq!(said.outcome("watch"), Some(&refused));
        assert_eq!(said.outcome("scans"), Some(&Outcome::Failed("a: b".into())));
        assert_eq!(said.outcome("scripts"), None);
        said.ended_early("status 1");
        assert_eq!(said.sections.len(), 4);
        assert!(said.is_refused() && !Said::read("strings ok\n").is_refused());
    }
}
