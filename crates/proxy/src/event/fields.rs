//! What an event knows of itself, for logs that programs read.

use std::borrow::Cow;

use super::{Event, LogRecord, Subscription, Trace, UserEvent};
use crate::cause::Cause;

/// The parts of a record that have names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventFields<'e> {
    /// What has happened ([`Event::name`]).
    pub name: &'static str,
    /// The server that it is about.
    pub server: Option<&'e str>,
    /// The client whose doing it was, or that was closed.
    pub client: Option<&'e str>,
    /// Why it has happened.
    pub cause: Option<Cow<'e, str>>,
}

impl LogRecord {
    /// Its parts.
    pub fn fields(&self) -> EventFields<'_> {
        EventFields {
            name: self.event.name(),
            server: self.event.server(),
            client: self.client.as_deref().or_else(|| self.event.client()),
            cause: self.event.cause(),
        }
    }
}

impl Event {
    /// What has happened, in a word that stays the same.
    pub fn name(&self) -> &'static str {
        match self {
            Event::UnsupportedCommand { .. } => "unsupported_command",
            Event::BadRequest { .. } => "bad_request",
            Event::IncompleteRequest { .. } => "incomplete_request",
            Event::ClientStalled { .. } => "client_stalled",
            Event::Subscription(it) => it.name(),
            Event::MemoryShort { .. } => "memory_short",
            Event::ClientShed { .. } => "client_shed",
            Event::ClientTimedOut { .. } => "client_timed_out",
            Event::ClientUnauthenticated => "client_unauthenticated",
            Event::ServerClosed { .. } => "server_closed",
            Event::SelectFailed { .. } => "select_failed",
            Event::AuthFailed { .. } => "auth_failed",
            Event::NoResp3 { .. } => "no_resp3",
            Event::CannotCapTtl { .. } => "cannot_cap_ttl",
            Event::Ejected { .. } => "ejected",
            Event::Readmitted { .. } => "readmitted",
            Event::CrossShard { .. } => "cross_shard",
            Event::RedirectFailed { .. } => "redirect_failed",
            Event::TransactionInPart { .. } => "transaction_in_part",
            Event::Unheard { .. } => "unheard",
            Event::Forbidden { .. } => "forbidden",
            Event::User(event) => event.name(),
            Event::ElementLost { .. } => "element_lost",
            Event::Trace(trace) => trace.name(),
            Event::Dropped { .. } => "dropped",
        }
    }

    /// The server that it is about.
    pub(super) fn server(&self) -> Option<&str> {
        match self {
            Event::ServerClosed { server, .. }
            | Event::SelectFailed { server, .. }
            | Event::AuthFailed { server, .. }
            | Event::NoResp3 { server }
            | Event::CannotCapTtl { server }
            | Event::RedirectFailed { server, .. }
            | Event::Ejected { server, .. }
            | Event::Readmitted { server }
            | Event::ElementLost { server, .. } => Some(server),
            Event::Subscription(it) => Some(it.server()).filter(|server| !server.is_empty()),
            Event::Trace(trace) => trace.server(),
            _ => None,
        }
    }

    fn client(&self) -> Option<&str> {
        match self {
            Event::ClientStalled { client, .. }
            | Event::ClientShed { client, .. }
            | Event::Subscription(Subscription::Behind { client, .. }) => Some(client),
            _ => None,
        }
    }

    fn cause(&self) -> Option<Cow<'_, str>> {
        match self {
            Event::ServerClosed { cause, .. } => Some(match cause {
                Cause::Refusal { .. } => cause.to_string().into(),
                // Says more than nutcracker's text, which is `unknown` for the most frequent one.
                _ => cause.detail().into(),
            }),
            Event::SelectFailed { text, .. }
            | Event::AuthFailed { text, .. }
            | Event::Subscription(Subscription::Refused { text, .. }) => Some(text.into()),
            Event::BadRequest { reason }
            | Event::Unheard { reason }
            | Event::User(UserEvent::NotPermitted { reason, .. })
            | Event::Forbidden { reason } => Some(reason.into()),
            Event::ClientTimedOut { waited } => Some(waited.to_string().into()),
            Event::Trace(Trace::ClientClosed { why } | Trace::ServerReleased { why, .. }) => {
                Some((*why).into())
            }
            _ => None,
        }
    }
}

impl Trace {
    fn name(&self) -> &'static str {
        match self {
            Trace::ClientOpened => "client_opened",
            Trace::ClientClosed { .. } => "client_closed",
            Trace::ServerConnected { .. } => "server_connected",
            Trace::ServerReady { .. } => "server_ready",
            Trace::ServerReleased { .. } => "server_released",
            Trace::Probing { .. } => "probing",
            Trace::PlanFollowed { .. } => "plan_followed",
            Trace::Requested { .. } => "requested",
            Trace::Moved { .. } => "moved",
        }
    }

    fn server(&self) -> Option<&str> {
        match self {
            Trace::ServerConnected { server, .. }
            | Trace::ServerReady { server }
            | Trace::ServerReleased { server, .. }
            | Trace::Probing { server } => Some(server),
            Trace::Requested { server, .. } | Trace::Moved { server, .. } => server.as_deref(),
            Trace::ClientOpened | Trace::ClientClosed { .. } | Trace::PlanFollowed { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::panic::Location;

    use super::*;

    fn record(event: Event, client: Option<&str>) -> LogRecord {
        LogRecord {
            event,
            client: client.map(Into::into),
            more: 0,
            place: Location::caller(),
        }
    }

    #[test]
    fn parts_are_those_of_the_event_and_of_its_record() {
        for (cause, text) in [
            (
                Cause::refusal("AUTH", "WRONGPASS"),
                "the server refused AUTH: WRONGPASS",
            ),
            (Cause::Closed, "the server closed the connection"),
        ] {
            let closed = Event::ServerClosed {
                server: "s".into(),
                peer: None,
                lost: 2,
                cause,
            };
            let expected = EventFields {
                name: "server_closed",
                server: Some("s"),
                client: None,
                cause: Some(text.into()),
            };
            assert_eq!(record(closed, None).fields(), expected);
        }
        let bad = Event::BadRequest {
            reason: "why".into(),
        };
        let expected = EventFields {
            name: "bad_request",
            server: None,
            client: Some("c"),
            cause: Some("why".into()),
        };
        assert_eq!(record(bad, Some("c")).fields(), expected);
        let behind = Event::Subscription(Subscription::Behind {
            client: "of the event".into(),
            unread: 1,
        });
        let record = record(behind, None);
        let fields = record.fields();
        assert_eq!(
            (fields.name, fields.client),
            ("subscriber_behind", Some("of the event"))
        );
        assert_eq!(fields.server, None);
    }
}
