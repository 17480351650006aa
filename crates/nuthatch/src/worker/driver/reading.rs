//! Reads from sockets into the core.

use proxy::{Cause, ConnectionId, SessionId};

use super::state::Driver;
use crate::net::cause_of;
use crate::worker::link::{Read, Role};
use crate::worker::net::Net;

impl<N: Net> Driver<N> {
    /// Reads while there is data, the core wants it, and the tick's share is not used up.
    pub(super) fn read(&mut self, key: usize) {
        while let Some(link) = self.links.get_mut(key) {
            let (pool, role) = (link.pool, link.role);
            let part = &mut self.pools[pool];
            let wanted = match role {
                // When the core wants to read again, it asks with an action.
                Role::Session(id) => part.core.session_wants_read(id),
                Role::Connection(_) | Role::Lingering(_) => true,
                Role::Greeting(_) | Role::Resolving(_) | Role::Connecting(_) => false,
            };
            if !link.is_readable() || !wanted {
                return;
            }
            if !link.take_read(self.tick) {
                return self.wait_for_next_tick(key);
            }
            let read = link.read(&mut self.chunks);
            if let Read::Data(count) = read {
                self.unwritten += count;
            }
            match role {
                Role::Session(id) => self.handle_session_read(key, id, read),
                Role::Connection(id) => self.handle_connection_read(key, id, read),
                _ => self.handle_lingering_read(key, read),
            }
        }
    }

    fn handle_session_read(&mut self, key: usize, id: SessionId, read: Read) {
        let (now, pool) = (self.now, self.links[key].pool);
        let core = &mut self.pools[pool].core;
        match read {
            Read::Data(count) => {
                let before = core.requests_seen();
                core.handle_session_data(id, self.chunks.current(), 0..count, now);
                self.depth.note(core.requests_seen() - before);
            }
            Read::End => core.handle_session_end(id, now),
            Read::Nothing => return,
            Read::Failed(_) => return self.lose_session(key, id),
        }
        self.touch(pool);
    }

    fn handle_connection_read(&mut self, key: usize, id: ConnectionId, read: Read) {
        let (now, pool) = (self.now, self.links[key].pool);
        let core = &mut self.pools[pool].core;
        match read {
            Read::Data(count) => {
                core.handle_connection_data(id, self.chunks.current(), 0..count, now);
            }
            Read::End => return self.lose_connection(key, id, Cause::Closed),
            Read::Nothing => return,
            Read::Failed(error) => return self.lose_connection(key, id, cause_of(&error)),
        }
        self.touch(pool);
    }

    fn handle_lingering_read(&mut self, key: usize, read: Read) {
        match read {
            Read::Failed(_) => drop(self.links.remove(key)),
            Read::End => self.finish_lingering(key),
            Read::Data(_) => self.links[key].sends_on = true,
            Read::Nothing => {}
        }
    }

    /// Closes a lingering client that has closed its side, once its stream has sent everything.
    pub(super) fn finish_lingering(&mut self, key: usize) {
        let link = self.links.get(key);
        if link.is_some_and(|it| matches!(it.role, Role::Lingering(_)) && it.is_over()) {
            self.links.remove(key);
        }
    }

    /// A client's connection broke.
    pub(super) fn lose_session(&mut self, key: usize, id: SessionId) {
        let link = self.links.remove(key);
        let now = self.now;
        self.part(link.pool).core.handle_session_error(id, now);
        self.touch(link.pool);
    }

    /// A server connection ended.
    pub(super) fn lose_connection(&mut self, key: usize, id: ConnectionId, cause: Cause) {
        let link = self.links.remove(key);
        let now = self.now;
        let core = &mut self.part(link.pool).core;
        core.handle_connection_closed(id, cause, now);
        self.touch(link.pool);
    }
}
