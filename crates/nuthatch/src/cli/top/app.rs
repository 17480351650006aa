//! What is on the screen: the last that the proxy has said, what the user has chosen, and what each key does.

use std::time::{Duration, Instant};

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::columns::COLUMNS;
use super::figures::Sight;
use super::poller::Answer;
use super::snapshot::Snapshot;
use super::table::{self, Layout, Mark, Order, Row};
use super::width::left;

/// How long it is told that the proxy is back.
const NEWS: Duration = Duration::from_secs(10);

/// Maximum characters of a filter: longer than most names.
const LONGEST_FILTER: usize = 128;

/// Lines that are always there: two above the heading, the heading, and the keys.
const FIXED: usize = 4;

/// Everything that the screen shows.
#[derive(Debug)]
pub(super) struct App {
    sight: Sight,
    order: Order,
    /// How many rows are above the screen.
    offset: usize,
    /// How many rows there was room for.
    page: usize,
    mode: Mode,
    /// Why the proxy says nothing, and since when.
    silence: Option<(String, String)>,
    /// It is back since then, with this to be said.
    news: Option<(Instant, String)>,
    is_over: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Mode {
    Table,
    Help,
    /// A filter is being entered; the one before it is kept.
    Filter {
        before: String,
    },
}

/// A line, and how it is to be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shown {
    pub(super) text: String,
    pub(super) look: Look,
}

/// How a line is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    Plain,
    Heading,
    Alarm,
    News,
    /// Of a proxy that does not answer.
    Stale,
    Row(Mark),
}

impl App {
    /// Shows what the proxy has said first.
    pub(super) fn new(first: Snapshot, order: Order) -> Self {
        Self {
            sight: Sight::new(first, None),
            order,
            offset: 0,
            page: 1,
            mode: Mode::Table,
            silence: None,
            news: None,
            is_over: false,
        }
    }

    /// Whether the user has seen enough.
    pub(super) fn is_over(&self) -> bool {
        self.is_over
    }

    /// The proxy has said something, or has not, at a time of the day.
    pub(super) fn note(&mut self, answer: Answer, now: Instant, time: &str) {
        match answer {
            Err(reason) => {
                let since = self.silence.take();
                let since = since.map_or_else(|| time.to_owned(), |(since, _)| since);
                self.silence = Some((since, reason));
                self.news = None;
            }
            Ok(snapshot) => {
                let before = &self.sight.snapshot;
                let is_other = before.started != snapshot.started;
                if self.silence.take().is_some() || is_other {
                    let what = match is_other {
                        true => "is another process since",
                        false => "answers again since",
                    };
                    self.news = Some((now, format!("the proxy {what} {time}")));
                }
                self.sight = Sight::new(snapshot, Some(before));
            }
        }
    }

    /// A key was pressed.
    pub(super) fn press(&mut self, key: KeyEvent) {
        if key.kind == KeyEventKind::Release {
            return;
        }
        let is_control = key.modifiers.contains(KeyModifiers::CONTROL);
        if is_control && matches!(key.code, KeyCode::Char('c' | 'C')) {
            self.is_over = true;
            return;
        }
        match (self.mode.clone(), key.code) {
            (_, KeyCode::Char(_)) if is_control => {}
            (Mode::Filter { before }, code) => self.edit_filter(before, code),
            (Mode::Help, KeyCode::Char('q')) => self.is_over = true,
            (Mode::Help, _) => self.mode = Mode::Table,
            (Mode::Table, code) => self.command(code),
        }
    }

    fn command(&mut self, code: KeyCode) {
        match code {
            KeyCode::Char('q') => self.is_over = true,
            KeyCode::Char('?' | 'h') | KeyCode::F(1) => self.mode = Mode::Help,
            KeyCode::Char('s' | '>') | KeyCode::Right => self.order.key = self.order.key.next(),
            KeyCode::Char('S' | '<') | KeyCode::Left => self.order.key = self.order.key.previous(),
            KeyCode::Char('r') => self.order.is_reversed = !self.order.is_reversed,
            KeyCode::Char('/') => {
                let before = self.order.filter.clone();
                self.mode = Mode::Filter { before };
            }
            KeyCode::Esc => self.order.filter.clear(),
            KeyCode::Up | KeyCode::Char('k') => self.offset = self.offset.saturating_sub(1),
            KeyCode::Down | KeyCode::Char('j') => self.offset += 1,
            KeyCode::PageUp => self.offset = self.offset.saturating_sub(self.page),
            KeyCode::PageDown | KeyCode::Char(' ') => self.offset += self.page,
            KeyCode::Home => self.offset = 0,
            KeyCode::End => self.offset = usize::MAX,
            _ => {}
        }
    }

