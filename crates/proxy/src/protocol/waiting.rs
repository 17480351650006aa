//! Requests that wait at a server for other clients, and how a wait is ended.

use super::greeting::{Greeting, Step};

/// What is special about requests that wait. A protocol without any keeps the defaults.
pub(crate) trait Waiting: Greeting {
    /// The step of a leased connection's handshake that asks the server for its number of the connection.
    fn number_question() -> Option<Step> {
        None
    }

    /// What a reply to the command takes from the server's data.
    fn takes(command: Self::Command) -> Takes {
        let _ = command;
        Takes::Nothing
    }

    /// What the reply that begins so has taken.
    fn taken(takes: Takes, reply: &[u8]) -> Taken<'_> {
        let _ = (takes, reply);
        Taken::Nothing
    }

    /// Appends the error line for a wait that ends because its keys are served elsewhere, or nowhere.
    fn ended_wait(out: &mut Vec<u8>) {
        let _ = out;
    }

    /// Appends the request that ends the wait of the connection with this number.
    fn end_wait(number: u64, with_error: bool, out: &mut Vec<u8>) {
        let _ = (number, with_error, out);
    }

    /// Whether a server says so that there was no wait to end.
    fn had_no_wait(reply: &[u8]) -> bool {
        let _ = reply;
        false
    }

    /// The number of the client, as other clients name it.
    fn number_of(client: &Self::Client) -> u64 {
        let _ = client;
        0
    }
}

/// What the reply to a request that waits takes from the server's data: it is nowhere else then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Takes {
    /// Nothing.
    Nothing,
    /// Elements of the key that the reply names first.
    FromNamed,
    /// An element of its first key, which the server has moved to another.
    FromFirst,
}

/// What a reply has taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Taken<'r> {
    /// Nothing.
    Nothing,
    /// Elements of this key, or the beginning of its name.
    From(&'r [u8]),
    /// An element of its first key.
    FromFirst,
}
