//! `client_min_rate` and `client_stall_timeout`: which clients may be closed for reading too slowly, and
//! which must be.

use crate::clients::Client;
use crate::keys::Tag;
use crate::network::{Peer, ProxySide};
use crate::scenario::Ending;
use crate::world::World;

/// Unread replies beyond which a client must read, in bytes; and how much lower this record may be, because
/// it counts the bytes of fragments instead of joined replies.
const TOO_MUCH_UNREAD: u64 = 8 << 20;
const UNCERTAIN: u64 = 64 << 10;

/// Maximum delay of the shell's timeouts, in microseconds.
const LATE: u64 = 10_000;

/// What has passed through the proxy for one client.
#[derive(Debug, Default)]
pub(crate) struct Moves {
    /// Bytes read from it and written to it, with their times.
    moved: Vec<(u64, u64)>,
    /// Bytes of replies that the proxy has read from servers for it, and bytes written to it.
    received: u64,
    written: u64,
    /// When something was last written to it.
    written_at: u64,
    /// It had too much unread, and continued.
    was_over: bool,
    /// It was closed for reading too slowly.
    pub(crate) is_over: bool,
}

impl Moves {
    /// This many bytes were read from the client.
    pub(crate) fn reads(&mut self, bytes: usize, now: u64) {
        let before = self.total();
        self.moved.push((now, before + bytes as u64));
    }

    /// This many bytes were written to the client.
    pub(crate) fn writes(&mut self, bytes: usize, now: u64) {
        self.written += bytes as u64;
        self.written_at = now;
        self.reads(bytes, now);
    }

    /// This many bytes of a reply have arrived for it.
    pub(crate) fn receives(&mut self, bytes: u64) {
        self.received += bytes;
        self.was_over |= self.has_too_much_unread();
    }

    fn has_too_much_unread(&self) -> bool {
        self.received + UNCERTAIN >= TOO_MUCH_UNREAD + self.written
    }

    fn total(&self) -> u64 {
        self.moved.last().map_or(0, |(_, total)| *total)
    }

    /// Bytes moved after `from` and until `to`.
    fn between(&self, from: u64, to: u64) -> u64 {
        let until = |time: u64| match self.moved.partition_point(|(at, _)| *at <= time) {
            0 => 0,
            count => self.moved[count - 1].1,
        };
        until(to) - until(from)
    }
}

impl World {
    /// Bytes of a reply to these requests were read from a server.
    pub(crate) fn note_received(&mut self, tags: &[Tag], bytes: u64) {
        for tag in tags {
            self.clients[tag.client].moves.receives(bytes);
        }
    }

    /// The core closes a client; determines whether that was for reading too slowly.
    pub(crate) fn note_stalled(&mut self, id: usize) {
        let client = &self.clients[id];
        let is_slow = client.moves.has_too_much_unread() && self.has_moved_too_little(client);
        if is_slow || self.reads_no_last_words(client) {
            self.clients[id].moves.is_over = true;
            self.counts.stalled += 1;
        }
    }

    /// Whether the client gets nothing further and has not read anything for too long.
    fn reads_no_last_words(&self, client: &Client) -> bool {
        let has_asked = matches!(client.plan.ending, Ending::Quit | Ending::Garbage);
        let stalled = |time: u64| client.moves.written_at + time <= self.now;
        (has_asked || self.shutting_down || self.faults.has_cut(client.id))
            && self.scenario.grant.stall.is_some_and(stalled)
    }

    fn has_moved_too_little(&self, client: &Client) -> bool {
        let grant = &self.scenario.grant;
        let Some(time) = grant.stall else {
            return false;
        };
        let least = time * grant.min_rate / 1_000_000;
        let (from, to) = (self.now.saturating_sub(time), self.now - LATE);
        client.moves.between(from, to) < least
    }

    /// Nothing has happened for long: clients with too much unread have read it or were closed.
    pub(crate) fn check_nobody_stalls(&mut self) {
        if self.scenario.grant.stall.is_none() {
            return;
        }
        for (number, link) in self.links.iter().enumerate() {
            let (Peer::Client(id), ProxySide::Session(session)) = (&link.peer, link.side) else {
                continue;
            };
            let output = self.workers[link.worker].pool.session_output(session);
            assert!(
                (output.len() as u64) < TOO_MUCH_UNREAD,
                "link {number}: client {id} leaves {} bytes unread and was not closed",
                output.len()
            );
        }
        let was_over = |client: &&Client| client.moves.was_over && !client.moves.is_over;
        self.counts.late_readers += self.clients.iter().filter(was_over).count();
    }
}
