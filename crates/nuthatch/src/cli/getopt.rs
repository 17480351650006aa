//! Parses options as `getopt_long` of the C library does, because scripts rely on what it accepts: `-dv5`,
//! `-v 5`, `--verbose=5`, `--verb 5`, options after other arguments, `--`.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// An option that can be given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Known {
    /// Its short form.
    pub(super) short: Option<u8>,
    /// Its long form.
    pub(super) long: &'static str,
    /// Whether it takes a value.
    pub(super) takes_value: bool,
}

/// One item found on the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Found {
    /// An option, with its value if it takes one.
    Option(Known, OsString),
    /// An option at the end of the line that lacks its value.
    ValueMissing(Known),
    /// A long option that takes no value but was given one.
    ValueUnwanted(Known),
    /// An unknown short option.
    UnknownShort(u8),
    /// A long option that is unknown or an ambiguous abbreviation, as written.
    UnknownLong(OsString),
    /// An argument that is neither an option nor the value of one.
    Word(OsString),
}

/// Iterates over the options of a command line and the other arguments.
pub(super) struct Options<'k, I> {
    /// The tables of options. An abbreviation is looked up in one table after the other, so that a later
    /// table does not make an abbreviation of an earlier one ambiguous.
    tables: &'k [&'k [Known]],
    arguments: I,
    /// The rest of an argument with several letters.
    letters: Vec<u8>,
    /// Whether `--` has ended the options.
    ended: bool,
}

impl<'k, I: Iterator<Item = OsString>> Options<'k, I> {
    /// Parses `arguments`, which do not include the program's name.
    pub(super) fn new(tables: &'k [&'k [Known]], arguments: I) -> Self {
        Self {
            tables,
            arguments,
            letters: Vec::new(),
            ended: false,
        }
    }

    fn long(&mut self, text: &[u8]) -> Found {
        let (name, value) = match text.iter().position(|byte| *byte == b'=') {
            Some(end) => (&text[..end], Some(&text[end + 1..])),
            None => (text, None),
        };
        let Some(known) = self.find_long(name) else {
            let mut written = b"--".to_vec();
            written.extend_from_slice(name);
            return Found::UnknownLong(OsString::from_vec(written));
        };
        match (known.takes_value, value) {
            (false, Some(_)) => Found::ValueUnwanted(known),
            (false, None) => Found::Option(known, OsString::new()),
            (true, Some(value)) => Found::Option(known, OsStr::from_bytes(value).to_owned()),
            (true, None) => self.value_of(known),
        }
    }

    /// The long option called `name`, or the only one that begins with `name`.
    fn find_long(&self, name: &[u8]) -> Option<Known> {
        let all = || self.tables.iter().flat_map(|table| table.iter());
        if let Some(exact) = all().find(|known| known.long.as_bytes() == name) {
            return Some(*exact);
        }
        for table in self.tables {
            let mut begins = table
                .iter()
                .filter(|known| known.long.as_bytes().starts_with(name));
            match (begins.next(), begins.next()) {
                (Some(only), None) => return Some(*only),
                (Some(_), Some(_)) => return None,
                (None, _) => {}
            }
        }
        None
    }

    fn short(&mut self) -> Found {
        let letter = self.letters.remove(0);
        let mut all = self.tables.iter().flat_map(|table| table.iter());
        let Some(known) = all.find(|known| known.short == Some(letter)).copied() else {
            return Found::UnknownShort(letter);
        };
        if !known.takes_value {
            return Found::Option(known, OsString::new());
        }
        match self.letters.is_empty() {
            true => self.value_of(known),
            // The rest of the argument is the value.
            false => Found::Option(known, OsString::from_vec(std::mem::take(&mut self.letters))),
        }
    }

    /// An option whose value is the next argument, even if that looks like an option.
    fn value_of(&mut self, known: Known) -> Found {
        match self.arguments.next() {
            Some(value) => Found::Option(known, value),
            None => Found::ValueMissing(known),
        }
    }
}

