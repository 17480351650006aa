//! A key that is written as a whole.

use super::{Kills, Place, Span, Verdict};

/// A value that a key may have: the number of the write, or `None` if it has none.
type State = Option<u32>;

/// What is known of the key.
#[derive(Debug, Default)]
pub(crate) struct Register {
    pub(crate) place: Place,
    /// Number of the latest write that was sent; the first is 1.
    sent: u32,
    /// What it is.
    current: State,
    /// When that was known.
    known: Kills,
    /// What it may become, or may have become, at any time.
    floating: Vec<State>,
}

impl Register {
    /// One that does not exist.
    pub(crate) fn new(place: Place) -> Self {
        Self {
            place,
            ..Self::default()
        }
    }

    /// The number of the latest write.
    pub(crate) fn latest(&self) -> u32 {
        self.sent
    }

    /// The number of a write that is sent now.
    pub(crate) fn next_write(&mut self) -> u32 {
        self.sent += 1;
        self.sent
    }

    /// A write, or with `None` a deletion, has succeeded.
    pub(crate) fn note_done(&mut self, state: State, sent: &Kills) {
        self.current = state;
        self.known = *sent;
    }

    /// One has failed, or its result is not known.
    pub(crate) fn note_failed(&mut self, state: State) {
        if !self.floating.contains(&state) {
            self.floating.push(state);
        }
    }

    /// Nothing that failed can take effect any more.
    pub(crate) fn settle(&mut self) {
        self.floating.clear();
    }

    /// Whether it may have no value.
    pub(crate) fn may_be_missing(&self, now: &Kills) -> bool {
        self.current.is_none()
            || self.floating.contains(&None)
            || self.place.is_lost(&self.known, now)
    }

    /// Whether it may have a value.
    pub(crate) fn may_exist(&self) -> bool {
        self.current.is_some() || self.floating.iter().any(Option::is_some)
    }

    /// Checks a reply that says that there is no value.
    pub(crate) fn judge_missing(&mut self, span: &Span) -> Verdict {
        if !self.may_be_missing(&span.read) {
            return Verdict::Wrong("a value that was stored is not there")
                .unless_moved(&self.place);
        }
        self.note_done(None, &span.sent);
        Verdict::Right
    }

    /// Checks that write `seq` was read, where `bound` is the latest one sent before.
    pub(crate) fn judge_value(&mut self, seq: u32, bound: u32, span: &Span) -> Verdict {
        if seq > bound || seq == 0 {
            return Verdict::Wrong("the value was written later");
        }
        let state = Some(seq);
        if self.current != state && !self.floating.contains(&state) {
            return Verdict::Wrong("the value is an old one").unless_moved(&self.place);
        }
        self.floating.retain(|&other| other != state);
        self.note_done(state, &span.sent);
        Verdict::Right
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Excuse;

    const CALM: Span = Span {
        sent: [0; 8],
        read: [0; 8],
    };

    /// After writes 1 to 3.
    fn register() -> Register {
        let mut register = Register::default();
        register.place.server = Some(1);
        for _ in 0..3 {
            let seq = register.next_write();
            register.note_done(Some(seq), &CALM.sent);
        }
        register
    }

    #[test]
    fn only_the_latest_write_will_do() {
        let mut register = register();
        assert_eq!(register.judge_value(3, 3, &CALM), Verdict::Right);
        assert_ne!(register.judge_value(2, 3, &CALM), Verdict::Right);
        assert_ne!(register.judge_value(4, 3, &CALM), Verdict::Right);
        assert_ne!(register.judge_missing(&CALM), Verdict::Right);
    }

    #[test]
    fn what_failed_may_show_once_at_any_time() {
        let mut register = register();
        let seq = register.next_write();
        register.note_failed(Some(seq));
        assert_eq!(register.judge_value(3, 4, &CALM), Verdict::Right);
        assert_eq!(register.judge_value(4, 4, &CALM), Verdict::Right);
        assert_ne!(register.judge_value(3, 4, &CALM), Verdict::Right);
        register.note_failed(None);
        register.settle();
        assert_ne!(register.judge_missing(&CALM), Verdict::Right);
    }

    #[test]
    fn only_the_loss_of_its_own_server_excuses_a_missing_value() {
        for (server, is_right) in [(0, false), (1, true)] {
            let mut register = register();
            let mut span = CALM;
            span.read[server] = 1;
            let verdict = register.judge_missing(&span);
            assert_eq!(verdict == Verdict::Right, is_right);
        }
    }

    #[test]
    fn where_keys_move_old_values_are_in_doubt() {
        let mut register = register();
        register.place.moved = Some(Excuse::Ejected);
        let verdict = register.judge_value(1, 3, &CALM);
        assert!(matches!(verdict, Verdict::Doubtful(Excuse::Ejected, _)));
    }
}
