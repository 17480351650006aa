//! A program in a terminal of its own: a pseudo-terminal whose other end is read as a terminal would read it.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::process::{Child, Command, ExitStatus};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

use rustix::fs::OFlags;
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Termios, Winsize, tcgetattr, tcsetwinsize};
use testkit::{Tool, eventually};

use crate::rig::TIME_LIMIT;

/// The program, and what is on its screen.
pub(crate) struct Terminal {
    keyboard: File,
    /// The program's end, kept to see how the program leaves it.
    line: File,
    before: Termios,
    child: Child,
    seen: Arc<Mutex<Seen>>,
}

struct Seen {
    parser: vt100::Parser,
    bytes: Vec<u8>,
}

impl Terminal {
    /// Runs a program in a terminal of so many columns and rows; `None` if setsid is not installed, which makes it the
    /// terminal that the program is controlled by.
    pub(crate) fn run(program: &Command, columns: u16, rows: u16) -> Option<Terminal> {
        let mut command = Tool::find("setsid")?.command();
        command.arg("--ctty").arg(program.get_program());
        command.args(program.get_args());
        command.env("TERM", "xterm-256color").env_remove("NO_COLOR");
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a pseudo-terminal");
        grantpt(&master).expect("it may be used");
        unlockpt(&master).expect("it may be opened");
        let name = ptsname(&master, Vec::new()).expect("its name");
        let path = name.to_str().expect("its name is text");
        let mut options = OpenOptions::new();
        options.read(true).write(true);
        options.custom_flags(OFlags::NOCTTY.bits() as i32);
        let line = options.open(path).expect("its other end");
        tcsetwinsize(&line, size(columns, rows)).expect("a size");
        let before = tcgetattr(&line).expect("its modes");
        let end = || OwnedFd::from(line.try_clone().expect("a descriptor"));
        command.stdin(end()).stdout(end()).stderr(end());
        let child = command.spawn().expect("the program can be run");
        let seen = Arc::new(Mutex::new(Seen {
            parser: vt100::Parser::new(rows, columns, 0),
            bytes: Vec::new(),
        }));
        let keyboard = File::from(master);
        let screen = keyboard.try_clone().expect("a descriptor");
        watch(screen, Arc::clone(&seen));
        Some(Terminal {
            keyboard,
            line,
            before,
            child,
            seen,
        })
    }

    /// Presses keys.
    pub(crate) fn press(&mut self, keys: &str) {
        self.keyboard
            .write_all(keys.as_bytes())
            .expect("the program listens");
    }

    /// The lines on the screen.
    pub(crate) fn lines(&self) -> Vec<String> {
        let seen = self.seen();
        let (_, columns) = seen.parser.screen().size();
        seen.parser.screen().rows(0, columns).collect()
    }

    /// Everything that the program has written.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.seen().bytes.clone()
    }

    /// Waits until the lines on the screen are as they should be.
    #[track_caller]
    pub(crate) fn wait_for(&mut self, what: &str, is_it: impl Fn(&[String]) -> bool) {
        let found = eventually(TIME_LIMIT, || is_it(&self.lines()).then_some(()));
        let ended = self.child.try_wait();
        assert!(
            found.is_some(),
            "waited in vain: {what}; {ended:?}\n{:#?}",
            self.lines()
        );
    }

    /// Changes the size of the window.
    pub(crate) fn resize(&mut self, columns: u16, rows: u16) {
        self.seen().parser.screen_mut().set_size(rows, columns);
        tcsetwinsize(&self.line, size(columns, rows)).expect("a size");
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("it runs");
    }

    /// Waits until the program has ended, and checks that the terminal is as it was.
    #[track_caller]
    pub(crate) fn wait_exit(&mut self) -> ExitStatus {
        let status = eventually(TIME_LIMIT, || {
            self.child.try_wait().expect("it can be waited for")
        });
        let status = status.unwrap_or_else(|| panic!("it still runs:\n{:#?}", self.lines()));
        let is_left = || {
            let seen = self.seen();
            let screen = seen.parser.screen();
            (!screen.alternate_screen() && !screen.hide_cursor()).then_some(())
        };
        assert!(
            eventually(Duration::from_secs(5), is_left).is_some(),
            "the screen is not left"
        );
        let after = tcgetattr(&self.line).expect("its modes");
        let modes = |it: &Termios| {
            (
                it.input_modes,
                it.output_modes,
                it.control_modes,
                it.local_modes,
            )
        };
        assert_eq!(modes(&after), modes(&self.before));
        status
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().expect("nobody panics with it")
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads what the program writes, for as long as the terminal is there.
fn watch(mut screen: File, seen: Arc<Mutex<Seen>>) {
    thread::spawn(move || {
        let mut buffer = [0; 8192];
        while let Ok(count @ 1..) = screen.read(&mut buffer) {
            let Ok(mut seen) = seen.lock() else {
                return;
            };
            seen.parser.process(&buffer[..count]);
            seen.bytes.extend_from_slice(&buffer[..count]);
        }
    });
}

fn size(columns: u16, rows: u16) -> Winsize {
    Winsize {
        ws_row: rows,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    }
}
