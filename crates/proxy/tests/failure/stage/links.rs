//! Connections to servers.

use proxy::{Cause, ConnectionId};

use super::{Link, Stage};
use crate::pools::ConnectResult;
use crate::words::flat;

impl Stage {
    pub(super) fn connect(&mut self, worker: usize, id: ConnectionId, server: usize) {
        let link = self.links.len();
        self.links.push(Link {
            worker,
            id,
            server,
            opened: self.now,
            open: true,
            heard: Vec::new(),
            room: self.room,
        });
        let connections = &mut self.workers[worker].connections;
        let twin = connections.keys().find(|open| open.index() == id.index());
        assert_eq!(twin, None, "an index is used again before it is free");
        connections.insert(id, link);
        let now = self.time();
        match self.connect_results[server] {
            ConnectResult::Open => self.workers[worker].pool.handle_connected(id, now),
            ConnectResult::Refusing => self.hang_up(link, Cause::Refused),
            ConnectResult::Silent => {}
        }
    }

    pub(super) fn write(&mut self, worker: usize, id: ConnectionId) {
        let Some(link) = self.workers[worker].connections.get(&id).copied() else {
            return;
        };
        let now = self.time();
        let pool = &mut self.workers[worker].pool;
        let mut bytes = flat(pool.connection_output(id));
        bytes.truncate(self.links[link].room);
        pool.handle_connection_written(id, bytes.len(), now);
        self.links[link].room -= bytes.len();
        self.links[link].heard.extend(bytes);
    }
}
