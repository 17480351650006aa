//! From key to server: the hashes, the hash tag and the distributions of
//! twemproxy (nutcracker 0.5.0), value for value.
//!
//! Whoever exchanges nutcracker for another proxy keeps the data only if every
//! key still belongs to the same server. So nothing here is "a" CRC or "a"
//! ketama: each oddity of the C program that decides where a key lives (a
//! 16-bit CRC that is never masked, point counts rounded in single precision,
//! bytes read as signed numbers) is reproduced and named where it stands.
//! `tests/vectors.rs` compares all of it with recordings.
//!
//! A key takes these steps:
//!
//! 1. [`HashTag::apply`] cuts the key down to its tagged part, if it has one.
//! 2. [`HashKind::hash`] makes 32 bits of it.
//! 3. [`Ring::lookup`] finds the member that owns these 32 bits.
//!
//! [`Placement`] holds a pool's choices and does the three in order, for the
//! proxy ([`Placement::place`]) and for whoever asks why
//! ([`Placement::explain`]): nobody else codes them. Members
//! are known by their index; [`index_order`] is the order in which nutcracker
//! numbers the servers of a pool.
//!
//! The crate knows no socket, no clock and no source of randomness: a change
//! of the live set is a new [`Ring`], and the `random` distribution is handed
//! its draw.

mod distribution;
mod hash;
mod ketama;
mod md5;
mod member;
mod modula;
mod placement;
mod random;
mod ring;
mod shares;
mod tag;

pub use distribution::Distribution;
pub use hash::{CharSign, HashKind};
pub use member::{Member, index_order};
pub use placement::{Belongs, Placement};
pub use ring::Ring;
pub use shares::{Located, PlaceKind};
pub use tag::HashTag;
