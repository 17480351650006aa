//! Runs one shape against one contender, with redis-benchmark or our own load generator.

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::programs::Bench;
use super::shape::{Ask, Protocol, Shape};

/// The result of a load. Times are in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Outcome {
    /// Answered requests.
    pub(super) requests: f64,
    /// Requests per second.
    pub(super) rate: f64,
    pub(super) p50: f64,
    pub(super) p99: f64,
    /// The median of the 99th percentiles of each tenth of a second; the overall one if these are unknown.
    pub(super) p99_typical: f64,
    pub(super) p999: f64,
    /// Open loop: requests that were not sent in time.
    pub(super) unsent: f64,
}

/// How much is sent.
#[derive(Debug, Clone, Copy)]
pub(super) enum Amount {
    /// For this long.
    Time(Duration),
    /// This many requests.
    Requests(u64),
    /// This many per second, for this long.
    Rate(f64, Duration),
}

/// Notified when the load begins and ends.
pub(super) trait Watch {
    fn begin(&mut self) -> Result<(), String>;
    fn end(&mut self) -> Result<(), String>;
}

/// Ignores the notifications.
pub(super) struct Unwatched;

impl Watch for Unwatched {
    fn begin(&mut self) -> Result<(), String> {
        Ok(())
    }

    fn end(&mut self) -> Result<(), String> {
        Ok(())
    }
}

/// A shape at an address.
#[derive(Debug, Clone)]
pub(super) struct Load<'b> {
    pub(super) bench: &'b Bench,
    pub(super) shape: Shape,
    pub(super) address: SocketAddr,
    /// Prefix of the load's command, such as that of a tracer.
    pub(super) wrapper: Vec<String>,
}

impl Load<'_> {
    /// Sets every key, so that reads find them.
    ///
    /// # Errors
    ///
    /// When a reply was wrong.
    pub(super) fn fill(&self) -> Result<(), String> {
        if self.is_for_redis_benchmark() {
            // It chooses keys at random: with five times as many requests hardly one is left out.
            let draws = 5 * self.shape.keys() as u64;
            let filler = Shape {
                pipeline: 8,
                clients: 8,
                ..self.shape
            };
            return run_redis_benchmark(&self.redis_benchmark(&filler, "set", draws)).map(drop);
        }
        let mut words = self.loadgen_words("fill", Amount::Time(Duration::from_secs(60)));
        words.extend(["--clients", "8", "--pipeline", "8"].map(String::from));
        self.run_loadgen(&words, &mut Unwatched).map(drop)
    }

    /// Sends the shape's requests. redis-benchmark only accepts a number of requests; use
    /// [`Load::requests_for`] to find it.
    ///
    /// # Errors
    ///
    /// When a reply was wrong or the load could not be run.
    pub(super) fn play(&self, amount: Amount, watch: &mut dyn Watch) -> Result<Outcome, String> {
        match (self.shape.ask, amount) {
            (Ask::SetGet, Amount::Requests(count)) => {
                let words = self.redis_benchmark(&self.shape, "set,get", count.div_ceil(2));
                watch.begin()?;
                let text = run_redis_benchmark(&words)?;
                watch.end()?;
                parse_redis_benchmark(&text)
            }
            (Ask::MultiGet(keys), amount) => {
                let mut words = self.loadgen_words("mget", amount);
                words.extend(["--batch".to_string(), keys.to_string()]);
                self.run_loadgen(&words, watch)
            }
            (_, amount) => self.run_loadgen(&self.loadgen_words("mixed", amount), watch),
        }
    }

    /// How much to send so that it takes about `time`; determined by a short trial where needed.
    pub(super) fn amount_for(&self, time: Duration) -> Result<Amount, String> {
        if !self.is_for_redis_benchmark() {
            return Ok(Amount::Time(time));
        }
        let least = (self.shape.in_flight() as u64 * 4).max(200);
        let trial = self.play(Amount::Requests(least), &mut Unwatched)?;
        // A longer trial, because most of the first one was startup.
        let longer = (trial.rate * time.as_secs_f64() / 8.0) as u64;
        let trial = self.play(Amount::Requests(longer.max(least)), &mut Unwatched)?;
        let wanted = (trial.rate * time.as_secs_f64()) as u64;
        Ok(Amount::Requests(wanted.max(least)))
    }

    /// Whether the shape is run with redis-benchmark.
    fn is_for_redis_benchmark(&self) -> bool {
        self.shape.ask == Ask::SetGet
    }

    fn redis_benchmark(&self, shape: &Shape, tests: &str, count: u64) -> Vec<String> {
        let (host, port) = (self.address.ip(), self.address.port());
        let line = format!(
            "redis-benchmark -e -h {host} -p {port} -c {} -P {} -d {} -r {} -n {count} -t {tests}",
            shape.clients,
            shape.pipeline,
            shape.size,
            shape.keys()
        );
        self.wrapped(line.split(' '))
    }

    pub(super) fn loadgen_words(&self, mix: &str, amount: Amount) -> Vec<String> {
        let shape = &self.shape;
        let protocol = match shape.protocol {
            Protocol::Redis => "redis",
            Protocol::Memcached => "memcached",
        };
        let amount = match amount {
            Amount::Time(time) => format!("--seconds {}", time.as_secs_f64()),
            Amount::Requests(count) => format!("--requests {count} --seconds 60"),
            Amount::Rate(rate, time) => format!("--rate {rate} --seconds {}", time.as_secs_f64()),
        };
        let line = format!(
            "--target {} --protocol {protocol} --clients {} --pipeline {} --size {} --keys {} \
             --mix {mix} --gate yes {amount}",
            self.address,
            shape.clients,
            shape.pipeline,
            shape.size,
            shape.keys()
        );
        let program = self.bench.loadgen.to_string_lossy().into_owned();
        self.wrapped(std::iter::once(program.as_str()).chain(line.split(' ')))
    }

    fn wrapped<'w>(&self, words: impl Iterator<Item = &'w str>) -> Vec<String> {
        self.wrapper
            .iter()
            .cloned()
            .chain(words.map(String::from))
            .collect()
    }

    fn run_loadgen(&self, words: &[String], watch: &mut dyn Watch) -> Result<Outcome, String> {
        let mut running = Running::spawn(words)?;
        let ready = running.line()?;
        if ready.trim() != "ready" {
            return Err(format!("{}: {}", self.at(), running.failure(&ready)));
        }
        watch.begin()?;
        running.go()?;
        let report = running.line()?;
        watch.end()?;
        let ended = running
            .child
            .wait()
            .map_err(|error| format!("loadgen: {error}"))?;
        if !ended.success() {
            return Err(format!("{}: {}", self.at(), running.failure(&report)));
        }
        parse_report(&report)
    }

    fn at(&self) -> String {
        format!("{} at {}", self.shape.name, self.address)
    }
}