    fn edit_filter(&mut self, before: String, code: KeyCode) {
        let filter = &mut self.order.filter;
        match code {
            KeyCode::Enter => self.mode = Mode::Table,
            KeyCode::Esc => {
                *filter = before;
                self.mode = Mode::Table;
            }
            KeyCode::Backspace => drop(filter.pop()),
            KeyCode::Char(c) if filter.chars().count() < LONGEST_FILTER && !c.is_control() => {
                filter.push(c);
            }
            _ => {}
        }
        self.offset = 0;
    }

    /// The lines of a screen of this size.
    pub(super) fn lines(&mut self, columns: usize, height: usize, now: Instant) -> Vec<Shown> {
        let mut lines = vec![
            shown(table::title(&self.sight), Look::Plain),
            self.message(now),
        ];
        self.page = height.saturating_sub(FIXED).max(1);
        match self.mode {
            Mode::Help => lines.extend(help().into_iter().take(self.page + 1)),
            _ => self.write_table(columns, &mut lines),
        }
        // The last line is where the keys are, however many rows there are.
        lines.resize(height.saturating_sub(1), shown(String::new(), Look::Plain));
        lines.push(shown(self.keys(), Look::Plain));
        for line in &mut lines {
            line.text = left(&line.text, columns);
        }
        lines
    }

    fn write_table(&mut self, columns: usize, lines: &mut Vec<Shown>) {
        let rows = table::rows(&self.sight, &self.order);
        self.offset = self.offset.min(rows.len().saturating_sub(self.page));
        let layout = Layout::of_width(columns);
        lines.push(shown(layout.heading(&self.order), Look::Heading));
        let is_stale = self.silence.is_some();
        let row = |row: &Row| {
            let look = match is_stale {
                true => Look::Stale,
                false => Look::Row(row.mark),
            };
            shown(layout.line(row), look)
        };
        lines.extend(rows.iter().skip(self.offset).take(self.page).map(row));
    }

    /// What is to be told besides.
    fn message(&self, now: Instant) -> Shown {
        if let Some((since, reason)) = &self.silence {
            let text = format!("no answer from the proxy since {since}: {reason}");
            return shown(text, Look::Alarm);
        }
        let is_new = |(at, _): &&(Instant, String)| now.saturating_duration_since(*at) < NEWS;
        if let Some((_, text)) = self.news.as_ref().filter(is_new) {
            return shown(text.clone(), Look::News);
        }
        shown(
            table::left_out(&self.sight).unwrap_or_default(),
            Look::Plain,
        )
    }

    fn keys(&self) -> String {
        let Order {
            key,
            is_reversed,
            filter,
        } = &self.order;
        match self.mode {
            Mode::Help => "any key goes back, q quits".into(),
            Mode::Filter { .. } => format!("pools whose name contains: {filter}_  (Enter, Esc)"),
            Mode::Table => {
                let order = if *is_reversed { ", reversed" } else { "" };
                let only = match filter.is_empty() {
                    true => String::new(),
                    false => format!("  only: {filter}"),
                };
                let key = key.name();
                format!("q quit  ? help  s sort: {key}{order}  r reverse  / filter{only}")
            }
        }
    }
}

fn shown(text: String, look: Look) -> Shown {
    Shown { text, look }
}

/// The lines of the help.
fn help() -> Vec<Shown> {
    let mut lines = vec![shown("Keys".into(), Look::Heading)];
    let mut line = |name: &str, what: &str| {
        lines.push(shown(format!("  {name:<12} {what}"), Look::Plain));
    };
    line("q, Ctrl-C", "quit");
    line(
        "s or >, S or <",
        "sort by the next column, by the one before",
    );
    line("r", "reverse the order");
    line(
        "/",
        "only pools whose name contains a text; Esc shows all again",
    );
    line("arrows, PgUp, PgDn, Home, End", "scroll");
    line("", "");
    for column in COLUMNS {
        line(column.title, column.help);
    }
    line(
        "STATE",
        "live; failing: with errors in the last second; ejected; drained",
    );
    lines
}

#[cfg(test)]
mod tests {
    use super::super::columns::SortKey;
    use super::super::figures::tests::snapshot;
    use super::*;

    fn app() -> App {
        App::new(snapshot(10.0, 100), Order::default())
    }

    fn press(app: &mut App, codes: &[KeyCode]) {
        for code in codes {
            app.press(KeyEvent::new(*code, KeyModifiers::NONE));
        }
    }

    fn typed(text: &str) -> Vec<KeyCode> {
        text.chars().map(KeyCode::Char).collect()
    }

    fn texts(app: &mut App, height: usize) -> Vec<String> {
        let lines = app.lines(80, height, Instant::now());
        lines
            .into_iter()
            .map(|line| line.text.trim_end().to_owned())
            .collect()
    }

