//! Scenarios in which memory or patience with clients is short, and the clients that try it.

use crate::network::Pace;
use crate::rng::Rng;
use crate::scenario::{ClientPlan, Ending, Reader, Scenario, Theme, client, pace};

/// What is granted to clients that send much or read slowly.
#[derive(Debug, Clone)]
pub(crate) struct Grant {
    pub(crate) backlog: usize,
    /// Bytes per second that must be moved over `stall` microseconds, while too much is unread.
    pub(crate) min_rate: u64,
    pub(crate) stall: Option<u64>,
}

impl Default for Grant {
    fn default() -> Self {
        Self {
            backlog: 64 << 20,
            min_rate: 64 << 10,
            stall: Some(60_000_000),
        }
    }
}

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

impl Scenario {
    /// How much input may wait unparsed, how slowly clients may read, and in some scenarios clients that
    /// write everything before they read, or read slowly. Drawn from a generator of its own, too.
    pub(crate) fn draw_readers(&mut self, rng: &mut Rng) {
        self.grant = Grant {
            backlog: rng.pick(&[0, 1_000, 30_000, 64 << 20]),
            min_rate: rng.pick(&[20_000, 200_000, 2_000_000]),
            stall: rng.chance(2, 3).then(|| rng.micros(200_000, 4_000_000)),
        };
        if self.theme == Theme::Deep || self.max_memory > 0 || !rng.chance(1, 40) {
            return;
        }
        // Much is moved: in crumbs that would take too long.
        self.server_pace = roomy(rng);
        // At a shutdown nobody who still writes is read.
        if rng.chance(1, 2) && self.shutdown_at.is_none() {
            self.grant.backlog = 64 << 20;
            let writer = mover(rng, self, Reader::AfterWriting);
            self.clients.insert(0, writer);
        }
        for _ in 0..rng.between(0, 2) {
            let speed = rng.pick(&[20, 200, 2_000, 20_000]);
            let reader = mover(rng, self, Reader::Paced(speed));
            self.clients.insert(0, reader);
        }
    }
}

/// Asks for and sends much in one pipeline.
fn mover(rng: &mut Rng, scenario: &Scenario, reader: Reader) -> ClientPlan {
    let requests = rng.between(100, 400);
    ClientPlan {
        requests,
        // Its last words come when all else is said.
        depth: requests + 1,
        reader,
        ending: rng.pick(&[Ending::Polite, Ending::HalfClose]),
        large: (60, 120_000),
        starts_at: rng.micros(0, 20_000),
        pace: Pace {
            capacity: 65_536,
            ..roomy(rng)
        },
        ..client(rng, scenario)
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
