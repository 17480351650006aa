//! What is done to servers.

use crate::random::Random;

/// One way for a server to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Killed, and started again, empty.
    Kill,
    /// Frozen with SIGSTOP, and woken.
    Freeze,
    /// Connections end, and new ones are refused.
    Refuse,
    /// Connections are reset again and again, in the middle of what they carry.
    Reset,
    /// Connections stand, new ones are taken, and nothing passes.
    BlackHole,
    /// Replies pass a byte at a time.
    Drip,
    /// A reply's place is taken by bytes that are no reply.
    Garbage,
    /// A reply breaks off in its middle, followed by the end of the connection.
    Cut,
}

impl Fault {
    pub(crate) const ALL: [Fault; 8] = [
        Fault::Kill,
        Fault::Freeze,
        Fault::Refuse,
        Fault::Reset,
        Fault::BlackHole,
        Fault::Drip,
        Fault::Garbage,
        Fault::Cut,
    ];

    /// As the report calls it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Fault::Kill => "killed",
            Fault::Freeze => "frozen",
            Fault::Refuse => "refusing",
            Fault::Reset => "reset",
            Fault::BlackHole => "black hole",
            Fault::Drip => "dripping",
            Fault::Garbage => "garbage",
            Fault::Cut => "cut",
        }
    }
}

/// Faults in a random order: each once before any comes again.
#[derive(Debug)]
pub(crate) struct Deck {
    cards: Vec<Fault>,
}

impl Deck {
    pub(crate) fn new() -> Self {
        Self { cards: Vec::new() }
    }

    pub(crate) fn draw(&mut self, random: &mut Random) -> Fault {
        if self.cards.is_empty() {
            self.cards.extend(Fault::ALL);
            random.shuffle(&mut self.cards);
        }
        self.cards.pop().expect("it was just filled")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_comes_once_in_a_round_of_the_deck() {
        let mut random = Random::new(1, 0);
        let mut deck = Deck::new();
        for _ in 0..3 {
            let drawn: Vec<_> = Fault::ALL.iter().map(|_| deck.draw(&mut random)).collect();
            assert!(
                Fault::ALL.iter().all(|fault| drawn.contains(fault)),
                "{drawn:?}"
            );
        }
    }
}
