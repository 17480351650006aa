//! One server: its connections.

use crate::id::ConnectionId;
use crate::protocol::{LANES, Lane};

/// A configured server, as one worker sees it.
#[derive(Debug, Default)]
pub(crate) struct Server {
    /// Its connections, by lane; at most `server_connections` each.
    lanes: [Vec<ConnectionId>; LANES],
    /// Whether it speaks RESP3, as far as is known.
    pub(crate) resp3: Resp3Support,
}

/// What a probe has found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Resp3Support {
    /// Not asked, or being asked.
    #[default]
    Unknown,
    /// It accepted HELLO 3.
    Yes,
    /// It refused.
    No,
    /// It could not be asked.
    Unreachable,
}

impl Server {
    pub(crate) fn connections(&self, lane: Lane) -> &[ConnectionId] {
        &self.lanes[lane]
    }

    /// Whether there is any connection.
    pub(crate) fn is_used(&self) -> bool {
        self.lanes.iter().any(|lane| !lane.is_empty())
    }

    pub(crate) fn add(&mut self, lane: Lane, connection: ConnectionId) {
        self.lanes[lane].push(connection);
    }

    pub(crate) fn remove(&mut self, lane: Lane, connection: ConnectionId) {
        self.lanes[lane].retain(|known| *known != connection);
    }
}
