//! The table: which rows there are, in which order, and how they are written.

use std::cmp::Ordering;
use std::fmt::Write;

use super::columns::{COLUMNS, Column, SortKey, short};
use super::figures::{Figures, Sight};
use super::snapshot::{Pool, Server};
use super::width::{left, right, width};

/// The widest that the column of names is in a plain table.
const WIDEST_NAME: usize = 60;

/// The least that is left for names before columns of numbers are left out.
const NARROWEST_NAME: usize = 16;

/// The width of the column of states.
const STATE: usize = 9;

/// Which rows are wanted, and in which order.
#[derive(Debug, Clone, Default)]
pub(super) struct Order {
    pub(super) key: SortKey,
    pub(super) is_reversed: bool,
    /// Only pools whose name contains this.
    pub(super) filter: String,
}

/// A row.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Row {
    /// With its indentation.
    name: String,
    state: String,
    pub(super) mark: Mark,
    figures: Figures,
}

/// What is special about a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    Pool,
    /// A pool without a server that answers.
    DeadPool,
    Server,
    Ejected,
    Drained,
    /// A server that has errors.
    Failing,
}

/// Which columns there are room for, and how wide the names are.
#[derive(Debug)]
pub(super) struct Layout {
    name: usize,
    columns: &'static [Column],
}

/// The rows: each pool, followed by its servers.
pub(super) fn rows(sight: &Sight, order: &Order) -> Vec<Row> {
    let pools = sight.snapshot.pools.iter().zip(&sight.pools);
    let mut pools: Vec<_> = pools
        .filter(|(pool, _)| pool.name.contains(&order.filter))
        .map(|(pool, figures)| {
            let servers = pool.servers.iter().zip(&figures.servers);
            let mut servers: Vec<Row> = servers.map(server_row).collect();
            order.sort(&mut servers, |row| row);
            (pool_row(pool, &figures.pool), servers)
        })
        .collect();
    order.sort(&mut pools, |(row, _)| row);
    let rows = pools.into_iter();
    rows.flat_map(|(pool, servers)| std::iter::once(pool).chain(servers))
        .collect()
}

fn pool_row(pool: &Pool, figures: &Figures) -> Row {
    let live = pool.servers.iter().filter(|server| server.live).count();
    Row {
        name: pool.name.clone(),
        state: format!("{live}/{} live", pool.servers.len()),
        mark: match pool.ready {
            true => Mark::Pool,
            false => Mark::DeadPool,
        },
        figures: *figures,
    }
}

fn server_row((server, figures): (&Server, &Figures)) -> Row {
    let has_errors = figures.errors.is_some_and(|errors| errors > 0.0);
    let (state, mark) = match (server.drained, server.live) {
        (true, _) => ("drained", Mark::Drained),
        (false, false) => ("ejected", Mark::Ejected),
        (false, true) if has_errors => ("failing", Mark::Failing),
        (false, true) => ("live", Mark::Server),
    };
    Row {
        name: format!("  {}", server.name),
        state: state.into(),
        mark,
        figures: *figures,
    }
}

impl Order {
    fn sort<T>(&self, rows: &mut [T], row: impl Fn(&T) -> &Row) {
        // What is equal stays as it was.
        rows.sort_by(|a, b| self.compare(row(a), row(b)));
        if self.is_reversed {
            rows.reverse();
        }
    }

    fn compare(&self, a: &Row, b: &Row) -> Ordering {
        match self.key {
            SortKey::Configured => Ordering::Equal,
            SortKey::State => b.mark.urgency().cmp(&a.mark.urgency()),
            SortKey::Column(column) => {
                // What is not known comes last.
                let figure = |row: &Row| (COLUMNS[column].figure)(&row.figures).unwrap_or(-1.0);
                figure(b).total_cmp(&figure(a))
            }
        }
    }
}

impl Mark {
    fn urgency(self) -> u8 {
        match self {
            Self::DeadPool | Self::Ejected => 3,
            Self::Failing => 2,
            Self::Drained => 1,
            Self::Pool | Self::Server => 0,
        }
    }
}

impl Layout {
    /// The layout of a terminal with so many columns.
    pub(super) fn of_width(columns: usize) -> Self {
        let numbers = |count: usize| {
            COLUMNS[..count]
                .iter()
                .map(|it| it.width + 1)
                .sum::<usize>()
        };
        let room = |count: usize| columns.saturating_sub(1 + STATE + numbers(count));
        let fits = |count: &usize| room(*count) >= NARROWEST_NAME;
        let count = (0..=COLUMNS.len()).rev().find(fits).unwrap_or(0);
        Self {
            name: room(count),
            columns: &COLUMNS[..count],
        }
    }

    fn of_names(rows: &[Row]) -> Self {
        let widest = rows.iter().map(|row| width(&row.name)).max();
        Self {
            name: widest.unwrap_or(0).clamp(NARROWEST_NAME, WIDEST_NAME),
            columns: COLUMNS,
        }
    }

    /// The line above the rows. The column that they are sorted by is marked.
    pub(super) fn heading(&self, order: &Order) -> String {
        let mut line = left("POOL / SERVER", self.name) + " " + &left("STATE", STATE);
        for (index, column) in self.columns.iter().enumerate() {
            let is_key = order.key == SortKey::Column(index);
            let title = match (is_key, order.is_reversed) {
                (false, _) => column.title.to_owned(),
                (true, false) => format!("{}▼", column.title),
                (true, true) => format!("{}▲", column.title),
            };
            // The mark may take the blank between two columns.
            line.push_str(&right(&title, column.width + 1));
        }
        line
    }

