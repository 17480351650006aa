//! The whole command line as one definition of clap's, for manual pages and completions. The program itself parses the
//! options for running the proxy as the C library does, because scripts rely on that.

use clap::{Arg, ArgAction, Command, CommandFactory, ValueHint};

use super::modern::Line;
use super::options::{
    CLASSIC, ClassicOption, OVERLAY, OVERLAY_ARGUMENT, OVERLAY_HELP, outside_settings,
};
use crate::config::table::{Outside, opens_admin};

/// What can be typed behind `nuthatch`.
pub fn reference() -> Command {
    let own = outside_settings().map(|(_, outside)| own_argument(outside));
    Line::command()
        .version(env!("CARGO_PKG_VERSION"))
        .long_about(ABOUT)
        .after_help(AFTER_HELP)
        .override_usage("nuthatch [OPTION]...\nnuthatch COMMAND [ARGUMENT]...")
        .args(classic_arguments())
        .arg(overlay())
        .args(own)
        .subcommand_required(false)
        .arg_required_else_help(false)
}

/// What can be typed behind `nutcracker`: there are no commands, and nothing opens another port than nutcracker does.
pub fn as_nutcracker() -> Command {
    let allowed = outside_settings().filter(|(setting, _)| !opens_admin(setting));
    Command::new("nutcracker")
        .version(env!("CARGO_PKG_VERSION"))
        .about("nuthatch, called as nutcracker")
        .long_about(ABOUT_NUTCRACKER)
        .after_help(AFTER_HELP_NUTCRACKER)
        .override_usage("nutcracker [OPTION]...")
        .args(classic_arguments())
        .arg(overlay())
        .args(allowed.map(|(_, outside)| own_argument(outside)))
}

const ABOUT: &str = "\
A proxy for Redis, Valkey and memcached: applications talk to it as if it were one cache server, and it shards their keys over many. \
It replaces twemproxy (nutcracker): the options, the configuration file, the statistics and the place of every key are the same.

Without a command the proxy runs, in the foreground unless -d is given, until SIGTERM or SIGINT. A command comes first, \
followed by options of its own.";

const AFTER_HELP: &str = "\
Every setting of the configuration file is described by `nuthatch docs configuration`.

Signals: SIGTERM, SIGINT and SIGQUIT end the proxy: it takes no more clients, answers the requests in flight, and exits; a second \
one ends it at once. With --drain, SIGTERM leads the clients elsewhere before that. SIGHUP opens the log file again. SIGUSR1 reloads the \
configuration. SIGTTIN and SIGTTOU move the level of the log up and down.

Files: Without -c, conf/nutcracker.yml in the working directory, or /etc/nutcracker/nutcracker.yml where only that exists; with the \
latter the log goes to /var/log/nutcracker/nutcracker.log, and with -d the process id to /run/nutcracker/nutcracker.pid, where Debian's \
package has made these folders.

Exit status: 0 after a clean shutdown, or when what was asked for was printed or is in order; 1 if the proxy cannot start, an option or the \
configuration is wrong, or a second signal cut the shutdown short. The commands have their own, which their pages tell.

Examples:
  nuthatch -t -c nutcracker.yml
  nuthatch -c nutcracker.yml -o nutcracker.log -d -p nutcracker.pid
  nuthatch -c nutcracker.yml --workers=auto --admin=127.0.0.1:22290
  nuthatch check nutcracker.yml";

const AFTER_HELP_NUTCRACKER: &str = "\
Exit status: 0 after a clean shutdown, or when what was asked for was printed or is in order; 1 otherwise.

Examples:
  nutcracker -t -c nutcracker.yml
  nutcracker -d -c nutcracker.yml -o nutcracker.log -p nutcracker.pid";

const ABOUT_NUTCRACKER: &str = "\
This is nuthatch(8), which replaces twemproxy. Called by this name it takes the options of nutcracker 0.5.0 and behaves like it: \
arguments that are not options are ignored, and SIGUSR1 reloads nothing unless the configuration says so. The commands \
for checking a configuration and for changing the running proxy are those of nuthatch(8).";

