//! The schedule of a run: calm and faults in alternation.

use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::board::Board;
use crate::crew::{self, Orders};
use crate::fault::{Deck, Fault};
use crate::options::Options;
use crate::random::Random;
use crate::report::Report;
use crate::stage::{PLANS, Plan, Stage};
use crate::tally::Tally;
use crate::usage::Usage;
use nuthatch_bench::load::Protocol;

/// Minimum duration of a fault, and maximum extra duration.
const FAULT: (Duration, Duration) = (Duration::from_millis(300), Duration::from_millis(1_000));

/// How long the consequences of a fault may last: timeouts, and the ejection and probing of a server.
const SETTLE: Duration = Duration::from_millis(1_500);

/// How long all servers work between two faults.
const CALM: Duration = Duration::from_millis(1_000);

/// Time before the first fault, in which buffers grow to their working size.
const WARM_UP: Duration = Duration::from_secs(3);

/// How long a reply that was read before the end of a calm may take to be checked.
const AFTERTHOUGHT: Duration = Duration::from_millis(50);

/// In one of this many rounds, two servers of a protocol fail at once.
const TWO_AT_ONCE_ONE_IN: u64 = 4;

/// Runs the torture.
///
/// # Errors
///
/// When something does not start, or the proxy exits. Wrong replies are in the report.
pub(crate) fn run(options: &Options) -> Result<Report, String> {
    let stage = Stage::start(&options.nuthatch, options.seed)?;
    let board = Arc::new(Board::new(PLANS.len()));
    let crews = start_crews(&stage, &board, options);
    let mut director = Director::new(stage, &board, options);
    let played = director.play();
    board.end();
    let mut tally = Tally::default();
    for crew in crews {
        let of_crew = crew.join().map_err(|_| "a crew panicked")?;
        match &played {
            Ok(()) => tally.add(of_crew?),
            // A failure of the proxy explains more than what its clients saw of it.
            Err(_) => continue,
        }
    }
    played?;
    director.into_report(tally)
}

fn start_crews(
    stage: &Stage,
    board: &Arc<Board>,
    options: &Options,
) -> Vec<JoinHandle<Result<Tally, String>>> {
    let start = |(number, plan): (usize, &Plan)| {
        let (board, address) = (Arc::clone(board), stage.addresses[number]);
        let (protocol, keys_move) = (plan.protocol, plan.keys_move);
        let (clients, seed) = (options.clients, options.seed);
        thread::spawn(move || {
            crew::work(&Orders {
                board: &board,
                protocol,
                pool: u8::try_from(number).expect("there are few pools"),
                keys_move,
                address,
                clients,
                seed,
            })
        })
    };
    PLANS.iter().enumerate().map(start).collect()
}

/// Makes the faults happen.
struct Director<'a> {
    stage: Stage,
    board: &'a Board,
    options: &'a Options,
    random: Random,
    decks: [Deck; 2],
    counts: [u64; Fault::ALL.len()],
    usage: Vec<Usage>,
    rates: Vec<u64>,
    /// Doubtful replies that the statistics do not explain.
    late: Tally,
}

/// A fault of one server.
#[derive(Debug, Clone, Copy)]
struct Blow {
    protocol: Protocol,
    server: usize,
    fault: Fault,
}

impl<'a> Director<'a> {
    fn new(stage: Stage, board: &'a Board, options: &'a Options) -> Self {
        Self {
            stage,
            board,
            options,
            random: Random::new(options.seed, u64::MAX),
            decks: [Deck::new(), Deck::new()],
            counts: [0; Fault::ALL.len()],
            usage: Vec::new(),
            rates: Vec::new(),
            late: Tally::default(),
        }
    }

    /// Alternates calm and faults, beginning and ending with calm.
    fn play(&mut self) -> Result<(), String> {
        thread::sleep(WARM_UP);
        self.calm()?;
        self.look()?;
        let start = Instant::now();
        while start.elapsed() < self.options.time {
            if self.usage.len() == 1 && start.elapsed() >= self.options.time / 2 {
                self.look()?;
            }
            self.strike();
            self.calm()?;
        }
        while self.usage.len() < 3 {
            self.look()?;
        }
        Ok(())
    }

