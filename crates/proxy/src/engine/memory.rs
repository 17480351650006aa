//! `max_memory`: what the buffers hold is counted, and who holds too much is held back, then closed.
//!
//! Nothing is counted per request. What comes in is the only thing that buffers can grow by, so all of
//! them are walked when so much has come in that it could matter ([`Memory::allowance`]).

use std::cmp::Reverse;
use std::sync::Arc;

use super::Engine;
use crate::cause::Cause;
use crate::event::Event;
use crate::flow::memory::{Memory, Pressure};
use crate::id::{ConnectionId, SessionId};
use crate::limits::{
    COUNT_EVERY, COUNT_EVERY_BYTES, COUNT_LARGE, COUNT_UNDER_PRESSURE, TELL_OF_MEMORY,
};
use crate::metrics::{PoolMetric, ServerMetric};
use crate::pool::Action;
use crate::protocol::{Protocol, Reply};
use crate::servers::connection::{InFlight, Place};
use crate::time::Time;

/// When to count, and what came of it.
#[derive(Debug)]
pub(super) struct Scale {
    pub(super) memory: Arc<Memory>,
    part: usize,
    /// Bytes that may be read before the next count.
    allowance: usize,
    counted: Time,
    /// When to count although nothing is read.
    pub(super) next: Option<Time>,
    told_short: Option<Time>,
}

/// What a count found.
#[derive(Debug, Default)]
struct Count {
    held: usize,
    /// What the largest session holds.
    largest: usize,
    /// Sessions with more than their share, largest first.
    offenders: Vec<(usize, SessionId)>,
    /// Sessions that are held back and need not be: no offenders any more, or such as can only grow.
    released: Vec<SessionId>,
    held_back: usize,
    /// Unsent request bytes of clients that have left.
    orphaned: usize,
}

impl Default for Scale {
    fn default() -> Self {
        Self {
            memory: Arc::new(Memory::new(0, 1)),
            part: 0,
            allowance: COUNT_EVERY_BYTES,
            counted: Time::ZERO,
            next: None,
            told_short: None,
        }
    }
}

impl<P: Protocol> Engine<P> {
    pub(crate) fn share_memory(&mut self, memory: Arc<Memory>, part: usize) {
        self.scale.allowance = match memory.cap() {
            Some(_) => memory.allowance(),
            None => COUNT_EVERY_BYTES,
        };
        self.scale.memory = memory;
        self.scale.part = part;
    }

    /// Bytes that all buffers hold.
    pub(crate) fn held(&self) -> usize {
        let sessions = self.sessions.iter().map(|(_, session)| session.held());
        sessions.sum::<usize>() + self.held_for_servers()
    }

    /// So many bytes have come in and were dealt with.
    #[inline]
    pub(super) fn note_read(&mut self, bytes: usize, now: Time) {
        match self.scale.allowance.checked_sub(bytes) {
            Some(left) => self.scale.allowance = left,
            None => self.spend_allowance(now),
        }
    }

    #[cold]
    fn spend_allowance(&mut self, now: Time) {
        let limited = self.scale.memory.cap().is_some();
        if !limited && now.since(self.scale.counted) < COUNT_EVERY {
            self.scale.allowance = COUNT_EVERY_BYTES;
            return;
        }
        self.count_memory(now);
        self.run_ready(now);
    }

    /// Counts what is held, and does what follows from it.
    pub(super) fn count_memory(&mut self, now: Time) {
        let mut count = self.count_buffers();
        self.publish(&count);
        match self.scale.memory.pressure() {
            Pressure::None => self.release_all(&count),
            Pressure::Some => self.release(&count.released),
            Pressure::High => self.hold_back(&count, now),
            Pressure::Over | Pressure::FarOver => {
                self.hold_back(&count, now);
                let memory = Arc::clone(&self.scale.memory);
                // Otherwise another makes room, and this one sees at its next count what is still to do.
                if let Some(_turn) = memory.turn_to_close() {
                    self.shed(&count);
                    count = self.count_buffers();
                    self.publish(&count);
                }
            }
        }
        self.metrics
            .set(PoolMetric::BufferedBytes, count.held as i64);
        self.plan_count(&count, now);
    }

