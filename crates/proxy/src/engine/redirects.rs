//! Requests that a server of a Redis Cluster sends elsewhere, or lets wait: no client hears of that.
//!
//! ```text
//!  kept when it is sent ── any other reply ──▶ delivered
//!     │   ▲                                       ▲
//!     │   └── sent where it belongs ◀──┐          │
//!     └── MOVED, ASK, TRYAGAIN, CLUSTERDOWN ──▶ too often, or for too long: an error
//! ```
//!
//! Such a request has not been executed. While it is on its way, its client's later requests wait: those that were sent
//! already and come back, too, form a row behind it ([`crate::servers::redirects`]), and nothing further is parsed. One
//! that was executed nevertheless, as it was sent before and its keys were there, makes those before it that still wait
//! fail: executed after it, they would have another effect.

use std::time::Duration;

use super::state::Engine;
use crate::cause::Cause;
use crate::event::Event;
use crate::id::{ConnectionId, ServerId, SessionId};
use crate::limits::{
    CLUSTER_FIRST_PAUSE, CLUSTER_LONGEST_PAUSE, CLUSTER_PATIENCE, MAX_HOPS, MAX_REDIRECT_LINE,
};
use crate::metrics::PoolMetric;
use crate::protocol::Protocol;
use crate::protocol::redirect::{Node, Redirect};
use crate::routes::routing::Destination;
use crate::servers::kept::{Kept, SentAs};
use crate::servers::leases::Wait;
use crate::servers::queue::{InFlight, ReplyTo};
use crate::servers::redirects::{Redirected, RowKey, Target};
use crate::servers::trial::Verdict;
use crate::settings::Address;

/// Why a request fails that was sent in circles.
const TOO_MANY_HOPS: &str = "the nodes of the cluster send the request from one to another";

/// Why one fails that is not kept.
const NOT_KEPT: &str =
    "the key has moved in the cluster, and the request is too large to be sent again";

/// Why one fails behind which another was executed.
const OVERTAKEN: &str =
    "a later request for keys of the same slot was executed while this one waited for the cluster";

/// What becomes of a piece of a reply.
pub(super) enum Healed {
    /// It is dealt with.
    Taken,
    /// It is delivered, behind what was withheld of the reply, as that to this request.
    Deliver { entry: InFlight, withheld: Vec<u8> },
}

impl Healed {
    /// `line` begins with so many bytes that were withheld.
    fn deliver(entry: InFlight, mut line: Vec<u8>, withheld: usize) -> Self {
        line.truncate(withheld);
        Self::Deliver {
            entry,
            withheld: line,
        }
    }
}

/// A reply that has ended.
struct Whole {
    /// All of it if it is an error, whose beginning may have been withheld: so many bytes.
    line: Vec<u8>,
    withheld: usize,
    /// What a request of a transaction was answered before.
    before: Option<Vec<u8>>,
    is_sent_again: bool,
}

/// What became of an attempt to send a request.
enum Attempt {
    /// It is sent as this number.
    Sent(u64),
    /// It is sent, and nothing waits for it here.
    Left,
    /// It can be sent later.
    Later(Duration),
    Failed(Cause, Option<ServerId>),
}

/// Replies.
impl<P: Protocol> Engine<P> {
    /// Looks at a piece of a reply, which is the last one if it has a `kind`.
    pub(super) fn heal(
        &mut self,
        id: ConnectionId,
        entry: InFlight,
        is_first: bool,
        kind: Option<P::Kind>,
        bytes: &[u8],
    ) -> Healed {
        let is_sent_again = matches!(entry.reply_to, ReplyTo::Redirected(_));
        let Some(connection) = self.roster.get_mut(id) else {
            let withheld = Vec::new();
            return Healed::Deliver { entry, withheld };
        };
        let mut line = connection.take_withheld();
        let is_error = match &line[..] {
            [] => is_first && bytes.starts_with(b"-"),
            _ => true,
        };
        if kind.is_none() {
            if is_error && line.len() + bytes.len() <= MAX_REDIRECT_LINE {
                line.extend_from_slice(bytes);
                connection.withhold(line);
                return Healed::Taken;
            }
            let entry = self.addressed_again(&entry);
            return Healed::Deliver {
                entry,
                withheld: line,
            };
        }
        if is_error {
            line.extend_from_slice(bytes);
        }
        let mut whole = Whole {
            line,
            withheld: 0,
            before: connection.take_redirect_before(),
            is_sent_again,
        };
        whole.withheld = whole.line.len() - if is_error { bytes.len() } else { 0 };
        self.heal_whole(id, entry, whole)
    }

