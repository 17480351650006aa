//! The whole proxy before real servers, driven by real clients: one module for each theme.

mod daemon;
mod debian;
mod drop_in;
mod ejection;
mod failure;
mod fake;
mod rig;
mod server_errors;
mod tool;
