//! A key to which tokens are appended.

use std::collections::BTreeSet;

use nuthatch_bench::faults::HEAD;

use super::{Kills, Place, Span, Verdict};

/// Length of a token: the head of a value.
pub(crate) const TOKEN_LEN: usize = HEAD;

/// What is known of the key. Tokens are numbered from 1.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    pub(crate) place: Place,
    sent: u32,
    /// Tokens that must be there, in this order.
    required: Vec<u32>,
    /// When that was known.
    known: Kills,
    /// Tokens that may be there too, anywhere.
    possible: BTreeSet<u32>,
    /// Whether a restart that failed may delete everything at any time.
    may_restart: bool,
}

impl Journal {
    /// One that does not exist.
    pub(crate) fn new(place: Place) -> Self {
        Self {
            place,
            ..Self::default()
        }
    }

    /// The number of the latest token.
    pub(crate) fn latest(&self) -> u32 {
        self.sent
    }

    /// The number of a token that is sent now.
    pub(crate) fn next_token(&mut self) -> u32 {
        self.sent += 1;
        self.sent
    }

    /// Number of tokens that it surely has.
    pub(crate) fn len(&self) -> usize {
        self.required.len()
    }

    /// An append has failed.
    pub(crate) fn note_failed(&mut self, token: u32) {
        self.possible.insert(token);
    }

    /// A restart has failed.
    pub(crate) fn note_failed_restart(&mut self, token: u32) {
        self.possible.insert(token);
        self.may_restart = true;
        self.require_nothing();
    }

    /// It has been replaced by one token.
    pub(crate) fn note_restarted(&mut self, token: u32, sent: &Kills) {
        // What was there is gone, and not merely possible.
        self.required.clear();
        self.note_there(token, sent);
    }

    /// Nothing that failed can take effect any more.
    pub(crate) fn settle(&mut self) {
        self.may_restart = false;
        self.possible.clear();
    }

    /// Checks that `token` was appended, and gave this length if the reply says so.
    pub(crate) fn judge_append(
        &mut self,
        token: u32,
        length: Option<usize>,
        span: &Span,
    ) -> Verdict {
        self.forget_what_was_lost(span);
        let least = self.required.len() + 1;
        let most = least + self.possible.len();
        self.note_there(token, &span.sent);
        let Some(length) = length else {
            return Verdict::Right;
        };
        let tokens = length / TOKEN_LEN;
        if !length.is_multiple_of(TOKEN_LEN) {
            return Verdict::Wrong("the length is not that of whole tokens");
        }
        Verdict::when(
            (least..=most).contains(&tokens),
            "tokens were lost or appended twice",
        )
        .unless_moved(&self.place)
    }

    /// Checks a reply that says that it does not exist.
    pub(crate) fn judge_missing(&mut self, span: &Span) -> Verdict {
        self.forget_what_was_lost(span);
        Verdict::when(
            self.required.is_empty(),
            "a value that was appended to is not there",
        )
        .unless_moved(&self.place)
    }

    /// Checks the tokens that were read, where `bound` is the latest one sent before.
    pub(crate) fn judge_tokens(&mut self, tokens: &[u32], bound: u32, span: &Span) -> Verdict {
        if tokens.iter().any(|&token| token > bound || token == 0) {
            return Verdict::Wrong("the token was sent later");
        }
        let distinct: BTreeSet<u32> = tokens.iter().copied().collect();
        if distinct.len() != tokens.len() {
            return Verdict::Wrong("a token was appended twice").unless_moved(&self.place);
        }
        self.forget_what_was_lost(span);
        let mut expected = self.required.iter().peekable();
        for token in tokens {
            if expected.peek() == Some(&token) {
                expected.next();
            } else if !self.possible.contains(token) {
                return Verdict::Wrong("a token that was gone, or out of order")
                    .unless_moved(&self.place);
            }
        }
        if expected.next().is_some() {
            return Verdict::Wrong("a token is missing").unless_moved(&self.place);
        }
        if !self.may_restart {
            self.required = tokens.to_vec();
            self.possible.retain(|token| !distinct.contains(token));
        }
        self.known = span.sent;
        Verdict::Right
    }

    fn note_there(&mut self, token: u32, sent: &Kills) {
        if self.may_restart {
            self.possible.insert(token);
        } else {
            self.required.push(token);
        }
        self.known = *sent;
    }

    fn forget_what_was_lost(&mut self, span: &Span) {
        if self.place.is_lost(&self.known, &span.read) {
            self.require_nothing();
        }
    }

    fn require_nothing(&mut self) {
        self.possible.extend(self.required.drain(..));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALM: Span = Span {
        sent: [0; 8],
        read: [0; 8],
    };

    /// With tokens 1 to 3.
    fn journal() -> Journal {
        let mut journal = Journal::default();
        for tokens in 1..=3 {
            let token = journal.next_token();
            let verdict = journal.judge_append(token, Some(tokens * TOKEN_LEN), &CALM);
            assert_eq!(verdict, Verdict::Right);
        }
        journal
    }

    #[test]
    fn tokens_are_there_once_and_in_order() {
        let mut journal = journal();
        assert_eq!(journal.judge_tokens(&[1, 2, 3], 3, &CALM), Verdict::Right);
        for wrong in [&[1, 2][..], &[1, 3, 2], &[1, 2, 3, 3], &[1, 2, 3, 4], &[]] {
            assert_ne!(journal.judge_tokens(wrong, 3, &CALM), Verdict::Right);
        }
        let token = journal.next_token();
        let doubled = journal.judge_append(token, Some(5 * TOKEN_LEN), &CALM);
        assert_ne!(doubled, Verdict::Right);
    }

    #[test]
    fn one_that_failed_may_come_later_and_once() {
        let mut journal = journal();
        let failed = journal.next_token();
        journal.note_failed(failed);
        let token = journal.next_token();
        assert_eq!(journal.judge_append(token, None, &CALM), Verdict::Right);
        let verdict = journal.judge_tokens(&[1, 2, 3, 5], 5, &CALM);
        assert_eq!(verdict, Verdict::Right);
        let verdict = journal.judge_tokens(&[1, 2, 3, 5, 4], 5, &CALM);
        assert_eq!(verdict, Verdict::Right);
        let verdict = journal.judge_tokens(&[1, 2, 3, 4, 5], 5, &CALM);
        assert_ne!(verdict, Verdict::Right);
    }

    #[test]
    fn a_restart_deletes_what_was_there() {
        let mut journal = journal();
        let token = journal.next_token();
        journal.note_restarted(token, &CALM.sent);
        assert_eq!(journal.judge_tokens(&[4], 4, &CALM), Verdict::Right);
        assert_ne!(journal.judge_tokens(&[1, 4], 4, &CALM), Verdict::Right);
        let token = journal.next_token();
        journal.note_failed_restart(token);
        for right in [&[4][..], &[5], &[4]] {
            assert_eq!(journal.judge_tokens(right, 5, &CALM), Verdict::Right);
        }
    }

    #[test]
    fn a_loss_requires_nothing() {
        let mut journal = journal();
        let mut span = CALM;
        span.read[0] = 1;
        assert_eq!(journal.judge_missing(&span), Verdict::Right);
        assert_eq!(journal.judge_tokens(&[], 3, &span), Verdict::Right);
    }
}
