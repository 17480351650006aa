//! The counts of a run.

use std::collections::BTreeMap;
use std::fmt;

use nuthatch_bench::faults::Fault;

/// Maximum descriptions kept of wrong replies.
const KEPT_SAMPLES: usize = 8;

/// Maximum error texts counted separately; others are counted together.
const KEPT_TEXTS: usize = 200;

/// Counts of requests by their result.
#[derive(Debug, Default, Clone)]
pub(crate) struct Counts {
    /// Requests sent.
    pub(crate) requests: u64,
    /// Answered with the expected value, or with an old value or none where a fault allows that.
    pub(crate) right: u64,
    /// Answered with a value that the key cannot have.
    pub(crate) wrong: u64,
    /// Answered with the reply to another request.
    pub(crate) misordered: u64,
    /// Not answered: the connection ended between replies, or nothing arrived for a long time.
    pub(crate) unanswered: u64,
    /// Lost with a connection that was closed in the middle of a reply, which tells the client about the
    /// loss.
    pub(crate) broken_off: u64,
    /// Not answered because the connection was closed between two replies, where that is to mean that they were not carried
    /// out. That is checked: no such write may ever be read.
    pub(crate) withdrawn: u64,
    /// Answered with an error.
    pub(crate) errors: u64,
    by_text: BTreeMap<(&'static str, String), u64>,
    samples: Vec<String>,
}

impl Counts {
    pub(crate) fn error(&mut self, fault: Option<Fault>, text: &[u8]) {
        self.errors += 1;
        let key = (fault_name(fault), essence(&String::from_utf8_lossy(text)));
        let is_known = self.by_text.contains_key(&key);
        let key = match is_known || self.by_text.len() < KEPT_TEXTS {
            true => key,
            false => (key.0, "(others)".into()),
        };
        *self.by_text.entry(key).or_default() += 1;
    }

    pub(crate) fn sample(&mut self, describe: impl FnOnce() -> String) {
        if self.samples.len() < KEPT_SAMPLES {
            self.samples.push(describe());
        }
    }

    pub(crate) fn add(&mut self, other: Counts) {
        self.requests += other.requests;
        self.right += other.right;
        self.wrong += other.wrong;
        self.misordered += other.misordered;
        self.unanswered += other.unanswered;
        self.broken_off += other.broken_off;
        self.withdrawn += other.withdrawn;
        self.errors += other.errors;
        for (key, count) in other.by_text {
            *self.by_text.entry(key).or_default() += count;
        }
        for sample in other.samples {
            self.sample(|| sample);
        }
    }

    /// Whether every request was answered with its own reply or an error.
    pub(crate) fn is_flawless(&self) -> bool {
        self.wrong + self.misordered + self.unanswered == 0
    }

    /// Requests without a reply from a server.
    pub(crate) fn failed(&self) -> u64 {
        self.errors + self.unanswered + self.broken_off
    }

    /// Requests with a known result; must equal the number sent.
    pub(crate) fn outcomes(&self) -> u64 {
        let answered = self.right + self.wrong + self.misordered + self.errors;
        answered + self.unanswered + self.broken_off + self.withdrawn
    }
}

/// The text of an error without the protocol's prefix and the name and address of the server.
fn essence(text: &str) -> String {
    let prefixes = ["-ERR ", "SERVER_ERROR "];
    let stripped = prefixes.iter().find_map(|prefix| text.strip_prefix(prefix));
    let text = stripped.unwrap_or(text);
    match (text.find("server '"), text.find("): ")) {
        (Some(start), Some(end)) if start < end => text[..start].to_owned() + &text[end + 3..],
        _ => text.to_owned(),
    }
}

fn fault_name(fault: Option<Fault>) -> &'static str {
    fault.map_or("none yet", Fault::name)
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "requests {}\nright {}\nwrong {}\nmisordered {}\nunanswered {}\nbroken off {}\nerrors {}",
            self.requests,
            self.right,
            self.wrong,
            self.misordered,
            self.unanswered,
            self.broken_off,
            self.errors
        )?;
        writeln!(f, "errors by the latest fault:")?;
        for ((fault, text), count) in &self.by_text {
            writeln!(f, "{count:>12}  {fault:10}  {text}")?;
        }
        for sample in &self.samples {
            writeln!(f, "! {sample}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_that_differ_by_server_and_protocol_are_one() {
        let text = "-ERR Connection refused: server 's1' (127.0.0.1:7:1): the server is ejected";
        assert_eq!(essence(text), "Connection refused: the server is ejected");
        assert_eq!(essence("SERVER_ERROR unknown"), "unknown");
        assert_eq!(essence("-NOAUTH x"), "-NOAUTH x");
    }

    #[test]
    fn sums_and_texts_are_kept() {
        let mut counts = Counts::default();
        for _ in 0..2 {
            let mut other = Counts {
                requests: 3,
                right: 2,
                ..Counts::default()
            };
            other.error(Some(Fault::Cut), b"-ERR x");
            counts.add(other);
        }
        assert!(counts.is_flawless() && counts.outcomes() == 6);
        let shown = counts.to_string();
        assert!(shown.contains("2  cut         x"), "{shown}");
        counts.wrong = 1;
        assert!(!counts.is_flawless());
    }
}
