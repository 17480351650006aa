//! The schedule of a run: calm and faults in alternation.

use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::counts::Counts;
use crate::options::Options;
use crate::pool_load::{self, Orders};
use crate::reloads::Reloads;
use crate::report::Report;
use crate::run_state::RunState;
use crate::setup::{LoadedPool, POOLS, Setup};
use crate::upgrades::Upgrades;
use nuthatch_bench::faults::{Fault, FaultOrder, Random};
use nuthatch_bench::load::Protocol;
use nuthatch_bench::usage::Usage;

/// Minimum duration of a fault, and maximum extra duration.
const FAULT: (Duration, Duration) = (Duration::from_millis(300), Duration::from_millis(1_000));

/// How long the consequences of a fault may last: timeouts, and the ejection and probing of a server.
const SETTLE: Duration = Duration::from_millis(1_500);

/// How long all servers work between two faults.
const CALM: Duration = Duration::from_millis(1_000);

/// Time before the first fault, in which buffers grow to their working size.
const WARM_UP: Duration = Duration::from_secs(3);

/// A warm-up in which a server was too slow begins again, at most so many times.
const WARM_UPS: usize = 5;

/// How long a reply that was read before the end of a calm may take to be checked.
const JUDGE_DELAY: Duration = Duration::from_millis(50);

/// In one of this many rounds, two servers of a protocol fail at once.
const TWO_AT_ONCE_ONE_IN: u64 = 4;

/// Runs the torture.
///
/// # Errors
///
/// When something does not start, or the proxy exits. Wrong replies are in the report.
pub(crate) fn run(options: &Options) -> Result<Report, String> {
    let setup = Setup::start(&options.nuthatch, options.seed, options.servers_fail())?;
    let run_state = Arc::new(RunState::new(POOLS.len()));
    let loads = start_loads(&setup, &run_state, options);
    let mut schedule = Schedule::new(setup, &run_state, options);
    let played = schedule.play();
    run_state.end();
    let mut counts = Counts::default();
    for pool_load in loads {
        let of_pool = pool_load.join().map_err(|_| "a load thread panicked")?;
        match &played {
            Ok(()) => counts.add(of_pool?),
            // A failure of the proxy explains more than what its clients saw of it.
            Err(_) => continue,
        }
    }
    played?;
    schedule.into_report(counts)
}

fn start_loads(
    setup: &Setup,
    run_state: &Arc<RunState>,
    options: &Options,
) -> Vec<JoinHandle<Result<Counts, String>>> {
    let start = |(number, pool): (usize, &LoadedPool)| {
        let (run_state, address) = (Arc::clone(run_state), setup.addresses[number]);
        let (protocol, keys_move) = (pool.protocol, pool.keys_move);
        let (clients, seed) = (options.clients, options.seed);
        let withdraws = options.upgrades > 0;
        thread::spawn(move || {
            pool_load::work(&Orders {
                run_state: &run_state,
                protocol,
                pool: u8::try_from(number).expect("there are few pools"),
                keys_move,
                withdraws,
                address,
                clients,
                seed,
            })
        })
    };
    POOLS.iter().enumerate().map(start).collect()
}

/// Makes the faults happen.
struct Schedule<'a> {
    /// Dropped first: it ends the last process over its control socket, which goes with the setup.
    upgrades: Option<Upgrades>,
    setup: Setup,
    run_state: &'a RunState,
    options: &'a Options,
    random: Random,
    fault_orders: [FaultOrder; 2],
    fault_counts: [u64; Fault::ALL.len()],
    usage: Vec<Usage>,
    rates: Vec<u64>,
    /// Doubtful replies that the statistics do not explain.
    late: Counts,
    /// Configurations that were put in force.
    reloads: u64,
    /// Processes that replaced the proxy, and how long that took at most.
    upgraded: (u64, u64),
    /// The process that serves.
    pid: u32,
}

/// A fault of one server.
#[derive(Debug, Clone, Copy)]
struct ServerFault {
    protocol: Protocol,
    server: usize,
    fault: Fault,
}

impl<'a> Schedule<'a> {
    fn new(setup: Setup, run_state: &'a RunState, options: &'a Options) -> Self {
        Self {
            pid: setup.proxy.pid(),
            setup,
            run_state,
            options,
            random: Random::new(options.seed, u64::MAX),
            fault_orders: [FaultOrder::default(), FaultOrder::default()],
            fault_counts: [0; Fault::ALL.len()],
            usage: Vec::new(),
            rates: Vec::new(),
            late: Counts::default(),
            reloads: 0,
            upgraded: (0, 0),
            upgrades: None,
        }
    }

