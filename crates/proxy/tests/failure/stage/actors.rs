//! Who is on the stage.

use std::collections::{HashMap, VecDeque};

use proxy::{ConnectionId, Pool, SessionId};

pub(super) struct Worker {
    pub(super) pool: Pool,
    pub(super) sessions: HashMap<SessionId, usize>,
    pub(super) connections: HashMap<ConnectionId, usize>,
}

pub(super) struct Client {
    pub(super) worker: usize,
    pub(super) id: SessionId,
    /// What the proxy has not read yet.
    pub(super) pending: VecDeque<u8>,
    pub(super) closed: bool,
}

/// A connection to a server.
pub(super) struct Link {
    pub(super) worker: usize,
    pub(super) id: ConnectionId,
    pub(super) server: usize,
    pub(super) opened: u64,
    pub(super) open: bool,
    /// What the proxy has written and the test has not taken yet.
    pub(super) heard: Vec<u8>,
    /// How many bytes it accepts.
    pub(super) room: usize,
}
