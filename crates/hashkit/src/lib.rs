//! From key to server: the hash functions, the hash tag and the distributions of twemproxy (nutcracker
//! 0.5.0), value for value.
//!
//! Replacing nutcracker keeps the data reachable only if every key still belongs to the same server. So these
//! are not textbook implementations: each oddity of the C program that decides where a key lives (a 16-bit
//! CRC that is never masked, point counts rounded in single precision, bytes read as signed numbers) is
//! reproduced and documented where it occurs. `tests/vectors.rs` compares all of it with recordings.
//!
//! A key takes these steps:
//!
//! 1. [`HashTag::apply`] reduces the key to its tagged part, if it has one.
//! 2. [`HashKind::hash`] computes 32 bits from it.
//! 3. [`Ring::lookup`] finds the member that owns these 32 bits.
//!
//! [`Placement`] holds a pool's settings and does the three steps in order, for the proxy
//! ([`Placement::place`]) and to explain a result ([`Placement::explain`]). Nothing else implements them.
//! Members are identified by their index; [`index_order`] is the order in which nutcracker numbers the
//! servers of a pool. [`compare`] tells which part of the keys another configuration would move, and [`shares`]
//! how a pool's keys are divided.
//!
//! A pool of a Redis Cluster places its keys otherwise: [`slot_of`] gives a key's slot, and the cluster tells which
//! server has it.
//!
//! The crate uses no sockets, no clock and no source of randomness: a change of the live set is a new
//! [`Ring`], and the caller supplies the random number for `random`.

mod comparison;
mod distribution;
mod hash;
mod md5;
mod member;
mod placement;
mod ring;
mod sample;
mod shares;
mod slot;
mod tag;

pub use comparison::{
    Basis, Comparison, Divided, Flow, MAX_FLOWS, Peculiar, Side, compare, shares,
};
pub use distribution::Distribution;
pub use hash::{CharSign, HashKind};
pub use member::{Member, index_order};
pub use placement::{Belongs, Placement};
pub use ring::Ring;
pub use shares::{Located, PlaceKind};
pub use slot::{SLOTS, slot_of};
pub use tag::HashTag;
