//! Scenarios in which there is not enough of something, and the clients that want too much of it.

use crate::network::Pace;
use crate::rng::Rng;
use crate::scenario::{ClientPlan, Ending, Reader, Scenario, Theme, client, pace};

impl Scenario {
    /// In some scenarios memory is short, and there are clients that want much of it. Drawn from a
    /// generator of its own, so that all the others are what they were.
    pub(crate) fn limit_memory(&mut self, rng: &mut Rng) {
        let may_be_closed = matches!(
            self.theme,
            Theme::RudeClients | Theme::Storm | Theme::Greedy
        );
        if !may_be_closed || !rng.chance(1, 6) {
            return;
        }
        self.max_memory = rng.pick(&[200_000, 600_000, 1_500_000]);
        // Much is moved: in crumbs that would take too long.
        self.server_pace = roomy(rng);
        for _ in 0..rng.between(1, 4) {
            let hog = hog(rng, self);
            // Not the last: those who look whether all is well in the end do as that one did.
            self.clients.insert(0, hog);
        }
    }
}

fn roomy(rng: &mut Rng) -> Pace {
    Pace {
        segment: 65_536,
        capacity: rng.pick(&[9_000, 65_536]),
        ..pace(rng)
    }
}

/// Wants much memory: never reads, or reads late or slowly.
fn hog(rng: &mut Rng, scenario: &Scenario) -> ClientPlan {
    let reader = match rng.below(3) {
        0 => Reader::Never(rng.between(0, 3)),
        1 => Reader::Late(rng.micros(100_000, 3_000_000)),
        _ => Reader::Slow,
    };
    ClientPlan {
        requests: 40,
        depth: 40,
        reader,
        ending: Ending::Polite,
        large: (100, 60_000),
        greedy: rng.chance(1, 2),
        starts_at: rng.micros(0, 20_000),
        pace: roomy(rng),
        ..client(rng, scenario)
    }
}
