//! Open-loop load of which not everything can be answered, or not at once: counts the result of each request.

use std::time::Duration;

use super::load::{Amount, Load, Running};

/// The results of a load.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Results {
    /// Requests answered correctly.
    pub(super) right: f64,
    /// Requests answered with an error.
    pub(super) errors: f64,
    /// Replies that were wrong, belonged to another request, or reported an existing key as missing.
    pub(super) wrong: f64,
    /// Requests that were sent and not answered.
    pub(super) unanswered: f64,
    /// Requests that still waited to be sent at the end.
    pub(super) unsent: f64,
    /// Seconds until the last reply.
    pub(super) seconds: f64,
    /// 99th percentile of the latency in microseconds, from when a request was due.
    pub(super) p99: f64,
    /// The median of the 99th percentiles of each tenth of a second.
    pub(super) p99_typical: f64,
}

impl Results {
    /// Correct replies per second.
    pub(super) fn goodput(&self) -> f64 {
        self.right / self.seconds.max(1e-9)
    }

    /// Parses the load generator's report.
    fn parse(line: &str) -> Result<Results, String> {
        let json: serde_json::Value = serde_json::from_str(line)
            .map_err(|error| format!("loadgen printed {line:?}: {error}"))?;
        let field = |name: &str| {
            json[name]
                .as_f64()
                .ok_or_else(|| format!("loadgen's report lacks {name}"))
        };
        let wrong = field("wrong")? + field("misordered")? + field("missing")?;
        let errors = field("errors")?;
        Ok(Results {
            right: field("answered")? - wrong - errors,
            errors,
            wrong,
            unanswered: field("unanswered")?,
            unsent: field("unsent")?,
            seconds: field("seconds")?,
            p99: field("p99_us")?,
            p99_typical: field("p99_typical_us")?,
        })
    }
}

/// A load generator that has connected and waits for the signal to begin.
pub(super) struct OpenLoop {
    running: Running,
}

impl OpenLoop {
    /// Connects.
    ///
    /// # Errors
    ///
    /// When it cannot connect.
    pub(super) fn prepare(
        load: &Load<'_>,
        tag: &str,
        rate: f64,
        time: Duration,
    ) -> Result<OpenLoop, String> {
        let mut words = load.loadgen_words("mixed", Amount::Rate(rate, time));
        if !tag.is_empty() {
            words.extend(["--tag".to_owned(), tag.to_owned()]);
        }
        let mut running = Running::spawn(&words)?;
        let ready = running.line()?;
        if ready.trim() != "ready" {
            return Err(running.failure(&ready));
        }
        Ok(OpenLoop { running })
    }

    /// Begins to send.
    ///
    /// # Errors
    ///
    /// When the load generator has exited.
    pub(super) fn begin(&mut self) -> Result<(), String> {
        self.running.go()
    }

    /// Waits for the last reply, or until none is expected any more.
    ///
    /// # Errors
    ///
    /// When there is no report.
    pub(super) fn end(mut self) -> Result<Results, String> {
        Results::parse(&self.running.line()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_with_faults_is_taken_apart() {
        let line = "{\"answered\":100,\"seconds\":2.0,\"rps\":50,\"p50_us\":1,\"p99_us\":7,\"p99_typical_us\":3,\"wrong\":1,\
                    \"misordered\":2,\"missing\":3,\"errors\":4,\"unanswered\":5,\"unsent\":6}";
        let fate = Results::parse(line).unwrap();
        assert_eq!((fate.right, fate.errors, fate.wrong), (90.0, 4.0, 6.0));
        assert_eq!((fate.unanswered, fate.unsent, fate.p99), (5.0, 6.0, 7.0));
        assert_eq!(fate.p99_typical, 3.0);
        assert_eq!(fate.goodput(), 45.0);
        assert!(Results::parse("{}").unwrap_err().contains("wrong"));
    }
}