/// All but the two that clap has itself.
fn classic_arguments() -> impl Iterator<Item = Arg> {
    let is_claps = |option: &&ClassicOption| matches!(option.short, b'h' | b'V');
    let others = CLASSIC.iter().filter(move |option| !is_claps(option));
    others.map(|option| {
        let argument = Arg::new(option.long)
            .short(char::from(option.short))
            .long(option.long)
            .help(option.help);
        match option.argument {
            "" => argument.action(ArgAction::SetTrue),
            name => with_value(argument, name, option.long),
        }
    })
}

fn overlay() -> Arg {
    let argument = Arg::new(OVERLAY).long(OVERLAY).help(OVERLAY_HELP);
    with_value(argument, OVERLAY_ARGUMENT, OVERLAY)
}

fn own_argument(outside: &'static Outside) -> Arg {
    let argument = Arg::new(outside.flag)
        .long(outside.flag)
        .env(outside.env)
        .hide_env_values(true)
        .help(outside.help);
    with_value(argument, outside.argument, outside.flag)
}

/// Files are completed where a file is meant.
fn with_value(argument: Arg, name: &'static str, long: &str) -> Arg {
    let is_file = name == "FILE" || ["output", "conf-file", "pid-file", OVERLAY].contains(&long);
    let hint = match is_file {
        true => ValueHint::FilePath,
        false => ValueHint::Other,
    };
    argument.value_name(name).value_hint(hint)
}

#[cfg(test)]
mod tests {
    use super::super::options::{classic_options, own_options};
    use super::*;

    #[test]
    fn it_is_a_sound_definition_with_every_option() {
        let mut reference = reference();
        reference.build();
        reference.clone().debug_assert();
        as_nutcracker().debug_assert();
        for known in classic_options().into_iter().chain(own_options()) {
            let mut all = reference.get_arguments();
            let found = all.find(|it| it.get_long() == Some(known.long));
            let found = found.unwrap_or_else(|| panic!("no --{}", known.long));
            let short = found.get_short().and_then(|short| u8::try_from(short).ok());
            assert_eq!(short, known.short, "{}", known.long);
            let takes_value = found.get_action().takes_values();
            assert_eq!(takes_value, known.takes_value, "{}", known.long);
        }
    }

    #[test]
    fn as_nutcracker_it_has_no_commands_and_opens_no_port() {
        let nutcracker = as_nutcracker();
        assert_eq!(nutcracker.get_subcommands().count(), 0);
        let mut longs = nutcracker.get_arguments().filter_map(Arg::get_long);
        assert!(longs.all(|long| long != "admin"));
    }

    /// Commands that do something, with the words that lead to them.
    fn leaves(command: &Command, path: &str) -> Vec<(String, Command)> {
        let subcommands = command
            .get_subcommands()
            .filter(|it| it.get_name() != "help");
        let leaves: Vec<_> = subcommands
            .flat_map(|it| leaves(it, &format!("{path} {}", it.get_name())))
            .collect();
        match leaves.is_empty() {
            true => vec![(path.to_owned(), command.clone())],
            false => leaves,
        }
    }

    #[test]
    fn the_help_of_every_command_has_an_example_that_can_be_typed() {
        let leaves = leaves(&Line::command(), "nuthatch");
        assert!(leaves.len() > 12, "{leaves:?}");
        for (path, mut command) in leaves {
            let help = command.render_long_help().to_string();
            let examples: Vec<&str> = help
                .lines()
                .filter_map(|line| line.strip_prefix("  "))
                .filter(|line| line.starts_with(&format!("{path} ")) || *line == path)
                .collect();
            assert!(!examples.is_empty(), "{path}:\n{help}");
            for example in examples {
                let words = example.split(['<', '>', '|']).next().unwrap_or_default();
                let parsed = Line::command().try_get_matches_from(words.split_whitespace());
                assert!(
                    parsed.is_ok(),
                    "{example}: {}",
                    parsed.expect_err("checked")
                );
            }
        }
    }
}
