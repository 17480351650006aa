//! Sockets: streams, listeners, and the lingering close of connections that are sent one last message.

mod cause;
mod inherited;
mod lingering_close;
mod listener;
mod networks;
mod preface;
mod stop;
mod stream;

pub(crate) use cause::{cause_of, error_text};
pub(crate) use inherited::{BoundTo, Inherited};
pub(crate) use lingering_close::LingeringCloses;
pub(crate) use listener::{Listener, SocketFile};
pub(crate) use networks::Networks;
pub(crate) use stop::StopSignal;
pub(crate) use stream::{ByteStream, Readiness, Received, Stream};
