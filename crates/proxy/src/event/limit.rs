//! How often events may be logged.

use std::time::Duration;

use super::Event;
use crate::limits::{LOG_EVERY, LOG_LASTING_EVERY};

/// How often events may be logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit<'a> {
    /// Each of them is.
    None,
    /// One in each interval of `every` that is of the same kind and about the same server.
    One {
        /// The kind.
        kind: &'static str,
        /// The server; empty where it does not matter which.
        server: &'a str,
        /// The interval.
        every: Duration,
    },
}

impl Event {
    /// How often such events may be logged. What a client or a server can cause again and again is limited, with an
    /// entry for each server, so that one does not hide another. That a server is ejected or back is always told, and
    /// so is what is only logged at levels that ask for everything.
    pub fn limit(&self) -> Limit<'_> {
        let every = match self {
            Event::UnsupportedCommand { .. }
            | Event::BadRequest { .. }
            | Event::IncompleteRequest { .. }
            | Event::ClientStalled { .. }
            | Event::ClientShed { .. }
            | Event::Subscription(_)
            | Event::ClientTimedOut { .. }
            | Event::ClientUnauthenticated
            | Event::ServerClosed { .. }
            | Event::SelectFailed { .. }
            | Event::AuthFailed { .. }
            | Event::NoResp3 { .. }
            | Event::CannotCapTtl { .. }
            | Event::ElementLost { .. } => LOG_EVERY,
            Event::MemoryShort { .. }
            | Event::CrossShard { .. }
            | Event::Unheard { .. }
            | Event::Forbidden { .. }
            | Event::User(_)
            | Event::RedirectFailed { .. }
            | Event::TransactionInPart { .. } => LOG_LASTING_EVERY,
            Event::Ejected { .. } | Event::Readmitted { .. } => return Limit::None,
            Event::Trace(_) | Event::Dropped { .. } => return Limit::None,
        };
        Limit::One {
            kind: self.name(),
            server: self.server().unwrap_or_default(),
            every,
        }
    }
}
