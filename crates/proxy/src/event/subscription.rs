//! What is logged about subscriptions to channels.

use std::fmt;

/// Something about subscriptions to channels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subscription {
    /// A subscriber was closed because it left too many messages unread.
    Behind {
        /// The client.
        client: Box<str>,
        /// Bytes that it had not read.
        unread: usize,
    },
    /// Clients may have missed messages of a server's channels, because the connection was lost or the channels are
    /// elsewhere now.
    Gap {
        /// The server's name.
        server: String,
        /// How many channels and patterns.
        channels: usize,
    },
    /// A server refuses a subscription that clients were told they have.
    Refused {
        /// The server's name.
        server: String,
        /// Its error line, shortened.
        text: String,
    },
}

impl Subscription {
    /// What has happened, in a word.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Behind { .. } => "subscriber_behind",
            Self::Gap { .. } => "subscription_gap",
            Self::Refused { .. } => "subscription_refused",
        }
    }

    /// The server that it is about.
    pub(super) fn server(&self) -> &str {
        match self {
            Self::Behind { .. } => "",
            Self::Gap { server, .. } | Self::Refused { server, .. } => server,
        }
    }
}

impl fmt::Display for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Behind { client, unread } => write!(
                f,
                "closing client {client}: it is subscribed to channels and {unread} bytes of messages are unread"
            ),
            Self::Gap { server, channels } => write!(
                f,
                "messages of {channels} channels of server '{server}' may have been missed, they are subscribed to again"
            ),
            Self::Refused { server, text } => write!(
                f,
                "server '{server}' refuses a subscription that clients have: {text}"
            ),
        }
    }
}
