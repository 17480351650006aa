//! `max_memory`: the memory of all buffers is counted; clients that hold more than their share are not read for a
//! while, and the largest are closed if that is not enough. See `flow/memory.rs` for the thresholds.
//!
//! Counting walks every buffer, so it is not done per request: `MemoryWatch` says when. A client is held back before
//! it is closed, and only clients above their share are: one client's excess never costs another its connection.

use std::cmp::Reverse;
use std::sync::Arc;

use super::state::Engine;
use crate::cause::Cause;
use crate::clients::ending::Ending;
use crate::event::Event;
use crate::flow::memory::Pressure;
use crate::id::SessionId;
use crate::metrics::PoolMetric;
use crate::protocol::Protocol;
use crate::protocol::grammar::Reply;
use crate::servers::queue::{InFlight, ReplyTo};

/// What a count found.
#[derive(Debug, Default)]
struct Count {
    /// Bytes of all buffers.
    held: usize,
    /// Bytes of the session that holds most.
    largest: usize,
    /// Sessions with more than their share, largest first.
    over_share: Vec<(usize, SessionId)>,
    /// Sessions that are held back and need not be: they are below their share again, or holding them back cannot
    /// make them smaller.
    released: Vec<SessionId>,
    /// Unsent request bytes of clients that have left.
    orphaned: usize,
}

impl<P: Protocol> Engine<P> {
    /// Bytes that all buffers hold.
    pub(super) fn held(&self) -> usize {
        self.clients.held() + self.held_for_servers()
    }

    /// So many bytes were read and handled. When they use up the allowance, the buffers are counted.
    #[inline]
    pub(super) fn note_read(&mut self, bytes: usize) {
        if self.memory.spend(bytes) {
            self.spend_allowance();
        }
    }

    #[cold]
    fn spend_allowance(&mut self) {
        if self.memory.must_count(self.now) {
            self.count_memory();
            self.run_ready();
        }
    }

    /// Counts the buffers, and holds back, releases or closes clients accordingly.
    pub(super) fn count_memory(&mut self) {
        // Spare buffers belong to no client, so they must not count towards closing one.
        self.clients.drop_spares();
        let mut count = self.count_buffers();
        self.memory.publish(count.held, count.largest);
        match self.memory.pressure() {
            Pressure::None => self.release_all(&count),
            Pressure::Some => self.release(&count.released),
            Pressure::High => self.hold_back(&count),
            Pressure::Over | Pressure::FarOver => {
                self.hold_back(&count);
                let part = Arc::clone(self.memory.part());
                // Without the turn, another part is closing clients; this one acts on what is left at its next count.
                if let Some(_turn) = part.memory().turn_to_close() {
                    self.shed(&count);
                    // Published before the turn ends, so that the next part sees what was freed.
                    count = self.count_buffers();
                    self.memory.publish(count.held, count.largest);
                }
            }
        }
        let held = count.held as i64;
        self.counters.set(PoolMetric::BufferedBytes, held);
        let is_anybody_held = self.clients.held_for_memory() > 0;
        self.memory
            .schedule_next(count.largest, is_anybody_held, self.now);
    }

    fn count_buffers(&self) -> Count {
        let share = self.memory.part().memory().share();
        let for_servers = self.held_for_servers();
        let mut count = Count {
            held: for_servers,
            ..Count::default()
        };
        // Bytes queued for servers count for the session that sent them. Finding it costs a walk over all queues,
        // which is only made if those bytes alone could exceed a share.
        let queued = match for_servers > share {
            true => self.queued_by_session(&mut count.orphaned),
            false => Vec::new(),
        };
        for (id, session) in self.clients.iter() {
            let own = session.held();
            let size = own + queued.get(id.index()).copied().unwrap_or(0);
            count.held += own;
            count.largest = count.largest.max(size);
            if size > share {
                count.over_share.push((size, id));
            }
            if session.is_held_for_memory() && (size <= share || !session.can_shrink()) {
                count.released.push(id);
            }
        }
        count.over_share.sort_by_key(|(size, _)| Reverse(*size));
        count
    }

    fn held_for_servers(&self) -> usize {
        // The buffer that an idle connection keeps is held for nobody.
        let outputs = self.roster.connections().map(|link| link.queue().output());
        let busy = outputs.filter(|output| !output.is_empty());
        let listeners = self.roster.connections();
        let listeners: usize = listeners.map(|link| link.listener_footprint()).sum();
        let kept = self.roster.connections();
        let kept: usize = kept.map(|link| link.queue().kept_footprint()).sum();
        let kept = kept + self.redirects.footprint();
        let outputs: usize = busy.map(|output| output.footprint()).sum();
        outputs + kept + listeners + self.subscriptions.held()
    }

