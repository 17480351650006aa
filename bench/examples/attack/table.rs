//! What is printed.

use std::time::Duration;

use crate::case::{Case, Figures};

/// The head of the table.
pub(crate) const HEAD: &str = "\
                                                        milliseconds of the bystander        resident MiB        log
attack           case                           idle p99      p50      p99      max   before     peak   after      KiB";

/// The row of a case that ran: its figures, its limit and whether that held.
pub(crate) fn line(case: &Case, outcome: &Result<Figures, String>) -> String {
    let start = format!("{:<16} {:<29}", case.attack, case.name);
    match outcome {
        Ok(figures) => {
            let verdict = match case.limit.holds(figures) {
                true => "PASS",
                false => "FAIL",
            };
            let [before, peak, after] = figures.memory.map(mebibytes);
            format!(
                "{start} {:>9.2} {:>8.2} {:>8.2} {:>8.2} {before:>8.1} {peak:>8.1} {after:>7.1} {:>8.1}  {verdict} {} ({})",
                milliseconds(figures.idle.p99()),
                milliseconds(figures.attacked.p50()),
                milliseconds(figures.attacked.p99()),
                milliseconds(figures.attacked.longest()),
                figures.logged as f64 / 1024.0,
                case.limit,
                figures.finding.note
            )
        }
        Err(message) => format!("{start} FAIL {message}"),
    }
}

/// The attacks and their limits.
pub(crate) fn list(cases: &[Case]) -> String {
    let rows = cases.iter();
    rows.map(|case| format!("{:<16} {:<29} {}\n", case.attack, case.name, case.limit))
        .collect()
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bystander::Latencies;
    use crate::case::{Finding, Limit};
    use crate::rig::REDIS;

    #[test]
    fn a_row_ends_with_the_verdict() {
        let case = |limit| Case {
            attack: "some",
            name: "case".into(),
            setup: REDIS,
            limit,
            strike: Box::new(|_, _| Ok(Finding::default())),
        };
        let latencies = Latencies::new(vec![Duration::from_millis(3)]).unwrap();
        let figures = Figures {
            idle: latencies.clone(),
            attacked: latencies,
            memory: [1 << 20; 3],
            logged: 2048,
            finding: Finding {
                seen: 2,
                note: "done".into(),
            },
        };
        let row = line(&case(Limit::Log(2048)), &Ok(figures.clone()));
        assert!(
            row.ends_with("2.0  PASS at most 2 KiB of log (done)"),
            "{row}"
        );
        let row = line(&case(Limit::Seen(1, "faults")), &Ok(figures));
        assert!(row.contains("FAIL at most 1 faults"), "{row}");
        let row = line(&case(Limit::Nothing), &Err("no proxy".into()));
        assert!(row.ends_with("FAIL no proxy"), "{row}");
        let text = list(&[case(Limit::Peak(3 << 20))]);
        assert!(text.ends_with("at most 3 MiB\n"), "{text}");
    }
}
