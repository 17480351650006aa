//! Sessions whose requests keep a server busy for long are held back; see `clients/pace.rs`.
//!
//! The requests that wait on a connection are looked at only when the oldest of them has waited for too long. So all
//! of this costs nothing while servers are quick.

use super::state::Engine;
use crate::clients::pace::{Delayed, Terms};
use crate::clients::session::Session;
use crate::id::ConnectionId;
use crate::limits::{CROWDED_LONG_WINDOW, DELAY_LOOKS, LONG_WINDOW};
use crate::protocol::Protocol;
use crate::protocol::decision::Facts;
use crate::servers::connection::Connection;
use crate::servers::delay::DelayBound;
use crate::time::Time;

impl<P: Protocol> Engine<P> {
    /// The oldest request on a connection has waited for too long: the windows of all sessions of which that is true
    /// become narrower.
    pub(super) fn hold_back_waiting(&mut self, id: ConnectionId) {
        let now = self.now;
        if let Some((connection, heard)) = self.roster.look_at_waiting(id, now)
            && let delay = connection.delay()
            && let Some(terms) = terms(delay)
        {
            let entries = connection.queue().iter().take(DELAY_LOOKS);
            for entry in
                entries.take_while(|entry| delay.is_over(connection.waits_since(entry), now))
            {
                let queued = entry.queued;
                if let Some(session) = self.clients.get_mut(entry.session) {
                    session.note_delay(Delayed { queued, heard }, terms, now);
                }
            }
        }
        self.roster.note_deadline(id);
    }

    /// The first bytes have come on a connection. Returns whether they cannot be a reply, as nothing was asked.
    #[cold]
    #[inline(never)]
    pub(super) fn hear_first(&mut self, id: ConnectionId) -> bool {
        let connection = self.roster.get_mut(id);
        connection.is_some_and(|connection| {
            connection.note_way(self.now);
            !connection.expects_reply()
        })
    }
}

/// The request that a session has sent last, on this connection, has a special reply, or may keep the server busy for
/// long.
#[cold]
#[inline(never)]
pub(super) fn note_special<P: Protocol>(
    facts: &Facts<P::Command>,
    session: &mut Session<P>,
    connection: &mut Connection<P>,
    now: Time,
) {
    let work = P::work(facts);
    connection.mark(work.mark);
    if work.may_be_long
        && let Some(terms) = terms(connection.delay())
    {
        let waiting = connection.queue().len();
        let others = waiting.saturating_sub(session.outstanding());
        let first = match others >= LONG_WINDOW || connection.is_delayed(now) {
            true => CROWDED_LONG_WINDOW,
            false => LONG_WINDOW,
        };
        session.note_long(first, terms, now);
    }
}

/// What windows are judged by at a server; `None` without `timeout`.
fn terms(delay: &DelayBound) -> Option<Terms> {
    Some(Terms {
        quick: delay.quick(),
        calm: delay.timeout()?,
    })
}
