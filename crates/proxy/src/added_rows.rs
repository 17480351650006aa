//! Rows of commands that are not in the table, which settings have added.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use redis_proto::Command;
use redis_proto::acl::{Acl, Permissions};

use crate::settings::CommandSettings;
use crate::users::Users;

/// Users, whose names are different, in a pool that has these commands beside those of the table.
pub fn users_with(users: Vec<(Box<str>, Acl)>, commands: &[CommandSettings]) -> Users {
    let rows: Vec<_> = commands.iter().map(row_of).collect();
    Users::new(users, |acl| Permissions::new(acl, rows.iter().copied()))
}

/// All rows that settings have added so far. A row is for ever, as requests refer to it: the same settings of other
/// workers, pools and plans have the same row.
static ADDED: ArcSwapOption<Vec<&'static Command>> = ArcSwapOption::const_empty();

/// The row that these settings make.
pub(crate) fn row_of(settings: &CommandSettings) -> &'static Command {
    let added = ADDED.load();
    let mut rows = added.iter().flat_map(|rows| rows.iter());
    if let Some(row) = rows.find(|row| settings.describes(row)) {
        return row;
    }
    let row: &'static Command = Box::leak(Box::new(settings.row()));
    ADDED.rcu(|added| {
        let before = added.iter().flat_map(|rows| rows.iter().copied());
        Some(Arc::new(before.chain([row]).collect()))
    });
    row
}
