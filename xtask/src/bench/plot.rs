//! Plots as SVG: bars with intervals, and lines over a logarithmic axis.

use std::fmt::Write;

use super::contender::BASE;
use super::options::Options;
use super::rounds::{Figure, ShapeResult};
use super::samples::Ratio;

const LEFT: f64 = 190.0;
const WIDTH: f64 = 480.0;
const BAR: f64 = 14.0;

/// Colours that remain distinct in print and for colour-blind readers.
const COLOURS: [&str; 6] = [
    "#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00",
];

/// Writes a plot into the directory given in the options.
///
/// # Errors
///
/// When it cannot be written.
pub(super) fn write(options: &Options, name: &str, svg: &str) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("{}: {error}", options.plots.display());
    std::fs::create_dir_all(&options.plots).map_err(failed)?;
    let file = options.plots.join(name);
    std::fs::write(&file, svg).map_err(failed)?;
    println!("plot: {}", file.display());
    Ok(())
}

/// CPU per request by shape and contender, relative to the base.
pub(super) struct Bars {
    groups: Vec<(String, Vec<(String, Ratio)>)>,
}

impl Bars {
    pub(super) fn of(results: &[ShapeResult]) -> Bars {
        let group = |result: &ShapeResult| {
            let bars: Vec<_> = result
                .contenders
                .iter()
                .filter(|one| one.name != BASE)
                .filter_map(|one| {
                    let ratio = result.ratio(Figure::Cpu, &one.name, BASE)?;
                    Some((one.name.clone(), ratio))
                })
                .collect();
            (result.shape.name.to_string(), bars)
        };
        let mut groups: Vec<_> = results.iter().map(group).collect();
        groups.retain(|(_, bars)| !bars.is_empty());
        Bars { groups }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    pub(super) fn to_svg(&self) -> String {
        let highest = self.bars().map(|(_, ratio)| ratio.high).fold(1.0, f64::max);
        let scale = WIDTH / highest;
        let mut body = String::new();
        let mut y = 40.0;
        for (shape, bars) in &self.groups {
            text(&mut body, LEFT - 8.0, y + 11.0, "end", shape);
            for (name, ratio) in bars {
                bar(&mut body, y, scale, *ratio, colour(&self.names(), name));
                y += BAR + 1.0;
            }
            y += 8.0;
        }
        let base = LEFT + scale;
        let _ = writeln!(
            body,
            "<line x1='{base:.1}' y1='34' x2='{base:.1}' y2='{y:.1}' stroke='#444' stroke-dasharray='4 3'/>"
        );
        text(&mut body, base, 30.0, "middle", &format!("{BASE} = 1"));
        legend(&mut body, y + 14.0, &self.names());
        let title = "Proxy CPU per request, relative (shorter is better; lines: 95 % intervals)";
        framed(LEFT + WIDTH + 70.0, y + 30.0, title, &body)
    }

    fn bars(&self) -> impl Iterator<Item = &(String, Ratio)> {
        self.groups.iter().flat_map(|(_, bars)| bars)
    }

    fn names(&self) -> Vec<&str> {
        let mut names = Vec::new();
        for (name, _) in self.bars() {
            if !names.contains(&name.as_str()) {
                names.push(name);
            }
        }
        names
    }
}

fn bar(body: &mut String, y: f64, scale: f64, ratio: Ratio, colour: &str) {
    let (end, middle) = (ratio.median * scale, y + BAR / 2.0);
    let (low, high) = (LEFT + ratio.low * scale, LEFT + ratio.high * scale);
    let _ = writeln!(
        body,
        "<rect x='{LEFT}' y='{y:.1}' width='{end:.1}' height='{BAR}' fill='{colour}'/>\
         <line x1='{low:.1}' y1='{middle:.1}' x2='{high:.1}' y2='{middle:.1}' stroke='#000'/>"
    );
    text(
        body,
        high + 5.0,
        y + 11.0,
        "start",
        &format!("{:.2}", ratio.median),
    );
}

/// One line of a plot.
pub(super) struct Line {
    pub(super) name: String,
    /// x and y, both above 0, in ascending order of x.
    pub(super) points: Vec<(f64, f64)>,
}

/// Lines over two logarithmic axes: linear growth has slope one.
pub(super) fn lines(title: &str, x_title: &str, y_title: &str, lines: &[Line]) -> String {
    const HEIGHT: f64 = 300.0;
    const TOP: f64 = 40.0;
    let points = || lines.iter().flat_map(|line| &line.points);
    let x_axis = Axis::over(points().map(|point| point.0), 80.0, WIDTH);
    let y_axis = Axis::over(points().map(|point| point.1), TOP + HEIGHT, -HEIGHT);
    let mut body = String::new();
    for tick in x_axis.ticks() {
        let x = x_axis.place(tick);
        let _ = writeln!(
            body,
            "<line x1='{x:.1}' y1='{TOP}' x2='{x:.1}' y2='{}' stroke='#ddd'/>",
            TOP + HEIGHT
        );
        text(
            &mut body,
            x,
            TOP + HEIGHT + 15.0,
            "middle",
            &tick.to_string(),
        );
    }
    for tick in y_axis.ticks() {
        let y = y_axis.place(tick);
        let _ = writeln!(
            body,
            "<line x1='80' y1='{y:.1}' x2='{}' y2='{y:.1}' stroke='#ddd'/>",
            80.0 + WIDTH
        );
        text(&mut body, 74.0, y + 4.0, "end", &tick.to_string());
    }
    let names: Vec<&str> = lines.iter().map(|line| line.name.as_str()).collect();
    for line in lines {
        let colour = colour(&names, &line.name);
        let place =
            |&(x, y): &(f64, f64)| format!("{:.1},{:.1} ", x_axis.place(x), y_axis.place(y));
        let path: String = line.points.iter().map(place).collect();
        let _ = writeln!(
            body,
            "<polyline points='{path}' fill='none' stroke='{colour}' stroke-width='2'/>"
        );
    }
    text(
        &mut body,
        80.0 + WIDTH / 2.0,
        TOP + HEIGHT + 32.0,
        "middle",
        x_title,
    );
    text(&mut body, 10.0, TOP - 8.0, "start", y_title);
    legend(&mut body, TOP + HEIGHT + 52.0, &names);
    framed(WIDTH + 120.0, TOP + HEIGHT + 66.0, title, &body)
}

/// A logarithmic axis.
struct Axis {
    low: f64,
    high: f64,
    start: f64,
    length: f64,
}

impl Axis {
    /// From the power of ten below the smallest value to the one above the largest.
    fn over(values: impl Iterator<Item = f64>, start: f64, length: f64) -> Axis {
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for value in values.filter(|&value| value > 0.0) {
            low = low.min(value.log10().floor());
            high = high.max(value.log10().ceil());
        }
        if !low.is_finite() || !high.is_finite() {
            (low, high) = (0.0, 1.0);
        }
        Axis {
            low,
            high: high.max(low + 1.0),
            start,
            length,
        }
    }

