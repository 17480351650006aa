//! The properties of each Redis and Valkey command: its number of arguments, which of them are keys, and how
//! a sharding proxy handles it. The rows are in `table/`; a new command is a new row there.

mod facts;

pub use facts::{
    Action, Arity, Command, Flags, Join, Keys, LocalCommand, Transaction, Why, Wording,
    is_cross_protocol,
};

use crate::table;

/// The command called `name`, in any case; `None` if neither Redis (up to 8.10, with the data types that used
/// to be modules), Valkey (up to 9.2) nor nutcracker 0.5.0 has it.
pub fn lookup(name: &[u8]) -> Option<&'static Command> {
    table::lookup(name)
}

/// Every command, grouped by data type; subcommands are in [`Command::subs`].
pub fn all() -> &'static [Command] {
    table::all()
}