    fn publish(&self, count: &Count) {
        let scale = &self.scale;
        scale.memory.publish(scale.part, count.held, count.largest);
    }

    fn plan_count(&mut self, count: &Count, now: Time) {
        let scale = &mut self.scale;
        scale.counted = now;
        scale.allowance = match scale.memory.cap() {
            Some(_) => scale.memory.allowance(),
            None => COUNT_EVERY_BYTES,
        };
        let held_back = self.metrics.pool(PoolMetric::ClientHeldBack) > 0;
        let pause = match scale.memory.pressure() {
            _ if held_back => Some(COUNT_UNDER_PRESSURE),
            // It may be one that others wait for, now or when there are more clients.
            _ if scale.memory.is_large(count.largest) => Some(COUNT_LARGE),
            _ => None,
        };
        scale.next = pause.map(|pause| now + pause);
    }

    fn count_buffers(&self) -> Count {
        let share = self.scale.memory.share();
        let for_servers = self.held_for_servers();
        let mut count = Count {
            held: for_servers,
            ..Count::default()
        };
        // What is queued for servers is its sender's. To find out whose it is costs a walk, so that is
        // done where it can make somebody an offender.
        let queued = match for_servers > share {
            true => self.queued_by_session(&mut count.orphaned),
            false => Vec::new(),
        };
        for (id, session) in self.sessions.iter() {
            let own = session.held();
            let size = own + queued.get(id.index()).copied().unwrap_or(0);
            count.held += own;
            count.largest = count.largest.max(size);
            count.held_back += usize::from(session.held_back);
            if size > share {
                count.offenders.push((size, id));
            }
            if session.held_back && (size <= share || !session.can_shrink()) {
                count.released.push(id);
            }
        }
        count.offenders.sort_by_key(|(size, _)| Reverse(*size));
        count
    }

    fn held_for_servers(&self) -> usize {
        // An idle connection keeps some room, which is not held for anybody.
        let busy = self.connections.iter().map(|(_, link)| &link.output);
        let busy = busy.filter(|output| !output.is_empty());
        busy.map(|output| output.footprint()).sum()
    }

    /// Unsent request bytes by the index of their session; those of nobody are added to `orphaned`.
    fn queued_by_session(&self, orphaned: &mut usize) -> Vec<usize> {
        let mut queued = Vec::new();
        for entry in self.connections.iter().flat_map(|(_, link)| link.unsent()) {
            if self.sessions.get(entry.session).is_none() {
                *orphaned += entry.bytes;
                continue;
            }
            let index = entry.session.index();
            if queued.len() <= index {
                queued.resize(index + 1, 0);
            }
            queued[index] += entry.bytes;
        }
        queued
    }

    /// Stops reading offenders, and goes on with who is none any more.
    fn hold_back(&mut self, count: &Count, now: Time) {
        self.release(&count.released);
        for (_, id) in &count.offenders {
            let Some(session) = self.sessions.get_mut(*id) else {
                continue;
            };
            // One that can only grow must go on, or it would wait for ever: it is closed in the end.
            if session.held_back || !session.takes_input() || !session.can_shrink() {
                continue;
            }
            session.held_back = true;
            session.stopped = true;
            self.metrics.add(PoolMetric::ClientHeldBack, 1);
        }
        let clients = self.metrics.pool(PoolMetric::ClientHeldBack) as usize;
        if clients > 0 && is_due(&mut self.scale.told_short, now) {
            let held = self.scale.memory.held();
            self.events.push(Event::MemoryShort { held, clients });
        }
    }

    fn release_all(&mut self, count: &Count) {
        if count.held_back == 0 {
            return;
        }
        self.release(&count.released);
        let offenders: Vec<_> = count.offenders.iter().map(|(_, id)| *id).collect();
        self.release(&offenders);
    }

