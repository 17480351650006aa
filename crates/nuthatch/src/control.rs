//! The control socket: `nuthatch ctl` connects to it, sends one request, a line of JSON, and gets one answer, a line of
//! JSON. It is a unix socket that only its owner may connect to.

mod client;
mod clients;
mod explain;
mod facts;
mod message;
mod server;
mod servers;
mod status;

pub(crate) use client::{ask, ask_within};
pub(crate) use facts::Facts;
pub(crate) use message::{KeyName, Request, ServerName};
pub(crate) use server::{descriptors, open, start};