    fn place(&self, value: f64) -> f64 {
        let share = (value.log10() - self.low) / (self.high - self.low);
        self.start + share * self.length
    }

    fn ticks(&self) -> impl Iterator<Item = f64> {
        (self.low as i32..=self.high as i32).map(|power| 10_f64.powi(power))
    }
}

fn colour(names: &[&str], name: &str) -> &'static str {
    let place = names.iter().position(|other| *other == name).unwrap_or(0);
    COLOURS[place % COLOURS.len()]
}

fn legend(body: &mut String, y: f64, names: &[&str]) {
    for (place, name) in names.iter().enumerate() {
        let x = 80.0 + 120.0 * place as f64;
        let colour = colour(names, name);
        let _ = writeln!(
            body,
            "<rect x='{x}' y='{:.1}' width='10' height='10' fill='{colour}'/>",
            y - 9.0
        );
        text(body, x + 14.0, y, "start", name);
    }
}

fn text(body: &mut String, x: f64, y: f64, anchor: &str, words: &str) {
    let words = escaped(words);
    let _ = writeln!(
        body,
        "<text x='{x:.1}' y='{y:.1}' text-anchor='{anchor}'>{words}</text>"
    );
}

fn escaped(words: &str) -> String {
    words.replace('&', "&amp;").replace('<', "&lt;")
}

fn framed(width: f64, height: f64, title: &str, body: &str) -> String {
    let title = escaped(title);
    format!(
        "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {width:.0} {height:.0}' \
         font-family='sans-serif' font-size='11'>\n<rect width='100%' height='100%' fill='#fff'/>\n\
         <text x='10' y='16' font-size='13' font-weight='bold'>{title}</text>\n{body}</svg>\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_reach_from_power_to_power() {
        let axis = Axis::over([3.0, 450.0].into_iter(), 0.0, 300.0);
        assert_eq!(axis.ticks().collect::<Vec<_>>(), [1.0, 10.0, 100.0, 1000.0]);
        assert!((axis.place(10.0) - 100.0).abs() < 1e-9);
        let empty = Axis::over([].into_iter(), 0.0, 300.0);
        assert_eq!(empty.ticks().count(), 2);
    }

    #[test]
    fn plots_are_well_formed_and_hold_their_names() {
        let ratio = Ratio {
            median: 0.5,
            low: 0.4,
            high: 0.6,
        };
        let bars = Bars {
            groups: vec![("a<b".into(), vec![("nuthatch".into(), ratio)])],
        };
        let line = Line {
            name: "nuthatch".into(),
            points: vec![(1.0, 5.0), (100.0, 50.0)],
        };
        for svg in [bars.to_svg(), lines("t", "x", "y", &[line])] {
            assert!(svg.starts_with("<svg") && svg.ends_with("</svg>\n"));
            assert!(svg.contains(">nuthatch</text>") && !svg.contains("NaN"));
            let opened = svg.matches("<text").count();
            assert_eq!(opened, svg.matches("</text>").count());
        }
        assert!(bars.to_svg().contains("a&lt;b"));
    }
}
