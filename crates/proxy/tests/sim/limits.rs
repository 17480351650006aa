//! Scenarios in which memory or patience with clients is short, and the clients that try it.

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

    /// In some scenarios clients must not be idle for long, nor take long over a request, and there are
    /// clients that do. Drawn from a generator of its own, too.
    pub(crate) fn limit_patience(&mut self, rng: &mut Rng) {
        let may_have_more = !matches!(self.theme, Theme::Greedy | Theme::Deep);
        if !may_have_more || !rng.chance(1, 6) {
            return;
        }
        let some = rng.below(3);
        self.client_idle = (some != 0).then(|| rng.micros(300_000, 20_000_000));
        self.client_request = (some != 1).then(|| rng.micros(300_000, 20_000_000));
        for _ in 0..rng.between(1, 3) {
            let dawdler = dawdler(rng, self);
            self.clients.insert(0, dawdler);
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

/// Stops saying anything, perhaps in the middle of a request.
fn dawdler(rng: &mut Rng, scenario: &Scenario) -> ClientPlan {
    ClientPlan {
        requests: rng.between(0, 12),
        depth: rng.pick(&[1, 4]),
        reader: Reader::Fast,
        ending: rng.pick(&[Ending::Stall, Ending::Dawdle]),
        ..client(rng, scenario)
    }
}
