//! Writes from the core to sockets, and performs the core's other actions.

use proxy::{Action, ConnectionId, Flush};

use super::state::Driver;
use crate::net::cause_of;
use crate::pool::PoolId;
use crate::worker::link::{Role, Written};
use crate::worker::net::Net;

impl<N: Net> Driver<N> {
    /// Performs what the cores ask until they ask for nothing more. This ends because every link has a
    /// limited share of reads and writes per tick.
    pub(in crate::worker) fn drain(&mut self) {
        self.unwritten = 0;
        while !self.touched.is_empty() || !self.writable.is_empty() {
            let mut touched = std::mem::take(&mut self.touched);
            for &pool in &touched {
                self.part(pool).touched = false;
                while let Some(action) = self.part(pool).core.poll_action() {
                    self.perform(pool, action);
                }
            }
            for &pool in &touched {
                while let Some(flush) = self.part(pool).core.poll_flush() {
                    self.flush(pool, flush);
                }
            }
            let mut writable = std::mem::take(&mut self.writable);
            for key in writable.drain(..) {
                self.write(key);
            }
            for pool in touched.drain(..) {
                self.part(pool).settle();
            }
            // New entries may have been added to either list; otherwise keep the allocations.
            if self.touched.is_empty() {
                self.touched = touched;
            }
            if self.writable.is_empty() {
                self.writable = writable;
            }
        }
    }

    fn perform(&mut self, pool: PoolId, action: Action) {
        match action {
            Action::Connect {
                connection,
                endpoint,
                ..
            } => self.connect(pool, connection, &endpoint),
            Action::CloseConnection { connection } => self.close_connection(pool, connection),
            Action::CloseSession { session, linger } => self.close_session(pool, session, linger),
            Action::LookForServers => self.part(pool).share.look_for_servers(),
            Action::Ask { question } => self.ask_workers(pool, &question),
            Action::AskForMap { node } => self.part(pool).share.want_map(node),
            Action::ReadSession { session } => {
                if let Some(key) = self.key_of_session(pool, session) {
                    self.read(key);
                }
            }
        }
    }

    fn flush(&mut self, pool: PoolId, flush: Flush) {
        let key = match flush {
            Flush::Session(id) => self.key_of_session(pool, id),
            Flush::Connection(id) => self.key_of_connection(pool, id),
        };
        if let Some(key) = key {
            self.write(key);
        }
    }

    /// Writes while there is output, the stream takes it, and the tick's share is not used up.
    fn write(&mut self, key: usize) {
        while let Some(link) = self.links.get_mut(key) {
            let (pool, role, now) = (link.pool, link.role, self.now);
            let core = &mut self.pools[pool].core;
            let output = match role {
                Role::Session(id) => core.session_output(id),
                Role::Connection(id) => core.connection_output(id),
                Role::Greeting(_)
                | Role::Lingering(_)
                | Role::Resolving(_)
                | Role::Connecting(_) => return,
            };
            if output.is_empty() || !link.is_writable() {
                return;
            }
            if !link.take_write(self.tick) {
                return self.wait_for_next_tick(key);
            }
            match (link.write(output), role) {
                (Written::Bytes(count), Role::Session(id)) => {
                    core.handle_session_written(id, count, now);
                }
                (Written::Bytes(count), Role::Connection(id)) => {
                    core.handle_connection_written(id, count, now);
                }
                (Written::Failed(_), Role::Session(id)) => return self.lose_session(key, id),
                (Written::Failed(error), Role::Connection(id)) => {
                    return self.lose_connection(key, id, cause_of(&error));
                }
                // The next edge tells when to continue.
                _ => return,
            }
            self.touch(pool);
        }
    }

    /// The key of an established connection.
    fn key_of_connection(&self, pool: PoolId, id: ConnectionId) -> Option<usize> {
        let key = self.pools[pool].connections.get(id.index())?;
        self.has_role(key, pool, Role::Connection(id))
            .then_some(key)
    }
}
