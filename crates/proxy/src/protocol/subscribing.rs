//! Subscriptions, as far as a protocol has any: what servers are asked, what they send, and what clients are told.
//! Subscriber connections speak the protocol's base version; a message goes to a client of another version with
//! another first byte.

use super::channel::{Change, ChannelKind, Counts};
use super::decision::Decider;

/// What servers send on a subscriber connection, and what is made of it.
pub(crate) trait Subscribing: Decider {
    /// Appends the request that begins or ends the subscription to one channel at a server.
    fn ask_for(change: Change, kind: ChannelKind, name: &[u8], out: &mut Vec<u8>);

    /// Appends a request that a server answers on a subscriber connection, whatever that is subscribed to.
    fn ask_for_life(out: &mut Vec<u8>);

    /// What a whole frame on a subscriber connection is, by its beginning; `None` if it is none of those that there may
    /// be.
    fn notice(start: &[u8]) -> Option<Notice<'_>>;

    /// Appends what tells a client that a subscription has begun or ended. `count` is the number of those that it
    /// has; a client that ends all subscriptions of a kind and has none is told so with no name.
    fn confirm(
        client: &Self::Client,
        change: Change,
        kind: ChannelKind,
        name: Option<&[u8]>,
        count: usize,
        out: &mut Vec<u8>,
    );

    /// Appends the error for a client that asks for more subscriptions than it may have.
    fn too_many_subscriptions(out: &mut Vec<u8>);

    /// The first byte of a message to this client, where it is not that which the server has sent.
    fn message_start(client: &Self::Client) -> Option<u8>;

    /// The client has so many subscriptions now.
    fn note_subscriptions(client: &mut Self::Client, counts: Counts);
}

/// What a server has sent on a subscriber connection.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Notice<'a> {
    /// A message to those who are subscribed to the channel or pattern of this name.
    Message { kind: ChannelKind, name: &'a [u8] },
    /// A subscription has begun or ended.
    Confirmed {
        change: Change,
        kind: ChannelKind,
        name: &'a [u8],
    },
    /// It was refused, with this error line.
    Refused,
    /// The answer to [`Subscribing::ask_for_life`].
    Alive,
}
