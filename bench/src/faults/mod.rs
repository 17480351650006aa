//! What the tests share that make real servers fail (torture and chaos): the faults, a relay that makes them,
//! values that identify their writer, and random numbers that follow from a seed.

mod fault;
mod framer;
mod lines;
mod random;
mod relay;
mod value;

pub use fault::{Fault, FaultOrder};
pub use lines::{Garbled, block_at, line_at, number};
pub use random::Random;
pub use relay::Relay;
pub use value::{
    HEAD, KEY_LEN, KEYS, LARGE_POOLS, Owner, Traced, push_head, push_key, push_value, read_head,
    trace, value_len,
};
