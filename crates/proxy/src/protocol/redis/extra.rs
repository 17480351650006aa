//! Commands that are not in the table: those that the pool's settings add.

use redis_proto::command::{Command, LONGEST_NAME};

use crate::added_rows::row_of;
use crate::settings::CommandSettings;

/// The commands that a pool's settings add, in the order of their names.
pub(crate) struct ExtraCommands(Vec<&'static Command>);

impl ExtraCommands {
    pub(super) fn new(settings: &[CommandSettings]) -> Self {
        let mut rows: Vec<_> = settings.iter().map(row_of).collect();
        rows.sort_by_key(|row| row.name);
        Self(rows)
    }

    /// All of them.
    pub(super) fn all(&self) -> impl Iterator<Item = &'static Command> {
        self.0.iter().copied()
    }

    /// The command of that name, in any case. This is asked for names that are not in the table.
    #[cold]
    pub(super) fn find(&self, name: &[u8]) -> Option<&'static Command> {
        let mut buffer = [0; LONGEST_NAME];
        let lower = buffer.get_mut(..name.len())?;
        lower.copy_from_slice(name);
        lower.make_ascii_lowercase();
        let by_name = |row: &&Command| row.name.as_bytes().cmp(lower);
        let at = self.0.binary_search_by(by_name).ok()?;
        self.0.get(at).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(name: &str, arity: i16) -> CommandSettings {
        CommandSettings {
            name: name.to_owned(),
            arity,
            first: 1,
            last: 1,
            step: 1,
            is_read: true,
        }
    }

    #[test]
    fn the_same_settings_have_the_same_row_and_others_have_others() {
        let one = ExtraCommands::new(&[settings("b.two", 3), settings("a.one", -2)]);
        let other = ExtraCommands::new(&[settings("a.one", -2), settings("b.two", 4)]);
        let find = |commands: &ExtraCommands, name: &str| commands.find(name.as_bytes());
        let both = [&one, &other].map(|commands| find(commands, "A.One").expect("a row"));
        assert!(std::ptr::eq(both[0], both[1]));
        let both = [&one, &other].map(|commands| find(commands, "b.TWO").expect("a row"));
        assert_ne!(both[0].arity, both[1].arity);
        let names: Vec<_> = one.all().map(|row| row.name).collect();
        assert_eq!(names, ["a.one", "b.two"]);
        for none in ["", "a.on", "a.ones", "c", &"x".repeat(1_000)] {
            assert!(find(&one, none).is_none(), "{none}");
        }
    }
}
