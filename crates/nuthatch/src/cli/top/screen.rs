//! The terminal: it is taken, drawn on, and given back as it was, however this ends.

use std::io;
use std::panic;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use jiff::Zoned;
use ratatui::crossterm::cursor::Show;
use ratatui::crossterm::event::{self, Event};
use ratatui::crossterm::execute;
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::Line;
use ratatui::widgets::Paragraph;
use ratatui::{DefaultTerminal, Frame};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;

use super::app::{App, Look, Shown};
use super::poller;
use super::table::Mark;

/// How long keys are waited for before it is looked whether the proxy has said something.
const TICK: Duration = Duration::from_millis(100);

/// Shows the app until it is over, or a signal ends it.
///
/// # Errors
///
/// When the terminal cannot be read or written.
pub(super) fn run(app: App, socket: &Path) -> io::Result<()> {
    let ended = Arc::new(AtomicBool::new(false));
    for signal in [SIGTERM, SIGHUP, SIGINT] {
        flag::register(signal, Arc::clone(&ended))?;
    }
    with_terminal(|terminal| show(terminal, app, socket, &ended))
}

/// Takes the terminal for some work, and gives it back; also if the work panics.
fn with_terminal(work: impl FnOnce(&mut DefaultTerminal) -> io::Result<()>) -> io::Result<()> {
    // The hook of ratatui gives the terminal back before it calls this one, but leaves the cursor hidden.
    let usual = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        let _ = execute!(io::stdout(), Show);
        usual(info);
    }));
    let terminal = ratatui::try_init();
    let result = terminal.and_then(|mut terminal| work(&mut terminal));
    ratatui::try_restore().and(result)
}

fn show(
    terminal: &mut DefaultTerminal,
    mut app: App,
    socket: &Path,
    ended: &AtomicBool,
) -> io::Result<()> {
    let answers = poller::start(socket.to_owned())?;
    let has_colours = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let mut is_changed = true;
    while !app.is_over() && !ended.load(Ordering::Relaxed) {
        while let Ok(answer) = answers.try_recv() {
            let time = Zoned::now().strftime("%H:%M:%S").to_string();
            app.note(answer, Instant::now(), &time);
            is_changed = true;
        }
        if is_changed {
            terminal.draw(|frame| draw(frame, &mut app, has_colours))?;
        }
        is_changed = event::poll(TICK)?;
        if is_changed && let Event::Key(key) = event::read()? {
            app.press(key);
        }
    }
    Ok(())
}

fn draw(frame: &mut Frame<'_>, app: &mut App, has_colours: bool) {
    let area = frame.area();
    let (columns, height) = (usize::from(area.width), usize::from(area.height));
    let lines = app.lines(columns, height, Instant::now());
    let line = |Shown { text, look }: Shown| Line::styled(text, style(look, has_colours));
    let lines: Vec<Line<'_>> = lines.into_iter().map(line).collect();
    frame.render_widget(Paragraph::new(lines), area);
}

fn style(look: Look, has_colours: bool) -> Style {
    let (colour, modifier) = match look {
        Look::Plain | Look::Row(Mark::Server) => (None, Modifier::empty()),
        Look::Heading => (None, Modifier::REVERSED),
        Look::Alarm | Look::Row(Mark::DeadPool | Mark::Ejected) => {
            (Some(Color::Red), Modifier::BOLD)
        }
        Look::News => (Some(Color::Green), Modifier::BOLD),
        Look::Stale => (None, Modifier::DIM),
        Look::Row(Mark::Pool) => (None, Modifier::BOLD),
        Look::Row(Mark::Drained) => (Some(Color::Cyan), Modifier::empty()),
        Look::Row(Mark::Failing) => (Some(Color::Yellow), Modifier::empty()),
    };
    let style = Style::new().add_modifier(modifier);
    match colour {
        Some(colour) if has_colours => style.fg(colour),
        _ => style,
    }
}

#[cfg(test)]
mod tests {
    use std::env;
    use std::process::Command;

    use super::*;

    /// Run by the other test, in a process and a terminal of its own.
    #[test]
    #[ignore = "is run by another test"]
    fn it_panics() {
        if env::var_os("NUTHATCH_TEST_TERMINAL").is_some() {
            let _ = with_terminal(|terminal| {
                terminal.draw(|_| {})?;
                panic!("out of luck")
            });
        }
    }

    #[test]
    fn a_panic_gives_the_terminal_back_before_it_is_told() {
        let program = env::current_exe().unwrap();
        let test = "--ignored --exact --nocapture cli::top::screen::tests::it_panics";
        let mut script = Command::new("script");
        script.args([
            "-qec",
            &format!("{} {test}", program.display()),
            "/dev/null",
        ]);
        script
            .env("NUTHATCH_TEST_TERMINAL", "1")
            .env("TERM", "xterm");
        let Ok(output) = script.output() else {
            testkit::skip!("script (util-linux) is not installed");
        };
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let at = |what: &str| {
            text.find(what)
                .unwrap_or_else(|| panic!("no {what:?} in {text:?}"))
        };
        assert!(at("\x1b[?1049h") < at("\x1b[?1049l"));
        assert!(at("\x1b[?25l") < at("\x1b[?25h"));
        assert!(at("\x1b[?1049l") < at("out of luck"));
        assert!(at("\x1b[?25h") < at("out of luck"));
    }
}
