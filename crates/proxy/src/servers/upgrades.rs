//! Which servers support RESP3, and which sessions wait to learn it: it is granted to a session only if the pool's
//! servers support it.

use std::collections::HashMap;

use crate::id::{ServerId, SessionId};
use crate::limits::MAX_UPGRADE_WAITERS;
use crate::protocol::grammar::Reply;
use crate::time::Time;

/// What is known of the servers, and the sessions that wait.
#[derive(Debug, Default)]
pub(crate) struct Upgrades {
    waiters: Vec<Waiter>,
    /// When the waiters are answered with what is known by then; set while servers are asked.
    deadline: Option<Time>,
    /// The results of the last time each server was asked.
    known: HashMap<ServerId, Support>,
}

/// A session that waits, and the slot for its answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Waiter {
    pub(crate) session: SessionId,
    pub(crate) slot: u64,
    pub(crate) reply: Reply,
}

/// Whether a server supports RESP3, as far as is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Support {
    /// A connection for it is being opened.
    Asked,
    /// It does.
    Yes,
    /// It refused. It is not asked again before this time.
    No { until: Time },
    /// It could not be asked: ejected, refusing connections, or the connection failed.
    Unreachable,
}

/// What the waiting sessions are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UpgradeResult {
    /// At least one server supports it, and none is known not to.
    Granted,
    /// A server does not support it.
    Refused,
    /// No server could be asked.
    Unreachable,
}

impl Upgrades {
    /// Adds a session that waits, unless too many do; returns whether it was added.
    pub(crate) fn add(&mut self, waiter: Waiter) -> bool {
        let fits = self.waiters.len() < MAX_UPGRADE_WAITERS;
        if fits {
            self.waiters.push(waiter);
        }
        fits
    }

    /// Takes all sessions that wait.
    pub(crate) fn take_waiters(&mut self) -> Vec<Waiter> {
        std::mem::take(&mut self.waiters)
    }

    /// Whether any session waits.
    pub(crate) fn is_anybody_waiting(&self) -> bool {
        !self.waiters.is_empty()
    }

    /// Notes what is known of a server.
    pub(crate) fn note(&mut self, server: ServerId, support: Support) {
        self.known.insert(server, support);
    }

    /// Forgets what is known of a server.
    pub(crate) fn forget(&mut self, server: ServerId) {
        self.known.remove(&server);
    }

    /// What is known of a server.
    pub(crate) fn of(&self, server: ServerId) -> Option<Support> {
        self.known.get(&server).copied()
    }

    /// When the waiters are answered at the latest.
    pub(crate) fn deadline(&self) -> Option<Time> {
        self.deadline
    }

    /// Servers are asked; the waiters are answered at `deadline` at the latest.
    pub(crate) fn begin(&mut self, deadline: Time) {
        self.deadline = Some(deadline);
    }

    /// The asking is over.
    pub(crate) fn end(&mut self) {
        self.deadline = None;
    }

    /// What the waiting sessions are told, if enough is known of the `servers`: one that does not support it decides;
    /// otherwise every server must have answered or be unreachable. With `timed_out`, what is known decides.
    ///
    /// A refusal counts until its time is over: a server may have been upgraded since then, so it is asked again first.
    pub(crate) fn result(
        &self,
        servers: impl Iterator<Item = ServerId>,
        timed_out: bool,
        now: Time,
    ) -> Option<UpgradeResult> {
        let (mut yes, mut no, mut unknown) = (false, false, false);
        for server in servers {
            match self.of(server) {
                Some(Support::Yes) => yes = true,
                Some(Support::No { until }) if now < until => no = true,
                Some(Support::Unreachable) => {}
                Some(Support::Asked | Support::No { .. }) | None => unknown = true,
            }
        }
        let is_asking = self.deadline.is_some();
        match () {
            () if no => Some(UpgradeResult::Refused),
            () if unknown && !timed_out => None,
            () if yes => Some(UpgradeResult::Granted),
            () => is_asking.then_some(UpgradeResult::Unreachable),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Table;

    #[test]
    fn one_refusal_decides_and_else_every_server_must_have_been_heard() {
        let mut table = Table::new();
        let servers: [ServerId; 3] = [(); 3].map(|()| table.insert_with(|_| ()));
        let result = |known: [Option<Support>; 3], asking, timed_out| {
            let mut upgrades = Upgrades::default();
            for (server, support) in servers.iter().zip(known) {
                support
                    .into_iter()
                    .for_each(|known| upgrades.note(*server, known));
            }
            if asking {
                upgrades.begin(Time::ZERO);
            }
            upgrades.result(servers.into_iter(), timed_out, Time::from_micros(10))
        };
        let no_until = |micros| {
            let until = Time::from_micros(micros);
            Some(Support::No { until })
        };
        let (yes, no, long_ago) = (Some(Support::Yes), no_until(11), no_until(10));
        let (asked, gone) = (Some(Support::Asked), Some(Support::Unreachable));
        assert_eq!(
            result([yes, yes, yes], false, false),
            Some(UpgradeResult::Granted)
        );
        assert_eq!(
            result([yes, gone, yes], true, false),
            Some(UpgradeResult::Granted)
        );
        assert_eq!(result([yes, asked, yes], true, false), None);
        assert_eq!(result([yes, None, yes], false, false), None);
        assert_eq!(
            result([yes, asked, yes], true, true),
            Some(UpgradeResult::Granted)
        );
        assert_eq!(
            result([asked, no, None], true, false),
            Some(UpgradeResult::Refused)
        );
        assert_eq!(
            result([yes, no, yes], false, false),
            Some(UpgradeResult::Refused)
        );
        assert_eq!(
            result([yes, long_ago, yes], false, false),
            None,
            "it is asked again first"
        );
        assert_eq!(
            result([gone, gone, gone], true, false),
            Some(UpgradeResult::Unreachable)
        );
        assert_eq!(result([gone, gone, gone], false, false), None);
        assert_eq!(
            result([asked, gone, asked], true, true),
            Some(UpgradeResult::Unreachable)
        );
    }
}