    /// The line of a row.
    pub(super) fn line(&self, row: &Row) -> String {
        let mut line = left(&row.name, self.name) + " " + &left(&row.state, STATE);
        for column in self.columns {
            let number = (column.show)((column.figure)(&row.figures));
            line.push_str(&right(&number, column.width + 1));
        }
        line
    }
}

/// The first line: of the whole proxy.
pub(super) fn title(sight: &Sight) -> String {
    let Sight {
        snapshot, total, ..
    } = sight;
    format!(
        "nuthatch {}, up {}, {} clients, {} requests/s, {} errors/s, {}",
        snapshot.version,
        duration(snapshot.uptime()),
        short(Some(total.connections)),
        short(total.requests),
        short(total.errors),
        match snapshot.readiness.as_str() {
            "no_servers" => "not ready",
            other => other,
        }
    )
}

/// What is said of pools and servers that the proxy does not tell of.
pub(super) fn left_out(sight: &Sight) -> Option<String> {
    let count = sight.snapshot.left_out;
    (count > 0).then(|| format!("{count} further pools and servers are not shown"))
}

/// All of it as text.
pub(super) fn text(sight: &Sight, order: &Order) -> String {
    let rows = rows(sight, order);
    let layout = Layout::of_names(&rows);
    // Writing to a string cannot fail.
    let mut text = format!("{}\n\n{}\n", title(sight), layout.heading(order).trim_end());
    for row in &rows {
        let _ = writeln!(text, "{}", layout.line(row));
    }
    if let Some(line) = left_out(sight) {
        let _ = writeln!(text, "{line}");
    }
    text
}

fn duration(seconds: f64) -> String {
    let seconds = seconds as u64;
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min"),
        (0, _, _) => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::figures::tests::snapshot;
    use super::*;

    fn sight() -> Sight {
        Sight::new(snapshot(12.0, 300), Some(&snapshot(10.0, 100)))
    }

    fn names(order: &Order) -> Vec<String> {
        let rows = rows(&sight(), order);
        rows.iter().map(|row| row.name.trim().to_owned()).collect()
    }

    fn order(key: SortKey, is_reversed: bool) -> Order {
        Order {
            key,
            is_reversed,
            filter: String::new(),
        }
    }

    #[test]
    fn the_table_has_every_pool_and_server() {
        let mut seen = sight();
        seen.snapshot.left_out = 7;
        let expected = "\
nuthatch 0.1.0, up 11 s, 8 clients, 200 requests/s, 0 errors/s, ready

POOL / SERVER    STATE      REQ/S  ERR/S    P50    P99   CONN FLIGHT  QUEUE  OUT/S   IN/S
a                1/2 live     100      0      -      -      4     10      4  20.0k   200k
  one            failing      100     20  850us 12.3ms      3      5      2  10.0k   100k
  two            ejected      200     20  850us 12.3ms      3      5      2  10.0k   100k
b                0/1 live     100      0      -      -      4      5      2  10.0k   100k
  three          drained      300     20  850us 12.3ms      3      5      2  10.0k   100k
7 further pools and servers are not shown
";
        assert_eq!(text(&seen, &Order::default()), expected);
    }

    #[test]
    fn pools_and_the_servers_of_each_are_sorted() {
        assert_eq!(
            names(&order(SortKey::Configured, false)),
            ["a", "one", "two", "b", "three"]
        );
        assert_eq!(
            names(&order(SortKey::Configured, true)),
            ["b", "three", "a", "two", "one"]
        );
        assert_eq!(
            names(&order(SortKey::Column(0), false)),
            ["a", "two", "one", "b", "three"]
        );
        assert_eq!(
            names(&order(SortKey::Column(0), true)),
            ["b", "three", "a", "one", "two"]
        );
        assert_eq!(
            names(&order(SortKey::State, false)),
            ["a", "two", "one", "b", "three"]
        );
        let only = Order {
            filter: "b".into(),
            ..Order::default()
        };
        assert_eq!(names(&only), ["b", "three"]);
    }

    #[test]
    fn every_line_fits_its_terminal() {
        let order = order(SortKey::Column(5), true);
        for columns in [1, 10, 20, 26, 40, 79, 80, 132, 400] {
            let layout = Layout::of_width(columns);
            let most = columns.max(1 + STATE);
            assert!(width(&layout.heading(&order)) <= most, "{columns}");
            for row in rows(&sight(), &order) {
                assert!(width(&layout.line(&row)) <= most, "{columns}");
            }
        }
        // On a usual terminal there is room for everything but the bytes.
        assert_eq!(Layout::of_width(80).columns.len(), COLUMNS.len() - 2);
        assert!(Layout::of_width(80).name >= 20);
        assert_eq!(Layout::of_width(100).columns.len(), COLUMNS.len());
        assert!(Layout::of_width(80).heading(&order).contains("FLIGHT▲"));
    }

    #[test]
    fn times_are_short() {
        let texts = [59.9, 60.0, 3_599.0, 3_600.0, 90_061.0].map(duration);
        assert_eq!(texts, ["59 s", "1 min", "59 min", "1 h 0 min", "1 d 1 h"]);
    }
}
