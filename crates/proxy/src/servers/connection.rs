//! One server connection: its handshake and its queue of requests in flight.

use std::collections::VecDeque;

use crate::flow::buffer::Rope;
use crate::id::SessionId;
use crate::limits::{
    KEEP_IN_FLIGHT, KEEP_OUTPUT, MAX_CONNECTION_BYTES, MAX_IN_FLIGHT, MAX_IN_FLIGHT_SILENT,
    SILENT_AFTER,
};
use crate::protocol::{Lane, Protocol, Step};
use crate::time::Time;

/// One connection to a server.
pub(crate) struct Connection<P: Protocol> {
    pub(crate) server: usize,
    pub(crate) lane: Lane,
    pub(crate) state: State,
    /// Requests to be written, once the connection is ready.
    pub(crate) output: Rope,
    /// Requests whose replies have not ended, oldest first.
    pub(crate) in_flight: VecDeque<InFlight>,
    /// How many of them (from the front) are wholly written, and how many bytes of the next one are.
    sent: usize,
    sent_of_next: usize,
    /// Unwritten bytes of requests that were answered before they were wholly written.
    answered_early: usize,
    pub(crate) scanner: P::Scanner,
    /// Whether part of the front request's reply has been passed on.
    pub(crate) mid_reply: bool,
    /// A push frame is being dropped.
    pub(crate) dropping: bool,
    pub(crate) opened: Time,
    /// When the server was last heard, if ever.
    pub(crate) heard: Option<Time>,
    /// How many of the requests in flight (from the front) have been dealt with for being late.
    pub(crate) forgotten: usize,
    /// Asks whether an ejected server is well, and carries no requests.
    pub(crate) is_probe: bool,
    pub(crate) dirty: bool,
    /// What may be written before there is a socket.
    nothing: Rope,
}

/// How far a connection is.
///
/// ```text
///  Connecting ── connected ──▶ Handshaking ── every reply checked ──▶ Ready
///                     └──────────── nothing to say ──────────────────▲
/// ```
pub(crate) enum State {
    /// No socket yet; requests queue.
    Connecting,
    /// AUTH, HELLO, SELECT are under way; requests queue.
    Handshaking {
        steps: VecDeque<Step>,
        output: Rope,
        reply: Vec<u8>,
    },
    /// Requests flow.
    Ready,
}

/// A request (or a fragment of one) at a server.
#[derive(Debug, Clone, Copy)]
pub(crate) struct InFlight {
    pub(crate) session: SessionId,
    pub(crate) place: Place,
    /// Its size on the wire.
    pub(crate) bytes: usize,
    /// When it was queued: the deadline follows from it.
    pub(crate) queued: Time,
}

/// Where a reply belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// The session's slot with this number.
    Slot(u64),
    /// A fragment of the slot.
    Fragment(u64, u32),
    /// Nowhere any more: the request was failed for being late. The session still counts it as bound here.
    Forgotten {
        /// It was a [`Place::Follower`].
        follows: bool,
    },
    /// Nowhere: the client asked for no reply.
    Nowhere,
    /// Nowhere: it is the proxy's own and belongs to the request before it, which must not be without it.
    Follower,
}

impl Place {
    /// Whether the client waits for nothing here.
    pub(crate) fn is_silent(self) -> bool {
        matches!(self, Place::Nowhere | Place::Follower)
    }

    /// Whether it belongs to the request before it, late or not.
    pub(crate) fn follows(self) -> bool {
        matches!(self, Place::Follower | Place::Forgotten { follows: true })
    }
}

impl<P: Protocol> Connection<P> {
    pub(crate) fn new(server: usize, lane: Lane, now: Time) -> Self {
        Self {
            server,
            lane,
            state: State::Connecting,
            output: Rope::new(),
            in_flight: VecDeque::new(),
            sent: 0,
            sent_of_next: 0,
            answered_early: 0,
            scanner: P::Scanner::default(),
            mid_reply: false,
            dropping: false,
            opened: now,
            heard: None,
            forgotten: 0,
            is_probe: false,
            dirty: false,
            nothing: Rope::new(),
        }
    }

    /// A connection that only asks whether its server is well.
    pub(crate) fn probe(server: usize, now: Time) -> Self {
        Self {
            is_probe: true,
            ..Self::new(server, 0, now)
        }
    }

