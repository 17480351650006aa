//! The whole proxy before real servers, driven by real clients: one module for each theme.

mod clients;
mod daemon;
mod database;
mod debian;
mod drop_in;
mod ejection;
mod failure;
mod fake;
mod handshake;
mod rig;
mod server_errors;
mod tool;