    /// Alternates calm and faults, beginning and ending with calm; or reloads all the time.
    fn play(&mut self) -> Result<(), String> {
        self.warm_up()?;
        if self.options.reload {
            return self.play_reloads();
        }
        if self.options.upgrades > 0 {
            return self.play_upgrades();
        }
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

    /// One calm after the other, in which configurations change.
    fn play_reloads(&mut self) -> Result<(), String> {
        let ports = [Protocol::Redis, Protocol::Memcached].map(|it| self.setup.ports(it));
        let mut reloads = Reloads::start(&self.setup.proxy, &self.setup.socket, ports)?;
        self.calm()?;
        self.look()?;
        let start = Instant::now();
        while start.elapsed() < self.options.time {
            if self.usage.len() == 1 && start.elapsed() >= self.options.time / 2 {
                self.look()?;
            }
            self.calm()?;
            // A calm ends here and the next begins.
            self.run_state.turn();
            reloads.check()?;
        }
        self.reloads = reloads.end()?;
        while self.usage.len() < 3 {
            self.look()?;
        }
        Ok(())
    }

    /// One calm after the other, in which the process is replaced.
    fn play_upgrades(&mut self) -> Result<(), String> {
        let wanted = self.options.upgrades;
        self.calm()?;
        self.look()?;
        let upgrades = Upgrades::start(&self.setup.socket, wanted);
        let upgrades = self.upgrades.insert(upgrades).progress();
        while !upgrades.is_over() {
            if self.usage.len() == 1 && upgrades.done() >= wanted.div_ceil(2) {
                self.pid = upgrades.pid();
                self.look()?;
            }
            self.calm()?;
            // A calm ends here and the next begins.
            self.run_state.turn();
        }
        self.pid = upgrades.pid();
        self.upgraded = (upgrades.done(), upgrades.longest());
        self.upgrades.as_mut().map_or(Ok(()), Upgrades::check)?;
        while self.usage.len() < 3 {
            self.look()?;
        }
        Ok(())
    }

    /// The time before the first calm. Keys may move in it, when a server is too slow for a machine with much else to do;
    /// they are back at its end.
    fn warm_up(&mut self) -> Result<(), String> {
        self.run_state.turn();
        let mut mishaps = self.setup.mishaps()?;
        for _ in 0..WARM_UPS {
            thread::sleep(WARM_UP);
            let now = self.setup.mishaps()?;
            if now == mishaps {
                break;
            }
            mishaps = now;
        }
        self.run_state.turn();
        Ok(())
    }

    /// A time in which every reply is known exactly. It is over when this returns.
    fn calm(&mut self) -> Result<(), String> {
        let mishaps = self.setup.mishaps()?;
        for pool in 0..POOLS.len() {
            // A doubtful reply that was checked as the last calm ended.
            self.run_state.take_doubts(pool);
        }
        let (start, replies) = (Instant::now(), self.run_state.replies());
        thread::sleep(CALM);
        let rate = (self.run_state.replies() - replies) as f64 / start.elapsed().as_secs_f64();
        self.rates.push(rate as u64);
        self.run_state.turn();
        thread::sleep(JUDGE_DELAY);
        let now = self.setup.mishaps()?;
        for (number, pool) in POOLS.iter().enumerate() {
            let (count, sample) = self.run_state.take_doubts(number);
            // A server that was slow for other reasons may have been ejected, which moves its keys, or may
            // have missed its part of a multi-get.
            if count > 0 && now[number] == mishaps[number] {
                self.late.wrong += count;
                self.late
                    .sample(|| format!("{}: {}", pool.name, sample.unwrap_or_default()));
            }
        }
        Ok(())
    }

    /// One fault per protocol, and the time until its consequences are gone.
    fn strike(&mut self) {
        let server_faults = self.draw();
        for server_fault in &server_faults {
            self.run_state
                .set_fault(server_fault.protocol, server_fault.fault);
            self.setup.break_server(
                server_fault.protocol,
                server_fault.server,
                server_fault.fault,
            );
        }
        let extra = self.random.below(FAULT.1.as_millis() as u64);
        thread::sleep(FAULT.0 + Duration::from_millis(extra));
        for server_fault in &server_faults {
            self.setup.heal_server(
                server_fault.protocol,
                server_fault.server,
                server_fault.fault,
            );
        }
        thread::sleep(SETTLE);
        self.run_state.turn();
    }

    fn draw(&mut self) -> Vec<ServerFault> {
        let mut server_faults = Vec::new();
        for (fault_order, protocol) in [Protocol::Redis, Protocol::Memcached]
            .into_iter()
            .enumerate()
        {
            let fault = self.fault_orders[fault_order].draw(&mut self.random);
            let place = Fault::ALL.iter().position(|&other| other == fault);
            self.fault_counts[place.expect("a fault is one of all")] += 1;
            let server = self.random.below(1 << 20) as usize;
            let count = 1 + usize::from(self.random.below(TWO_AT_ONCE_ONE_IN) == 0);
            server_faults.extend((server..server + count).map(|server| ServerFault {
                protocol,
                server,
                fault,
            }));
            if self.options.is_verbose {
                println!("{protocol:?}: {}, servers {count}", fault.name());
            }
        }
        server_faults
    }

    fn look(&mut self) -> Result<(), String> {
        if self.options.upgrades == 0
            && let Some(status) = self.setup.proxy.exited()
        {
            let words = self.setup.proxy.stderr();
            return Err(format!("the proxy ended ({status}):\n{words}"));
        }
        self.usage.push(Usage::of(self.pid)?);
        Ok(())
    }

    fn into_report(mut self, mut counts: Counts) -> Result<Report, String> {
        // Doubtful replies were counted as right at first.
        counts.right = counts.right.saturating_sub(self.late.wrong);
        counts.add(std::mem::take(&mut self.late));
        if counts.outcomes() != counts.requests {
            let (outcomes, requests) = (counts.outcomes(), counts.requests);
            return Err(format!("{requests} requests have {outcomes} outcomes"));
        }
        self.rates.sort_unstable();
        let ejections = self.setup.ejections()?.iter().sum();
        let names = Fault::ALL.iter().map(|fault| fault.name());
        Ok(Report {
            counts,
            faults: names.zip(self.fault_counts).collect(),
            hits: self.setup.hits(),
            ejections,
            reloads: self.options.reload.then_some(self.reloads),
            upgrades: (self.options.upgrades > 0).then_some(self.upgraded),
            failovers: self.setup.sum_of("failovers")?,
            retries: self.setup.sum_of("retries")?,
            usage: [self.usage[0], self.usage[1], self.usage[2]],
            calm_rates: (
                self.rates[self.rates.len() / 2],
                self.rates[self.rates.len() - 1],
            ),
        })
    }
}
