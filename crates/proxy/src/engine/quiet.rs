//! Replies to quiet requests (`q` of memcached's meta commands).
//!
//! Such a request is sent without its `q`, so that the server always answers, and has a slot like any other. The reply
//! that its client does not want is dropped here, and its slot is completed with nothing. So the client's replies stay in
//! order, those of several servers too, and a reply of the proxy's own (to `mn`) comes behind all earlier ones.
//!
//! Which reply it is is known at its end. What can be the beginning of an unwanted one, which is short, is withheld until
//! then.

use std::ops::Range;

use super::state::Engine;
use crate::flow::buffer::Chunk;
use crate::id::{ConnectionId, SessionId};
use crate::limits::MAX_WITHHELD;
use crate::protocol::Protocol;
use crate::servers::queue::{InFlight, ReplyTo};

/// A piece of a reply: the request that it answers, its bytes, and its kind if it is the last one.
pub(super) struct Piece<K> {
    pub(super) entry: InFlight,
    pub(super) chunk: Chunk,
    pub(super) range: Range<usize>,
    pub(super) kind: Option<K>,
}

impl<P: Protocol> Engine<P> {
    /// Takes a piece of the reply to a quiet request. Returns what is to be passed on of the reply, if anything.
    #[inline(never)]
    pub(super) fn sift(
        &mut self,
        id: ConnectionId,
        piece: Piece<P::Kind>,
    ) -> Option<Piece<P::Kind>> {
        let ReplyTo::Quiet(slot, unwanted) = piece.entry.reply_to else {
            return Some(piece);
        };
        let connection = self.roster.get_mut(id)?;
        let mut start = connection.take_withheld();
        match piece.kind {
            Some(kind) if P::is_unwanted(kind, unwanted) => {
                self.drop_unwanted(id, piece.entry.session, slot);
                return None;
            }
            Some(_) => {}
            None => {
                let bytes = &piece.chunk[piece.range.clone()];
                if start.len() + bytes.len() <= MAX_WITHHELD {
                    start.extend_from_slice(bytes);
                    if P::may_be_unwanted(&start, unwanted) {
                        connection.withhold(start);
                        return None;
                    }
                    start.truncate(start.len() - bytes.len());
                }
                connection.queue_mut().pass_on_oldest();
            }
        }
        Some(piece.behind(start, slot))
    }

    /// The whole reply to a quiet request has come and is unwanted.
    fn drop_unwanted(&mut self, connection: ConnectionId, id: SessionId, slot: u64) {
        if let Some(session) = self.clients.get_mut(id) {
            session.pinned_mut().remove(connection);
        }
        self.fill_slot(id, slot, &[]);
    }
}

impl<K> Piece<K> {
    /// The piece for a slot, behind what was withheld of the reply.
    fn behind(self, mut start: Vec<u8>, slot: u64) -> Self {
        let mut entry = self.entry;
        entry.reply_to = ReplyTo::Slot(slot);
        if start.is_empty() {
            return Self { entry, ..self };
        }
        start.extend_from_slice(&self.chunk[self.range]);
        Self {
            entry,
            range: 0..start.len(),
            chunk: start.into(),
            kind: self.kind,
        }
    }
}