    #[test]
    fn the_screen_is_always_full_and_never_wider() {
        let mut app = app();
        for mode in ["", "?", "/"] {
            press(&mut app, &typed(mode));
            for (columns, height) in [(80, 24), (80, 5), (20, 3), (1, 1), (200, 60)] {
                let lines = app.lines(columns, height, Instant::now());
                assert_eq!(lines.len(), height, "{columns} {height}");
                for line in lines {
                    assert_eq!(super::super::width::width(&line.text), columns);
                }
            }
            press(&mut app, &[KeyCode::Esc]);
        }
    }

    #[test]
    fn keys_sort_filter_and_scroll() {
        let mut app = app();
        assert!(texts(&mut app, 24)[3].starts_with("a "));
        press(&mut app, &typed("ss"));
        assert_eq!(app.order.key, SortKey::Column(0));
        press(&mut app, &typed("Sr"));
        assert!(texts(&mut app, 24)[23].contains("s sort: state, reversed"));
        press(&mut app, &typed("/bx"));
        assert!(texts(&mut app, 24)[3..23].iter().all(String::is_empty));
        press(&mut app, &[KeyCode::Backspace, KeyCode::Enter]);
        let lines = texts(&mut app, 24);
        assert!(
            lines[3].starts_with("b ") && lines[23].ends_with("only: b"),
            "{lines:?}"
        );
        press(&mut app, &typed("/q"));
        press(&mut app, &[KeyCode::Esc]);
        assert_eq!(app.order.filter, "b");
        assert!(!app.is_over());
        press(&mut app, &[KeyCode::Esc]);
        assert_eq!(app.order.filter, "");

        // Two rows of five.
        press(&mut app, &typed("rS"));
        assert_eq!(app.order.key, SortKey::Configured);
        let first = |app: &mut App| texts(app, 6)[3].trim().split(' ').next().map(str::to_owned);
        for (code, expected) in [
            (KeyCode::Up, "a"),
            (KeyCode::Down, "one"),
            (KeyCode::PageDown, "b"),
            (KeyCode::PageDown, "b"),
            (KeyCode::PageUp, "one"),
            (KeyCode::End, "b"),
            (KeyCode::Home, "a"),
        ] {
            press(&mut app, &[code]);
            assert_eq!(first(&mut app).as_deref(), Some(expected), "{code:?}");
        }
    }

    #[test]
    fn it_is_over_when_the_user_says_so() {
        let mut one = app();
        press(&mut one, &typed("q"));
        assert!(one.is_over());
        let interrupt = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
        for mode in ["", "/", "?"] {
            let mut app = app();
            press(&mut app, &typed(mode));
            app.press(interrupt);
            assert!(app.is_over(), "{mode}");
        }
        let mut help = app();
        press(&mut help, &typed("?"));
        assert!(
            texts(&mut help, 24)
                .iter()
                .any(|line| line.contains("FLIGHT"))
        );
        press(&mut help, &typed("x"));
        assert!(!help.is_over() && help.mode == Mode::Table);
    }

    #[test]
    fn silence_and_its_end_are_told() {
        let mut app = app();
        let now = Instant::now();
        let message = |app: &mut App, at: Instant| app.lines(80, 24, at)[1].clone();
        app.note(Err("Connection refused".into()), now, "10:00:00");
        app.note(Err("No such file".into()), now, "10:00:01");
        let told = message(&mut app, now);
        let expected = "no answer from the proxy since 10:00:00: No such file";
        assert_eq!((told.text.trim_end(), told.look), (expected, Look::Alarm));
        let is_stale = |it: &Shown| it.look == Look::Stale;
        assert_eq!(
            app.lines(80, 24, now)
                .iter()
                .filter(|it| is_stale(it))
                .count(),
            5
        );
        app.note(Ok(snapshot(12.0, 300)), now, "10:00:02");
        let told = message(&mut app, now);
        let expected = "the proxy answers again since 10:00:02";
        assert_eq!((told.text.trim_end(), told.look), (expected, Look::News));
        assert!(!app.lines(80, 24, now).iter().any(is_stale));
        assert_eq!(message(&mut app, now + NEWS).text.trim(), "");
        let mut other = snapshot(14.0, 1);
        other.started = 13.0;
        app.note(Ok(other), now, "10:00:04");
        let told = message(&mut app, now);
        assert_eq!(
            told.text.trim_end(),
            "the proxy is another process since 10:00:04"
        );
        assert!(app.sight.total.requests.is_none());
    }

    #[test]
    fn the_help_fits_a_usual_terminal() {
        let lines = help();
        assert!(lines.len() <= 24 - FIXED + 1, "{}", lines.len());
        for line in lines {
            assert!(
                super::super::width::width(&line.text) <= 80,
                "{}",
                line.text
            );
        }
    }
}
