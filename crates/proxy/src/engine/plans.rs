//! What changes with a further plan, between two requests: settings, routes, servers, and their connections.
//!
//! A connection to a server that has left or has moved takes no further request. It is closed when it has
//! answered those that it has; a session that has any there takes no further request until then, so that its
//! requests never overtake each other.

use super::state::{Engine, routes};
use crate::flow::outbox::Action;
use crate::id::{ConnectionId, ServerId};
use crate::protocol::Protocol;
use crate::protocol::decision::Version;

impl<P: Protocol> Engine<P> {
    /// Follows the plans that are in force.
    #[cold]
    pub(super) fn follow_plans(&mut self) {
        self.plans.advance();
        self.settings = self.plans.own().settings.clone();
        self.protocol = P::new(&self.settings);
        self.clients.follow(&self.settings, self.now);
        let mut fresh = Vec::new();
        self.routes = routes(&self.plans, self.context, &mut self.roster, &mut fresh);
        let planned: Vec<ServerId> = self.routes.own().chain(self.routes.failover()).collect();
        let gone = self.roster.remove_servers(&planned);
        for id in self.roster.drain_connections(self.now) {
            self.start_draining(id);
        }
        self.close_drained_connections();
        self.roster.schedule_check(self.now);
        self.bind_sessions();
        for (pool, servers) in self.routes.pools() {
            let health = servers.iter().map(|id| self.roster.server(*id).health());
            pool.health.refresh_next_retry(health);
        }
        self.refresh_health();
        self.ask_changed_servers(&fresh, &gone);
        self.connect_ahead(&fresh);
    }

    /// A connection takes no further request: nor do the sessions that have any on it, until those have ended.
    fn start_draining(&mut self, id: ConnectionId) {
        let Some(connection) = self.roster.get(id) else {
            return;
        };
        for entry in connection.queue().iter() {
            if let Some(session) = self.clients.get_mut(entry.session) {
                session.hold_until_drained();
                session.pinned_mut().forget(id);
            }
        }
    }

    /// Closes those of such connections that have answered everything.
    pub(super) fn close_drained_connections(&mut self) {
        for id in self.roster.take_drained() {
            self.drop_connection(id);
        }
    }

    /// Closes a connection that carries nothing.
    fn drop_connection(&mut self, id: ConnectionId) {
        if self.roster.remove(id).is_some() {
            self.outbox.act(Action::CloseConnection { connection: id });
        }
    }

    /// From the first plan that allows a server several connections on, sessions keep to those that they have
    /// requests on.
    fn bind_sessions(&mut self) {
        if !self.single_connection || self.plans.have_single_connections() {
            return;
        }
        self.single_connection = false;
        for (id, connection) in self.roster.shared_connections() {
            for entry in connection.queue().iter() {
                if let Some(session) = self.clients.get_mut(entry.session) {
                    let (server, purpose) = (connection.server(), connection.purpose());
                    session.pinned_mut().add(server, purpose, id);
                }
            }
        }
    }

    /// What was known of servers that have left or moved is so no longer; who waits for it waits for others.
    fn ask_changed_servers(&mut self, fresh: &[ServerId], gone: &[ServerId]) {
        for server in fresh.iter().chain(gone) {
            self.upgrades.forget(*server);
        }
        if self.upgrades.deadline().is_some() {
            let own: Vec<ServerId> = self.routes.own().collect();
            for server in own.into_iter().filter(|id| fresh.contains(id)) {
                self.ask(server);
            }
            self.settle_upgrades(false);
        }
    }

    /// Opens the connections that `preconnect` asks for: one to each server, as nutcracker does.
    pub(super) fn connect_ahead(&mut self, servers: &[ServerId]) {
        if !self.settings.preconnect {
            return;
        }
        let own: Vec<ServerId> = self.routes.own().collect();
        for id in own.into_iter().filter(|id| servers.contains(id)) {
            let server = self.roster.server(id);
            if server.connections(Version::Base).is_empty() {
                let purpose = server.shared_by(Version::Base);
                self.roster.open(id, purpose, self.now, &mut self.outbox);
            }
        }
    }
}