    /// Whether a further request may be queued at `now`, see [`crate::limits`]. A server that owes many
    /// replies and says nothing gets no more: whoever asks is told at once. Its next word ends that.
    pub(crate) fn has_room(&self, now: Time) -> bool {
        let most = match self.in_flight.len() >= MAX_IN_FLIGHT_SILENT && self.is_silent(now) {
            true => MAX_IN_FLIGHT_SILENT,
            false => MAX_IN_FLIGHT,
        };
        self.in_flight.len() < most && self.output.len() < MAX_CONNECTION_BYTES
    }

    fn is_silent(&self, now: Time) -> bool {
        now.since(self.waiting_since(now)) >= SILENT_AFTER
    }

    /// Since when the server owes a word: the oldest request, or what was heard after it. `otherwise` if
    /// it owes none.
    pub(crate) fn waiting_since(&self, otherwise: Time) -> Time {
        let oldest = self.in_flight.front();
        oldest.map_or(otherwise, |entry| match self.heard {
            Some(heard) => entry.queued.max(heard),
            None => entry.queued.max(self.opened),
        })
    }

    /// What may be written now.
    pub(crate) fn writable(&self) -> &Rope {
        match &self.state {
            State::Connecting => &self.nothing,
            State::Handshaking { output, .. } => output,
            State::Ready => &self.output,
        }
    }

    /// Notes that `count` bytes of [`Connection::writable`] were written; returns the number and the
    /// bytes of the requests that are thereby wholly written.
    pub(crate) fn written(&mut self, count: usize) -> (usize, usize) {
        match &mut self.state {
            State::Connecting => (0, 0),
            State::Handshaking { output, .. } => {
                output.consume(count);
                (0, 0)
            }
            State::Ready => {
                self.output.consume_keeping(count, KEEP_OUTPUT);
                self.advance_sent(count)
            }
        }
    }

    fn advance_sent(&mut self, count: usize) -> (usize, usize) {
        let early = count.min(self.answered_early);
        self.answered_early -= early;
        let mut left = count - early;
        let (mut requests, mut bytes) = (0, 0);
        while let Some(next) = self.in_flight.get(self.sent) {
            let missing = next.bytes - self.sent_of_next;
            if left < missing {
                self.sent_of_next += left;
                break;
            }
            left -= missing;
            self.sent += 1;
            self.sent_of_next = 0;
            requests += 1;
            bytes += next.bytes;
        }
        (requests, bytes)
    }

    /// Whether the front request, or step of the handshake, has at least begun to be written, so that what
    /// the server says can be its reply.
    pub(crate) fn expects_reply(&self) -> bool {
        match &self.state {
            State::Connecting => false,
            State::Handshaking { steps, output, .. } => {
                let unanswered: usize = steps.iter().map(|step| step.request.len()).sum();
                output.len() < unanswered
            }
            State::Ready => !self.in_flight.is_empty() && (self.sent > 0 || self.sent_of_next > 0),
        }
    }

    /// Takes the front request off the queue. The flag tells whether it was wholly written.
    pub(crate) fn pop_front(&mut self) -> Option<(InFlight, bool)> {
        let entry = self.in_flight.pop_front()?;
        self.forgotten = self.forgotten.saturating_sub(1);
        let whole = self.sent > 0;
        if whole {
            self.sent -= 1;
        } else {
            self.answered_early += entry.bytes - self.sent_of_next;
            self.sent_of_next = 0;
        }
        if self.in_flight.is_empty() && self.in_flight.capacity() > KEEP_IN_FLIGHT {
            self.in_flight = VecDeque::new();
        }
        Some((entry, whole))
    }

    /// Requests of which nothing has been written, with their sessions.
    pub(crate) fn unsent(&self) -> impl Iterator<Item = &InFlight> {
        self.in_flight.iter().skip(self.first_unsent())
    }

    /// Drops the requests of which nothing has been written and whose session `is_gone`; returns their
    /// number and bytes. What follows a request that has been written stays with it.
    pub(crate) fn drop_unsent(&mut self, is_gone: impl Fn(SessionId) -> bool) -> (usize, usize) {
        let first = self.first_unsent();
        let begun = match self.in_flight.get(self.sent) {
            Some(next) if self.sent_of_next > 0 => next.bytes - self.sent_of_next,
            _ => 0,
        };
        let mut kept = Rope::new();
        kept.take_from(&mut self.output, self.answered_early + begun);
        let (mut index, mut late) = (0, 0);
        let (mut requests, mut bytes) = (0, 0);
        let mut stays = true;
        self.in_flight.retain(|entry| {
            let follows = entry.place.follows() && stays;
            stays = index < first || follows || !is_gone(entry.session);
            if index >= first && stays {
                kept.take_from(&mut self.output, entry.bytes);
            } else if !stays {
                self.output.consume(entry.bytes);
                requests += 1;
                bytes += entry.bytes;
                late += usize::from(index < self.forgotten);
            }
            index += 1;
            stays
        });
        self.output = kept;
        self.forgotten -= late;
        (requests, bytes)
    }

