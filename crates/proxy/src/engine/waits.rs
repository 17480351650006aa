//! Requests that wait at their server for other clients. Each has a leased connection, as everything behind it on a
//! shared one would wait, too. Its session accepts nothing further until it is answered.

use super::sending::{Asked, write_request};
use super::state::Engine;
use crate::cause::Cause;
use crate::clients::holds::Hold;
use crate::clients::order::Expected;
use crate::id::{ConnectionId, ServerId, SessionId};
use crate::latency::Class;
use crate::limits::MAX_WAIT_KEYS;
use crate::metrics::PoolMetric;
use crate::protocol::Protocol;
use crate::protocol::decision::Facts;
use crate::protocol::fanout::Body;
use crate::protocol::grammar::Reply;
use crate::routes::routing::Destination;
use crate::servers::kept::SentAs;
use crate::servers::leases::{Wait, WaitKeys};
use crate::servers::queue::ReplyTo;

/// Why nothing waits at a server of the failover pool: what is waited for will be at the key's own server, when that is
/// back.
const NOT_ELSEWHERE: &str =
    "the key's server is ejected, and commands that wait are not sent to the failover pool";

/// A connection on which a request waits, and the server's number of it.
#[derive(Debug, Clone, Copy)]
struct Waiting {
    connection: ConnectionId,
    server: ServerId,
    number: u64,
}

impl<P: Protocol> Engine<P> {
    /// Sends a request that waits to the server that has all of its keys. It is refused if none has, as then nobody could
    /// tell what it waits for.
    pub(super) fn begin_wait(
        &mut self,
        asked: &Asked<'_, P>,
        facts: &Facts<P::Command>,
        bodies: &mut Vec<Body>,
    ) {
        let Some(first) = self.output.keys.first().map(|key| key.range()) else {
            return;
        };
        let destination = self.route(&asked.source.text[first]);
        if let Some(apart) = self.find_apart(asked, false, destination) {
            self.counters.add(PoolMetric::CrossShardRefused, 1);
            self.protocol
                .cross_shard_error(facts.command, apart, &mut self.output.reply);
            return self.respond(asked.id, facts.reply);
        }
        let keys = self.wait_keys(asked);
        self.wait_there(asked, facts, destination, keys, bodies);
    }

    /// Sends a request to one server, on a leased connection.
    pub(super) fn wait_there(
        &mut self,
        asked: &Asked<'_, P>,
        facts: &Facts<P::Command>,
        destination: Destination,
        keys: WaitKeys,
        bodies: &mut Vec<Body>,
    ) {
        let server = match destination {
            Destination::Server(server) | Destination::Slot(server, _) => server,
            Destination::Ejected(server) => {
                return self.refuse_wait(asked, facts, &Cause::Ejected, Some(server));
            }
            Destination::Substitute(_) => {
                let cause = Cause::Other(NOT_ELSEWHERE.into());
                return self.refuse_wait(asked, facts, &cause, None);
            }
            // Only reads go to replicas, and none of them waits.
            Destination::NoReplica(_) | Destination::NoServer => {
                return self.refuse_wait(asked, facts, &Cause::Refused, None);
            }
        };
        let connection = match self.lease(asked.id, server) {
            Ok(connection) => connection,
            Err(cause) => return self.refuse_wait(asked, facts, &cause, Some(server)),
        };
        self.note_change(asked.id, facts);
        self.note_written(asked.id, facts, server);
        let Some(session) = self.clients.get_mut(asked.id) else {
            return;
        };
        session.hold(Hold::UntilIdle);
        let has_ended = session.is_half_closed();
        let may_be_large = !facts.is_small;
        let reply_to = match facts.reply {
            Reply::Wanted => ReplyTo::Slot(session.open_slot(Expected::Reply { may_be_large })),
            Reply::Dropped => {
                session.note_silent();
                ReplyTo::Nobody
            }
        };
        let wait = Wait::new(reply_to, keys, P::takes(facts.command));
        if let Some(lease) = self.lease_mut(connection) {
            lease.begin_wait(wait);
        }
        let (now, outbox) = (self.now, &mut self.outbox);
        if let Some(mut connection) = self.roster.connection_by_id(connection) {
            connection.send(
                asked.id,
                ReplyTo::Leased,
                Class::Write,
                now,
                outbox,
                |out| {
                    write_request(&asked.source, bodies, facts.left_out.as_ref(), out);
                },
            );
        }
        self.keep_sent(connection, destination, SentAs::Wait);
        self.note_keys(asked, facts);
        if has_ended {
            self.cancel_ended(asked.id);
        }
    }

