//! The keys with most requests, with most bytes, and with the largest values.
//!
//! One in so many requests is looked at. Each worker counts those by their keys in a bounded number of places, and tells
//! the others once a second. Whoever asks gets the counts of all workers added up, each with how much of it may belong to
//! other keys.

mod collector;
mod key_name;
mod largest;
mod order;
mod period;
mod space_saving;

pub use key_name::KeyName;
pub use largest::{Large, Within};
pub use order::{HotKeyOrder, Session};
pub use period::HotKeys;
pub use space_saving::Counted;

pub(crate) use collector::Collector;
pub(crate) use period::Published;
