//! The options for running the proxy, one row each: nutcracker's, which have a letter, and our own. The parser, the usage
//! text, the manual pages and the completions are made from it.

use super::getopt::Known;
use crate::config::table::{Outside, Scope, Setting, of};

/// An option of nutcracker's.
pub(super) struct ClassicOption {
    /// Its letter.
    pub(super) short: u8,
    /// Its long form.
    pub(super) long: &'static str,
    /// Placeholder of its value; empty if it takes none.
    pub(super) argument: &'static str,
    /// Its line in the usage text, in nutcracker's words.
    pub(super) help: &'static str,
}

/// nutcracker's options, in the order of its usage text.
pub(super) const CLASSIC: [ClassicOption; 13] = [
    classic(b'h', "help", "", "this help"),
    classic(b'V', "version", "", "show version and exit"),
    classic(
        b't',
        "test-conf",
        "",
        "test configuration for syntax errors and exit",
    ),
    classic(b'd', "daemonize", "", "run as a daemon"),
    classic(
        b'D',
        "describe-stats",
        "",
        "print stats description and exit",
    ),
    classic(
        b'v',
        "verbose",
        "N",
        "set logging level (default: 5, min: 0, max: 11)",
    ),
    classic(b'o', "output", "S", "set logging file (default: stderr)"),
    classic(
        b'c',
        "conf-file",
        "S",
        "set configuration file (default: conf/nutcracker.yml)",
    ),
    classic(
        b's',
        "stats-port",
        "N",
        "set stats monitoring port (default: 22222)",
    ),
    classic(
        b'a',
        "stats-addr",
        "S",
        "set stats monitoring ip (default: 0.0.0.0)",
    ),
    classic(
        b'i',
        "stats-interval",
        "N",
        "set stats aggregation interval in msec (default: 30000 msec)",
    ),
    classic(b'p', "pid-file", "S", "set pid file (default: off)"),
    classic(
        b'm',
        "mbuf-size",
        "N",
        "set size of mbuf chunk in bytes (default: 16384 bytes)",
    ),
];

const fn classic(
    short: u8,
    long: &'static str,
    argument: &'static str,
    help: &'static str,
) -> ClassicOption {
    ClassicOption {
        short,
        long,
        argument,
        help,
    }
}

/// The option for a second configuration file, which is no setting.
pub(super) const OVERLAY: &str = "overlay";
pub(super) const OVERLAY_ARGUMENT: &str = "S";
pub(super) const OVERLAY_HELP: &str = "set file with settings that twemproxy does not know";

/// nutcracker's options as the parser takes them.
pub(super) fn classic_options() -> Vec<Known> {
    let known = |option: &ClassicOption| Known {
        short: Some(option.short),
        long: option.long,
        takes_value: !option.argument.is_empty(),
    };
    CLASSIC.iter().map(known).collect()
}

/// The long options of our own, as the parser takes them.
pub(super) fn own_options() -> Vec<Known> {
    let flags = outside_settings().map(|(_, outside)| outside.flag);
    let known = |long| Known {
        short: None,
        long,
        takes_value: true,
    };
    flags.chain([OVERLAY]).map(known).collect()
}

/// The settings that can also be given as an option or in the environment.
pub(super) fn outside_settings() -> impl Iterator<Item = (&'static Setting, &'static Outside)> {
    of(Scope::Global)
        .filter_map(|setting| setting.outside.as_ref().map(|outside| (setting, outside)))
}