    /// The same for a reply that has ended.
    fn heal_whole(&mut self, id: ConnectionId, entry: InFlight, whole: Whole) -> Healed {
        let Whole {
            line,
            withheld,
            before,
            is_sent_again,
        } = whole;
        let Some((entry, kept, server)) = self.take_answered(id, &entry) else {
            return Healed::deliver(entry, line, withheld);
        };
        let Some(kept) = kept else {
            return Healed::deliver(entry, line, withheld);
        };
        let says = match before {
            Some(before) if P::is_aborted(&line) => before,
            _ => line.clone(),
        };
        let is_wanted = can_be_sent_again(&entry) && !self.is_wait_cancelled(id);
        let Some(redirect) = P::redirect(&says).filter(|_| is_wanted) else {
            let key = (entry.session, kept.slot);
            match is_sent_again {
                true => self.pump(key),
                // A read at a replica changes nothing for those before it.
                false if self.roster.server(server).is_replica() => {}
                false => self.fail_overtaken(key),
            }
            return Healed::deliver(entry, line, withheld);
        };
        let it = Redirected {
            request: entry,
            kept,
            to: Target::Owner,
            line: says.into(),
            server,
            wait: None,
        };
        self.redirect(id, it, &redirect, is_sent_again);
        Healed::Taken
    }

    /// What is kept of the request that was just answered on a connection, its server, and the request with its reply going
    /// where its client waits for it.
    fn take_answered(
        &mut self,
        id: ConnectionId,
        entry: &InFlight,
    ) -> Option<(InFlight, Option<Kept>, ServerId)> {
        let connection = self.roster.get_mut(id)?;
        let server = connection.server();
        let queue = connection.queue_mut();
        let number = queue.number_of_oldest().wrapping_sub(1);
        let kept = queue.take_kept(number);
        match entry.reply_to {
            ReplyTo::Redirected(number) => {
                let (entry, kept) = self.end_redirected(number, entry);
                Some((entry, kept, server))
            }
            _ => Some((*entry, kept, server)),
        }
    }

    /// Whether nobody waits any more for what waits on this connection.
    fn is_wait_cancelled(&self, id: ConnectionId) -> bool {
        let lease = self.roster.get(id).and_then(|it| it.lease());
        let wait = lease.and_then(|lease| lease.wait());
        wait.is_some_and(|wait| wait.is_cancelled())
    }

    /// The request with its reply going where its client waits for it.
    fn addressed_again(&self, entry: &InFlight) -> InFlight {
        let ReplyTo::Redirected(number) = entry.reply_to else {
            return *entry;
        };
        let reply_to = self.redirects.reply_to(number);
        entry.with_reply_to(reply_to.unwrap_or(ReplyTo::Proxy))
    }

    /// A later request was executed: those before it that wait for their time fail. One that was to be asked for elsewhere
    /// does not: the node that said so has executed the later one, so that this was for other keys.
    fn fail_overtaken(&mut self, key: RowKey) {
        if self.redirects.is_empty() {
            return;
        }
        let is_concerned =
            |it: &Redirected| !matches!(P::redirect(&it.line), Some(Redirect::Asked { .. }));
        for it in self.redirects.take_overtaken(key, is_concerned) {
            self.stop_redirecting(&it, &Cause::Other(OVERTAKEN.into()));
        }
    }
}

