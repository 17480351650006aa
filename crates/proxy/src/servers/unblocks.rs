//! Requests by which a server is told to end a wait (CLIENT UNBLOCK). They go over shared connections, so that they
//! may arrive after the wait has ended: until then its connection must not be used for another wait.

use crate::id::{ConnectionId, SessionId};

/// Those that are not answered.
#[derive(Debug, Default)]
pub(crate) struct Unblocks {
    out: Vec<Unblock>,
    next: u64,
}

/// One of them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Unblock {
    number: u64,
    /// The connection whose wait is to end.
    pub(crate) connection: ConnectionId,
    /// The client that has asked for it, and the slot of its request.
    pub(crate) asker: Option<(SessionId, u64)>,
}

impl Unblocks {
    /// One is sent; returns its number.
    pub(crate) fn begin(
        &mut self,
        connection: ConnectionId,
        asker: Option<(SessionId, u64)>,
    ) -> u64 {
        self.next += 1;
        self.out.push(Unblock {
            number: self.next,
            connection,
            asker,
        });
        self.next
    }

    /// The one with that number.
    pub(crate) fn find(&self, number: u64) -> Option<Unblock> {
        let is = |it: &&Unblock| it.number == number;
        self.out.iter().find(is).copied()
    }

    /// It was answered, or is lost.
    pub(crate) fn end(&mut self, number: u64) -> Option<Unblock> {
        let found = self.find(number)?;
        self.out.retain(|it| it.number != number);
        Some(found)
    }

    /// Whether any is under way for the wait of this connection.
    pub(crate) fn are_out_for(&self, connection: ConnectionId) -> bool {
        self.out.iter().any(|it| it.connection == connection)
    }
}
