//! Subscriber connections: one to each server that has channels of this worker's clients, opened by need. What is asked
//! on them and what follows from the answers is decided by `subscriptions`; messages go to their subscribers.

use std::ops::Range;

use super::answers::shown;
use super::state::Engine;
use crate::cause::Cause;
use crate::event::{Event, Level, Subscription, Trace};
use crate::flow::buffer::Chunk;
use crate::flow::outbox::Action;
use crate::id::{ConnectionId, ServerId};
use crate::limits::{MAX_FRAGMENT_LINE, SHARE_AT_LEAST, SHARE_MAX_WASTE, TURN_KEYS};
use crate::metrics::PoolMetric;
use crate::protocol::Protocol;
use crate::protocol::channel::{Change, ChannelKind};
use crate::protocol::grammar::Reply;
use crate::protocol::subscribing::Notice;
use crate::routes::routing::Routes;
use crate::servers::listener::Frame;
use crate::servers::purpose::Purpose;
use crate::subscriptions::registry::{Due, Expected, Failed, Failure, Homes, Settled, Why};

/// Where a channel is to be subscribed to: everywhere, or at the server to which its name belongs now.
pub(super) fn homes(routes: &mut Routes, kind: ChannelKind, name: &[u8]) -> Homes {
    // The nodes of a cluster pass on messages to each other, but for the notifications of their own keys.
    let is_everywhere = match routes.has_slots() {
        true => kind.is_everywhere(name) && name.starts_with(b"__key"),
        false => kind.is_everywhere(name),
    };
    // With a random distribution a message is published at any server.
    if is_everywhere || routes.is_random() {
        let (cause, server) = (Cause::Refused, None);
        let serving = routes.serving();
        return match serving.is_empty() {
            true => Err(Failure { cause, server }),
            false => Ok(serving),
        };
    }
    let destination = routes.route(name);
    match destination.usable_server() {
        Ok(server) => Ok(vec![server]),
        Err(cause) => Err(Failure {
            cause,
            server: destination.server(),
        }),
    }
}

/// The same for a channel that clients are subscribed to. One whose server is ejected stays there: it is subscribed to
/// again when the server is back.
fn homes_now(routes: &mut Routes, kind: ChannelKind, name: &[u8]) -> Vec<ServerId> {
    homes(routes, kind, name).unwrap_or_else(|failure| failure.server.into_iter().collect())
}

/// What servers are asked.
impl<P: Protocol> Engine<P> {
    /// Subscribes elsewhere to the channels that are elsewhere now.
    pub(super) fn follow_subscriptions(&mut self) {
        self.check_health();
        let (by, routes) = (self.routes.version(), &mut self.routes);
        let missed = self.subscriptions.follow(by, self.now, &mut |kind, name| {
            homes_now(routes, kind, name)
        });
        for (server, channels) in missed {
            self.note_gap(server, channels);
        }
        self.settle_subscriptions();
    }

    /// Opens the connections that are needed, and asks on those that there are.
    pub(super) fn attend_sites(&mut self) {
        for (server, due) in self.subscriptions.due(self.now) {
            match due {
                Due::Connect => {
                    let (now, outbox) = (self.now, &mut self.outbox);
                    let id = self.roster.open(server, Purpose::Subscriber, now, outbox);
                    self.subscriptions.note_opening(server, id);
                }
                Due::Ask => self.ask_site(server),
                Due::Ping => {
                    self.subscriptions.note_ping(server, self.now);
                    self.write_to_site(server, P::ask_for_life);
                }
                Due::Forget => self.subscriptions.forget_site(server),
                // Whoever may close connections looks after these.
                Due::Late(_) | Due::Idle(_) => {}
            }
        }
    }

    /// Asks a server for what it is to be asked for, as far as one turn goes.
    fn ask_site(&mut self, server: ServerId) {
        for _ in 0..TURN_KEYS {
            let Some((change, kind, name)) = self.subscriptions.next_question(server, self.now)
            else {
                break;
            };
            self.write_to_site(server, |out| P::ask_for(change, kind, &name, out));
        }
    }

