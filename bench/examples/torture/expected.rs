//! The values that a client may read for its keys.

use nuthatch_bench::faults::{KEYS, Owner, Traced, trace};

/// The number of the current phase. Odd while a fault and its consequences last; even while all servers have
/// worked for long enough that every key is on its own server.
pub(crate) type Epoch = u64;

pub(crate) fn is_calm(epoch: Epoch) -> bool {
    epoch.is_multiple_of(2)
}

/// The result of checking a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Right,
    /// The key cannot have this value for this client.
    Wrong(&'static str),
    /// Wrong unless the pool moved keys in this calm, or a server missed its part of a multi-get, which the
    /// statistics show afterwards.
    Doubtful(&'static str),
    /// The value belongs to another request.
    Misordered(&'static str),
}

/// The keys of one client.
#[derive(Debug)]
pub(crate) struct ExpectedValues {
    owner: Owner,
    /// Whether the pool may move keys to another server temporarily.
    keys_move: bool,
    entries: Vec<Entry>,
}

#[derive(Debug, Clone, Default)]
struct Entry {
    /// Sequence number of the latest write that was sent; the first is 1.
    sent: u32,
    /// The latest write that succeeded, and when it was sent; 0 for none.
    stored: u32,
    stored_in: Epoch,
    /// A write with an unknown result, and when it failed: it may still take effect later.
    doubt: Option<Epoch>,
    /// Later writes than the stored one that were not carried out.
    withdrawn: Vec<u32>,
}

impl ExpectedValues {
    pub(crate) fn new(owner: Owner, keys_move: bool) -> Self {
        Self {
            owner,
            keys_move,
            entries: vec![Entry::default(); usize::from(KEYS)],
        }
    }

    pub(crate) fn owner(&self) -> Owner {
        self.owner
    }

    /// Sequence number of the latest write to `key` that was sent.
    pub(crate) fn latest(&self, key: u16) -> u32 {
        self.entries[usize::from(key)].sent
    }

    /// Sequence number of a write that is sent now.
    pub(crate) fn next_write(&mut self, key: u16) -> u32 {
        let entry = &mut self.entries[usize::from(key)];
        entry.sent += 1;
        entry.sent
    }

    /// A write that was sent in phase `sent_in` has succeeded.
    pub(crate) fn note_stored(&mut self, key: u16, seq: u32, sent_in: Epoch) {
        let entry = &mut self.entries[usize::from(key)];
        entry.stored = seq;
        entry.withdrawn.retain(|withdrawn| *withdrawn > seq);
        entry.stored_in = sent_in;
        // Everything that was in flight when the fault began has arrived or is lost.
        if is_calm(sent_in) && entry.doubt.is_some_and(|doubt| doubt < sent_in) {
            entry.doubt = None;
        }
    }

    /// A write has failed, or its reply was lost.
    pub(crate) fn note_failed(&mut self, key: u16, now: Epoch) {
        self.entries[usize::from(key)].doubt = Some(now);
    }

    /// A write was not carried out and never will be.
    pub(crate) fn note_withdrawn(&mut self, key: u16, seq: u32) {
        self.entries[usize::from(key)].withdrawn.push(seq);
    }

    /// Checks a value read from `key`, where `bound` is the latest write sent before the read.
    pub(crate) fn judge(&self, key: u16, bound: u32, value: Option<&[u8]>, now: Epoch) -> Verdict {
        let entry = &self.entries[usize::from(key)];
        // The write, its reply and this reply are all in the same calm.
        let nothing_happened = is_calm(now) && entry.stored_in == now && entry.doubt.is_none();
        let Some(value) = value else {
            return match entry.stored > 0 && nothing_happened {
                true => Verdict::Doubtful("a value that was stored is not there"),
                false => Verdict::Right,
            };
        };
        match trace(value, self.owner, key) {
            Traced::Broken => Verdict::Wrong("the value is none that was written"),
            Traced::Strange => Verdict::Misordered("the value is another key's"),
            Traced::Ours(seq) if entry.withdrawn.contains(&seq) => {
                Verdict::Wrong("a write that was not answered was carried out")
            }
            Traced::Ours(seq) if seq > bound => Verdict::Wrong("the value was written later"),
            Traced::Ours(seq) if seq >= entry.stored || entry.doubt.is_some() => Verdict::Right,
            Traced::Ours(_) if !self.keys_move => Verdict::Wrong("the value is an old one"),
            Traced::Ours(_) if nothing_happened => Verdict::Doubtful("the value is an old one"),
            Traced::Ours(_) => Verdict::Right,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nuthatch_bench::faults::push_value;

    const OWNER: Owner = Owner { pool: 1, client: 2 };

    fn value(seq: u32) -> Vec<u8> {
        let mut out = Vec::new();
        push_value(&mut out, OWNER, 5, seq);
        out
    }

    /// A client that has written 1 to 3 in calm epoch 2, all with success.
    fn expected(keys_move: bool) -> ExpectedValues {
        let mut expected = ExpectedValues::new(OWNER, keys_move);
        for _ in 0..3 {
            let seq = expected.next_write(5);
            expected.note_stored(5, seq, 2);
        }
        expected
    }

    #[test]
    fn a_write_that_was_not_carried_out_is_never_read() {
        let mut expected = ExpectedValues::new(OWNER, false);
        for seq in 1..=3 {
            assert_eq!(expected.next_write(5), seq);
        }
        expected.note_stored(5, 1, 2);
        expected.note_withdrawn(5, 2);
        expected.note_withdrawn(5, 3);
        let verdict = |expected: &ExpectedValues, seq| {
            expected.judge(5, expected.latest(5), Some(&value(seq)), 2)
        };
        assert_eq!(verdict(&expected, 1), Verdict::Right);
        assert!(matches!(verdict(&expected, 2), Verdict::Wrong(_)));
        assert!(matches!(verdict(&expected, 3), Verdict::Wrong(_)));
        assert_eq!(expected.next_write(5), 4);
        expected.note_stored(5, 4, 2);
        assert_eq!(verdict(&expected, 4), Verdict::Right);
        // Carried out late, it has replaced a later one.
        assert!(matches!(verdict(&expected, 3), Verdict::Wrong(_)));
    }

    #[test]
    fn in_calm_only_the_latest_will_do() {
        for keys_move in [false, true] {
            let expected = expected(keys_move);
            assert_eq!(expected.judge(5, 3, Some(&value(3)), 2), Verdict::Right);
            assert_ne!(expected.judge(5, 3, Some(&value(2)), 2), Verdict::Right);
            assert!(matches!(
                expected.judge(5, 3, None, 2),
                Verdict::Doubtful(_)
            ));
            assert!(matches!(
                expected.judge(6, 0, Some(&value(3)), 2),
                Verdict::Misordered(_)
            ));
        }
    }

    #[test]
    fn nothing_comes_from_the_future_or_from_nowhere() {
        let expected = expected(true);
        assert!(matches!(
            expected.judge(5, 3, Some(&value(4)), 3),
            Verdict::Wrong(_)
        ));
        assert!(matches!(
            expected.judge(5, 3, Some(b"what"), 3),
            Verdict::Wrong(_)
        ));
    }

    #[test]
    fn in_a_fault_values_may_be_gone_and_old_where_keys_move() {
        for (keys_move, verdict) in [
            (true, Verdict::Right),
            (false, Verdict::Wrong("the value is an old one")),
        ] {
            let expected = expected(keys_move);
            assert_eq!(expected.judge(5, 3, None, 3), Verdict::Right);
            assert_eq!(expected.judge(5, 3, Some(&value(1)), 3), verdict);
        }
    }

    #[test]
    fn a_failed_write_leaves_doubt_until_one_succeeds_in_the_next_calm() {
        let mut expected = expected(false);
        assert_eq!(expected.next_write(5), 4);
        expected.note_failed(5, 3);
        assert_eq!(expected.judge(5, 4, Some(&value(4)), 3), Verdict::Right);
        let seq = expected.next_write(5);
        expected.note_stored(5, seq, 3);
        assert_eq!(expected.judge(5, 5, Some(&value(4)), 3), Verdict::Right);
        let seq = expected.next_write(5);
        expected.note_stored(5, seq, 4);
        assert_ne!(expected.judge(5, 6, Some(&value(4)), 4), Verdict::Right);
    }
}
