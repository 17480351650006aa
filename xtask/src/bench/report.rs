//! The printed tables, and the file with all samples.

use serde_json::{Value, json};

use super::contender::{BASE, FLOOR, predixy_is_absent};
use super::figures;
use super::memory::Fact;
use super::options::Options;
use super::plot;
use super::rounds::{ContenderResult, Figure, ShapeResult};
use super::samples::Ratio;
use super::shape::{Ask, Protocol};
use super::target::Verdict;

/// Everything measured in one run.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) shapes: Vec<ShapeResult>,
    pub(super) facts: Vec<Fact>,
    pub(super) verdicts: Vec<Verdict>,
}

/// The columns with ratios to the base.
const RATIOS: [(Figure, &str); 4] = [
    (Figure::Cpu, "CPU/req ratio"),
    (Figure::Rate, "req/s ratio"),
    (Figure::P99, "p99 ratio"),
    (Figure::P99Typical, "p99 of 0.1 s ratio"),
];

/// The columns with ratios to the floor, which follow.
const TO_FLOOR: [(Figure, &str); 2] = [
    (Figure::Cpu, "CPU/req to floor"),
    (Figure::Rate, "req/s to floor"),
];

impl Report {
    /// Prints the description of the machine.
    ///
    /// # Errors
    ///
    /// When an output file cannot be written: better now than after half an hour.
    pub(super) fn begin(options: &Options) -> Result<Report, String> {
        if let Some(file) = &options.json {
            std::fs::write(file, "{}\n").map_err(|error| format!("{}: {error}", file.display()))?;
        }
        println!("{}", figures::machine());
        println!(
            "{} rounds of {:.1} s; medians; ratios to {BASE} (and to {FLOOR}, where that is said) with their 95 % intervals",
            options.rounds,
            options.seconds.as_secs_f64()
        );
        if let Some(line) = predixy_is_absent() {
            println!("{line}");
        }
        Ok(Report {
            shapes: Vec::new(),
            facts: Vec::new(),
            verdicts: Vec::new(),
        })
    }

    /// Writes the requested files.
    ///
    /// # Errors
    ///
    /// When one cannot be written.
    pub(super) fn finish(&self, options: &Options) -> Result<(), String> {
        print!("{}", facts_table(&self.facts));
        self.write_json(options)?;
        let bars = plot::Bars::of(&self.shapes);
        if bars.is_empty() {
            return Ok(());
        }
        plot::write(options, "cpu-per-request.svg", &bars.to_svg())
    }

    /// Writes all samples, if a file for them was given.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub(super) fn write_json(&self, options: &Options) -> Result<(), String> {
        let Some(file) = &options.json else {
            return Ok(());
        };
        let text = format!("{:#}\n", self.to_json(options));
        std::fs::write(file, text).map_err(|error| format!("{}: {error}", file.display()))
    }

    fn to_json(&self, options: &Options) -> Value {
        json!({
            "machine": figures::machine(),
            "rounds": options.rounds,
            "seconds": options.seconds.as_secs_f64(),
            "workers": options.workers,
            "shapes": self.shapes.iter().map(shape_json).collect::<Vec<_>>(),
            "facts": self.facts.iter().map(fact_json).collect::<Vec<_>>(),
            "targets": self.verdicts.iter().map(verdict_json).collect::<Vec<_>>(),
        })
    }
}

/// The table of one shape.
pub(super) fn table(result: &ShapeResult) -> String {
    let mut rows = vec![header()];
    rows.extend(result.contenders.iter().map(|one| row(result, one)));
    format!("\n== {}\n{}", describe(result), aligned(&rows))
}

fn describe(result: &ShapeResult) -> String {
    let shape = &result.shape;
    let protocol = match shape.protocol {
        Protocol::Redis => "Redis",
        Protocol::Memcached => "memcached",
    };
    let ask = match shape.ask {
        Ask::SetGet => "SET and GET".to_string(),
        Ask::Mixed => "half get, half set".into(),
        Ask::MultiGet(keys) => format!("{keys} keys per request"),
        Ask::OpenLoop(_) => format!(
            "half get, half set, {} per second at fixed times",
            result.rate.unwrap_or(0.0)
        ),
    };
    format!(
        "{}: {protocol}, {} clients, pipeline {}, {} B, {} servers, {ask}",
        shape.name, shape.clients, shape.pipeline, shape.size, shape.servers
    )
}

fn header() -> Vec<String> {
    let ratios = RATIOS.iter().chain(&TO_FLOOR).map(|(_, title)| *title);
    let figures = [
        "CPU us/req",
        "req/s",
        "p50 us",
        "p99 us",
        "p99 of 0.1 s us",
        "p99.9 us",
        "calls/req",
        "RSS KiB before",
        "peak",
        "after",
        "servers us/req",
    ];
    std::iter::once("")
        .chain(ratios)
        .chain(figures)
        .map(String::from)
        .collect()
}

