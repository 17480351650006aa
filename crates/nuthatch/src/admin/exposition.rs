//! The text format of Prometheus, version 0.0.4 (prometheus.io/docs/instrumenting/exposition_formats).
//!
//! A family is begun with its name, type and help, and all of its samples follow. A family may have samples with further
//! ends of names, as a histogram has.

use std::fmt::{Display, Write};
use std::hash::{DefaultHasher, Hash, Hasher};

/// The `Content-Type` of the format.
pub(super) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Maximum bytes of the value of a label. A longer one is cut off, and a hash of all of it takes the place of what
/// is left out, so that two names stay two.
const LONGEST_VALUE: usize = 128;

/// The type of a family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Type {
    Counter,
    Gauge,
    /// Its samples are parts: `_bucket`, `_sum` and `_count`.
    Histogram,
}

/// A page in this format.
#[derive(Debug, Default)]
pub(super) struct Exposition {
    text: String,
    family: String,
}

/// The labels of a sample, as they are written.
#[derive(Debug, Clone, Default)]
pub(super) struct Labels(String);

impl Exposition {
    /// Begins a family.
    pub(super) fn family(&mut self, name: &str, kind: Type, help: &str) {
        name.clone_into(&mut self.family);
        let kind = match kind {
            Type::Counter => "counter",
            Type::Gauge => "gauge",
            Type::Histogram => "histogram",
        };
        let help = help.replace('\\', r"\\").replace('\n', r"\n");
        // Writing to a text does not fail.
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    /// Adds a sample to the family.
    pub(super) fn sample(&mut self, labels: &Labels, value: impl Display) {
        let _ = writeln!(self.text, "{}{} {value}", self.family, labels.0);
    }

    /// Adds a sample to the family whose name ends in `part`.
    pub(super) fn part(&mut self, part: &str, labels: &Labels, value: impl Display) {
        let _ = writeln!(self.text, "{}{part}{} {value}", self.family, labels.0);
    }

    /// A family with one sample.
    pub(super) fn single(&mut self, name: &str, kind: Type, help: &str, value: impl Display) {
        self.family(name, kind, help);
        self.sample(&Labels::default(), value);
    }

    /// The page.
    pub(super) fn finish(self) -> String {
        self.text
    }
}

impl Labels {
    /// Labels with these names and values.
    pub(super) fn new(labels: &[(&str, &str)]) -> Self {
        let mut text = String::from("{");
        for (index, (name, value)) in labels.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            let _ = write!(text, "{comma}{name}=\"");
            push_value(&mut text, value);
            text.push('"');
        }
        text.push('}');
        Self(text)
    }
}

impl Labels {
    /// The same labels, which are not empty, and one more.
    pub(super) fn with(&self, name: &str, value: &str) -> Self {
        let mut text = self.0.strip_suffix('}').unwrap_or(&self.0).to_owned();
        let _ = write!(text, ",{name}=\"");
        push_value(&mut text, value);
        text.push_str("\"}");
        Self(text)
    }
}

fn push_value(text: &mut String, value: &str) {
    let kept = match value.len() > LONGEST_VALUE {
        true => {
            let room = LONGEST_VALUE - " ~0123456789abcdef".len();
            let cut = (0..=room).rev().find(|&at| value.is_char_boundary(at));
            &value[..cut.unwrap_or(0)]
        }
        false => value,
    };
    for char in kept.chars() {
        match char {
            '\\' => text.push_str(r"\\"),
            '"' => text.push_str("\\\""),
            '\n' => text.push_str(r"\n"),
            _ => text.push(char),
        }
    }
    if kept.len() < value.len() {
        // This hasher has no random keys: a name has the same hash in the next process, too.
        let mut hasher = DefaultHasher::new();
        value.hash(&mut hasher);
        let _ = write!(text, " ~{:016x}", hasher.finish());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_is_written_as_the_format_says() {
        let mut page = Exposition::default();
        page.family("a_total", Type::Counter, "two\nlines \\");
        page.sample(&Labels::new(&[("pool", "p"), ("server", "s")]), 7);
        page.sample(&Labels::default(), 0.25);
        page.single("b", Type::Gauge, "h", -1);
        page.family("c", Type::Histogram, "h");
        page.part("_bucket", &Labels::new(&[("pool", "}")]).with("le", "1"), 2);
        let expected = "# HELP a_total two\\nlines \\\\\n# TYPE a_total counter\n\
                        a_total{pool=\"p\",server=\"s\"} 7\na_total 0.25\n\
                        # HELP b h\n# TYPE b gauge\nb -1\n\
                        # HELP c h\n# TYPE c histogram\nc_bucket{pool=\"}\",le=\"1\"} 2\n";
        assert_eq!(page.finish(), expected);
    }

    #[test]
    fn values_are_escaped_and_bounded_and_stay_apart() {
        let Labels(text) = Labels::new(&[("a", "x\"y\\z\nü")]);
        assert_eq!(text, "{a=\"x\\\"y\\\\z\\nü\"}");
        let long = |end: &str| Labels::new(&[("a", &("é".repeat(500) + end))]).0;
        assert!(long("").len() <= LONGEST_VALUE + "{a=\"\"}".len());
        assert_ne!(long("x"), long("y"));
        assert_eq!(long("x"), long("x"));
        let exact = "e".repeat(LONGEST_VALUE);
        assert_eq!(
            Labels::new(&[("a", &exact)]).0,
            format!("{{a=\"{exact}\"}}")
        );
    }
}
