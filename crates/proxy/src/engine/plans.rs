//! How a new plan takes effect, between two requests: settings, routes, servers, and their connections.
//!
//! A connection whose server was removed, or has another endpoint now, takes no further request: it is *draining*,
//! and is closed when it has answered those that it has. A session with requests on it accepts no further request
//! until they are answered. Otherwise the next one could go to the new endpoint and be executed before an earlier
//! one.

use super::state::{Engine, routes};
use crate::cause::Cause;
use crate::event::{Event, Level, Trace};
use crate::flow::outbox::Action;
use crate::guardrails::Guardrails;
use crate::id::{ConnectionId, ServerId};
use crate::protocol::Protocol;
use crate::protocol::decision::{Lane, Version};
use crate::servers::purpose::Purpose;

impl<P: Protocol> Engine<P> {
    /// Follows the current plans. The order matters: servers are marked as removed before connections are chosen for
    /// draining, and sessions are held back before anything is sent by the new routes.
    #[cold]
    pub(super) fn follow_plans(&mut self) {
        self.plans.advance();
        if self.outbox.logs(Level::Debug) {
            let number = self.plans.own().number;
            self.outbox
                .log(Event::Trace(Trace::PlanFollowed { number }));
        }
        let settings = self.plans.own().settings.clone();
        let has_other_users = settings.users != self.settings.users;
        self.settings = settings;
        self.heals = self.settings.slots.is_some();
        self.follows_reads = self.settings.follows_reads();
        self.follow_hot_keys();
        self.follow_access_log();
        // What sessions remember is in their clients, not in the protocol, so it can be replaced.
        self.protocol = P::new(self.plans.own());
        self.guardrails = Guardrails::new(self.plans.own());
        self.watch_requests();
        self.clients.follow(&self.settings, self.now);
        if has_other_users {
            self.follow_users();
        }
        let mut fresh = Vec::new();
        self.routes = routes(&self.plans, self.context, &mut self.roster, &mut fresh);
        let replicas = self
            .routes
            .readers()
            .into_iter()
            .flat_map(|it| it.replicas());
        let others = self.routes.failover().chain(replicas);
        let planned: Vec<ServerId> = self.routes.own().chain(others).collect();
        let gone = self.roster.remove_servers(&planned);
        self.drain_connections();
        if self.heals {
            self.hold_misplaced();
            self.redirects.hurry();
        }
        self.close_drained_connections();
        self.roster.schedule_check(self.now);
        self.bind_sessions();
        self.wait_watch.note_change();
        // An endpoint that is gone takes its health with it, ejected or not.
        for (pool, servers) in self.routes.pools() {
            let health = servers.iter().map(|id| self.roster.server(*id).health());
            pool.health.refresh_next_retry(health);
        }
        self.refresh_health();
        self.ask_changed_servers(&fresh, &gone);
        self.connect_ahead(&fresh);
    }

    /// Connections that are too many now take no further request.
    pub(super) fn drain_connections(&mut self) {
        for id in self.roster.drain_connections(self.now, self.serves()) {
            self.start_draining(id);
        }
    }

    /// Whether there are clients here, or may be.
    fn serves(&self) -> bool {
        self.clients.len() > 0 || self.plans.pool().deals_to(self.context.worker)
    }

    /// A connection takes no further request. Neither do the sessions with requests on it, until those have ended;
    /// they are unpinned, so that what follows then is free to use another connection.
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

    /// Closes draining connections that have answered everything.
    pub(super) fn close_drained_connections(&mut self) {
        for id in self.roster.take_drained() {
            self.drop_connection(id);
        }
    }

    /// Closes a connection that has no requests.
    fn drop_connection(&mut self, id: ConnectionId) {
        if let Some(connection) = self.roster.remove(id) {
            self.outbox.act(Action::CloseConnection { connection: id });
            // Whoever has leased it finds out there.
            let holder = connection.lease().and_then(|lease| lease.holder());
            if let Some(session) = holder.and_then(|holder| self.clients.get_mut(holder)) {
                session.remove_lease(id);
            }
            if connection.purpose() == Purpose::Subscriber {
                self.lose_subscriptions(connection.server(), &Cause::Left);
            }
            let why = "its server has left or has moved";
            self.trace_server(Level::Info, connection.server(), |server| {
                Trace::ServerReleased { server, why }
            });
        }
    }

    /// The first plan that allows several connections to a server starts the bookkeeping of pinned connections, with
    /// what is in flight. It is never stopped again.
    fn bind_sessions(&mut self) {
        if !self.single_connection || self.plans.have_single_connections() {
            return;
        }
        self.single_connection = false;
        // Requests in flight must be known, or the first to end would be missing in the bookkeeping.
        for (id, connection) in self.roster.shared_connections() {
            for entry in connection.queue().iter() {
                if let Some(session) = self.clients.get_mut(entry.session) {
                    let (server, purpose) = (connection.server(), connection.purpose());
                    session.pinned_mut().add(server, purpose, id);
                }
            }
        }
    }

    /// Forgets which version removed and changed servers support. If sessions wait for that now, the new servers are
    /// asked, too.
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

    /// Opens the connections that `preconnect` asks for: one to each server, as nutcracker 0.5.0 does.
    pub(super) fn connect_ahead(&mut self, servers: &[ServerId]) {
        if !self.settings.preconnect || !self.serves() {
            return;
        }
        let own: Vec<ServerId> = self.routes.own().collect();
        for id in own.into_iter().filter(|id| servers.contains(id)) {
            let server = self.roster.server(id);
            if server.connections(Lane::of(Version::Base)).is_empty() {
                let purpose = server.shared_by(Lane::of(Version::Base));
                self.roster.open(id, purpose, self.now, &mut self.outbox);
            }
        }
    }
}
