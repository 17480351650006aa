//! WATCH: keys on which the session's next transaction depends.
//!
//! They are watched on a connection that is leased to the session, and the transaction is sent there. If the lease has
//! ended, or the keys are served elsewhere by now, nobody knows whether they have changed: the transaction is not
//! executed, and its client told as if they had.
//!
//! What a session sends before WATCH is answered before it is sent, and what it sends after WATCH is sent when that is
//! answered; the same holds for EXEC. So nothing overtakes them, though it goes over other connections.

use super::sending::{Asked, write_request};
use super::state::Engine;
use crate::cause::Cause;
use crate::clients::holds::Hold;
use crate::clients::order::Expected;
use crate::clients::watch::Watch;
use crate::id::{ConnectionId, ServerId, SessionId};
use crate::latency::Class;
use crate::metrics::PoolMetric;
use crate::protocol::Protocol;
use crate::protocol::decision::{Apart, Facts};
use crate::protocol::fanout::Body;
use crate::protocol::grammar::{Mark, Reply};
use crate::routes::routing::Destination;
use crate::servers::kept::SentAs;
use crate::servers::queue::ReplyTo;
use crate::servers::trial::{REPLIES_BEFORE, Verdict};

/// Why keys are not watched.
enum NotWatched {
    Apart,
    TooMany,
    Failed(Cause, Option<ServerId>),
}

impl<P: Protocol> Engine<P> {
    /// Watches the keys in `self.output.keys`. If that cannot be, the session's next transaction will not be executed.
    pub(super) fn watch(
        &mut self,
        asked: &Asked<'_, P>,
        facts: &Facts<P::Command>,
        bodies: &mut Vec<Body>,
    ) {
        if self.heals && self.watched_at(asked.id).is_some() && !self.is_watch_in_force(asked.id) {
            // Its keys have moved: the transaction will not be executed, whatever else is watched.
            self.output.reply.clear();
            self.output.reply.extend_from_slice(P::WATCHED);
            return self.respond(asked.id, facts.reply);
        }
        match self.try_watch(asked) {
            Ok((connection, destination)) => {
                let reply_to = match facts.reply {
                    Reply::Wanted => self.open_slot(
                        asked.id,
                        Expected::Reply {
                            may_be_large: false,
                        },
                    ),
                    Reply::Dropped => ReplyTo::Nobody,
                };
                let now = self.now;
                let known = self.roster.get(connection);
                let verdict = known.map(|it| it.takes_transactions(now));
                // Not later: a trial ends what is watched.
                if verdict == Some(Verdict::Unknown) {
                    self.send_trial(asked.id, connection);
                }
                self.send(asked.id, connection, reply_to, facts.class(), |out| {
                    write_request(&asked.source, bodies, None, out);
                });
                self.keep_sent(connection, destination, SentAs::Watch);
                if let Some((_, server)) = self.watched_at(asked.id) {
                    self.roster.note_held(server, self.now);
                }
                self.wait_until_idle(asked.id);
            }
            Err(error) => {
                if let Some(session) = self.clients.get_mut(asked.id) {
                    P::refuse_watch(session.client_mut());
                }
                self.answer_not_watched(asked, facts, error);
            }
        }
    }

    fn answer_not_watched(
        &mut self,
        asked: &Asked<'_, P>,
        facts: &Facts<P::Command>,
        error: NotWatched,
    ) {
        match error {
            NotWatched::Failed(cause, server) => match facts.reply {
                Reply::Wanted => return self.answer_error(asked.id, &cause, server),
                Reply::Dropped => return self.note_lost(asked.id, &cause, server),
            },
            NotWatched::TooMany => P::too_many_watched(&mut self.output.reply),
            NotWatched::Apart => {
                self.counters.add(PoolMetric::CrossShardRefused, 1);
                let out = &mut self.output.reply;
                self.protocol
                    .cross_shard_error(facts.command, Apart::Transaction, out);
            }
        }
        self.respond(asked.id, facts.reply);
    }

    /// Asks the server whether it takes transactions on the connection.
    pub(super) fn send_trial(&mut self, id: SessionId, connection: ConnectionId) {
        self.send(id, connection, ReplyTo::Trial, Class::Write, |out| {
            out.extend(P::TRIAL)
        });
        self.expect_before(connection, Mark::Trial, REPLIES_BEFORE);
    }

    /// The request that was queued last consists of several, with so many replies before the one that counts.
    pub(super) fn expect_before(&mut self, connection: ConnectionId, mark: Mark, replies: u16) {
        if let Some(connection) = self.roster.get_mut(connection) {
            connection.mark(mark);
            connection.expect_before(replies);
        }
    }