/// A running load generator; killed when this is dropped.
pub(super) struct Running {
    child: Child,
    stdout: BufReader<std::process::ChildStdout>,
}

impl Running {
    pub(super) fn spawn(words: &[String]) -> Result<Running, String> {
        let mut child = Command::new(&words[0])
            .args(&words[1..])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("{}: {error}", words[0]))?;
        let stdout = child.stdout.take().expect("stdout is piped");
        Ok(Running {
            child,
            stdout: BufReader::new(stdout),
        })
    }

    pub(super) fn line(&mut self) -> Result<String, String> {
        let mut line = String::new();
        self.stdout
            .read_line(&mut line)
            .map_err(|error| format!("loadgen: {error}"))?;
        Ok(line)
    }

    pub(super) fn go(&mut self) -> Result<(), String> {
        let stdin = self.child.stdin.as_mut().expect("stdin is piped");
        stdin
            .write_all(b"go\n")
            .map_err(|error| format!("loadgen: {error}"))
    }

    /// It has printed the reason on standard error.
    pub(super) fn failure(&mut self, line: &str) -> String {
        format!("the load generator failed: {}", line.trim())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have exited already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A limit in case a contender hangs: redis-benchmark waits without end.
const TIME_LIMIT: [&str; 3] = ["timeout", "--kill-after=1", "120"];

fn run_redis_benchmark(words: &[String]) -> Result<String, String> {
    let output = Command::new(TIME_LIMIT[0])
        .args(&TIME_LIMIT[1..])
        .args(words)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("{}: {error}", words.join(" ")))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let complaint = String::from_utf8_lossy(&output.stderr);
    // With -e it prints error replies and continues.
    let error_reply = text.lines().find(|line| line.contains("Error from server"));
    if output.status.success() && error_reply.is_none() {
        return Ok(text);
    }
    Err(format!(
        "`{}` failed ({}): {}",
        words.join(" "),
        output.status,
        error_reply.unwrap_or(complaint.trim())
    ))
}

