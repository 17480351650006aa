//! Scenarios with little memory or short client timeouts, and clients that exceed these limits.

use proxy::metrics::PoolMetric;

use crate::network::Pace;
use crate::rng::Rng;
use crate::scenario::{ClientPlan, Ending, Reader, Scenario, Theme, client, pace};
use crate::world::World;

/// Maximum memory per byte read: a short request takes a slot in its session's queue.
const MOST_GROWTH: usize = 20;

/// How long a worker may wait before it closes a large session while others need the memory, in microseconds,
/// including the shell's delay.
const LONGEST_FULL: u64 = 101_000;

/// Limits for clients that send much or read slowly.
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
    /// Makes memory short in some scenarios, with clients that want much of it. Uses its own generator, so
    /// that the rest of each scenario stays the same.
    pub(crate) fn limit_memory(&mut self, rng: &mut Rng) {
        let may_be_closed = matches!(
            self.theme,
            Theme::RudeClients | Theme::Storm | Theme::Greedy
        );
        if !may_be_closed || !rng.chance(1, 6) {
            return;
        }
        self.max_memory = rng.pick(&[200_000, 600_000, 1_500_000]);
        // Much data is moved: tiny segments would take too long.
        self.server_pace = roomy(rng);
        for _ in 0..rng.between(1, 4) {
            let memory_hog = memory_hog(rng, self);
            // Not the last client: the clients that check everything at the end behave like that one.
            self.clients.insert(0, memory_hog);
        }
    }

    /// Gives some scenarios short client timeouts, with clients that are idle or slow to finish a request.
    /// Uses its own generator too.
    pub(crate) fn shorten_timeouts(&mut self, rng: &mut Rng) {
        let may_have_more = !matches!(self.theme, Theme::Greedy | Theme::Deep);
        if !may_have_more || !rng.chance(1, 6) {
            return;
        }
        let some = rng.below(3);
        self.client_idle = (some != 0).then(|| rng.micros(300_000, 20_000_000));
        self.client_request = (some != 1).then(|| rng.micros(300_000, 20_000_000));
        for _ in 0..rng.between(1, 3) {
            let idle_client = idle_client(rng, self);
            self.clients.insert(0, idle_client);
        }
    }
}

impl Scenario {
    /// Sets how much input may wait unparsed and how slowly clients may read, and gives some scenarios
    /// clients that write everything before they read, or read slowly. Uses its own generator too.
    pub(crate) fn draw_readers(&mut self, rng: &mut Rng) {
        self.grant = Grant {
            backlog: rng.pick(&[0, 1_000, 30_000, 64 << 20]),
            min_rate: rng.pick(&[20_000, 200_000, 2_000_000]),
            stall: rng.chance(2, 3).then(|| rng.micros(200_000, 4_000_000)),
        };
        if self.theme == Theme::Deep || self.max_memory > 0 || !rng.chance(1, 40) {
            return;
        }
        // Much data is moved: tiny segments would take too long.
        self.server_pace = roomy(rng);
        // During a shutdown, a client that still writes is not read.
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

/// Requests and sends much data in one pipeline.
fn mover(rng: &mut Rng, scenario: &Scenario, reader: Reader) -> ClientPlan {
    let requests = rng.between(100, 400);
    ClientPlan {
        requests,
        // Its final requests are sent after everything else.
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

/// Needs much memory: never reads, or reads late or slowly.
fn memory_hog(rng: &mut Rng, scenario: &Scenario) -> ClientPlan {
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

/// Stops sending, perhaps in the middle of a request.
fn idle_client(rng: &mut Rng, scenario: &Scenario) -> ClientPlan {
    ClientPlan {
        requests: rng.between(0, 12),
        depth: rng.pick(&[1, 4]),
        reader: Reader::Fast,
        ending: rng.pick(&[Ending::Stall, Ending::Dawdle]),
        ..client(rng, scenario)
    }
}

impl World {
    /// Buffers stay within the limit, except for what is read between two counts. A worker with little to
    /// close may have to wait until another one counts.
    pub(crate) fn check_cap(&mut self, worker: usize) {
        let cap = self.scenario.max_memory;
        if cap == 0 {
            return;
        }
        let held_back = self.counted(worker, PoolMetric::ClientHeldBack);
        self.counts.held_back += held_back as usize;
        let held: usize = self.workers.iter().map(|worker| worker.pool.held()).sum();
        let between = self.workers.len() * (cap / 64).max(4_096) * MOST_GROWTH;
        assert!(
            held <= 2 * cap + between,
            "{held} bytes are held, with a cap of {cap}"
        );
        if held <= cap + cap / 8 + between {
            self.full_since = None;
            return;
        }
        let since = *self.full_since.get_or_insert(self.now);
        assert!(
            self.now - since <= LONGEST_FULL,
            "{held} bytes are held since {since} us, with a cap of {cap}"
        );
    }
}
