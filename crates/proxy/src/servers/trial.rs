//! Whether transactions may be sent on a connection.
//!
//! A transaction is sent as one block of requests, MULTI to EXEC. A server that refuses MULTI (to this user, or because
//! it is renamed, or is another proxy) would execute the rest one by one, and one that refuses EXEC would queue the
//! requests of everybody who comes later. So before the first transaction on a connection an empty one is tried there.

use crate::limits::{LOGGED_ERROR, TRANSACTIONS_REFUSED_FOR};
use crate::time::Time;

/// How many replies of a trial come before the last one. It consists of MULTI, EXEC, and DISCARD, which ends the
/// transaction if EXEC was refused and is refused otherwise.
pub(crate) const REPLIES_BEFORE: u16 = 2;

/// Whether transactions may be sent on a connection, as far as it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict<'a> {
    /// It must be tried.
    Unknown,
    /// They may.
    Supported,
    /// The server has refused them with this error line.
    Refused(&'a [u8]),
}

/// What a connection knows of that.
#[derive(Debug, Default)]
pub(crate) struct Trial {
    state: State,
    /// The first line of the reply that arrives, as far as it is kept.
    line: Vec<u8>,
    /// Replies of the trial that have ended.
    replies: usize,
    /// The first error before the last reply, and which reply it was.
    refusal: Option<(usize, Box<[u8]>)>,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Unknown,
    Supported,
    Refused {
        line: Box<[u8]>,
        until: Time,
    },
}

impl Trial {
    /// What is known. A refusal does not count for ever, as the server's administrator may lift it.
    pub(crate) fn verdict(&self, now: Time) -> Verdict<'_> {
        match &self.state {
            State::Unknown => Verdict::Unknown,
            State::Supported => Verdict::Supported,
            State::Refused { until, .. } if *until <= now => Verdict::Unknown,
            State::Refused { line, .. } => Verdict::Refused(line),
        }
    }

    /// A piece of a reply of the trial has arrived, its last one if there is an `is_error`.
    pub(super) fn note(&mut self, piece: &[u8], is_error: Option<bool>) {
        let room = LOGGED_ERROR.saturating_sub(self.line.len());
        self.line.extend(piece.iter().take(room));
        let Some(is_error) = is_error else {
            return;
        };
        let line = std::mem::take(&mut self.line);
        if is_error && self.refusal.is_none() {
            let end = line.iter().position(|byte| *byte == b'\r');
            let line = line[..end.unwrap_or(line.len())].into();
            self.refusal = Some((self.replies, line));
        }
        self.replies += 1;
    }

    /// The last reply has ended. Returns whether the connection can be used: it cannot if a transaction was begun that
    /// nothing has ended.
    pub(super) fn end(&mut self, is_error: bool, now: Time) -> bool {
        let refusal = self.refusal.take();
        self.replies = 0;
        let is_stuck = is_error && matches!(refusal, Some((1, _)));
        self.state = match refusal {
            None => State::Supported,
            Some((_, line)) => State::Refused {
                line,
                until: now + TRANSACTIONS_REFUSED_FOR,
            },
        };
        !is_stuck
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time::from_micros(1);

    /// The verdict after these replies, and whether the connection can be used.
    fn tried(replies: [&str; 3]) -> (String, bool) {
        let mut trial = Trial::default();
        assert_eq!(trial.verdict(NOW), Verdict::Unknown);
        let is_error = |reply: &str| reply.starts_with('-');
        for reply in &replies[..2] {
            let (head, tail) = reply.split_at(2);
            trial.note(head.as_bytes(), None);
            trial.note(tail.as_bytes(), Some(is_error(reply)));
        }
        let is_usable = trial.end(is_error(replies[2]), NOW);
        let verdict = match trial.verdict(NOW) {
            Verdict::Unknown => "unknown".to_owned(),
            Verdict::Supported => "supported".to_owned(),
            Verdict::Refused(line) => String::from_utf8_lossy(line).into_owned(),
        };
        let later = trial.verdict(NOW + TRANSACTIONS_REFUSED_FOR);
        assert_eq!(later == Verdict::Supported, verdict == "supported");
        (verdict, is_usable)
    }

    #[test]
    fn a_connection_is_used_unless_a_transaction_is_left_open() {
        let no = "-ERR DISCARD without MULTI\r\n";
        let supported = ("supported".to_owned(), true);
        assert_eq!(tried(["+OK\r\n", "*0\r\n", no]), supported);
        let denied = "-NOPERM no multi";
        let refused = (denied.to_owned(), true);
        let line = format!("{denied}\r\n");
        assert_eq!(tried([&line, "-ERR EXEC without MULTI\r\n", no]), refused);
        assert_eq!(tried(["+OK\r\n", &line, "+OK\r\n"]), refused);
        assert_eq!(tried(["+OK\r\n", &line, no]), (denied.to_owned(), false));
    }
}
