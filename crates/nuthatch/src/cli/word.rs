//! The error message for an argument that is neither an option nor a command. nutcracker ignores such
//! arguments; under our own name a mistyped or misplaced command must not start the proxy.

use std::ffi::OsStr;
use std::path::Path;

use super::modern::{COMMANDS, DOCS, NamedCommand};
use crate::config::{nearest, printable};

/// Endings of configuration files.
const CONF_ENDINGS: [&str; 3] = ["yml", "yaml", "conf"];

/// The message for such an argument, without the program's name.
pub(super) fn unexpected(word: &OsStr) -> String {
    let text = printable(&word.to_string_lossy());
    let find = |name: &str| COMMANDS.iter().chain([&DOCS]).find(|it| it.name == name);
    if let Some(NamedCommand { form, .. }) = find(&text) {
        return format!(
            "the command '{text}' must come first, followed by options of its own: `nuthatch {form}`"
        );
    }
    if is_path(&text) {
        return format!(
            "'{text}' is no command; a configuration file is named with -c: `-c {text}`"
        );
    }
    let names = || COMMANDS.iter().map(|command| command.name);
    match nearest(&text, names()).and_then(find) {
        Some(NamedCommand { form, .. }) => {
            format!("unknown command '{text}'; did you mean `nuthatch {form}`?")
        }
        None => {
            let names: Vec<&str> = names().collect();
            let names = names.join(", ");
            format!(
                "unknown command '{text}'; the commands are: {names} (`nuthatch -c FILE` runs the proxy)"
            )
        }
    }
}

fn is_path(text: &str) -> bool {
    let ending = Path::new(text).extension().and_then(OsStr::to_str);
    let is_conf = |ending: &str| {
        CONF_ENDINGS
            .iter()
            .any(|known| ending.eq_ignore_ascii_case(known))
    };
    text.contains('/') || ending.is_some_and(is_conf)
}
