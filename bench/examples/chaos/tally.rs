//! What clients count and find.

use std::collections::BTreeMap;

use crate::model::{Excuse, Verdict};

/// Most descriptions kept of flaws.
const KEPT_FLAWS: usize = 5;

/// The counts of one client, one scenario or a whole run.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Requests sent, with those that open a session.
    pub(crate) requests: u64,
    /// Commands in them.
    pub(crate) commands: u64,
    /// Replies received.
    pub(crate) replies: u64,
    /// Errors of the proxy among them, but for those to HELLO.
    pub(crate) failures: u64,
    /// Connections made.
    pub(crate) connects: u64,
    /// Connections that the proxy refused for their number.
    pub(crate) refused: u64,
    /// Times that clients did something odd, by name.
    pub(crate) moods: BTreeMap<&'static str, u64>,
    /// Replies by the kind of their request; errors by their text.
    pub(crate) kinds: BTreeMap<&'static str, u64>,
    /// Counters of the proxy, by name.
    pub(crate) counted: BTreeMap<&'static str, u64>,
    /// Number of flaws.
    pub(crate) flaw_count: u64,
    /// The first flaws.
    pub(crate) flaws: Vec<String>,
    /// Replies that are wrong unless there is an excuse, and whether faults had begun: their number, and the
    /// first one.
    doubts: BTreeMap<(bool, Excuse), (u64, String)>,
}

impl Tally {
    /// Something is wrong.
    pub(crate) fn flaw(&mut self, description: String) {
        self.flaw_count += 1;
        if self.flaws.len() < KEPT_FLAWS {
            self.flaws.push(description);
        }
    }

    /// Counts a verdict; `has_failed` tells whether faults had begun, and `describe` puts what is wrong into its
    /// context.
    pub(crate) fn note(
        &mut self,
        verdict: Verdict,
        has_failed: bool,
        describe: impl FnOnce(&str) -> String,
    ) {
        match verdict {
            Verdict::Right | Verdict::Doubtful(Excuse::None, _) => {}
            Verdict::Wrong(what) => self.flaw(describe(what)),
            Verdict::Doubtful(excuse, what) => {
                let doubt = self.doubts.entry((has_failed, excuse)).or_default();
                doubt.0 += 1;
                if doubt.1.is_empty() {
                    doubt.1 = describe(what);
                }
            }
        }
    }

    /// Doubts without an excuse become flaws. It is asked for whether faults had begun.
    pub(crate) fn resolve(&mut self, is_excused: impl Fn(bool, Excuse) -> bool) {
        for ((has_failed, excuse), (count, first)) in std::mem::take(&mut self.doubts) {
            if !is_excused(has_failed, excuse) {
                self.flaw(format!("{first} ({count} such replies, not {excuse:?})"));
            }
        }
    }

    /// Adds those of another one.
    pub(crate) fn add(&mut self, other: Tally) {
        self.requests += other.requests;
        self.commands += other.commands;
        self.replies += other.replies;
        self.failures += other.failures;
        self.connects += other.connects;
        self.refused += other.refused;
        for (name, count) in other.moods {
            *self.moods.entry(name).or_default() += count;
        }
        for (name, count) in other.kinds {
            *self.kinds.entry(name).or_default() += count;
        }
        for (name, count) in other.counted {
            *self.counted.entry(name).or_default() += count;
        }
        self.flaw_count += other.flaw_count;
        self.flaws.extend(other.flaws);
        self.flaws.truncate(KEPT_FLAWS);
        for (key, (count, first)) in other.doubts {
            self.doubts.entry(key).or_insert((0, first)).0 += count;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubts_are_flaws_unless_excused() {
        let mut tally = Tally::default();
        for excuse in [
            Excuse::None,
            Excuse::Ejected,
            Excuse::Shed,
            Excuse::Server(1),
        ] {
            tally.note(Verdict::Doubtful(excuse, "old"), true, str::to_owned);
        }
        let mut sum = Tally::default();
        sum.add(tally);
        sum.resolve(|has_failed, excuse| has_failed && excuse == Excuse::Ejected);
        assert_eq!((sum.flaw_count, sum.flaws.len()), (2, 2));
        assert!(sum.flaws[0].starts_with("old"), "{:?}", sum.flaws);
    }
}