/// Combines the results of both tests: the mean rate weighted by requests, and the worse of each percentile.
fn parse_redis_benchmark(text: &str) -> Result<Outcome, String> {
    let mut whole = Outcome::default();
    let mut seconds = 0.0;
    for test in text.split("====== ").skip(1) {
        let test = parse_test(test).ok_or("redis-benchmark printed something unexpected")?;
        whole.requests += test.requests;
        seconds += test.requests / test.rate;
        whole.p50 = whole.p50.max(test.p50);
        whole.p99 = whole.p99.max(test.p99);
        whole.p99_typical = whole.p99;
        whole.p999 = whole.p999.max(test.p999);
    }
    whole.rate = whole.requests / seconds;
    if whole.rate.is_finite() {
        Ok(whole)
    } else {
        Err("redis-benchmark printed no result".into())
    }
}

fn parse_test(text: &str) -> Option<Outcome> {
    let before = |marker: &str| {
        let (head, _) = text.split_once(marker)?;
        head.split_whitespace().next_back()?.parse::<f64>().ok()
    };
    let (_, summary) = text.split_once("latency summary (msec):")?;
    let numbers: Vec<f64> = summary
        .lines()
        .nth(2)?
        .split_whitespace()
        .filter_map(|word| word.parse().ok())
        .collect();
    let [_, _, p50, _, p99, _] = numbers[..] else {
        return None;
    };
    Some(Outcome {
        requests: before(" requests completed in")?,
        rate: before(" requests per second")?,
        p50: p50 * 1_000.0,
        p99: p99 * 1_000.0,
        p99_typical: p99 * 1_000.0,
        p999: percentile(text, 99.9)? * 1_000.0,
        unsent: 0.0,
    })
}

/// The first line of the distribution (`99.902% <= 0.687 milliseconds ...`) at or above `share`.
fn percentile(text: &str, share: f64) -> Option<f64> {
    let (_, lines) = text.split_once("Latency by percentile distribution:")?;
    lines.lines().find_map(|line| {
        let (head, rest) = line.split_once("% <= ")?;
        let is_enough = head.trim().parse::<f64>().ok()? >= share;
        let value = rest.split(' ').next()?.parse().ok()?;
        is_enough.then_some(value)
    })
}

fn parse_report(line: &str) -> Result<Outcome, String> {
    let json: serde_json::Value =
        serde_json::from_str(line).map_err(|error| format!("loadgen printed {line:?}: {error}"))?;
    let field = |name: &str| {
        json[name]
            .as_f64()
            .ok_or_else(|| format!("loadgen's report lacks {name}"))
    };
    Ok(Outcome {
        requests: field("answered")?,
        rate: field("rps")?,
        p50: field("p50_us")?,
        p99: field("p99_us")?,
        p99_typical: field("p99_typical_us")?,
        p999: field("p999_us")?,
        unsent: field("unsent")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEST: &str = "SET ======
  4000 requests completed in 0.03 seconds
  10 parallel clients

Latency by percentile distribution:
0.000% <= 0.055 milliseconds (cumulative count 336)
99.805% <= 0.647 milliseconds (cumulative count 3996)
99.902% <= 0.687 milliseconds (cumulative count 4000)

Summary:
  throughput summary: 160000.00 requests per second
  latency summary (msec):
          avg       min       p50       p95       p99       max
        0.136     0.048     0.135     0.223     0.367     0.687
";

    #[test]
    fn redis_benchmarks_tests_become_one_outcome() {
        let second = TEST
            .replace("SET", "GET")
            .replace("160000.00", "80000.00")
            .replace("0.367", "0.900");
        let text = format!("\r \r====== {TEST}\n====== {second}");
        let outcome = parse_redis_benchmark(&text).unwrap();
        assert_eq!(outcome.requests, 8_000.0);
        assert!((outcome.rate - 106_666.7).abs() < 0.1, "{}", outcome.rate);
        let percentiles = [outcome.p50, outcome.p99, outcome.p999];
        for (got, expected) in percentiles.into_iter().zip([135.0, 900.0, 687.0]) {
            assert!((got - expected).abs() < 1e-6, "{got}");
        }
        assert!(parse_redis_benchmark("").is_err());
        assert!(parse_redis_benchmark("====== SET ======\nnothing").is_err());
    }

    #[test]
    fn our_own_report_is_read() {
        let line = "{\"answered\":10,\"rps\":5.5,\"p50_us\":1,\"p99_us\":3,\"p99_typical_us\":2,\
                    \"p999_us\":4,\"unsent\":5}";
        let outcome = parse_report(line).unwrap();
        assert_eq!((outcome.rate, outcome.unsent), (5.5, 5.0));
        assert_eq!((outcome.p99, outcome.p99_typical), (3.0, 2.0));
        assert!(parse_report("{}").unwrap_err().contains("answered"));
        assert!(parse_report("").is_err());
    }
}
