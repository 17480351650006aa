//! What the access log tells of a request.

use std::time::Duration;

use crate::slow_log::Note;
use crate::time::Time;

/// A request, or its part for one server, that was sent and has ended.
#[derive(Debug, Clone)]
pub struct AccessRecord {
    /// When it ended.
    pub at: Time,
    /// The server's name.
    pub server: Box<str>,
    /// The client as log lines name it, and the name that it has given itself; empty if it has left.
    pub client: (Box<str>, Box<[u8]>),
    /// Its command and the beginning of its first key.
    pub what: Note,
    /// Its size in bytes.
    pub bytes_in: usize,
    /// That of the reply, as far as it has come.
    pub bytes_out: usize,
    /// How long it waited in the proxy until it was written; of one without a reply how long it took at all.
    pub waited: Duration,
    /// How long it waited at the server then.
    pub served: Option<Duration>,
    /// What became of it.
    pub outcome: Outcome,
}

/// What became of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The server has answered it.
    Ok,
    /// The server has answered it with an error.
    Error,
    /// The server has answered it after the client was told that it is late.
    Late,
    /// It was lost with its connection, for this reason.
    Lost(Box<str>),
}

impl Outcome {
    /// In a word, or the reason.
    pub fn text(&self) -> &str {
        match self {
            Self::Ok => "ok",
            Self::Error => "error",
            Self::Late => "late",
            Self::Lost(reason) => reason,
        }
    }
}