impl<I: Iterator<Item = OsString>> Iterator for Options<'_, I> {
    type Item = Found;

    fn next(&mut self) -> Option<Found> {
        if !self.letters.is_empty() {
            return Some(self.short());
        }
        let mut argument = self.arguments.next()?;
        if !self.ended && argument == "--" {
            self.ended = true;
            argument = self.arguments.next()?;
        }
        if self.ended {
            return Some(Found::Word(argument));
        }
        match argument.as_bytes() {
            [b'-', b'-', long @ ..] => Some(self.long(long)),
            [b'-', letters @ ..] if !letters.is_empty() => {
                self.letters = letters.to_vec();
                Some(self.short())
            }
            _ => Some(Found::Word(argument)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn known(short: u8, long: &'static str, takes_value: bool) -> Known {
        Known {
            short: Some(short),
            long,
            takes_value,
        }
    }

    const DAEMON: Known = known(b'd', "daemonize", false);
    const VERBOSE: Known = known(b'v', "verbose", true);
    const VERSION: Known = known(b'V', "version", false);
    const OUTPUT: Known = known(b'o', "output", true);
    const OVERLAY: Known = Known {
        short: None,
        long: "overlay",
        takes_value: true,
    };
    const TABLES: &[&[Known]] = &[&[DAEMON, VERBOSE, VERSION, OUTPUT], &[OVERLAY]];

    fn read(line: &str) -> Vec<Found> {
        let arguments = line.split_whitespace().map(OsString::from);
        Options::new(TABLES, arguments).collect()
    }

    fn with(known: Known, value: &str) -> Found {
        Found::Option(known, value.into())
    }

    fn word(text: &str) -> Found {
        Found::Word(text.into())
    }

    #[test]
    fn every_way_to_write_an_option() {
        for (line, found) in [
            ("-v5", vec![with(VERBOSE, "5")]),
            ("-v 5", vec![with(VERBOSE, "5")]),
            ("-v -d", vec![with(VERBOSE, "-d")]),
            ("-dv5", vec![with(DAEMON, ""), with(VERBOSE, "5")]),
            (
                "-dV x -d",
                vec![
                    with(DAEMON, ""),
                    with(VERSION, ""),
                    word("x"),
                    with(DAEMON, ""),
                ],
            ),
            (
                "--verbose=5 --verbose= --verbose 7",
                vec![with(VERBOSE, "5"), with(VERBOSE, ""), with(VERBOSE, "7")],
            ),
            (
                "--vers --verb 5",
                vec![with(VERSION, ""), with(VERBOSE, "5")],
            ),
            (
                "x - -d -- -d -- y",
                vec![
                    word("x"),
                    word("-"),
                    with(DAEMON, ""),
                    word("-d"),
                    word("--"),
                    word("y"),
                ],
            ),
            ("-d --", vec![with(DAEMON, "")]),
            (
                "--o=a --ou=b --over=c --overlay=d",
                vec![
                    with(OUTPUT, "a"),
                    with(OUTPUT, "b"),
                    with(OVERLAY, "c"),
                    with(OVERLAY, "d"),
                ],
            ),
        ] {
            assert_eq!(read(line), found, "{line}");
        }
    }

    #[test]
    fn every_way_to_fail() {
        for (line, found) in [
            ("-v", Found::ValueMissing(VERBOSE)),
            ("--verbose", Found::ValueMissing(VERBOSE)),
            ("--daemonize=x", Found::ValueUnwanted(DAEMON)),
            ("-Z", Found::UnknownShort(b'Z')),
            ("-?", Found::UnknownShort(b'?')),
            ("--ver", Found::UnknownLong("--ver".into())),
            ("--nope=3", Found::UnknownLong("--nope".into())),
        ] {
            assert_eq!(read(line), [found], "{line}");
        }
    }
}
