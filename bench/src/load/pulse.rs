//! A timer for the event loop that is finer than the millisecond of epoll's time-out.

use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Duration;

use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};

/// The shortest pulse: finer ones would cost the machine more than they tell.
const SHORTEST: Duration = Duration::from_micros(20);

/// The longest pulse, so that a slow rate still ends on time.
const LONGEST: Duration = Duration::from_millis(1);

/// Wakes the loop again and again.
pub(super) struct Pulse {
    timer: OwnedFd,
}

impl Pulse {
    /// Wakes the loop under `token` about every `every`. The timer is never read: with edge-triggered
    /// polling each expiry wakes anew.
    pub(super) fn start(
        every: Duration,
        registry: &Registry,
        token: Token,
    ) -> std::io::Result<Self> {
        let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::CLOEXEC)?;
        let every = every.clamp(SHORTEST, LONGEST);
        let spec = Timespec {
            tv_sec: 0,
            tv_nsec: every.subsec_nanos().into(),
        };
        let periodic = Itimerspec {
            it_interval: spec,
            it_value: spec,
        };
        timerfd_settime(&timer, TimerfdTimerFlags::empty(), &periodic)?;
        registry.register(&mut SourceFd(&timer.as_raw_fd()), token, Interest::READABLE)?;
        Ok(Self { timer })
    }

    /// Stops waking.
    pub(super) fn stop(self, registry: &Registry) -> std::io::Result<()> {
        registry.deregister(&mut SourceFd(&self.timer.as_raw_fd()))
    }
}
