//! How other threads have the configuration in force looked at and changed: they call the main thread, which does one
//! thing at a time.

use std::sync::mpsc::{RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use crate::live::Live;

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
    /// Anything else.
    Do(Box<dyn FnOnce(&mut Live) + Send>),
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
        let call = Call::Do(Box::new(move |live| {
            let _ = sender.send(work(live));
        }));
        self.0.try_send(call).map_err(|error| match error {
            TrySendError::Full(_) => NoAnswer::Busy,
            TrySendError::Disconnected(_) => NoAnswer::Ending,
        })?;
        answer
            .recv_timeout(time_limit)
            .map_err(|error| match error {
                RecvTimeoutError::Timeout => NoAnswer::Busy,
                RecvTimeoutError::Disconnected => NoAnswer::Ending,
            })
    }
}