/// What a server says.
impl<P: Protocol> Engine<P> {
    /// A server has sent a request elsewhere, or lets it wait.
    fn redirect(
        &mut self,
        id: ConnectionId,
        mut it: Redirected,
        redirect: &Redirect,
        was_first: bool,
    ) {
        self.counters.add(PoolMetric::Redirects, 1);
        let session = it.request.session;
        if let Some(session) = self.clients.get_mut(session) {
            session.pinned_mut().remove(id);
            session.hold_until_drained();
        }
        let from = self.roster.get(id).map(|it| it.endpoint().address.clone());
        let pause = self.follow_redirect(&mut it, redirect, from.as_ref());
        match it.kept.sent_as {
            SentAs::Shared => {}
            SentAs::Watch => return self.end_moved_watch(id, &it),
            SentAs::Watched => return self.end_moved_transaction(id, &it),
            SentAs::Wait => {
                it.wait = self.lease_mut(id).and_then(|lease| lease.end_wait());
                let reply_to = it
                    .wait
                    .as_ref()
                    .map_or(ReplyTo::Proxy, |wait| wait.reply_to);
                it.request = it.request.with_reply_to(reply_to);
                self.give_back(id);
            }
        }
        let key = it.key();
        match self.hopeless(&it) {
            Some(cause) => self.stop_redirecting(&it, &cause),
            None if was_first => self.redirects.put_back(it, self.now + pause),
            None => self.redirects.add(it, self.now + pause),
        }
        self.pump(key);
    }

    /// Finds out where the request goes now, and after which pause.
    fn follow_redirect(
        &mut self,
        it: &mut Redirected,
        redirect: &Redirect,
        from: Option<&Address>,
    ) -> Duration {
        let now = self.now;
        it.kept.since.get_or_insert(now);
        it.kept.hops = it.kept.hops.saturating_add(1);
        let slot = it.kept.slot;
        let known = |to: &Option<Node>| {
            let to = to.as_ref().and_then(|to| to.address(from))?;
            Some((self.routes.find_server(&to)?, to))
        };
        match redirect {
            Redirect::Moved { slot: named, to } => {
                let known = known(to);
                if let Some((server, _)) = known
                    && named.is_some_and(|named| named == slot)
                {
                    self.move_slot(slot, server);
                }
                self.ask_for_map(from);
                self.follow_to(it, known.map(|(_, to)| Target::At(to)))
            }
            Redirect::Asked { to } => {
                self.redirects.note_moving(slot, now);
                let known = known(to);
                if known.is_none() {
                    self.ask_for_map(from);
                }
                self.follow_to(it, known.map(|(_, to)| Target::Asked(to)))
            }
            // What a replica cannot answer at present its master can.
            Redirect::TryAgain | Redirect::Down if self.roster.server(it.server).is_replica() => {
                self.count_failure(it.server, now);
                it.to = Target::Owner;
                Duration::ZERO
            }
            Redirect::TryAgain => {
                it.to = Target::Owner;
                self.wait_longer(it)
            }
            Redirect::Down => {
                self.ask_for_map(None);
                it.to = Target::Owner;
                self.wait_longer(it)
            }
        }
    }

    /// The request goes to a node of the plan, at first without a pause: a loop costs the servers less with pauses. For one that
    /// may be in the next plan, the owner of the slot is asked again.
    fn follow_to(&self, it: &mut Redirected, to: Option<Target>) -> Duration {
        let Some(to) = to else {
            it.to = Target::Owner;
            return self.wait_longer(it);
        };
        it.to = to;
        match it.kept.hops > 3 {
            true => pause(it.kept.hops),
            false => Duration::ZERO,
        }
    }

    /// The pause of a request that is to wait for the cluster, by how long it has waited. That is no hop.
    fn wait_longer(&self, it: &mut Redirected) -> Duration {
        it.kept.hops -= 1;
        let waited = it
            .kept
            .since
            .map_or(Duration::ZERO, |since| self.now.since(since));
        waited.clamp(CLUSTER_FIRST_PAUSE, CLUSTER_LONGEST_PAUSE)
    }

    /// Why the request is not sent again, if it is not.
    fn hopeless(&self, it: &Redirected) -> Option<Cause> {
        let other = |text: &str| Some(Cause::Other(text.into()));
        if it.kept.request.is_none() {
            return other(NOT_KEPT);
        }
        if it.kept.is_overtaken {
            return other(OVERTAKEN);
        }
        if it.kept.hops > MAX_HOPS {
            return other(TOO_MANY_HOPS);
        }
        self.is_over(it).then(|| self.why_over(it))
    }

    /// Whether it has waited for too long.
    fn is_over(&self, it: &Redirected) -> bool {
        let patience = self.settings.timeout.unwrap_or(CLUSTER_PATIENCE);
        let patience = patience.min(CLUSTER_PATIENCE);
        let since = it.kept.since;
        since.is_some_and(|since| since + patience <= self.now)
    }

