//! Requests that wait for the answers of other workers.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::id::SessionId;
use crate::limits::{ANSWER_WITHIN, MAX_QUESTIONS};
use crate::question::Question;
use crate::time::Time;

/// Those of one worker that are not answered, in the order of their deadlines.
#[derive(Debug, Default)]
pub(crate) struct Questions {
    asked: VecDeque<Asked>,
    next: u64,
}

/// A request that waits.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) question: Arc<Question>,
    pub(crate) session: SessionId,
    /// None if no reply is wanted.
    pub(crate) slot: Option<u64>,
    /// What each worker has answered so far, this one included.
    pub(crate) parts: Vec<Vec<u8>>,
    /// How many have not.
    pub(crate) missing: usize,
    until: Time,
}

impl Questions {
    /// Whether no further one may be asked.
    pub(crate) fn are_full(&self) -> bool {
        self.asked.len() >= MAX_QUESTIONS
    }

    /// The number of the next one.
    pub(crate) fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// One is asked at `now`.
    pub(crate) fn begin(
        &mut self,
        question: Arc<Question>,
        (session, slot): (SessionId, Option<u64>),
        parts: Vec<Vec<u8>>,
        missing: usize,
        now: Time,
    ) {
        let until = now + ANSWER_WITHIN;
        self.asked.push_back(Asked {
            question,
            session,
            slot,
            parts,
            missing,
            until,
        });
    }

    /// A worker has answered the question with this number, or cannot (`None`). Returns what waited for it if that was the
    /// last answer, or one is missing now for good.
    pub(crate) fn note(&mut self, number: u64, part: Option<Vec<u8>>) -> Option<Asked> {
        let is_it = |asked: &Asked| asked.question.number() == number;
        let at = self.asked.iter().position(is_it)?;
        let asked = self.asked.get_mut(at)?;
        if let Some(part) = part {
            asked.parts.push(part);
            asked.missing -= 1;
            if asked.missing > 0 {
                return None;
            }
        }
        self.asked.remove(at)
    }

    /// The next one that has not been answered in time by `now`.
    pub(crate) fn take_late(&mut self, now: Time) -> Option<Asked> {
        let is_late = self.asked.front().is_some_and(|asked| asked.until <= now);
        is_late.then(|| self.asked.pop_front())?
    }

    /// When the next one is late.
    pub(crate) fn deadline(&self) -> Option<Time> {
        self.asked.front().map(|asked| asked.until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Id;

    fn ask(questions: &mut Questions, missing: usize, now: Time) -> u64 {
        let number = questions.number();
        let question = Arc::new(Question::new(number, 0, None, 1, b""));
        let to = (SessionId::new(0, 0), Some(7));
        questions.begin(question, to, vec![b"own".to_vec()], missing, now);
        number
    }

    #[test]
    fn the_last_answer_completes_a_question() {
        let mut questions = Questions::default();
        let number = ask(&mut questions, 2, Time::ZERO);
        assert!(questions.note(number + 1, Some(Vec::new())).is_none());
        assert!(questions.note(number, Some(b"a".to_vec())).is_none());
        let asked = questions.note(number, Some(b"b".to_vec())).expect("all");
        assert_eq!(asked.parts, [&b"own"[..], b"a", b"b"]);
        assert_eq!((asked.missing, asked.slot), (0, Some(7)));
        assert!(questions.note(number, Some(Vec::new())).is_none(), "late");
    }

    #[test]
    fn one_that_cannot_be_answered_is_over_at_once_and_others_in_time() {
        let mut questions = Questions::default();
        let first = ask(&mut questions, 3, Time::ZERO);
        let later = Time::ZERO + ANSWER_WITHIN / 2;
        ask(&mut questions, 1, later);
        let asked = questions.note(first, None).expect("it cannot be answered");
        assert_eq!(asked.missing, 3);
        let due = later + ANSWER_WITHIN;
        assert_eq!(questions.deadline(), Some(due));
        assert!(questions.take_late(Time::ZERO + ANSWER_WITHIN).is_none());
        assert_eq!(questions.take_late(due).expect("late").missing, 1);
        assert!(questions.take_late(due).is_none() && questions.deadline().is_none());
    }
}
