//! Arguments that are not options: ignored when called as nutcracker, mistyped commands under our own name.

use super::super::Invocation;
use super::{output, read};

const HINT: &str = "For more information, try 'nuthatch --help'.\n";

/// The error message of a command line that does not start the proxy.
fn refusal(line: &str) -> String {
    let printed = output(line);
    assert_eq!((printed.status, printed.to_stdout), (1, false), "{line}");
    let message = printed
        .text
        .strip_prefix("nuthatch: ")
        .and_then(|text| text.strip_suffix(HINT));
    let message = message.unwrap_or_else(|| panic!("{line}: {}", printed.text));
    assert_eq!(message.matches('\n').count(), 1, "one line: {message}");
    message.trim_end().to_owned()
}

#[test]
fn a_mistyped_command_is_an_error_with_the_nearest_one() {
    for (line, form) in [
        ("nuthatch chekc FILE", "check FILE"),
        ("nuthatch chekc FILE --overlay o", "check FILE"),
        ("nuthatch Check FILE", "check FILE"),
        ("nuthatch locat --json k", "locate KEY..."),
        ("nuthatch demos", "demo"),
        ("nuthatch -c c -d hlep", "help [COMMAND]"),
        ("nuthatch chekc -h", "check FILE"),
        ("nuthatch -- chekc", "check FILE"),
    ] {
        let message = refusal(line);
        assert!(message.starts_with("unknown command '"), "{message}");
        let advice = format!("'; did you mean `nuthatch {form}`?");
        assert!(message.ends_with(&advice), "{line}: {message}");
    }
}

#[test]
fn a_word_that_is_near_no_command_is_an_error_that_lists_them() {
    for word in ["reload", "nonsense", "-", "x\u{1b}[2J"] {
        let shown = word.replace('\u{1b}', "\u{fffd}");
        let expected = format!(
            "unknown command '{shown}'; the commands are: check, locate, explain, ring, ctl, top, schema, demo, help \
             (`nuthatch -c FILE` runs the proxy)"
        );
        assert_eq!(refusal(&format!("nuthatch {word}")), expected);
    }
}

#[test]
fn a_command_behind_options_is_an_error_with_the_right_form() {
    for (line, word, form) in [
        ("nuthatch -s 31297 check FILE", "check", "check FILE"),
        ("nuthatch -t check", "check", "check FILE"),
        ("nuthatch --workers=2 locate k", "locate", "locate KEY..."),
        ("nuthatch -d demo", "demo", "demo"),
        ("nuthatch -d docs configuration", "docs", "docs PAGE"),
    ] {
        let expected = format!(
            "the command '{word}' must come first, followed by options of its own: `nuthatch {form}`"
        );
        assert_eq!(refusal(line), expected, "{line}");
    }
}

#[test]
fn a_configuration_file_without_its_option_is_an_error_that_names_it() {
    for (line, file) in [
        (
            "nuthatch /etc/nutcracker/nutcracker",
            "/etc/nutcracker/nutcracker",
        ),
        ("nuthatch foo.yml", "foo.yml"),
        ("nuthatch -t check.YAML", "check.YAML"),
        ("nuthatch -d nutcracker.conf -v 5", "nutcracker.conf"),
    ] {
        let expected =
            format!("'{file}' is no command; a configuration file is named with -c: `-c {file}`");
        assert_eq!(refusal(line), expected, "{line}");
    }
}

#[test]
fn errors_of_options_end_with_a_line_that_points_to_the_help() {
    for (line, message) in [
        ("nuthatch -Z", "invalid option -- 'Z'"),
        (
            "nuthatch -s 0 chekc",
            "option -s value 0 is not a valid port",
        ),
        ("nuthatch -c", "option -c requires a file name"),
    ] {
        assert_eq!(refusal(line), message, "{line}");
    }
}

#[test]
fn nutcracker_passes_over_words() {
    for line in [
        "nutcracker chekc FILE",
        "nutcracker reload",
        "nutcracker -s 31297 check FILE",
        "/usr/sbin/nutcracker foo.yml -d -- x",
    ] {
        assert!(matches!(read(line), Invocation::Run(_)), "{line}");
    }
}

#[test]
fn help_and_version_are_given_all_the_same() {
    for line in ["nuthatch -h check", "nuthatch --version nonsense"] {
        assert_eq!(output(line).status, 0, "{line}");
    }
}
