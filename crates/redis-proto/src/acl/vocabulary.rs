//! Which commands and categories rules can name.

use super::problem::AclProblem;
use crate::command::lookup;
use crate::describe;

/// What rules are about: the commands of a protocol.
pub trait Vocabulary {
    /// The category that is written so, with its `@` and in lower case; `@all` is none.
    ///
    /// # Errors
    ///
    /// When there is no such category.
    fn category(&self, name: &str) -> Result<&'static str, AclProblem>;

    /// Whether there is a command of that name, in lower case.
    ///
    /// # Errors
    ///
    /// Why a rule cannot name it.
    fn check_command(&self, name: &str) -> Result<(), AclProblem>;

    /// Whether there are channels, which rules may be about.
    fn has_channels(&self) -> bool;
}

/// The commands of Redis, and those that a pool has beside them: the function says whether there is one of that name.
pub struct RedisCommands<'a>(pub &'a dyn Fn(&str) -> bool);

impl Vocabulary for RedisCommands<'_> {
    fn category(&self, name: &str) -> Result<&'static str, AclProblem> {
        let found = describe::categories().find(|known| *known == name);
        found.ok_or_else(|| AclProblem::unknown_category(name))
    }

    fn check_command(&self, name: &str) -> Result<(), AclProblem> {
        let container = name.split('|').next().unwrap_or_default();
        let Some(row) = lookup(container.as_bytes()) else {
            return match self.0(name) {
                true => Ok(()),
                false => Err(AclProblem::unknown_command(name)),
            };
        };
        if name == container || row.subs.iter().any(|sub| sub.name == name) {
            return Ok(());
        }
        match row.subs {
            [] => Err(AclProblem::FirstArgument),
            _ => Err(AclProblem::unknown_command(name)),
        }
    }

    fn has_channels(&self) -> bool {
        true
    }
}
