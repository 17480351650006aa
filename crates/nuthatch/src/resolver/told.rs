//! What is logged of a name, and what was logged already.

use std::net::SocketAddr;

use super::choice::Choice;
use crate::logger::Repeats;

/// A warning.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) text: String,
    pub(super) repeats: Repeats,
}

/// What was logged of a name.
#[derive(Debug, Default)]
pub(super) struct Told {
    passed_over: Vec<SocketAddr>,
    /// Where the name leads now, if that is not the address in use.
    elsewhere: Option<SocketAddr>,
}

impl Line {
    /// A name leads elsewhere: `new` is used from now on (`is_used`), also for servers that have connections
    /// already (`is_followed`).
    pub(super) fn change(
        host: &str,
        servers: &str,
        old: SocketAddr,
        new: SocketAddr,
        is_used: bool,
        is_followed: bool,
    ) -> Self {
        let what = match (is_followed, is_used) {
            (true, _) => "it is followed, where `dns_follow` is set",
            (false, true) => {
                "new connections lead there, others stay where they are until they end"
            }
            (false, false) => {
                "connections stay where they are until they end; `dns_follow: true` would move them"
            }
        };
        let (old, new) = (old.ip(), new.ip());
        Self {
            text: format!(
                "name '{host}' ({servers}) no longer leads to {old} but to {new}: {what}"
            ),
            repeats: Repeats::of("name changed", host),
        }
    }

    /// A look-up failed.
    pub(super) fn failure(
        host: &str,
        servers: &str,
        reason: &str,
        in_use: Option<&SocketAddr>,
    ) -> Self {
        let what = match in_use {
            Some(address) => format!("its last address, {}, is used", address.ip()),
            None => "no address of it is known".to_owned(),
        };
        Self {
            text: format!("looking up the name '{host}' ({servers}) failed: {reason}; {what}"),
            repeats: Repeats::of_lasting("look-up failed", host),
        }
    }
}

impl Told {
    /// The line about addresses that are passed over, unless it would say what the last one said.
    pub(super) fn of_choice(&mut self, host: &str, servers: &str, choice: &Choice) -> Option<Line> {
        let mut passed_over = choice.passed_over.clone();
        // The order may change with each answer.
        passed_over.extend(choice.tried.first().filter(|_| !passed_over.is_empty()));
        passed_over.sort_unstable();
        if passed_over == self.passed_over {
            return None;
        }
        self.passed_over = passed_over;
        let used = choice.tried.first()?.ip();
        let rest: Vec<String> = choice
            .passed_over
            .iter()
            .map(|it| it.ip().to_string())
            .collect();
        (!rest.is_empty()).then(|| {
            let rest = rest.join(", ");
            Line {
                text: format!(
                    "name '{host}' ({servers}) has several addresses: {used} is used, and not {rest}, \
                     for they may be other servers"
                ),
                repeats: Repeats::of("several addresses", host),
            }
        })
    }

    /// Whether it is not known yet that the name leads to `address`, which is not in use.
    pub(super) fn is_news(&mut self, address: SocketAddr) -> bool {
        self.elsewhere.replace(address) != Some(address)
    }

    /// The name leads to the address in use.
    pub(super) fn forget_news(&mut self) {
        self.elsewhere = None;
    }
}
