//! Sessions that ask for RESP3 (HELLO 3). It is granted only if the pool's servers support it, as replies are never
//! converted: a session's replies come from connections of its own version.
//!
//! The first session that asks makes the proxy open a RESP3 connection to each server; the handshakes tell. It waits
//! with an open slot, and sessions that ask meanwhile wait with it.

use super::state::Engine;
use crate::cause::Cause;
use crate::clients::holds::Hold;
use crate::clients::order::Expected;
use crate::id::{ServerId, SessionId};
use crate::limits::PROBE_PATIENCE;
use crate::protocol::Protocol;
use crate::protocol::decision::{Lane, Version};
use crate::protocol::grammar::Reply;
use crate::servers::upgrades::{Support, UpgradeResult, Waiter};

impl<P: Protocol> Engine<P> {
    /// A session asks for RESP3. It has nothing outstanding, and accepts no further request until this one is
    /// answered.
    pub(super) fn begin_upgrade(&mut self, id: SessionId, reply: Reply) {
        let Some(session) = self.clients.get_mut(id) else {
            return;
        };
        // The slot keeps the order of replies; the hold keeps requests after HELLO from being sent in the old
        // version.
        let slot = session.open_slot(Expected::Reply {
            may_be_large: false,
        });
        session.hold(Hold::UntilIdle);
        let waiter = Waiter {
            session: id,
            slot,
            reply,
        };
        if !self.upgrades.add(waiter) {
            return self.finish_upgrade(waiter, &Err(Cause::Overloaded));
        }
        if !self.protocol.may_upgrade() {
            return self.answer_waiters(&Ok(false));
        }
        // Mostly the servers are known already.
        if self.settle_upgrades(false) {
            return;
        }
        self.ask_servers();
        self.settle_upgrades(false);
    }

    /// Asks every server whose support is not known, unless they are being asked already. An ejected server counts as
    /// unreachable at once: otherwise every client would wait for it.
    fn ask_servers(&mut self) {
        if self.upgrades.deadline().is_some() {
            return;
        }
        let patience = self.settings.timeout.unwrap_or(PROBE_PATIENCE);
        let deadline = self.now + patience.min(PROBE_PATIENCE);
        self.upgrades.begin(deadline);
        let servers: Vec<ServerId> = self.routes.own().collect();
        for server in servers {
            if self.upgrades.of(server) != Some(Support::Yes) {
                self.ask(server);
            }
        }
    }

    pub(super) fn ask(&mut self, id: ServerId) {
        let server = self.roster.server(id);
        let refuses = server.refusal(Lane::of(Version::Resp3), self.now).is_some();
        if refuses || !server.health().is_live() {
            return self.upgrades.note(id, Support::Unreachable);
        }
        let purpose = server.shared_by(Lane::of(Version::Resp3));
        let is_connected = !server.connections(Lane::of(Version::Resp3)).is_empty();
        self.upgrades.note(id, Support::Asked);
        if !is_connected {
            self.roster.open(id, purpose, self.now, &mut self.outbox);
        }
    }

    /// The handshake of a RESP3 connection has succeeded, or its server has refused it.
    pub(super) fn note_support(&mut self, server: ServerId, support: Support) {
        self.upgrades.note(server, support);
    }

    /// A RESP3 connection has ended, maybe before its server had answered.
    pub(super) fn note_upgrade_ending(&mut self, server: ServerId) {
        if matches!(self.upgrades.of(server), None | Some(Support::Asked)) {
            self.upgrades.note(server, Support::Unreachable);
        }
        self.settle_upgrades(false);
    }

    /// Answers the waiting sessions if enough is known; with `timed_out`, by whatever is known. Returns whether none
    /// waits any more.
    pub(super) fn settle_upgrades(&mut self, timed_out: bool) -> bool {
        if !self.upgrades.is_anybody_waiting() {
            return true;
        }
        let answer = match self.upgrades.result(self.routes.own(), timed_out, self.now) {
            None => return false,
            Some(UpgradeResult::Granted) => Ok(true),
            Some(UpgradeResult::Refused) => Ok(false),
            Some(UpgradeResult::Unreachable) => {
                let refusal = |id| {
                    self.roster
                        .server(id)
                        .refusal(Lane::of(Version::Resp3), self.now)
                };
                let told = self.routes.own().find_map(refusal);
                Err(told.cloned().unwrap_or(Cause::Refused))
            }
        };
        self.upgrades.end();
        self.answer_waiters(&answer);
        true
    }

    fn answer_waiters(&mut self, granted: &Result<bool, Cause>) {
        for waiter in self.upgrades.take_waiters() {
            self.finish_upgrade(waiter, granted);
        }
    }

    fn finish_upgrade(&mut self, waiter: Waiter, granted: &Result<bool, Cause>) {
        let Some(session) = self.clients.get_mut(waiter.session) else {
            return;
        };
        let mut line = Vec::new();
        self.protocol
            .upgraded(session.client_mut(), granted.clone(), &mut line);
        if waiter.reply == Reply::Dropped {
            self.drop_reply(waiter.session, &line);
            line.clear();
        }
        self.fill_slot(waiter.session, waiter.slot, &line);
    }

    /// If the servers have had their time to answer, the waiting sessions are answered by what is known.
    pub(super) fn time_out_upgrades(&mut self) {
        let is_due = |due| due <= self.now;
        if self.upgrades.deadline().is_some_and(is_due) {
            self.settle_upgrades(true);
            self.upgrades.end();
        }
    }
}