    /// The connection to watch the keys on.
    fn try_watch(
        &mut self,
        asked: &Asked<'_, P>,
    ) -> Result<(ConnectionId, Destination), NotWatched> {
        self.check_health();
        let text = asked.source.text;
        let routes = &mut self.routes;
        let mut places = (self.output.keys.iter()).map(|key| routes.route(&text[key.range()]));
        let first = places.next().ok_or(NotWatched::Apart)?;
        let are_together = places.all(|place| place == first) || self.routes.is_random();
        if !are_together {
            return Err(NotWatched::Apart);
        }
        let server = match first {
            Destination::Server(server) | Destination::Slot(server, _) => server,
            Destination::Substitute(other) | Destination::Ejected(other) => {
                return Err(NotWatched::Failed(Cause::Ejected, Some(other)));
            }
            Destination::NoReplica(_) | Destination::NoServer => {
                return Err(NotWatched::Failed(Cause::Refused, None));
            }
        };
        let known = self
            .clients
            .get(asked.id)
            .and_then(|session| session.watch());
        let connection = match known {
            Some(watch) if watch.server != server => return Err(NotWatched::Apart),
            Some(watch) => watch.connection,
            None => self.begin_watch(asked.id, server)?,
        };
        if !self.holds_lease(asked.id, connection) {
            return Err(NotWatched::Failed(Cause::Left, Some(server)));
        }
        let session = self.clients.get_mut(asked.id);
        if let Some(watch) = session.and_then(|session| session.watch_mut()) {
            for key in &self.output.keys {
                if !watch.add(&text[key.range()]) {
                    return Err(NotWatched::TooMany);
                }
            }
        }
        Ok((connection, first))
    }

    fn begin_watch(&mut self, id: SessionId, server: ServerId) -> Result<ConnectionId, NotWatched> {
        let leased = self.lease(id, server);
        let connection = leased.map_err(|cause| NotWatched::Failed(cause, Some(server)))?;
        if let Some(session) = self.clients.get_mut(id) {
            session.begin_watch(Watch::new(connection, server));
        }
        Ok(connection)
    }

    fn holds_lease(&self, id: SessionId, connection: ConnectionId) -> bool {
        let session = self.clients.get(id);
        session.is_some_and(|session| session.leases().contains(&connection))
    }

    /// Nothing further of the session is parsed until what it has sent is answered.
    pub(super) fn wait_until_idle(&mut self, id: SessionId) {
        if let Some(session) = self.clients.get_mut(id) {
            session.hold(Hold::UntilIdle);
        }
    }

    /// Where the session watches keys; `None` if it watches none.
    pub(super) fn watched_at(&self, id: SessionId) -> Option<(ConnectionId, ServerId)> {
        let watch = self.clients.get(id)?.watch()?;
        Some((watch.connection, watch.server))
    }

    /// Whether what the session watches is still watched, and is where it was.
    pub(super) fn is_watch_in_force(&mut self, id: SessionId) -> bool {
        self.check_health();
        let Some(session) = self.clients.get(id) else {
            return false;
        };
        let Some(watch) = session.watch() else {
            return true;
        };
        let routes = &mut self.routes;
        let is_random = routes.is_random();
        let mut keys = watch.keys();
        session.leases().contains(&watch.connection)
            && (is_random || keys.all(|key| routes.route(key).is_at(watch.server)))
    }

    /// Ends what the session watches. Its client gets the server's reply to that, if it is watched still; otherwise
    /// `self.output.reply`.
    pub(super) fn unwatch(&mut self, id: SessionId, facts: &Facts<P::Command>) {
        let watch = self.take_watch(id);
        let connection = watch.map(|watch| watch.connection);
        match connection.filter(|connection| self.holds_lease(id, *connection)) {
            Some(connection) if facts.reply == Reply::Wanted => {
                let expected = Expected::Reply {
                    may_be_large: false,
                };
                let ReplyTo::Slot(slot) = self.open_slot(id, expected) else {
                    return;
                };
                self.send(
                    id,
                    connection,
                    ReplyTo::Last(Some(slot)),
                    Class::Write,
                    |out| {
                        out.extend(P::UNWATCH);
                    },
                );
                self.wait_until_idle(id);
            }
            Some(connection) => {
                self.leave_watch(connection);
                self.respond(id, facts.reply);
            }
            None => self.respond(id, facts.reply),
        }
    }

    pub(super) fn take_watch(&mut self, id: SessionId) -> Option<Box<Watch>> {
        self.clients.get_mut(id)?.take_watch()
    }

    /// Ends what the session watches. Its connection is closed, as the keys are watched there still.
    pub(super) fn drop_watch(&mut self, id: SessionId) {
        if let Some(watch) = self.take_watch(id)
            && self.holds_lease(id, watch.connection)
        {
            self.leave_watch(watch.connection);
        }
    }

    pub(super) fn leave_watch(&mut self, connection: ConnectionId) {
        self.take_off(connection);
        self.leave(connection);
    }
}
