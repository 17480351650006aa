//! The end of a process whose clients are to notice nothing of it: they are led elsewhere before the listeners close.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use proxy::Departure;
use proxy::metrics::PoolMetric;

use crate::config::Globals;
use crate::controller::Call;
use crate::live::{Directory, Live};
use crate::logger::{NOTICE, log};

/// How long clients take to be closed where `drain` is not set and a drain was asked for.
const USUAL: Duration = Duration::from_secs(30);

/// How often it is looked whether clients are left.
const LOOK: Duration = Duration::from_millis(50);

/// How the process drains.
#[derive(Debug, Clone, Copy)]
pub(super) struct Drain {
    /// From when it is not ready any more until clients are told.
    wait: Duration,
    /// From then on until the listeners close.
    grace: Duration,
    /// From then on until clients are closed.
    pause: Duration,
    /// From then on until the last client is closed.
    within: Duration,
    /// Whether clients can connect to the same address again.
    stays: bool,
}

impl Drain {
    /// What the settings say, whether SIGTERM drains or not.
    pub(super) fn of(globals: &Globals) -> Self {
        Self {
            wait: globals.drain_wait,
            grace: globals.drain_grace,
            pause: Duration::ZERO,
            within: globals.drain.unwrap_or(USUAL),
            stays: false,
        }
    }

    /// How the clients leave a process in whose place another one serves already.
    pub(super) fn of_upgrade(within: Duration) -> Self {
        Self {
            wait: Duration::ZERO,
            grace: Duration::ZERO,
            pause: Duration::ZERO,
            within,
            stays: true,
        }
    }

    /// The same, but for the first half of the time no client is closed: those that were told leave by themselves.
    pub(super) fn in_second_half(self) -> Self {
        let half = self.within / 2;
        Self {
            pause: half,
            within: half,
            ..self
        }
    }

    /// What is done while clients are accepted still. Calls are followed meanwhile; one that stops the process cuts it
    /// short. Returns whether that was so.
    pub(super) fn lead_away(&self, live: &mut Live, calls: &Receiver<Call>) -> bool {
        let (wait, grace) = (self.wait.as_millis(), self.grace.as_millis());
        log!(
            NOTICE,
            "draining: not ready from now on; clients are told in {wait} ms, and the listeners close {grace} ms later"
        );
        if follow_calls(live, calls, self.wait) {
            return true;
        }
        let told = live.announce(self.departure());
        log!(
            NOTICE,
            "draining: {told} clients that had asked for it were told to connect elsewhere"
        );
        follow_calls(live, calls, self.grace)
    }

    pub(super) fn departure(&self) -> Departure {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let number = now.map_or(0, |now| now.as_millis());
        let left = self.grace + self.within;
        Departure {
            number: i64::try_from(number).unwrap_or(i64::MAX),
            seconds: left.as_secs() + u64::from(left.subsec_nanos() > 0),
            stays: self.stays,
        }
    }

    /// How long the clients of now may take to be closed, which the workers are to be told.
    pub(super) fn within(&self) -> Duration {
        self.within
    }

    /// How long no client is to be closed at first.
    pub(super) fn pause(&self) -> Duration {
        self.pause
    }

    /// Waits until no client is left, for no longer than this. A call that stops the process cuts it short;
    /// it is too late for any other. Returns whether that was so.
    pub(super) fn wait_for_clients(
        time: Duration,
        directory: &Directory,
        calls: &Receiver<Call>,
    ) -> bool {
        let until = Instant::now() + time;
        while clients(directory) > 0 && Instant::now() < until {
            match calls.recv_timeout(LOOK) {
                Ok(Call::Stop | Call::Terminate) | Err(RecvTimeoutError::Disconnected) => {
                    return true;
                }
                Ok(_) | Err(RecvTimeoutError::Timeout) => {}
            }
        }
        false
    }
}

/// Clients of all pools.
pub(super) fn clients(directory: &Directory) -> i64 {
    let in_force = directory.in_force();
    let pools = in_force.pools.iter();
    let counts = pools.map(|pool| pool.core().count(PoolMetric::ClientConnections));
    counts.sum()
}

/// Does what others ask for, for so long; returns whether they ask to stop before that.
fn follow_calls(live: &mut Live, calls: &Receiver<Call>, time: Duration) -> bool {
    let until = Instant::now() + time;
    loop {
        match calls.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(Call::Stop | Call::Terminate) | Err(RecvTimeoutError::Disconnected) => return true,
            Ok(Call::Do(work)) => work(live),
            Ok(call) => refuse(call),
            Err(RecvTimeoutError::Timeout) => return false,
        }
    }
}

/// It drains already, and a process that ends takes no new configuration by a signal and is not replaced: whoever waits for
/// that sees that nobody answers, and a process that was started sees that it is not needed.
fn refuse(call: Call) {
    drop(call);
}