    /// A time in which every reply is known exactly. It is over when this returns.
    fn calm(&mut self) -> Result<(), String> {
        let mishaps = self.stage.mishaps()?;
        for pool in 0..PLANS.len() {
            // A doubtful reply that was checked as the last calm ended.
            self.board.take_doubts(pool);
        }
        let (start, replies) = (Instant::now(), self.board.replies());
        thread::sleep(CALM);
        let rate = (self.board.replies() - replies) as f64 / start.elapsed().as_secs_f64();
        self.rates.push(rate as u64);
        self.board.turn();
        thread::sleep(AFTERTHOUGHT);
        let now = self.stage.mishaps()?;
        for (pool, plan) in PLANS.iter().enumerate() {
            let (count, sample) = self.board.take_doubts(pool);
            // A server that was slow for other reasons may have been ejected, which moves its keys, or may
            // have missed its part of a multi-get.
            if count > 0 && now[pool] == mishaps[pool] {
                self.late.wrong += count;
                self.late
                    .sample(|| format!("{}: {}", plan.name, sample.unwrap_or_default()));
            }
        }
        Ok(())
    }

    /// One fault per protocol, and the time until its consequences are gone.
    fn strike(&mut self) {
        let blows = self.draw();
        for blow in &blows {
            self.board.set_fault(blow.protocol, blow.fault);
            self.stage
                .break_server(blow.protocol, blow.server, blow.fault);
        }
        let extra = self.random.below(FAULT.1.as_millis() as u64);
        thread::sleep(FAULT.0 + Duration::from_millis(extra));
        for blow in &blows {
            self.stage
                .heal_server(blow.protocol, blow.server, blow.fault);
        }
        thread::sleep(SETTLE);
        self.board.turn();
    }

    fn draw(&mut self) -> Vec<Blow> {
        let mut blows = Vec::new();
        for (deck, protocol) in [Protocol::Redis, Protocol::Memcached]
            .into_iter()
            .enumerate()
        {
            let fault = self.decks[deck].draw(&mut self.random);
            let place = Fault::ALL.iter().position(|&other| other == fault);
            self.counts[place.expect("a fault is one of all")] += 1;
            let server = self.random.below(1 << 20) as usize;
            let count = 1 + usize::from(self.random.below(TWO_AT_ONCE_ONE_IN) == 0);
            blows.extend((server..server + count).map(|server| Blow {
                protocol,
                server,
                fault,
            }));
            if self.options.is_verbose {
                println!("{protocol:?}: {}, servers {count}", fault.name());
            }
        }
        blows
    }

    fn look(&mut self) -> Result<(), String> {
        if let Some(status) = self.stage.proxy.exited() {
            let words = self.stage.proxy.stderr();
            return Err(format!("the proxy ended ({status}):\n{words}"));
        }
        self.usage.push(Usage::of(self.stage.proxy.pid())?);
        Ok(())
    }

    fn into_report(mut self, mut tally: Tally) -> Result<Report, String> {
        // Doubtful replies were counted as right at first.
        tally.right = tally.right.saturating_sub(self.late.wrong);
        tally.add(std::mem::take(&mut self.late));
        if tally.outcomes() != tally.requests {
            let (outcomes, requests) = (tally.outcomes(), tally.requests);
            return Err(format!("{requests} requests have {outcomes} outcomes"));
        }
        self.rates.sort_unstable();
        let ejections = self.stage.ejections()?.iter().sum();
        let names = Fault::ALL.iter().map(|fault| fault.name());
        Ok(Report {
            tally,
            faults: names.zip(self.counts).collect(),
            hits: self.stage.hits(),
            ejections,
            failovers: self.stage.sum_of("failovers")?,
            retries: self.stage.sum_of("retries")?,
            usage: [self.usage[0], self.usage[1], self.usage[2]],
            calm_rates: (
                self.rates[self.rates.len() / 2],
                self.rates[self.rates.len() - 1],
            ),
        })
    }
}