    fn write_to_site(&mut self, server: ServerId, write: impl FnOnce(&mut Vec<u8>)) {
        let id = self.subscriptions.connection_to(server);
        if let Some(id) = id
            && let Some(connection) = self.roster.get_mut(id)
            && let Some((listener, _)) = connection.listener()
        {
            listener.ask(write);
            self.roster.flush(id, &mut self.outbox);
        }
    }

    /// The handshake of a subscriber connection is done.
    pub(super) fn begin_listening(&mut self, id: ConnectionId) {
        let Some(connection) = self.roster.get_mut(id) else {
            return;
        };
        connection.begin_listening();
        let server = connection.server();
        let patience = Purpose::answer_within(self.roster.server(server).settings());
        self.subscriptions
            .note_ready(server, id, patience, self.now);
        self.trace_server(Level::Debug, server, |server| Trace::ServerReady { server });
        self.ask_site(server);
    }

    /// Nothing has been subscribed to at a server for a while.
    pub(super) fn release_subscriber(&mut self, server: ServerId, id: ConnectionId) {
        self.subscriptions.forget_site(server);
        if self.roster.remove(id).is_some() {
            self.outbox.act(Action::CloseConnection { connection: id });
            let why = "nothing is subscribed to there any more";
            self.trace_server(Level::Info, server, |server| Trace::ServerReleased {
                server,
                why,
            });
        }
    }

    /// A subscriber connection has ended.
    pub(super) fn lose_subscriptions(&mut self, server: ServerId, cause: &Cause) {
        let channels = self.subscriptions.lose(server, cause, self.now);
        self.note_gap(server, channels);
        self.settle_subscriptions();
    }

    fn note_gap(&mut self, server: ServerId, channels: usize) {
        if channels > 0 {
            self.counters.add(PoolMetric::SubscriptionGaps, 1);
            let server = self.roster.server(server).name().to_owned();
            let gap = Subscription::Gap { server, channels };
            self.outbox.log(Event::Subscription(gap));
        }
    }
}

/// What servers send.
impl<P: Protocol> Engine<P> {
    /// A server has sent `range` of `chunk` on its subscriber connection. Returns its length, or `None` when the bytes are
    /// nothing that may come there.
    pub(super) fn handle_frames(
        &mut self,
        id: ConnectionId,
        chunk: &Chunk,
        range: Range<usize>,
    ) -> Option<usize> {
        let connection = self.roster.get(id)?;
        let server = connection.server();
        self.subscriptions.note_heard(server, self.now);
        let it = self.roster.server(server);
        if it.is_judged() && !connection.is_draining() {
            it.note_success();
        }
        let mut pos = range.start;
        while pos < range.end {
            let (listener, scanner) = self.roster.get_mut(id)?.listener()?;
            let taken = listener.take::<P>(scanner, chunk, pos..range.end);
            let (len, frame) = taken.ok()?;
            pos += len;
            if let Some(frame) = frame {
                self.handle_frame(server, &frame)?;
            }
        }
        Some(range.len())
    }

    /// Handles one frame; `None` when it is none that may come.
    fn handle_frame(&mut self, server: ServerId, frame: &Frame) -> Option<()> {
        let bytes = &frame.chunk[frame.range.clone()];
        match P::notice(bytes)? {
            Notice::Message { kind, name } => {
                self.pass_on(server, kind, name, frame);
                return Some(());
            }
            Notice::Alive => {
                let (expected, _) = self.subscriptions.take_asked(server)?;
                return (expected == Expected::Life).then_some(());
            }
            Notice::Confirmed { change, kind, name } => {
                let (expected, asked) = self.subscriptions.take_asked(server)?;
                match expected {
                    Expected::Change(to, of, it) if (to, of, &*it) == (change, kind, name) => {}
                    _ => return None,
                }
                let now = self.now;
                self.subscriptions.note_answer(server, &asked, None, now);
            }
            Notice::Refused if bytes.len() > MAX_FRAGMENT_LINE => return None,
            Notice::Refused => {
                let (_, asked) = self.subscriptions.take_asked(server)?;
                let now = self.now;
                let subscriptions = &mut self.subscriptions;
                if subscriptions.note_answer(server, &asked, Some(bytes), now) {
                    let text = shown(bytes);
                    let server = self.roster.server(server).name().to_owned();
                    let refused = Subscription::Refused { server, text };
                    self.outbox.log(Event::Subscription(refused));
                }
            }
        }
        // Before the next frame: that may be a message already.
        self.settle_subscriptions();
        Some(())
    }