    fn first_unsent(&self) -> usize {
        self.sent + usize::from(self.sent_of_next > 0)
    }

    /// How many of the requests in flight are wholly written.
    pub(crate) fn sent(&self) -> usize {
        self.sent
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Table;
    use crate::protocol::redis::Redis;

    /// A write under way or not yet, with what limits its life, between other requests of two clients.
    fn queue(written: usize, places: &[(SessionId, Place, &str)]) -> Connection<Redis> {
        let mut connection = Connection::new(0, 0, Time::ZERO);
        connection.state = State::Ready;
        for (session, place, text) in places {
            connection.output.extend(text.as_bytes());
            connection.in_flight.push_back(InFlight {
                session: *session,
                place: *place,
                bytes: text.len(),
                queued: Time::ZERO,
            });
        }
        connection.written(written);
        connection
    }

    fn left(connection: &Connection<Redis>) -> String {
        let bytes: Vec<u8> = connection.writable().slices().flatten().copied().collect();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_write_under_way_keeps_its_limit_when_its_client_has_gone_and_one_that_is_not_loses_both() {
        let mut sessions = Table::new();
        let (gone, there) = (sessions.insert_with(|_| ()), sessions.insert_with(|_| ()));
        let places = [
            (gone, Place::Slot(0), "SET "),
            (gone, Place::Follower, "limit "),
            (there, Place::Slot(0), "GET "),
            (gone, Place::Fragment(1, 0), "MSET "),
            (gone, Place::Follower, "limits "),
            (gone, Place::Follower, "more "),
            (gone, Place::Nowhere, "noreply "),
            (there, Place::Slot(1), "SET "),
            (there, Place::Follower, "limit"),
        ];
        let is_gone = |id: SessionId| id == gone;
        let mut connection = queue(1, &places);
        assert_eq!(connection.drop_unsent(is_gone), (4, 25));
        assert_eq!(left(&connection), "ET limit GET SET limit");

        let mut connection = queue(0, &places);
        assert_eq!(connection.drop_unsent(is_gone), (6, 35));
        assert_eq!(left(&connection), "GET SET limit");

        let mut connection = queue(4 + 6 + 4 + 5, &places);
        assert_eq!(connection.drop_unsent(is_gone), (1, 8));
        assert_eq!(left(&connection), "limits more SET limit");

        // Late and forgotten, it follows all the same.
        let mut late = queue(1, &places);
        late.in_flight[0].place = Place::Forgotten { follows: false };
        late.in_flight[1].place = Place::Forgotten { follows: true };
        late.forgotten = 2;
        assert_eq!(late.drop_unsent(is_gone), (4, 25));
        assert_eq!(left(&late), "ET limit GET SET limit");

        let mut connection = queue(4, &places);
        connection.pop_front();
        assert_eq!(connection.drop_unsent(is_gone), (4, 25));
        assert_eq!(left(&connection), "limit GET SET limit", "after its reply");
        assert_eq!(connection.in_flight.len(), 4);
    }

    #[test]
    fn what_is_left_of_a_request_that_was_answered_early_counts_for_no_other() {
        let mut sessions = Table::new();
        let session = sessions.insert_with(|_| ());
        let places = ["early ", "next ", "last"].map(|text| (session, Place::Slot(0), text));
        let mut connection = queue(1, &places);
        assert!(connection.expects_reply());
        let (_, whole) = connection.pop_front().unwrap();
        assert!(!whole && !connection.expects_reply());
        assert_eq!(connection.written(2), (0, 0));
        assert_eq!(connection.written(3 + 5), (1, 5));
        assert_eq!(connection.written(4), (1, 4));
        assert_eq!(connection.sent(), 2);
        let (_, whole) = connection.pop_front().unwrap();
        assert!(whole && connection.expects_reply());
    }
}
