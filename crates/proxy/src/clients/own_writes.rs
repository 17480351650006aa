//! What a client has written lately and has at replicas, so that it reads what it wrote, and nothing that it writes later.

use std::time::Duration;

use crate::id::ServerId;
use crate::time::Time;

/// Which keys are at which servers: another pair is another arrangement.
type Arrangement = (u64, u64);

/// What a client has written lately, by server, and which of its reads are at replicas.
#[derive(Debug, Default)]
pub(crate) struct OwnWrites {
    /// At most one for each server and arrangement that counts.
    writes: Vec<Written>,
    /// The number of the first slot after the last read that went to a replica.
    reads_end: u64,
}

/// The last write to a server.
#[derive(Debug, Clone, Copy)]
struct Written {
    server: ServerId,
    /// As it was then: in another one the keys may be at any server.
    arrangement: Arrangement,
    /// The number of the first slot after it.
    end: u64,
    /// Until when reads go to the server itself; `None` as long as it was not seen answered.
    until: Option<Time>,
}

/// How it is when a read is to be sent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Situation {
    pub(crate) arrangement: Arrangement,
    /// The number of the client's oldest slot.
    pub(crate) oldest: u64,
    /// It has requests outstanding whose replies nobody wants.
    pub(crate) has_silent: bool,
    pub(crate) now: Time,
    /// For how long reads after a write go to the server itself.
    pub(crate) window: Duration,
}

impl OwnWrites {
    /// A write is sent to a server, in the slot before the one with the number `end` if its reply is wanted.
    pub(crate) fn note_write(
        &mut self,
        server: ServerId,
        arrangement: Arrangement,
        end: u64,
        now: Time,
    ) {
        let is_over = |it: &Written| it.until.is_some_and(|until| until <= now);
        let is_same = |it: &Written| it.server == server && it.arrangement == arrangement;
        self.writes.retain(|it| !is_over(it) && !is_same(it));
        self.writes.push(Written {
            server,
            arrangement,
            end,
            until: None,
        });
    }

    /// Whether a read goes to the server itself. That is so while a write of the client is outstanding there, and for a while after
    /// that. When a write was answered is not noted: the time runs from the first read that finds it answered.
    pub(crate) fn is_recent(&mut self, server: ServerId, at: Situation) -> bool {
        for it in &mut self.writes {
            let is_answered = it.end <= at.oldest && !at.has_silent;
            if it.until.is_none() && is_answered {
                it.until = Some(at.now + at.window);
            }
        }
        self.writes
            .retain(|it| it.until.is_none_or(|until| at.now < until));
        let concerns = |it: &Written| it.server == server || it.arrangement != at.arrangement;
        self.writes.iter().any(concerns)
    }

    /// A read is sent to a replica, in the slot before the one with this number.
    pub(crate) fn note_read(&mut self, end: u64) {
        self.reads_end = end;
    }

    /// Whether a read is at a replica still, where the client's oldest slot has this number.
    pub(crate) fn has_reads(&self, oldest: u64) -> bool {
        oldest < self.reads_end
    }

    /// Bytes of memory.
    pub(crate) fn footprint(&self) -> usize {
        size_of::<Self>() + self.writes.capacity() * size_of::<Written>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Id;

    const WINDOW: Duration = Duration::from_millis(100);

    fn server(index: u32) -> ServerId {
        ServerId::new(index, 0)
    }

    fn at(millis: u64, oldest: u64) -> Situation {
        Situation {
            arrangement: (1, 0),
            oldest,
            has_silent: false,
            now: Time::from_micros(millis * 1_000),
            window: WINDOW,
        }
    }

    #[test]
    fn a_write_counts_while_it_is_outstanding_and_for_a_while_after_it_was_seen_answered() {
        let mut own = OwnWrites::default();
        assert!(!own.is_recent(server(0), at(0, 0)));
        own.note_write(server(0), (1, 0), 5, at(0, 0).now);
        assert!(!own.is_recent(server(1), at(1, 4)), "another server");
        assert!(own.is_recent(server(0), at(5_000, 4)), "outstanding");
        assert!(own.is_recent(server(0), at(5_001, 5)), "answered just now");
        assert!(own.is_recent(server(0), at(5_100, 9)));
        assert!(!own.is_recent(server(0), at(5_101, 9)));
        assert_eq!(own.writes.len(), 0);
    }

    #[test]
    fn a_write_without_reply_counts_until_nothing_without_reply_is_outstanding() {
        let mut own = OwnWrites::default();
        own.note_write(server(0), (1, 0), 0, at(0, 0).now);
        let silent = Situation {
            has_silent: true,
            ..at(500, 0)
        };
        assert!(own.is_recent(server(0), silent));
        assert!(own.is_recent(server(0), at(501, 0)));
        assert!(!own.is_recent(server(0), at(601, 0)));
    }

    #[test]
    fn when_keys_are_elsewhere_a_write_counts_for_every_server() {
        let mut own = OwnWrites::default();
        own.note_write(server(0), (1, 0), 1, at(0, 0).now);
        let moved = Situation {
            arrangement: (1, 1),
            ..at(1, 1)
        };
        assert!(own.is_recent(server(7), moved));
        let later = Situation {
            arrangement: (1, 1),
            ..at(101, 1)
        };
        assert!(!own.is_recent(server(7), later));
    }

    #[test]
    fn there_is_one_for_each_server() {
        let mut own = OwnWrites::default();
        for round in 0..1_000 {
            own.note_write(server(round as u32 % 3), (1, 0), round, at(round, 0).now);
        }
        assert_eq!(own.writes.len(), 3);
    }

    #[test]
    fn reads_are_at_replicas_until_their_slots_are_gone() {
        let mut own = OwnWrites::default();
        assert!(!own.has_reads(0));
        own.note_read(4);
        assert!(own.has_reads(3) && !own.has_reads(4));
    }
}
