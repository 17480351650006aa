//! The results of a run.

use std::time::Duration;

use hdrhistogram::Histogram;

use super::replies::Verdict;

/// Larger latencies count as this one.
const LONGEST: Duration = Duration::from_secs(60);

/// Length of a window, see [`Report::p99_typical`].
const WINDOW: Duration = Duration::from_millis(100);

/// Counts during a run.
pub(super) struct Results {
    latencies: Histogram<u64>,
    windows: Windows,
    report: Report,
}

/// The 99th percentile of each tenth of a second.
struct Windows {
    now: Histogram<u64>,
    /// The current window.
    number: u64,
    p99s: Vec<u64>,
}

/// The result of a run. Latencies are in microseconds.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Report {
    /// Answered requests.
    pub answered: u64,
    /// Seconds from the first request to the last reply.
    pub seconds: f64,
    /// Median latency.
    pub p50: f64,
    /// 99th percentile of the latencies.
    pub p99: f64,
    /// Median of the 99th percentiles of all tenths of a second that had replies. Short disturbances of the
    /// machine, some milliseconds now and then, do not show in it.
    pub p99_typical: f64,
    /// 99.9th percentile of the latencies.
    pub p999: f64,
    /// The longest latency.
    pub max: f64,
    /// Replies with a value other than the key's.
    pub wrong: u64,
    /// Replies that belong to another waiting request, or are of another kind.
    pub misordered: u64,
    /// Keys that were set but not found.
    pub missing: u64,
    /// Error lines.
    pub errors: u64,
    /// Requests still unanswered after the final wait, or when their connection ended.
    pub unanswered: u64,
    /// Open loop: requests that were due and were not sent.
    pub unsent: u64,
}

impl Results {
    pub(super) fn new() -> Self {
        Self {
            latencies: histogram(),
            windows: Windows {
                now: histogram(),
                number: 0,
                p99s: Vec::new(),
            },
            report: Report::default(),
        }
    }

    /// Counts a reply that arrived at `now` after a latency, both in nanoseconds.
    pub(super) fn note(&mut self, verdict: Verdict, now: u64, nanos: u64) {
        self.report.answered += 1;
        self.latencies.saturating_record(nanos);
        self.windows.note(now, nanos);
        match verdict {
            Verdict::Right => {}
            Verdict::Wrong => self.report.wrong += 1,
            Verdict::Misordered => self.report.misordered += 1,
            Verdict::Missing => self.report.missing += 1,
            Verdict::Error => self.report.errors += 1,
        }
    }

    pub(super) fn note_unanswered(&mut self, count: usize) {
        self.report.unanswered += count as u64;
    }

    /// Counts a connection on which something arrived that was not a reply.
    pub(super) fn note_garbled(&mut self) {
        self.report.wrong += 1;
    }

    pub(super) fn note_unsent(&mut self, count: u64) {
        self.report.unsent += count;
    }

    pub(super) fn into_report(mut self, elapsed: Duration) -> Report {
        let p99_typical = self.windows.typical() as f64 / 1_000.0;
        let micros = |quantile| self.latencies.value_at_quantile(quantile) as f64 / 1_000.0;
        Report {
            seconds: elapsed.as_secs_f64(),
            p50: micros(0.5),
            p99: micros(0.99),
            p99_typical,
            p999: micros(0.999),
            max: self.latencies.max() as f64 / 1_000.0,
            ..self.report
        }
    }
}

impl Windows {
    fn note(&mut self, now: u64, nanos: u64) {
        let number = now / WINDOW.as_nanos() as u64;
        if number != self.number {
            self.close();
            self.number = number;
        }
        self.now.saturating_record(nanos);
    }

    fn close(&mut self) {
        if !self.now.is_empty() {
            self.p99s.push(self.now.value_at_quantile(0.99));
            self.now.reset();
        }
    }

    fn typical(&mut self) -> u64 {
        self.close();
        self.p99s.sort_unstable();
        self.p99s.get(self.p99s.len() / 2).copied().unwrap_or(0)
    }
}

fn histogram() -> Histogram<u64> {
    let longest = u64::try_from(LONGEST.as_nanos()).expect("a minute fits");
    Histogram::new_with_bounds(100, longest, 3).expect("these bounds are sound")
}

impl Report {
    /// Whether every request got the right reply. (Requests that an overloaded target left no room to send do
    /// not count; see [`Report::unsent`].)
    pub fn is_flawless(&self) -> bool {
        self.wrong + self.misordered + self.missing + self.errors + self.unanswered == 0
    }

    /// The faults as text.
    pub fn faults(&self) -> String {
        format!(
            "{} wrong, {} misordered, {} missing, {} errors, {} unanswered",
            self.wrong, self.misordered, self.missing, self.errors, self.unanswered
        )
    }

    /// One line of JSON.
    pub fn to_json(&self) -> String {
        let rate = self.answered as f64 / self.seconds.max(1e-9);
        format!(
            "{{\"answered\":{},\"seconds\":{:.6},\"rps\":{rate:.1},\"p50_us\":{:.1},\"p99_us\":{:.1},\
             \"p99_typical_us\":{:.1},\"p999_us\":{:.1},\"max_us\":{:.1},\"wrong\":{},\
             \"misordered\":{},\"missing\":{},\"errors\":{},\"unanswered\":{},\"unsent\":{}}}",
            self.answered,
            self.seconds,
            self.p50,
            self.p99,
            self.p99_typical,
            self.p999,
            self.max,
            self.wrong,
            self.misordered,
            self.missing,
            self.errors,
            self.unanswered,
            self.unsent
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_and_faults_are_reported() {
        let mut results = Results::new();
        for micros in 1..=1_000 {
            results.note(Verdict::Right, 0, micros * 1_000);
        }
        results.note(Verdict::Missing, 0, u64::MAX);
        results.note_unanswered(2);
        let report = results.into_report(Duration::from_secs(2));
        assert!((report.p50 - 500.0).abs() < 2.0, "{}", report.p50);
        assert!((report.p99 - 991.0).abs() < 2.0, "{}", report.p99);
        assert!((report.max - 60e6).abs() < 1e5, "{}", report.max);
        assert!(!report.is_flawless());
        let json = report.to_json();
        assert!(json.starts_with("{\"answered\":1001,\"seconds\":2.000000,\"rps\":500.5,"));
        assert!(json.ends_with("\"missing\":1,\"errors\":0,\"unanswered\":2,\"unsent\":0}"));
    }

    #[test]
    fn a_bad_moment_does_not_show_in_the_typical_percentile() {
        let mut results = Results::new();
        for millis in 0..500 {
            let stalled = (150..180).contains(&millis);
            let nanos = if stalled { 50_000_000 } else { 200_000 };
            results.note(Verdict::Right, millis * 1_000_000, nanos);
        }
        let report = results.into_report(Duration::from_millis(500));
        assert!(report.p99 > 49_000.0, "{}", report.p99);
        let typical = report.p99_typical;
        assert!((199.0..202.0).contains(&typical), "{typical}");
        assert_eq!(Results::new().into_report(Duration::ZERO).p99_typical, 0.0);
    }
}
