//! nutcracker's command line: every flag, default, validation and message. A few long options of our own are
//! accepted too.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use super::getopt::{Found, Known, Options};
use super::invocation::{Invocation, TestOptions};
use super::layout::{Files, Layout};
use super::options::{OVERLAY, classic_options, outside_settings, own_options};
use super::output::Output;
use super::text::{after_error, describe_stats, usage, version};
use super::word::unexpected;
use crate::config::table::{Scope, Setting, of, opens_admin};
use crate::config::{NUMBER_MAX, NotANumber, Overrides, digits};
use crate::program::Program;
use crate::run::RunOptions;

/// Buffer sizes that nutcracker allows. Here the size has no effect.
const MBUF_MIN: u32 = 512;
const MBUF_MAX: u32 = 16 << 20;

const NO_ADMIN_OPTION: &str = "option --admin is not taken when called as nutcracker; \
     the setting `admin` can be in a file";

/// Highest logging level.
const VERBOSITY_MAX: u8 = 11;

/// Parses a command line; `arguments` does not include the program's name.
pub(super) fn parse(
    program: Program,
    arguments: impl Iterator<Item = OsString>,
    environment: &dyn Fn(&str) -> Option<OsString>,
    layout: &Layout,
) -> Invocation {
    match read(program, arguments, environment, layout) {
        Ok(invocation) => invocation,
        Err(message) => {
            let text = format!("{}: {message}\n{}", program.name(), after_error(program));
            Invocation::Print(Output::error(text))
        }
    }
}

fn read(
    program: Program,
    arguments: impl Iterator<Item = OsString>,
    environment: &dyn Fn(&str) -> Option<OsString>,
    layout: &Layout,
) -> Result<Invocation, String> {
    let mut line = Line::read(program, arguments)?;
    if line.wants_information() {
        return Ok(Invocation::Print(Output::information(
            line.information(program),
        )));
    }
    line.refuse_admin(program)?;
    line.take_environment(program, environment)?;
    Ok(line.invocation(program, layout))
}

/// The parsed options.
struct Line {
    help: bool,
    version: bool,
    test: bool,
    daemonize: bool,
    describe: bool,
    verbosity: u8,
    log_file: Option<OsString>,
    conf_file: Option<OsString>,
    stats_port: u16,
    stats_addr: String,
    stats_interval_ms: u32,
    pid_file: Option<OsString>,
    mbuf_size: u32,
    overlay: Option<OsString>,
    overrides: Overrides,
}

impl Line {
    fn new() -> Self {
        Self {
            help: false,
            version: false,
            test: false,
            daemonize: false,
            describe: false,
            verbosity: 5,
            log_file: None,
            conf_file: None,
            stats_port: 22222,
            stats_addr: "0.0.0.0".into(),
            stats_interval_ms: 30_000,
            pid_file: None,
            mbuf_size: 16_384,
            overlay: None,
            overrides: Overrides::default(),
        }
    }

    /// Parses all options. The error is the message of the first mistake, without the program's name.
    /// Arguments that are not options are errors, except when called as nutcracker and after an option that
    /// asks for information.
    fn read(program: Program, arguments: impl Iterator<Item = OsString>) -> Result<Self, String> {
        let mut line = Self::new();
        let (classic, own) = (classic_options(), own_options());
        for found in Options::new(&[&classic, &own], arguments) {
            match found {
                Found::Word(_) if program == Program::Nutcracker || line.wants_information() => {}
                found => line.take(found)?,
            }
        }
        Ok(line)
    }

    fn take(&mut self, found: Found) -> Result<(), String> {
        let (known, value) = match found {
            Found::Option(known, value) => (known, value),
            Found::Word(word) => return Err(unexpected(&word)),
            Found::ValueMissing(known) => return Err(value_missing(known)),
            Found::ValueUnwanted(known) => return Err(invalid(&spelt(known))),
            Found::UnknownShort(letter) => return Err(invalid(&printable_letter(letter))),
            Found::UnknownLong(written) => return Err(invalid(&written.to_string_lossy())),
        };
        match known.short {
            Some(letter) => self.take_letter(letter, value),
            None => self.take_own(known, value),
        }
    }

    fn take_letter(&mut self, letter: u8, value: OsString) -> Result<(), String> {
        match letter {
            b'h' => self.help = true,
            b'V' => self.version = true,
            b't' => self.test = true,
            b'd' => self.daemonize = true,
            b'D' => self.describe = true,
            b'v' => self.verbosity = verbosity(&value)?,
            b'o' => self.log_file = Some(value),
            b'c' => self.conf_file = Some(value),
            b's' => self.stats_port = stats_port(&value)?,
            b'i' => self.stats_interval_ms = number(letter, &value)?,
            b'a' => self.stats_addr = value.to_string_lossy().into_owned(),
            b'p' => self.pid_file = Some(value),
            _ => self.mbuf_size = mbuf_size(&value)?,
        }
        Ok(())
    }

    fn take_own(&mut self, known: Known, value: OsString) -> Result<(), String> {
        match outside_settings().find(|(_, outside)| outside.flag == known.long) {
            Some((setting, outside)) => set(
                &mut self.overrides,
                setting,
                &value,
                &format!("option --{}", outside.flag),
            ),
            None => {
                self.overlay = Some(value);
                Ok(())
            }
        }
    }

