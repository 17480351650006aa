//! Why a session is held.

/// Why a session takes no further request, besides that its window is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hold {
    /// Its next request must find nothing outstanding.
    UntilIdle,
    /// It has requests on a connection that is to be closed; those after them go over others, and must not
    /// overtake them.
    UntilDrained,
    /// It holds too much while memory is short.
    Memory,
}

/// A set of [`Hold`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Holds(u8);

impl Holds {
    pub(super) const NONE: Self = Self(0);

    pub(super) fn has(self, why: Hold) -> bool {
        self.0 & why.bit() != 0
    }

    pub(super) fn add(&mut self, why: Hold) {
        self.0 |= why.bit();
    }

    pub(super) fn remove(&mut self, why: Hold) {
        self.0 &= !why.bit();
    }

    /// Whether a session with something outstanding, or not, takes no further request.
    #[cold]
    pub(super) fn block(self, is_idle: bool) -> bool {
        let waits = self.has(Hold::UntilIdle) || self.has(Hold::UntilDrained);
        self.has(Hold::Memory) || (waits && !is_idle)
    }
}

impl Hold {
    fn bit(self) -> u8 {
        1 << self as u8
    }
}