    /// Answers a request that cannot wait with an error, whatever `eject` says: that there is nothing now is no answer to
    /// one that waits.
    pub(super) fn refuse_wait(
        &mut self,
        asked: &Asked<'_, P>,
        facts: &Facts<P::Command>,
        cause: &Cause,
        server: Option<ServerId>,
    ) {
        match facts.reply {
            Reply::Wanted => self.answer_error(asked.id, cause, server),
            Reply::Dropped => self.note_lost(asked.id, cause, server),
        }
    }

    /// The keys of the request, if they are few enough to be kept.
    fn wait_keys(&self, asked: &Asked<'_, P>) -> WaitKeys {
        let keys = self.output.keys.iter();
        let keys = keys.map(|key| &asked.source.text[key.range()]);
        let (most, most_bytes) = MAX_WAIT_KEYS;
        let bytes: usize = keys.clone().map(<[u8]>::len).sum();
        if self.output.keys.len() > most || bytes > most_bytes {
            let first = keys.clone().next().unwrap_or_default();
            return WaitKeys::Many(first.into());
        }
        WaitKeys::Known(keys.map(Into::into).collect())
    }

    /// A client asks that another one waits no more, for which the server is asked; it answers with
    /// `self.output.reply` if that client does not wait.
    pub(super) fn unblock(
        &mut self,
        asked: &Asked<'_, P>,
        facts: &Facts<P::Command>,
        client: u64,
        with_error: bool,
    ) {
        let waits = self.waits_of(client);
        let Some((&first, others)) = waits.split_first() else {
            return self.respond(asked.id, facts.reply);
        };
        for other in others {
            // If its server cannot be asked, that part of the wait goes on.
            let _ = self.ask_to_unblock(asked.id, *other, with_error, None);
        }
        let reply_to = match facts.reply {
            Reply::Wanted => self.open_slot(
                asked.id,
                Expected::Reply {
                    may_be_large: false,
                },
            ),
            Reply::Dropped => ReplyTo::Nobody,
        };
        let asker = match reply_to {
            ReplyTo::Slot(slot) => Some((asked.id, slot)),
            _ => None,
        };
        if let Err(cause) = self.ask_to_unblock(asked.id, first, with_error, asker)
            && let Some((id, slot)) = asker
        {
            self.fail_slot(id, slot, &cause, first.server);
        }
    }

    /// The same for a client of another worker, which is told whether that client waits. The request is sent in the name of
    /// the one that waits.
    pub(super) fn unblock_for_other(&mut self, client: u64, with_error: bool) -> bool {
        let mut all = self.clients.iter();
        let found = all.find(|(_, session)| P::number_of(session.client()) == client);
        let id = found.map(|(id, _)| id);
        drop(all);
        let Some(id) = id else {
            return false;
        };
        let waits = self.waits_of(client);
        for wait in &waits {
            // If its server cannot be asked, that part of the wait goes on.
            let _ = self.ask_to_unblock(id, *wait, with_error, None);
        }
        !waits.is_empty()
    }

    /// What the client with this number waits for, by now.
    fn waits_of(&self, client: u64) -> Vec<Waiting> {
        let mut all = self.clients.iter();
        let found = all.find(|(_, session)| P::number_of(session.client()) == client);
        let leases = found.map_or(&[][..], |(_, session)| session.leases());
        let waiting = |id: &ConnectionId| {
            let connection = self.roster.get(*id)?;
            let lease = connection.lease()?;
            let is_cancelled = lease.wait()?.is_cancelled();
            let waits = !is_cancelled && connection.queue().begun().is_some();
            let number = lease.number().filter(|_| waits)?;
            Some(Waiting {
                connection: *id,
                server: connection.server(),
                number,
            })
        };
        leases.iter().filter_map(waiting).collect()
    }

    /// Asks the server of a wait to end it, in the name of a client.
    fn ask_to_unblock(
        &mut self,
        id: SessionId,
        wait: Waiting,
        with_error: bool,
        asker: Option<(SessionId, u64)>,
    ) -> Result<(), Cause> {
        let to = self.connection_to(id, Destination::Server(wait.server))?;
        let reply_to = ReplyTo::Unblock(self.unblocks.begin(wait.connection, asker));
        self.send(id, to, reply_to, Class::Write, |out| {
            out.extend_with(|out| P::end_wait(wait.number, with_error, out));
        });
        Ok(())
    }
}
