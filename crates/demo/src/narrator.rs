//! The demo's output, and the results of its checks.

use std::fmt;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Why the demo stops.
#[derive(Debug)]
pub(crate) enum Stop {
    /// A signal asked it to stop.
    Interrupted,
    /// Something did not work; the text says what.
    Failed(String),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Stop {
        Stop::Failed(error.to_string())
    }
}

/// Prints the demo's output, counts its checks, and notices when to stop.
pub(crate) struct Narrator {
    out: Box<dyn Write>,
    asked_to_stop: Arc<AtomicBool>,
    held: u32,
    broken: u32,
}

impl Narrator {
    pub(crate) fn new(out: impl Write + 'static, asked_to_stop: Arc<AtomicBool>) -> Narrator {
        Narrator {
            out: Box::new(out),
            asked_to_stop,
            held: 0,
            broken: 0,
        }
    }

    /// Prints one or more lines.
    ///
    /// # Errors
    ///
    /// When the demo was asked to stop, or standard output is closed.
    pub(crate) fn say(&mut self, text: &str) -> Result<(), Stop> {
        if self.is_interrupted() {
            return Err(Stop::Interrupted);
        }
        writeln!(self.out, "{text}")?;
        self.out.flush()?;
        Ok(())
    }

    /// Prints whether a check succeeded, and counts it.
    ///
    /// # Errors
    ///
    /// As [`Narrator::say`]. A failed check is not an error here, see [`Narrator::verdict`].
    pub(crate) fn check(&mut self, held: bool, claim: impl fmt::Display) -> Result<(), Stop> {
        if held {
            self.held += 1;
            self.say(&format!("   [ok] {claim}"))
        } else {
            self.broken += 1;
            self.say(&format!("   [FAILED] {claim}"))
        }
    }

    /// Whether a signal asked the demo to stop.
    pub(crate) fn is_interrupted(&self) -> bool {
        self.asked_to_stop.load(Ordering::Relaxed)
    }

    /// An error if any check failed, or if there were none.
    pub(crate) fn verdict(&self) -> Result<(), Stop> {
        let all = self.held + self.broken;
        if self.broken > 0 || all == 0 {
            let text = format!("{} of {all} checks failed", self.broken);
            return Err(Stop::Failed(text));
        }
        Ok(())
    }

    /// The last line after a signal. Standard output may be closed already.
    pub(crate) fn announce_stop(&mut self) -> Result<(), Stop> {
        let _ = writeln!(self.out, "\nStopping the proxy and its servers.");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn narrator() -> (Narrator, Arc<AtomicBool>) {
        let flag = Arc::new(AtomicBool::new(false));
        (Narrator::new(io::sink(), Arc::clone(&flag)), flag)
    }

    #[test]
    fn one_broken_claim_decides() {
        let (mut narrator, _) = narrator();
        assert!(narrator.verdict().is_err(), "nothing was looked at");
        narrator.check(true, "a").unwrap();
        assert!(narrator.verdict().is_ok());
        narrator.check(false, "b").unwrap();
        narrator.check(true, "c").unwrap();
        assert!(
            matches!(narrator.verdict(), Err(Stop::Failed(text)) if text == "1 of 3 checks failed")
        );
    }

    #[test]
    fn a_signal_ends_the_story() {
        let (mut narrator, flag) = narrator();
        narrator.say("once upon a time").unwrap();
        flag.store(true, Ordering::Relaxed);
        assert!(matches!(narrator.say("more"), Err(Stop::Interrupted)));
    }
}