    /// What the client of a request is told that has waited for too long: what its server has said, unless that leads elsewhere.
    fn why_over(&self, it: &Redirected) -> Cause {
        match P::redirect(&it.line) {
            Some(Redirect::TryAgain | Redirect::Down) => {
                let text = String::from_utf8_lossy(&it.line);
                let text = text.trim_start_matches('-').trim_end();
                Cause::refusal("the request", text)
            }
            _ => Cause::Other(TOO_MANY_HOPS.into()),
        }
    }

    /// A server has this slot now. Clients with requests of it elsewhere have their later ones wait.
    fn move_slot(&mut self, slot: u16, server: ServerId) {
        if self.routes.move_slot(slot, server) {
            self.hold_misplaced();
        }
    }

    /// Keys cannot be watched where they were: the client's transaction will not be executed, as if they had changed.
    fn end_moved_watch(&mut self, id: ConnectionId, it: &Redirected) {
        match it.request.reply_to {
            ReplyTo::Slot(slot) => self.fill_slot(it.request.session, slot, P::WATCHED),
            _ => self.end_silent(it.request.session),
        }
        self.leave_watch(id);
    }

    /// Whether watched keys have changed is not known, as they have moved.
    fn end_moved_transaction(&mut self, id: ConnectionId, it: &Redirected) {
        let client = it.request.session;
        let mut reply = Vec::new();
        if let Some(session) = self.clients.get(client) {
            P::watch_failed(session.client(), &mut reply);
        }
        match it.request.reply_to {
            ReplyTo::Last(Some(slot)) => self.fill_slot(client, slot, &reply),
            _ => self.end_silent(client),
        }
        self.give_back(id);
    }
}

/// Requests that are sent again.
impl<P: Protocol> Engine<P> {
    /// Sends what is due.
    pub(super) fn attend_redirects(&mut self) {
        if self.redirects.is_empty() {
            return;
        }
        let clients = &self.clients;
        self.redirects.drop_rows(|id| clients.get(id).is_none());
        for key in self.redirects.due(self.now) {
            self.pump(key);
        }
        for id in self.redirects.take_free() {
            self.end_trial(id);
        }
    }

    /// Sends the first request of a row, if it is due; if it fails at once, the next one.
    fn pump(&mut self, key: RowKey) {
        while let Some(mut it) = self.redirects.take_due(key, self.now) {
            if self.clients.get(key.0).is_none() {
                continue;
            }
            match self.send_again(&mut it) {
                Attempt::Sent(number) => return self.redirects.put_sent(it, number),
                Attempt::Left => {}
                Attempt::Later(_) if self.is_over(&it) => {
                    let cause = self.why_over(&it);
                    self.stop_redirecting(&it, &cause);
                }
                Attempt::Later(pause) => {
                    return self.redirects.put_back(it, self.now + pause);
                }
                Attempt::Failed(cause, server) => self.fail_redirected(&it, &cause, server),
            }
        }
    }

    /// A request is not sent on, and the log tells it.
    fn stop_redirecting(&mut self, it: &Redirected, cause: &Cause) {
        self.outbox.log(Event::RedirectFailed {
            server: self.roster.server(it.server).name().to_owned(),
            reason: cause.detail().to_owned(),
        });
        self.fail_redirected(it, cause, Some(it.server));
    }

    fn fail_redirected(&mut self, it: &Redirected, cause: &Cause, server: Option<ServerId>) {
        self.fail_without_retry(&it.request, cause, server.unwrap_or(it.server));
        self.clients
            .settle(it.request.session, self.now, &mut self.outbox);
    }

