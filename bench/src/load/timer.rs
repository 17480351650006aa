//! A periodic timer for the event loop, finer than epoll's timeout in milliseconds.

use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Duration;

use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};

/// The shortest period: shorter ones would cost too much CPU time.
const SHORTEST: Duration = Duration::from_micros(20);

/// The longest period, so that a run with a low rate still ends on time.
const LONGEST: Duration = Duration::from_millis(1);

/// Wakes the loop periodically.
pub(super) struct Timer {
    timer: OwnedFd,
}

impl Timer {
    /// Wakes the loop under `token` about once per `every`, as long as each expiry is [taken](Timer::take).
    pub(super) fn start(
        every: Duration,
        registry: &Registry,
        token: Token,
    ) -> std::io::Result<Self> {
        let timer = timerfd_create(
            TimerfdClockId::Monotonic,
            TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK,
        )?;
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

    /// Must be called after each wake-up. Linux rearms a periodic timer only when it is read.
    pub(super) fn take(&self) {
        let mut expiries = [0; 8];
        // There is nothing to read if it has not expired.
        let _ = rustix::io::read(&self.timer, &mut expiries);
    }

    /// Stops the timer.
    pub(super) fn stop(self, registry: &Registry) -> std::io::Result<()> {
        registry.deregister(&mut SourceFd(&self.timer.as_raw_fd()))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use mio::{Events, Poll};

    use super::*;

    #[test]
    fn it_wakes_again_and_again() {
        let mut poll = Poll::new().unwrap();
        let timer = Timer::start(Duration::from_micros(200), poll.registry(), Token(7)).unwrap();
        let mut events = Events::with_capacity(8);
        let begun = Instant::now();
        for _ in 0..50 {
            poll.poll(&mut events, Some(Duration::from_secs(10)))
                .unwrap();
            assert!(events.iter().any(|event| event.token() == Token(7)));
            timer.take();
        }
        assert!(
            begun.elapsed() < Duration::from_secs(5),
            "it was woken by nothing else"
        );
        timer.stop(poll.registry()).unwrap();
    }
}
