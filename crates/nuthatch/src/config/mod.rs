//! Configuration: twemproxy's YAML file, the overlay, and overrides from the command line.
//!
//! There are two forms: [`written`] is the text with positions, [`Config`] is what the proxy runs on.
//! [`table`], with one row per setting, connects the two. All errors are collected before any is reported, so
//! that the user can fix the file in one go.

mod address;
mod aliases;
mod checked;
mod choice;
mod cluster;
mod commands;
mod denied;
pub mod docs;
mod effective;
mod failure;
mod fault;
mod fields;
mod file;
mod guardrails;
mod hosts;
mod kind;
pub mod lints;
mod load;
mod login;
mod loops;
mod nearest;
mod node;
mod number;
mod overlay;
mod overrides;
mod parts;
mod permitted;
mod pool;
mod reads;
mod replicas;
mod report;
pub mod schema;
mod secrets;
mod server_file;
mod servers;
mod source;
mod system;
pub mod table;
mod tls;
mod typed;
mod types;
mod users;
mod values;
mod written;

#[cfg(test)]
mod tests;

pub use address::Listen;
pub use fault::Fault;
pub use hosts::{HostPort, NamedHost};
pub use load::{Input, STDIN, load, load_for_check, load_inputs, load_or_read, shown_name};
pub use number::{NUMBER_MAX, NotANumber, digits};
pub use overrides::Overrides;
pub use report::{Position, Problem, Report, Source};
pub(crate) use server_file::read_lines;
pub use system::System;
pub use types::{
    ClusterConfig, Config, Discovery, Globals, LogFormat, PoolConfig, ReadyWhen, SentinelSource,
    ServerSource, Workers, Written,
};

pub(crate) use nearest::nearest;
pub(crate) use report::printable;
