//! How the cost grows with clients, servers, keys of a multi-get and the size of values.

use super::contender::{BASE, Kind, OURS};
use super::options::Options;
use super::plot::{self, Line};
use super::programs::Bench;
use super::report::Report;
use super::rounds::{self, Figure, ShapeResult};
use super::shape::{Ask, Protocol, Shape};
use crate::run::{at_root, output_of};

const CLIENTS: [usize; 5] = [10, 100, 1_000, 4_000, 8_000];
const KEYS: [usize; 5] = [1, 10, 100, 1_000, 10_000];
const SIZES: [usize; 6] = [1, 100, 1_024, 16 << 10, 128 << 10, 1 << 20];
const SERVERS: [usize; 6] = [1, 5, 20, 100, 250, 500];

/// What is varied, and how to label the results.
struct Axis {
    file: &'static str,
    title: &'static str,
    x_title: &'static str,
    y_title: &'static str,
    points: Vec<(usize, Shape)>,
}

/// Measures all four and draws the plots.
///
/// # Errors
///
/// When something does not start or a reply is wrong.
pub(super) fn run(options: &Options) -> Result<(), String> {
    let bench = Bench::prepare(options)?;
    let mut report = Report::begin(options)?;
    for axis in axes(options.quick) {
        report.shapes.extend(measure(&bench, options, &axis)?);
    }
    servers(&bench, options)?;
    report.write_json(options)
}

fn axes(quick: bool) -> Vec<Axis> {
    let points = |values: &[usize], shape: fn(usize) -> Shape| {
        let few = if quick { 3 } else { values.len() };
        values[..few]
            .iter()
            .map(|&value| (value, shape(value)))
            .collect()
    };
    let per_request = "proxy CPU per request, us";
    vec![
        Axis {
            file: "scale-clients.svg",
            title: "CPU per request and the number of clients (Redis, pipeline 1, 100 B)",
            x_title: "clients",
            y_title: per_request,
            points: points(&CLIENTS, |clients| Shape {
                clients,
                ..plain("clients")
            }),
        },
        Axis {
            file: "scale-keys.svg",
            title: "CPU per request and the keys of a multi-get over 4 servers (Redis, 3 B)",
            x_title: "keys per MGET",
            y_title: per_request,
            points: points(&KEYS, |keys| Shape {
                clients: 10,
                size: 3,
                ask: Ask::MultiGet(keys),
                servers: 4,
                ..plain("keys")
            }),
        },
        Axis {
            file: "scale-size.svg",
            title: "CPU per request and the size of values (Redis, 20 clients, pipeline 1)",
            x_title: "bytes per value",
            y_title: per_request,
            points: points(&SIZES, |size| Shape {
                clients: 20,
                size,
                ..plain("size")
            }),
        },
    ]
}

fn plain(name: &'static str) -> Shape {
    Shape {
        name,
        protocol: Protocol::Redis,
        clients: 50,
        pipeline: 1,
        size: 100,
        ask: Ask::Mixed,
        servers: 2,
    }
}

/// Runs every point of an axis, prints the results and draws the plot.
fn measure(bench: &Bench, options: &Options, axis: &Axis) -> Result<Vec<ShapeResult>, String> {
    println!("\n== {}", axis.title);
    println!(
        "{:>10}  {:>12} {:>10} {:>12}  contender",
        axis.x_title, "CPU us/req", "req/s", "p99 us"
    );
    let mut kinds = Kind::all(bench, options, Protocol::Redis);
    kinds.retain(|kind| matches!(kind, Kind::Nutcracker | Kind::Nuthatch { .. }));
    let mut results: Vec<(usize, ShapeResult)> = Vec::new();
    for (value, shape) in &axis.points {
        let result = rounds::play_to(bench, options, *shape, &kinds)?;
        for one in &result.contenders {
            println!(
                "{value:>10}  {:>12.2} {:>10.0} {:>12.0}  {}",
                one.median(Figure::Cpu).unwrap_or(0.0),
                one.median(Figure::Rate).unwrap_or(0.0),
                one.median(Figure::P99).unwrap_or(0.0),
                one.name
            );
        }
        results.push((*value, result));
    }
    let lines: Vec<Line> = [OURS, BASE]
        .iter()
        .map(|name| line(name, &results))
        .collect();
    let svg = plot::lines(axis.title, axis.x_title, axis.y_title, &lines);
    plot::write(options, axis.file, &svg)?;
    Ok(results.into_iter().map(|(_, result)| result).collect())
}

fn line(name: &str, results: &[(usize, ShapeResult)]) -> Line {
    let point = |(x, result): &(usize, ShapeResult)| {
        let y = result.of(name)?.median(Figure::Cpu)?;
        Some((*x as f64, y))
    };
    Line {
        name: name.into(),
        points: results.iter().filter_map(point).collect(),
    }
}

/// Building the ring and looking up keys; no proxy runs.
fn servers(bench: &Bench, options: &Options) -> Result<(), String> {
    let title = "Placing keys and the number of servers (ketama)";
    println!("\n== {title}\n   servers      build us    lookup ns");
    let program = bench.placement.to_string_lossy();
    let text = output_of(at_root(&program).args(SERVERS.map(|count| count.to_string())))?;
    let rows: Vec<[f64; 3]> = text
        .lines()
        .map(parse_row)
        .collect::<Option<_>>()
        .ok_or_else(|| format!("placement printed {text:?}"))?;
    for [servers, build, lookup] in &rows {
        println!("{servers:>10}  {:>12.1} {lookup:>12.1}", build / 1_000.0);
    }
    let line = |name: &str, y: fn(&[f64; 3]) -> f64| Line {
        name: name.into(),
        points: rows.iter().map(|row| (row[0], y(row))).collect(),
    };
    let lines = [
        line("build, us", |row| row[1] / 1_000.0),
        line("lookup, ns", |row| row[2]),
    ];
    let svg = plot::lines(title, "servers", "time", &lines);
    plot::write(options, "scale-servers.svg", &svg)
}

fn parse_row(line: &str) -> Option<[f64; 3]> {
    let numbers: Vec<f64> = line
        .split(' ')
        .filter_map(|word| word.parse().ok())
        .collect();
    numbers.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_point_can_be_played() {
        for axis in axes(false) {
            for (value, shape) in axis.points {
                assert!(shape.keys() >= 16);
                if let Ask::MultiGet(keys) = shape.ask {
                    assert!(keys == value && keys <= shape.keys());
                }
            }
        }
        assert!(axes(true).iter().all(|axis| axis.points.len() == 3));
    }

    #[test]
    fn rows_of_the_placement_program_are_read() {
        assert_eq!(
            parse_row("500 18966856 93.66"),
            Some([500.0, 18_966_856.0, 93.66])
        );
        assert_eq!(parse_row("500 x 93.66"), None);
    }
}