    /// The memory of unsent requests by the index of their session; of those of sessions that are gone, their bytes are
    /// added to `orphaned`. A request is charged with its part of the spare room of its connection's buffer, too, or
    /// nobody would be above a share of the memory that is held.
    fn queued_by_session(&self, orphaned: &mut usize) -> Vec<usize> {
        let mut queued = Vec::new();
        for queue in self.roster.connections().map(|link| link.queue()) {
            let (footprint, len) = (queue.output().footprint(), queue.output().len());
            for entry in queue.unsent() {
                if self.clients.get(entry.session).is_none() {
                    *orphaned += entry.bytes();
                    continue;
                }
                let index = entry.session.index();
                if queued.len() <= index {
                    queued.resize(index + 1, 0);
                }
                let charged = entry.bytes() as u128 * footprint as u128 / len.max(1) as u128;
                queued[index] += charged as usize;
            }
        }
        queued
    }

    /// Holds back the sessions above their share, and releases those that are below it again.
    fn hold_back(&mut self, count: &Count) {
        self.release(&count.released);
        for (_, id) in &count.over_share {
            let Some(session) = self.clients.get(*id) else {
                continue;
            };
            // One whose memory is an incomplete request can only grow. Held back, it would wait for ever; it goes on
            // until it is complete or is closed as the largest.
            if session.accepts_input() && session.can_shrink() {
                self.clients.hold_for_memory(*id);
            }
        }
        let clients = self.clients.held_for_memory();
        if clients > 0 {
            let held = self.memory.part().memory().held();
            self.outbox.log(Event::MemoryShort { held, clients });
        }
    }

    fn release_all(&mut self, count: &Count) {
        self.release(&count.released);
        for (_, id) in &count.over_share {
            self.clients.release_for_memory(*id);
        }
    }

    fn release(&mut self, sessions: &[SessionId]) {
        for id in sessions {
            self.clients.release_for_memory(*id);
        }
    }

    /// A session that is held back has read some of its replies: it is released if it is within its share, or if
    /// nothing is left that could make it smaller.
    pub(super) fn reconsider(&mut self, id: SessionId) {
        let share = self.memory.part().memory().share();
        let goes_on = self.clients.get(id).is_some_and(|session| {
            !session.can_shrink() || (session.is_idle() && session.held() <= share)
        });
        if goes_on {
            self.clients.release_for_memory(id);
        }
    }

    /// Drops unsent requests of clients that are gone, then closes the largest sessions above their share, one by
    /// one, until the process is below its limit.
    fn shed(&mut self, count: &Count) {
        let mut held = count.held;
        if count.orphaned > 0 {
            held = held.saturating_sub(self.drop_orphans());
        }
        for (size, id) in &count.over_share {
            // The pressure is computed from what is published, so each round begins with what is held by now.
            self.memory.publish(held, *size);
            // Whether this part's largest is to be closed: another part may have a larger one.
            let mine = match self.memory.pressure() {
                Pressure::FarOver => true,
                Pressure::Over => self.memory.part().is_largest(*size),
                _ => false,
            };
            if !mine {
                break;
            }
            self.close_over_share(*id, *size);
            held = held.saturating_sub(*size);
        }
        self.drop_orphans();
    }

    /// Closes a client that holds too much. If all it holds is an incomplete request, it gets an error line first:
    /// nothing else is on its way to it.
    fn close_over_share(&mut self, id: SessionId, held: usize) {
        let Some(session) = self.clients.get(id) else {
            return;
        };
        self.outbox.log(Event::ClientShed {
            client: session.name().into(),
            held,
        });
        self.counters.add(PoolMetric::ClientShed, 1);
        // An error line would only wait behind replies that the client does not read.
        if session.can_shrink() || !session.accepts_input() {
            return self.clients.close(id, Ending::Closed, &mut self.outbox);
        }
        match self.pass_over(id) {
            Reply::Wanted => self.answer_error(id, &Cause::Overloaded, None),
            Reply::Dropped => self.note_lost(id, &Cause::Overloaded, None),
        }
        self.clients.quit(id, true, self.now, &mut self.outbox);
    }

    /// Drops the requests of clients that are gone, as far as nothing of them was written; returns their bytes.
    fn drop_orphans(&mut self) -> usize {
        let clients = &self.clients;
        let is_gone = |id: SessionId| clients.get(id).is_none();
        let (mut dropped, mut unheard) = (0, Vec::new());
        for id in self.roster.connection_ids() {
            let Some(connection) = self.roster.get_mut(id) else {
                continue;
            };
            let of_gone = |entry: &&InFlight| is_gone(entry.session);
            let quiet = |entry: &&InFlight| entry.reply_to == ReplyTo::Nobody;
            let queue = connection.queue_mut();
            if queue.unsent().find(of_gone).is_none() {
                continue;
            }
            let lost = queue.unsent().filter(of_gone).filter(quiet);
            unheard.extend(lost.map(|entry| entry.session));
            let gone = queue.drop_unsent(is_gone);
            let counters = connection.counters();
            counters.note_dropped(gone.requests as i64, gone.bytes as i64);
            dropped += gone.bytes;
        }
        // Requests without a wanted reply are reported; the others' clients are gone.
        for id in unheard {
            self.note_lost(id, &Cause::Overloaded, None);
        }
        dropped
    }
}