    fn release(&mut self, sessions: &[SessionId]) {
        for id in sessions {
            if let Some(session) = self.sessions.get_mut(*id)
                && session.held_back
            {
                session.held_back = false;
                self.metrics.add(PoolMetric::ClientHeldBack, -1);
                self.note_progress(*id);
            }
        }
    }

    /// A session that is held back has read something: if nothing is left that could shrink, or what is
    /// left is no more than its share, it goes on.
    pub(super) fn reconsider(&mut self, id: SessionId) {
        let share = self.scale.memory.share();
        let goes_on = self.sessions.get(id).is_some_and(|session| {
            !session.can_shrink() || (session.is_idle() && session.held() <= share)
        });
        if goes_on {
            self.release(&[id]);
        }
    }

    /// Drops what clients left behind that have gone, then closes the largest offenders, one by one, until
    /// the process is back under its cap.
    fn shed(&mut self, count: &Count) {
        let part = self.scale.part;
        let mut held = count.held;
        if count.orphaned > 0 {
            held = held.saturating_sub(self.drop_orphans());
        }
        for (size, id) in &count.offenders {
            self.scale.memory.publish(part, held, *size);
            let mine = match self.scale.memory.pressure() {
                Pressure::FarOver => true,
                Pressure::Over => self.scale.memory.is_largest(part, *size),
                _ => false,
            };
            if !mine {
                break;
            }
            self.close_offender(*id, *size);
            held = held.saturating_sub(*size);
        }
        self.drop_orphans();
    }

    /// Closes a client that holds too much. One that is only in the middle of a request is told so.
    fn close_offender(&mut self, id: SessionId, held: usize) {
        let Some(session) = self.sessions.get(id) else {
            return;
        };
        self.events.push(Event::ClientShed {
            client: session.name.clone(),
            held,
        });
        self.metrics.add(PoolMetric::ClientShed, 1);
        if !session.can_shrink() && session.takes_input() {
            match self.pass_over(id) {
                Reply::Wanted => self.answer_error(id, &Cause::Overloaded, None),
                Reply::Dropped => self.note_lost(&Cause::Overloaded, None),
            }
            return self.quit(id, true);
        }
        self.metrics.add(PoolMetric::ClientErr, 1);
        self.forget_session(id);
        self.actions.push_back(Action::CloseSession {
            session: id,
            linger: false,
        });
    }

    /// Drops the requests of clients that have gone, as far as they are not under way; returns their bytes.
    fn drop_orphans(&mut self) -> usize {
        let sessions = &self.sessions;
        let is_gone = |id: SessionId| sessions.get(id).is_none();
        let (mut dropped, mut unheard) = (0, 0);
        let ids: Vec<ConnectionId> = self.connections.ids();
        for id in ids {
            let Some(connection) = self.connections.get_mut(id) else {
                continue;
            };
            if !connection.unsent().any(|entry| is_gone(entry.session)) {
                continue;
            }
            let of_gone = |entry: &&InFlight| is_gone(entry.session);
            let quiet = |entry: &&InFlight| entry.place == Place::Nowhere;
            unheard += connection.unsent().filter(of_gone).filter(quiet).count();
            let (requests, bytes) = connection.drop_unsent(is_gone);
            let add = |metric, by: usize| {
                self.metrics
                    .add_server(connection.server, metric, -(by as i64));
            };
            add(ServerMetric::InQueue, requests);
            add(ServerMetric::InQueueBytes, bytes);
            dropped += bytes;
        }
        (0..unheard).for_each(|_| self.note_lost(&Cause::Overloaded, None));
        dropped
    }
}

/// Whether it is time to tell of something again; notes that it was told.
fn is_due(told: &mut Option<Time>, now: Time) -> bool {
    let due = told.is_none_or(|told| now.since(told) >= TELL_OF_MEMORY);
    if due {
        *told = Some(now);
    }
    due
}
