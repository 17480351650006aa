//! Subscriptions of clients to channels: which clients get the messages of which channel, at which servers a channel
//! is subscribed to, and what the servers have to be asked for that.
//!
//! It decides and keeps books; the connections are the roster's, and the engine passes on what is said. Read `topic`
//! (one channel), `member` (one client), `site` (one server) and `registry` (all of them).
//!
//! ```text
//!  client ── SUBSCRIBE ──▶ waiting ── every home has confirmed ──▶ member ── messages ...
//!                             └────── a home refuses or is lost ──▶ error; members stay and are subscribed again
//! ```

mod member;
pub(crate) mod registry;
mod site;
mod topic;

#[cfg(test)]
mod tests;
