//! Tests of the crate's public face.
//!
//! - `requests`: framing, spans, data blocks and limits of what clients send.
//! - `odd_input`: a table of what memcached 1.6.18 does with odd lines, and what we do.
//! - `replies`: every kind of reply, and what is none.
//! - `properties`: what was put into a request is found in it.

mod odd_input;
mod properties;
mod replies;
mod requests;
