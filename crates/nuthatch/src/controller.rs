//! How other threads have the configuration in force looked at and changed: they call the main thread, which does one
//! thing at a time.

use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use serde::Serialize;

use crate::live::Live;
use crate::upgrade::Successor;

/// What the main thread is to do.
pub(crate) enum Call {
    /// Shut down.
    Stop,
    /// The same, after a drain if the configuration says so.
    Terminate,
    /// Shut down after a drain.
    Drain,
    /// Reload, if signals do that.
    ReloadBySignal,
    /// Replace the process, if signals do that.
    UpgradeBySignal,
    /// Replace the process, and tell what becomes of that.
    Upgrade(SyncSender<UpgradeAnswer>),
    /// A process was started in place of this one, or was not. Whoever waits for it is told.
    Started(
        Box<Result<Successor, String>>,
        Option<SyncSender<UpgradeAnswer>>,
    ),
    /// Anything else.
    Do(Box<dyn FnOnce(&mut Live) + Send>),
}

/// What has become of an upgrade, or why nothing has.
pub(crate) type UpgradeAnswer = Result<Replaced, String>;

/// The process was replaced.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Replaced {
    /// The new process.
    pub(crate) pid: u32,
    /// Its version.
    pub(crate) version: String,
    /// The old process.
    pub(crate) old_pid: u32,
    /// Clients that it has.
    pub(crate) clients: i64,
    /// How long it may serve them.
    #[serde(rename = "within_seconds", serialize_with = "seconds")]
    pub(crate) within: Duration,
}

fn seconds<S: serde::Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(time.as_secs_f64())
}

impl Replaced {
    /// The same in words.
    pub(crate) fn text(&self) -> String {
        let Self {
            pid,
            version,
            old_pid,
            clients,
            within,
        } = self;
        let end = match clients {
            0 => "which has no clients and ends".to_owned(),
            _ => format!(
                "which closes its {clients} clients one by one within {} s",
                within.as_secs_f64()
            ),
        };
        format!("process {pid} (version {version}) serves in place of process {old_pid}, {end}")
    }
}

/// Calls the main thread.
#[derive(Debug, Clone)]
pub(crate) struct Controller(SyncSender<Call>);

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoAnswer {
    /// Too many calls are waiting, or this one has waited too long. What was asked may still be done.
    Busy,
    /// The process is shutting down.
    Ending,
}

impl Controller {
    /// Calls are sent to `calls`.
    pub(crate) fn new(calls: SyncSender<Call>) -> Self {
        Self(calls)
    }

    /// Has the process shut down; a second call ends the shutdown at once, or the drain before it.
    pub(crate) fn stop(&self) {
        self.insist(Call::Stop);
    }

    /// The same, after a drain if the configuration says so.
    pub(crate) fn terminate(&self) {
        self.insist(Call::Terminate);
    }

    /// Has the process shut down after a drain.
    pub(crate) fn drain(&self) {
        self.insist(Call::Drain);
    }

    fn insist(&self, call: Call) {
        // The main thread is never busy for long, and a signal must not be lost.
        let _ = self.0.send(call);
    }

    /// SIGUSR1 was received.
    pub(crate) fn reload_by_signal(&self) {
        // If that many calls are waiting, one of them is a reload.
        let _ = self.0.try_send(Call::ReloadBySignal);
    }

    /// SIGUSR2 was received.
    pub(crate) fn upgrade_by_signal(&self) {
        // If that many calls are waiting, the signal can be sent again.
        let _ = self.0.try_send(Call::UpgradeBySignal);
    }

    /// Has the process replaced; returns what becomes of that, or no answer within `time_limit`.
    pub(crate) fn upgrade(&self, time_limit: Duration) -> Result<UpgradeAnswer, NoAnswer> {
        let (sender, answer) = sync_channel(1);
        self.call(Call::Upgrade(sender))?;
        wait(&answer, time_limit)
    }

    /// A process was started in place of this one, or was not.
    pub(crate) fn note_started(
        &self,
        started: Result<Successor, String>,
        answer: Option<SyncSender<UpgradeAnswer>>,
    ) {
        self.insist(Call::Started(Box::new(started), answer));
    }

    fn call(&self, call: Call) -> Result<(), NoAnswer> {
        self.0.try_send(call).map_err(|error| match error {
            TrySendError::Full(_) => NoAnswer::Busy,
            TrySendError::Disconnected(_) => NoAnswer::Ending,
        })
    }

    /// Has the main thread do something; returns what it says.
    ///
    /// # Errors
    ///
    /// When it does not come to it within `time_limit`.
    pub(crate) fn ask<T: Send + 'static>(
        &self,
        time_limit: Duration,
        work: impl FnOnce(&mut Live) -> T + Send + 'static,
    ) -> Result<T, NoAnswer> {
        let (sender, answer) = sync_channel(1);
        self.call(Call::Do(Box::new(move |live| {
            let _ = sender.send(work(live));
        })))?;
        wait(&answer, time_limit)
    }
}

fn wait<T>(answer: &Receiver<T>, time_limit: Duration) -> Result<T, NoAnswer> {
    answer
        .recv_timeout(time_limit)
        .map_err(|error| match error {
            RecvTimeoutError::Timeout => NoAnswer::Busy,
            RecvTimeoutError::Disconnected => NoAnswer::Ending,
        })
}