    /// Passes a message on to all who are subscribed to its channel. They share its bytes, if they are many.
    fn pass_on(&mut self, server: ServerId, kind: ChannelKind, name: &[u8], frame: &Frame) {
        let Some(audience) = self.subscriptions.audience(server, kind, name) else {
            return;
        };
        let (mut chunk, mut range) = (frame.chunk.clone(), frame.range.clone());
        let is_large = range.len() >= SHARE_AT_LEAST && audience.len() > 1;
        if is_large && chunk.len() / SHARE_MAX_WASTE > range.len() {
            // One copy instead of one for each.
            chunk = Chunk::from(&chunk[range]);
            range = 0..chunk.len();
        }
        let (now, outbox) = (self.now, &mut self.outbox);
        for id in audience {
            match frame.is_whole {
                true => self.clients.push(*id, &chunk, range.clone(), now, outbox),
                false => self.clients.close_subscriber(*id, outbox),
            }
        }
        let count = audience.len() as i64;
        self.counters.add(PoolMetric::Messages, count);
    }
}

/// Requests for subscriptions that are answered now.
impl<P: Protocol> Engine<P> {
    /// Answers all that can be answered.
    pub(super) fn settle_subscriptions(&mut self) {
        while let Some(settled) = self.subscriptions.next_settled() {
            self.confirm(settled);
        }
        while let Some(failed) = self.subscriptions.next_failed() {
            self.refuse_subscriptions(&failed);
        }
        let count = self.subscriptions.subscribed() as i64;
        self.counters.set(PoolMetric::Subscriptions, count);
    }

    fn confirm(&mut self, settled: Settled) {
        let Settled {
            wish,
            numbers,
            counts,
        } = settled;
        let Some(session) = self.clients.get_mut(wish.client) else {
            return;
        };
        session.end_subscribing(counts.is_any());
        let client = session.client_mut();
        P::note_subscriptions(client, counts);
        let mut line = Vec::new();
        for (name, number) in wish.names.iter().zip(numbers) {
            P::confirm(
                client,
                Change::Subscribe,
                wish.kind,
                Some(name),
                number,
                &mut line,
            );
        }
        self.fill_slot(wish.client, wish.slot, &line);
        self.clients.spend(wish.client, line.len(), self.now);
    }

    fn refuse_subscriptions(&mut self, failed: &Failed) {
        let (id, slot) = (failed.wish.client, failed.wish.slot);
        let counts = self.subscriptions.counts(id);
        let Some(session) = self.clients.get_mut(id) else {
            return;
        };
        session.end_subscribing(counts.is_any());
        let mut line = Vec::new();
        match (&failed.why, failed.wish.reply) {
            (Why::Lost(it), Reply::Wanted) => {
                return self.fail_slot(id, slot, &it.cause, it.server);
            }
            (Why::Lost(it), Reply::Dropped) => self.note_lost(id, &it.cause, it.server),
            (Why::TooMany, _) => P::too_many_subscriptions(&mut line),
            (Why::Refused(error), _) => line.extend_from_slice(error),
        }
        if failed.wish.reply == Reply::Dropped && !line.is_empty() {
            self.drop_reply(id, &line);
            line.clear();
        }
        self.fill_slot(id, slot, &line);
    }
}