    /// What replaces nutcracker opens no other port than nutcracker does, unless a file says so.
    fn refuse_admin(&self, program: Program) -> Result<(), String> {
        let mut given = of(Scope::Global).filter(|setting| self.overrides.has(setting));
        match program == Program::Nutcracker && given.any(opens_admin) {
            true => Err(NO_ADMIN_OPTION.into()),
            false => Ok(()),
        }
    }

    /// Takes from the environment what no flag sets.
    fn take_environment(
        &mut self,
        program: Program,
        environment: &dyn Fn(&str) -> Option<OsString>,
    ) -> Result<(), String> {
        for (setting, outside) in outside_settings() {
            let is_refused = program == Program::Nutcracker && opens_admin(setting);
            if self.overrides.has(setting) || is_refused {
                continue;
            }
            // Empty counts as unset: a service file cannot unset a variable.
            if let Some(value) = environment(outside.env).filter(|value| !value.is_empty()) {
                let what = format!("environment variable {}", outside.env);
                set(&mut self.overrides, setting, &value, &what)?;
            }
        }
        Ok(())
    }

    fn wants_information(&self) -> bool {
        self.help || self.version || self.describe
    }

    /// What to do, unless only information is asked for.
    fn invocation(self, program: Program, layout: &Layout) -> Invocation {
        let files = match self.conf_file {
            Some(conf) => Files {
                conf: conf.into(),
                log: None,
                pid: None,
            },
            None => layout.files(self.daemonize),
        };
        let overlay = self.overlay.map(PathBuf::from);
        if self.test {
            return Invocation::TestConf(TestOptions {
                program,
                conf_file: files.conf,
                overlay,
                overrides: self.overrides,
            });
        }
        let log_file = self.log_file.map(PathBuf::from).or(files.log);
        Invocation::Run(RunOptions {
            program,
            conf_file: files.conf,
            // An empty name is standard error.
            log_file: log_file.filter(|file| !file.as_os_str().is_empty()),
            verbosity: self.verbosity,
            stats_addr: self.stats_addr,
            stats_port: self.stats_port,
            stats_interval_ms: self.stats_interval_ms,
            pid_file: self.pid_file.map(PathBuf::from).or(files.pid),
            daemonize: self.daemonize,
            mbuf_size: self.mbuf_size,
            overlay,
            overrides: self.overrides,
        })
    }

    fn information(&self, program: Program) -> String {
        let mut text = version(program);
        if self.help {
            text.push_str(&usage(program));
        }
        if self.describe {
            text.push_str(&describe_stats(self.overrides.stats_extended()));
        }
        text
    }
}

fn set(
    overrides: &mut Overrides,
    setting: &'static Setting,
    value: &OsStr,
    what: &str,
) -> Result<(), String> {
    let value = value.to_string_lossy();
    overrides
        .set(setting, &value)
        .map_err(|fault| format!("{what} {}: '{value}' ({})", fault.message, fault.help))
}

fn value_missing(known: Known) -> String {
    let needs = match known.short {
        Some(b'o' | b'c' | b'p') => "a file name",
        Some(b'a') => "a string",
        Some(_) => "a number",
        None if known.long == OVERLAY => "a file name",
        None => "a value",
    };
    format!("option {} requires {needs}", dashed(known))
}

fn dashed(known: Known) -> String {
    match known.short {
        Some(letter) => format!("-{}", char::from(letter)),
        None => format!("--{}", known.long),
    }
}

/// How nutcracker names an option in an error message: by its letter, even if the long form was given.
fn spelt(known: Known) -> String {
    match known.short {
        Some(letter) => char::from(letter).to_string(),
        None => format!("--{}", known.long),
    }
}

fn invalid(what: &str) -> String {
    format!("invalid option -- '{what}'")
}

fn printable_letter(letter: u8) -> String {
    match letter {
        0x20..0x7f => char::from(letter).to_string(),
        _ => letter.escape_ascii().to_string(),
    }
}

/// Numbers on the command line: digits only, up to nutcracker's maximum (beyond it, nutcracker's numbers
/// overflow).
fn read_number(value: &OsStr) -> Result<u32, NotANumber> {
    let number = digits(&value.to_string_lossy(), NUMBER_MAX)?;
    u32::try_from(number).map_err(|_| NotANumber::TooLarge)
}

fn number(letter: u8, value: &OsStr) -> Result<u32, String> {
    read_number(value).map_err(|_| format!("option -{} requires a number", char::from(letter)))
}

fn verbosity(value: &OsStr) -> Result<u8, String> {
    let level = u8::try_from(number(b'v', value)?).unwrap_or(u8::MAX);
    Ok(level.min(VERBOSITY_MAX))
}

fn stats_port(value: &OsStr) -> Result<u16, String> {
    let number = number(b's', value)?;
    let port = u16::try_from(number).ok().filter(|port| *port > 0);
    port.ok_or_else(|| format!("option -s value {number} is not a valid port"))
}

fn mbuf_size(value: &OsStr) -> Result<u32, String> {
    match read_number(value) {
        Ok(0) | Err(_) => Err("option -m requires a non-zero number".into()),
        Ok(size) if (MBUF_MIN..=MBUF_MAX).contains(&size) => Ok(size),
        Ok(_) => Err(format!(
            "mbuf chunk size must be between {MBUF_MIN} and {MBUF_MAX} bytes"
        )),
    }
}
