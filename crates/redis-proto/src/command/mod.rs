//! The properties of each Redis and Valkey command: its number of arguments, which of them are keys, and how
//! a sharding proxy handles it. The rows are in `table/`; a new command is a new row there.

mod facts;
mod policies;

pub use facts::{
    Action, Admin, Arity, Channels, Command, Flags, Join, Keys, Keyspace, LocalCommand, PubSub,
    Scripts, Transaction, Why, Wording, is_cross_protocol,
};
pub use policies::{RequestPolicy, ResponsePolicy};

use crate::table;

/// The longest name that a command can have.
pub const LONGEST_NAME: usize = 64;

/// The command called `name`, in any case; `None` if neither Redis (up to 8.12, with the data types that used
/// to be modules), Valkey (up to 9.2) nor nutcracker 0.5.0 has it.
pub fn lookup(name: &[u8]) -> Option<&'static Command> {
    table::lookup(name)
}

/// Every command, grouped by data type; subcommands are in [`Command::subs`].
pub fn all() -> &'static [Command] {
    table::all()
}
