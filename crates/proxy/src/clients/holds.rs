//! Why a session is held back.

/// Why a session accepts no further request, besides that its window is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hold {
    /// Its next request is a barrier (a change of version): everything before it must be answered first.
    UntilIdle,
    /// It has requests on a draining connection. Later ones go over another connection and must not overtake them, so
    /// they wait until everything is answered.
    UntilDrained,
    /// Memory is short, and it holds more than its share.
    Memory,
    /// It has used up its turn (see [`super::turn`]).
    UntilNextTurn,
    /// A request of very many keys is being split; it goes on with that whenever it may accept a request otherwise.
    Splitting,
    /// Its window is narrower than usual (see [`super::pace`]); whether it is full must be asked.
    Narrow,
    /// Its transaction waits until it is known whether the connection takes transactions.
    Trial,
    /// Its next request waits for the end of a pause.
    Paused,
}

/// A set of [`Hold`]: several can apply at once, and each is lifted by itself.
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

    /// Without this one.
    pub(super) fn without(mut self, why: Hold) -> Self {
        self.remove(why);
        self
    }

    pub(super) fn remove(&mut self, why: Hold) {
        self.0 &= !why.bit();
    }

    /// Whether the session accepts no further request, given whether it is idle.
    #[cold]
    pub(super) fn block(self, is_idle: bool) -> bool {
        let waits = self.has(Hold::UntilIdle) || self.has(Hold::UntilDrained);
        let always = [
            Hold::Memory,
            Hold::UntilNextTurn,
            Hold::Splitting,
            Hold::Trial,
            Hold::Paused,
        ];
        always.iter().any(|why| self.has(*why)) || (waits && !is_idle)
    }
}

impl Hold {
    fn bit(self) -> u8 {
        1 << self as u8
    }
}
