//! Configuration: twemproxy's YAML file, the overlay, and what the command line says on top.
//!
//! It is held twice: [`written`] is the text with its places, [`Config`] what the proxy may rely on.
//! Between the two stands [`table`], one row for every setting. All errors are found before the first
//! is reported; the reader mends a file in one go.

mod address;
mod checked;
mod choice;
pub mod docs;
mod failure;
mod fault;
mod file;
mod kind;
mod load;
mod nearest;
mod number;
mod overlay;
mod overrides;
mod pool;
mod report;
mod servers;
pub mod table;
mod typed;
mod types;
mod values;
mod written;

#[cfg(test)]
mod tests;

pub use address::{Listen, Resolve};
pub use fault::Fault;
pub use load::{Input, load, load_inputs};
pub use number::{NUMBER_MAX, NotANumber, digits};
pub use overrides::Overrides;
pub use report::{Place, Problem, Report, Source};
pub use types::{Config, Globals, PoolConfig, Workers};

pub(crate) use nearest::nearest;
pub(crate) use report::printable;
