//! The columns of numbers. A further one is a row here and a field of [`Figures`].

use clap::builder::PossibleValue;
use clap::{ValueEnum, builder};

use super::figures::Figures;

/// A column of numbers.
#[derive(Debug)]
pub(super) struct Column {
    /// Its heading.
    pub(super) title: &'static str,
    /// Its name for `--sort`.
    name: &'static str,
    /// What it is, for the help.
    pub(super) help: &'static str,
    /// How many columns of the terminal it takes.
    pub(super) width: usize,
    /// The number.
    pub(super) figure: fn(&Figures) -> Option<f64>,
    /// How it is written, in at most [`Column::width`] characters.
    pub(super) show: fn(Option<f64>) -> String,
}

/// From left to right: where there is little room, those at the right are left out.
pub(super) const COLUMNS: &[Column] = &[
    Column {
        title: "REQ/S",
        name: "requests",
        help: "requests per second: of clients, and sent to the server",
        width: 6,
        figure: |it| it.requests,
        show: short,
    },
    Column {
        title: "ERR/S",
        name: "errors",
        help: "requests not forwarded; lost or refused connections, time-outs",
        width: 6,
        figure: |it| it.errors,
        show: short,
    },
    Column {
        title: "P50",
        name: "p50",
        help: "how long requests waited at the server lately: the median",
        width: 6,
        figure: |it| it.latency.p50.map(|micros| micros as f64),
        show: time,
    },
    Column {
        title: "P99",
        name: "p99",
        help: "the same: 99 of 100 waited no longer",
        width: 6,
        figure: |it| it.latency.p99.map(|micros| micros as f64),
        show: time,
    },
    Column {
        title: "CONN",
        name: "connections",
        help: "clients, and connections to the server",
        width: 6,
        figure: |it| Some(it.connections),
        show: short,
    },
    Column {
        title: "FLIGHT",
        name: "in-flight",
        help: "requests that were sent and are not answered yet",
        width: 6,
        figure: |it| Some(it.in_flight),
        show: short,
    },
    Column {
        title: "QUEUE",
        name: "queued",
        help: "requests that are not sent yet",
        width: 6,
        figure: |it| Some(it.queued),
        show: short,
    },
    Column {
        title: "OUT/S",
        name: "bytes-out",
        help: "bytes per second sent to servers",
        width: 6,
        figure: |it| it.bytes_out,
        show: short,
    },
    Column {
        title: "IN/S",
        name: "bytes-in",
        help: "bytes per second received from servers",
        width: 6,
        figure: |it| it.bytes_in,
        show: short,
    },
];

/// By what pools, and the servers of each, are sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum SortKey {
    /// Not at all: pools as configured, servers by name.
    #[default]
    Configured,
    /// Those that are not in use first.
    State,
    /// By a column, the largest number first.
    Column(usize),
}

impl SortKey {
    const COUNT: usize = COLUMNS.len() + 2;

    fn number(self) -> usize {
        match self {
            Self::Configured => 0,
            Self::State => 1,
            Self::Column(column) => column + 2,
        }
    }

    fn of_number(number: usize) -> Self {
        match number % Self::COUNT {
            0 => Self::Configured,
            1 => Self::State,
            column => Self::Column(column - 2),
        }
    }

    /// The key that follows; after the last comes the first.
    pub(super) fn next(self) -> Self {
        Self::of_number(self.number() + 1)
    }

    /// The key before.
    pub(super) fn previous(self) -> Self {
        Self::of_number(self.number() + Self::COUNT - 1)
    }

    /// Its name on the command line and on the screen.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Configured => "configured",
            Self::State => "state",
            Self::Column(column) => COLUMNS[column].name,
        }
    }
}

impl ValueEnum for SortKey {
    fn value_variants<'a>() -> &'a [Self] {
        &KEYS
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(builder::PossibleValue::new(self.name()))
    }
}

const KEYS: [SortKey; SortKey::COUNT] = {
    let mut keys = [SortKey::Configured; SortKey::COUNT];
    keys[1] = SortKey::State;
    let mut column = 0;
    while column < COLUMNS.len() {
        keys[column + 2] = SortKey::Column(column);
        column += 1;
    }
    keys
};

/// A time of so many microseconds in at most six characters.
fn time(micros: Option<f64>) -> String {
    let Some(micros) = micros else {
        return "-".into();
    };
    let (millis, seconds) = (micros / 1e3, micros / 1e6);
    match micros {
        ..999.5 => format!("{micros:.0}us"),
        ..99_950.0 => format!("{millis:.1}ms"),
        ..999_500.0 => format!("{millis:.0}ms"),
        ..99_950_000.0 => format!("{seconds:.1}s"),
        _ => format!("{seconds:.0}s"),
    }
}

/// A number in at most six characters.
pub(super) fn short(number: Option<f64>) -> String {
    const UNITS: [&str; 6] = ["", "k", "M", "G", "T", "P"];
    let Some(mut number) = number else {
        return "-".into();
    };
    let mut unit = 0;
    while number >= 999.5 && unit + 1 < UNITS.len() {
        number /= 1_000.0;
        unit += 1;
    }
    let unit = UNITS[unit];
    match number {
        ..0.05 => format!("0{unit}"),
        // A count, not a rate.
        _ if unit.is_empty() && number.fract() == 0.0 => format!("{number:.0}"),
        0.05..9.95 => format!("{number:.1}{unit}"),
        9.95..99.95 if !unit.is_empty() => format!("{number:.1}{unit}"),
        _ => format!("{number:.0}{unit}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        for (number, text) in [
            (0.0, "0"),
            (0.04, "0"),
            (0.06, "0.1"),
            (3.0, "3"),
            (9.94, "9.9"),
            (9.96, "10"),
            (999.4, "999"),
            (999.6, "1.0k"),
            (12_345.0, "12.3k"),
            (123_456.0, "123k"),
            (999_499.0, "999k"),
            (1e6, "1.0M"),
            (1.5e15, "1.5P"),
        ] {
            assert_eq!(short(Some(number)), text);
        }
        assert_eq!(short(None), "-");
    }

    #[test]
    fn times_are_short() {
        for (micros, text) in [
            (0.0, "0us"),
            (999.0, "999us"),
            (1_000.0, "1.0ms"),
            (12_345.0, "12.3ms"),
            (99_949.0, "99.9ms"),
            (99_951.0, "100ms"),
            (999_499.0, "999ms"),
            (1e6, "1.0s"),
            (134e6, "134s"),
        ] {
            assert_eq!(time(Some(micros)), text);
        }
        assert_eq!(time(None), "-");
    }

    #[test]
    fn keys_follow_each_other_in_a_circle() {
        let mut key = SortKey::Configured;
        for expected in SortKey::value_variants() {
            assert_eq!(key, *expected);
            assert_eq!(key.next().previous(), key);
            assert_eq!(SortKey::from_str(key.name(), false), Ok(key));
            key = key.next();
        }
        assert_eq!(key, SortKey::Configured);
    }
}