    fn send_again(&mut self, it: &mut Redirected) -> Attempt {
        let slot = it.kept.slot;
        let (named, is_asked) = match &it.to {
            Target::Owner => (None, false),
            Target::At(address) => (self.routes.find_server(address), false),
            Target::Asked(address) => (self.routes.find_server(address), true),
        };
        // A plan may not have the one that was named any more.
        let is_asked = is_asked && named.is_some();
        let owner = || self.routes.route_slot(slot).usable_server().ok();
        let Some(server) = named.or_else(owner) else {
            // A plan will have it.
            self.ask_for_map(None);
            return Attempt::Later(CLUSTER_FIRST_PAUSE);
        };
        // Where the slot is back, those that were sent after it would be executed before it.
        if server == it.server && self.has_in_flight(it.key(), server) {
            return Attempt::Later(CLUSTER_FIRST_PAUSE);
        }
        let Some(mut request) = it.kept.request.as_ref().map(|request| request.again()) else {
            return Attempt::Failed(Cause::Other(NOT_KEPT.into()), None);
        };
        if let Some(wait) = it.wait.take() {
            return self.wait_again(it, *wait, server, is_asked);
        }
        let id = it.request.session;
        let connection = match self.connection_to(id, Destination::Slot(server, slot)) {
            Ok(connection) => connection,
            Err(cause) => return Attempt::Failed(cause, Some(server)),
        };
        if it.kept.before > 0
            && let Some(attempt) = self.try_transactions(id, connection)
        {
            return attempt;
        }
        for script in &it.kept.scripts {
            self.load_script_on(id, connection, script);
        }
        let number = self.redirects.next_number();
        let reply_to = ReplyTo::Redirected(number);
        self.send(id, connection, reply_to, it.request.class, |out| {
            if is_asked {
                out.extend(P::ASKING);
            }
            out.append(&mut request);
        });
        self.mark(connection, it.request.mark);
        let before = it.kept.before + u16::from(is_asked);
        if before > 0 {
            self.expect_before(connection, it.request.mark, before);
        }
        Attempt::Sent(number)
    }

    /// Has a request wait at another server.
    fn wait_again(
        &mut self,
        it: &mut Redirected,
        wait: Wait,
        server: ServerId,
        is_asked: bool,
    ) -> Attempt {
        let id = it.request.session;
        let connection = match self.lease(id, server) {
            Ok(connection) => connection,
            Err(cause) => return Attempt::Failed(cause, Some(server)),
        };
        let Wait {
            reply_to,
            keys,
            takes,
            ..
        } = wait;
        if let Some(lease) = self.lease_mut(connection) {
            lease.begin_wait(Wait::new(reply_to, keys, takes));
        }
        let mut kept = Kept::new(it.kept.slot, SentAs::Wait);
        kept.hops = it.kept.hops;
        let request = it.kept.request.take().unwrap_or_default();
        let (now, outbox) = (self.now, &mut self.outbox);
        if let Some(mut connection) = self.roster.connection_by_id(connection) {
            let class = it.request.class;
            connection.send(id, ReplyTo::Leased, class, now, outbox, |out| {
                if is_asked {
                    out.extend(P::ASKING);
                }
                out.append(&mut request.again());
            });
            let queue = connection.into_inner().queue_mut();
            if is_asked {
                queue.expect_before(1);
            }
            kept.request = Some(request);
            queue.keep(kept);
        }
        Attempt::Left
    }

    /// Whether the connection takes transactions has to be known before one is sent on it. `None` if it does.
    fn try_transactions(&mut self, id: SessionId, connection: ConnectionId) -> Option<Attempt> {
        let found = self.roster.get(connection)?;
        match found.takes_transactions(self.now) {
            Verdict::Supported => None,
            Verdict::Refused(line) => {
                let line = String::from_utf8_lossy(line);
                let line = line.trim_start_matches('-').trim_end();
                let cause = Cause::refusal("MULTI", line);
                Some(Attempt::Failed(cause, Some(found.server())))
            }
            Verdict::Unknown => {
                let is_asked = found.queue().iter().any(|it| it.reply_to == ReplyTo::Trial);
                if !is_asked {
                    self.send_trial(id, connection);
                }
                Some(Attempt::Later(CLUSTER_FIRST_PAUSE))
            }
        }
    }
}

/// The pause before a request is sent on by its `hops`-th server.
fn pause(hops: u8) -> Duration {
    let doubled = CLUSTER_FIRST_PAUSE * (1 << hops.min(8));
    doubled.min(CLUSTER_LONGEST_PAUSE)
}

/// Whether the request, if it has not been executed, may be sent again.
fn can_be_sent_again(entry: &InFlight) -> bool {
    matches!(
        entry.reply_to,
        ReplyTo::Slot(_)
            | ReplyTo::Fragment(..)
            | ReplyTo::Nobody
            | ReplyTo::Last(_)
            | ReplyTo::Leased
    )
}
