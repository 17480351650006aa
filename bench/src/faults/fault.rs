//! The faults that servers are given.

use super::random::Random;

/// One way in which a server fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Killed, then started again, empty.
    Kill,
    /// Stopped with SIGSTOP, then continued.
    Freeze,
    /// Connections are closed, and new ones are refused.
    Refuse,
    /// Connections are reset again and again, in the middle of requests and replies.
    Reset,
    /// Connections stay open and new ones are accepted, but no data passes.
    BlackHole,
    /// Replies pass one byte at a time.
    Drip,
    /// A reply is replaced by bytes that are not a reply.
    Garbage,
    /// A reply is cut off in its middle and the connection is closed.
    Cut,
    /// Everything passes, and replies do so late.
    Delay,
}

impl Fault {
    /// All of them.
    pub const ALL: [Fault; 9] = [
        Fault::Kill,
        Fault::Freeze,
        Fault::Refuse,
        Fault::Reset,
        Fault::BlackHole,
        Fault::Drip,
        Fault::Garbage,
        Fault::Cut,
        Fault::Delay,
    ];

    /// Its name in the report.
    pub fn name(self) -> &'static str {
        match self {
            Fault::Kill => "killed",
            Fault::Freeze => "frozen",
            Fault::Refuse => "refusing",
            Fault::Reset => "reset",
            Fault::BlackHole => "black hole",
            Fault::Drip => "dripping",
            Fault::Garbage => "garbage",
            Fault::Cut => "cut",
            Fault::Delay => "delayed",
        }
    }
}

/// Faults in random order: each one once before any is repeated.
#[derive(Debug, Default)]
pub struct FaultOrder {
    cards: Vec<Fault>,
}

impl FaultOrder {
    /// The next one.
    pub fn draw(&mut self, random: &mut Random) -> Fault {
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
        let mut fault_order = FaultOrder::default();
        for _ in 0..3 {
            let drawn: Vec<_> = Fault::ALL
                .iter()
                .map(|_| fault_order.draw(&mut random))
                .collect();
            assert!(
                Fault::ALL.iter().all(|fault| drawn.contains(fault)),
                "{drawn:?}"
            );
        }
    }
}