fn row(result: &ShapeResult, one: &ContenderResult) -> Vec<String> {
    let mut cells = vec![one.name.clone()];
    for (figure, _) in RATIOS {
        cells.push(shown_ratio(result.ratio(figure, &one.name, BASE)));
    }
    for (figure, _) in TO_FLOOR {
        cells.push(shown_ratio(result.ratio(figure, &one.name, FLOOR)));
    }
    let number = |figure, digits: usize| shown(one.median(figure), digits);
    cells.extend([
        number(Figure::Cpu, 2),
        number(Figure::Rate, 0),
        number(Figure::P50, 0),
        number(Figure::P99, 0),
        number(Figure::P99Typical, 0),
        number(Figure::P999, 0),
        shown(one.syscalls, 2),
    ]);
    let memory = one.memory;
    let kib = |bytes: u64| bytes as f64 / 1_024.0;
    cells.extend([
        shown(memory.map(|m| kib(m.before)), 0),
        shown(memory.map(|m| kib(m.peak)), 0),
        shown(memory.map(|m| kib(m.after)), 0),
    ]);
    let servers: Vec<f64> = one.cells.iter().map(|cell| cell.servers_cpu).collect();
    let servers = (!servers.is_empty()).then(|| super::samples::median(&servers));
    cells.push(shown(servers, 2));
    cells
}

fn shown(value: Option<f64>, digits: usize) -> String {
    value.map_or("-".into(), |value| format!("{value:.digits$}"))
}

fn shown_ratio(ratio: Option<Ratio>) -> String {
    ratio.map_or("-".into(), |ratio| {
        format!("{:.2} ({:.2}-{:.2})", ratio.median, ratio.low, ratio.high)
    })
}

/// Columns as wide as their widest cell; the first one left-aligned, the others right-aligned.
fn aligned(rows: &[Vec<String>]) -> String {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let widths: Vec<usize> = (0..columns)
        .map(|column| width(column).unwrap_or(0))
        .collect();
    let mut text = String::new();
    for row in rows {
        for (column, (cell, &width)) in row.iter().zip(&widths).enumerate() {
            text += &match column {
                0 => format!("{cell:<width$}"),
                _ => format!("  {cell:>width$}"),
            };
        }
        text.push('\n');
    }
    text
}

fn facts_table(facts: &[Fact]) -> String {
    let mut text = String::new();
    for fact in facts {
        let value = fact.value.to_string();
        text += &format!(
            "{value:>26} {:2} {}: {}\n",
            fact.unit, fact.contender, fact.name
        );
    }
    text
}

fn shape_json(result: &ShapeResult) -> Value {
    let contenders = result.contenders.iter().map(|one| {
        json!({
            "name": one.name,
            "ratios": RATIOS.map(|(figure, title)| {
                json!({ "of": title, "value": ratio_json(result.ratio(figure, &one.name, BASE)) })
            }),
            "ratios_to_floor": TO_FLOOR.map(|(figure, title)| {
                json!({ "of": title, "value": ratio_json(result.ratio(figure, &one.name, FLOOR)) })
            }),
            "syscalls_per_request": one.syscalls,
            "memory": one.memory.map(|m| json!({ "before": m.before, "peak": m.peak, "after": m.after })),
            "rounds": one.cells.iter().map(|cell| json!({
                "cpu_us": cell.cpu,
                "servers_cpu_us": cell.servers_cpu,
                "requests": cell.outcome.requests,
                "rps": cell.outcome.rate,
                "p50_us": cell.outcome.p50,
                "p99_us": cell.outcome.p99,
                "p99_typical_us": cell.outcome.p99_typical,
                "p999_us": cell.outcome.p999,
                "unsent": cell.outcome.unsent,
            })).collect::<Vec<_>>(),
        })
    });
    json!({
        "name": result.shape.name,
        "what": describe(result),
        "contenders": contenders.collect::<Vec<_>>(),
    })
}

fn ratio_json(ratio: Option<Ratio>) -> Value {
    match ratio {
        Some(ratio) => json!({ "median": ratio.median, "low": ratio.low, "high": ratio.high }),
        None => Value::Null,
    }
}

fn fact_json(fact: &Fact) -> Value {
    json!({ "contender": fact.contender, "what": fact.name, "value": ratio_json(Some(fact.value)), "unit": fact.unit })
}

fn verdict_json(verdict: &Verdict) -> Value {
    json!({
        "what": verdict.what,
        "limit": verdict.limit,
        "verdict": verdict.word(),
        "measured": ratio_json(verdict.measured),
        "to_floor": ratio_json(verdict.to_floor),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned() {
        let rows = [["", "us"], ["nutcracker", "10.5"], ["x", "9"]]
            .map(|row| row.map(String::from).to_vec());
        let text = aligned(&rows);
        let expected = "              us\nnutcracker  10.5\nx              9\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn what_was_not_measured_is_a_dash() {
        assert_eq!(shown(None, 2), "-");
        assert_eq!(shown(Some(1.234), 2), "1.23");
        assert_eq!(shown_ratio(None), "-");
        let ratio = Ratio {
            median: 0.5,
            low: 0.45,
            high: 0.55,
        };
        assert_eq!(shown_ratio(Some(ratio)), "0.50 (0.45-0.55)");
        assert_eq!(header().len(), 18);
    }
}
