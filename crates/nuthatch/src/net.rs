//! Sockets: streams, listeners, and last words to those who are turned away.

mod cause;
mod farewell;
mod listener;
mod stream;

pub(crate) use cause::{cause_of, error_text};
pub(crate) use farewell::Farewells;
pub(crate) use listener::{Listener, SocketFile};
pub(crate) use stream::{ByteStream, Stream};
