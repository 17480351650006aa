//! Tests of the crate's public interface.
//!
//! - `requests`: where requests end, positions, data blocks and limits.
//! - `odd_input`: a table of what memcached 1.6.18 does with unusual lines, and what this crate does.
//! - `replies`: every kind of reply, and invalid ones.
//! - `properties`: what was written into a request is found in it.

mod odd_input;
mod properties;
mod replies;
mod requests;
