//! The requests on a connection that are counted by their keys or are to be logged, until their replies have ended.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::hot_keys::KeyName;
use crate::latency::Class;
use crate::limits::SAMPLES_IN_FLIGHT;
use crate::slow_log::Note;

/// A request that is counted or is to be logged.
#[derive(Debug)]
pub(crate) struct Sample {
    /// The keys for which it is counted.
    pub(crate) keys: Vec<Arc<KeyName>>,
    /// What it is called in the access log, if it is logged.
    pub(crate) logged: Option<Note>,
    pub(crate) class: Class,
    /// How much of the reply has come.
    pub(crate) reply_bytes: usize,
}

/// Those that are not answered, each with the number of its request, oldest first; none in most queues.
#[derive(Debug, Default)]
pub(super) struct Samples(VecDeque<(u64, Sample)>);

impl Samples {
    /// The request with this number is one, if there is room.
    pub(super) fn add(&mut self, number: u64, sample: Sample) {
        if self.0.len() < SAMPLES_IN_FLIGHT {
            self.0.push_back((number, sample));
        }
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The number of the oldest.
    pub(super) fn oldest(&self) -> Option<u64> {
        self.0.front().map(|(number, _)| *number)
    }

    /// All of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, &Sample)> {
        self.0.iter().map(|(number, sample)| (*number, sample))
    }

    /// So many bytes of the reply to the request with this number have come, which is the oldest that is not answered.
    /// Returns it, if it is one and `is_over`.
    pub(super) fn note_reply(
        &mut self,
        number: u64,
        bytes: usize,
        is_over: bool,
    ) -> Option<Sample> {
        let samples = &mut self.0;
        while samples.front().is_some_and(|(oldest, _)| *oldest < number) {
            samples.pop_front();
        }
        let oldest = samples.front_mut();
        let is_counted = match oldest.filter(|(oldest, _)| *oldest == number) {
            Some((_, sample)) => {
                sample.reply_bytes += bytes;
                true
            }
            None => false,
        };
        let ended = match is_counted && is_over {
            true => samples.pop_front(),
            false => None,
        };
        if samples.is_empty() {
            self.forget();
        }
        ended.map(|(_, sample)| sample)
    }

    /// Requests in the middle were dropped, so that the numbers are wrong; or nothing is counted any more.
    pub(super) fn forget(&mut self) {
        self.0 = VecDeque::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Sample {
        Sample {
            keys: Vec::new(),
            logged: None,
            class: Class::Read,
            reply_bytes: 0,
        }
    }

    #[test]
    fn a_reply_is_measured_from_its_first_piece_to_its_last() {
        let mut samples = Samples::default();
        samples.add(3, sample());
        samples.add(5, sample());
        let mut ended = |number, bytes, is_over| {
            let ended = samples.note_reply(number, bytes, is_over);
            ended.map(|sample| sample.reply_bytes)
        };
        assert_eq!(ended(2, 10, true), None);
        assert_eq!(ended(3, 10, false), None);
        assert_eq!(ended(3, 7, true), Some(17));
        assert_eq!((ended(4, 1, true), ended(6, 1, true)), (None, None));
        assert!(samples.is_empty());
    }

    #[test]
    fn there_are_no_more_than_so_many() {
        let mut samples = Samples::default();
        for number in 0..=SAMPLES_IN_FLIGHT as u64 {
            samples.add(number, sample());
        }
        let last = SAMPLES_IN_FLIGHT as u64;
        assert!(samples.note_reply(last - 1, 1, true).is_some());
        assert!(samples.note_reply(last, 1, true).is_none());
    }
}
