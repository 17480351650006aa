//! Sockets: streams, listeners, and the lingering close of connections that are sent one last message.

mod cause;
mod lingering_close;
mod listener;
mod stream;

pub(crate) use cause::{cause_of, error_text};
pub(crate) use lingering_close::LingeringCloses;
pub(crate) use listener::{Listener, SocketFile, blocking_unix};
pub(crate) use stream::{ByteStream, Readiness, Received, Stream};
