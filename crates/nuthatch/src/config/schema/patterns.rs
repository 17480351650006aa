//! Regular expressions for values that are written as one text. They use what every dialect has, and lookahead, which
//! JSON Schema's own dialect (ECMA-262) has.

use super::super::address::SOCKET_PATH_MAX;
use super::super::hosts::NAMES_MAX;
use super::super::number::NUMBER_MAX;

/// Digits for a number from `min`, which is 0 or 1, to `max`.
pub(super) fn integer(min: u64, max: u64) -> String {
    format!("^{}$", digits(min, max))
}

/// The same, maybe with a minus; `min` is 1 or 2.
pub(super) fn signed(min: u64, max: u64) -> String {
    let no_one = if min == 2 { "(?!0*1$)" } else { "" };
    format!("^-?{no_one}{}$", digits(1, max))
}

/// An amount of bytes, which may end in `k`, `m` or `g`.
pub(super) fn bytes(min: u64, max: u64) -> String {
    let ends = [("", 0), ("[kK]", 10), ("[mM]", 20), ("[gG]", 30)];
    let form = |(end, shift): (&str, u32)| digits(min, max >> shift) + end;
    format!("^(?:{})$", ends.map(form).join("|"))
}

/// Two bytes: two characters of ASCII, or one that takes two bytes.
pub(super) fn hash_tag() -> String {
    r"^(?:[\u0000-\u007f]{2}|[\u0080-\u07ff])$".into()
}

/// An address to listen on: a host and a port, or a socket's path with or without a mode.
pub(super) fn listen() -> String {
    // A mode is read as C reads octal: up to the first other character, three significant digits at most.
    let mode = r"(?!-.)\+?0*[0-7]{0,3}(?![0-7])[^ ]*";
    let (most, but_one) = (SOCKET_PATH_MAX - 1, SOCKET_PATH_MAX - 2);
    let path = format!(r"/[^ ]{{0,{most}}}|/(?:.{{0,{but_one}}}[^ ])? (?=[^ ]){mode}");
    format!("^(?:(?!/){NO_URL}{}|{path})$", host_and_port())
}

/// An address of TCP to listen on.
pub(super) fn host_port() -> String {
    format!("^{NO_URL}{}$", host_and_port())
}

/// A server: an address, its weight, and maybe a name behind a blank.
pub(super) fn server() -> String {
    let (port, weight) = (digits(1, u64::from(u16::MAX)), digits(1, NUMBER_MAX));
    let tcp = format!("[^ ]+:{port}:{weight}|.+:{port}:{weight} [^ ]+");
    let unix = format!("/[^: ]*:{weight}|/(?:[^:]*[^: ])?:{weight} [^ :][^ ]*");
    format!("^(?:(?!/){NO_URL}(?:{tcp})|{unix})$")
}

/// Names of hosts with blanks or commas between them.
pub(super) fn hosts() -> String {
    let port = digits(0, u64::from(u16::MAX));
    let host = format!(r"(?:[A-Za-z0-9._\-]+|\[[0-9A-Fa-f:.]+\])(?::{port})?");
    let more = NAMES_MAX - 1;
    format!(r"^[, \t]*{host}(?:[, \t]+{host}){{0,{more}}}[, \t]*$")
}

/// Networks with blanks or commas between them. Which texts are addresses of IPv6 is not told exactly.
pub(super) fn networks() -> String {
    let part = digits(0, 255);
    let v4 = format!(r"(?:{part}\.){{3}}{part}(?:/{})?", digits(0, 32));
    let v6 = format!(
        "[0-9A-Fa-f]*:[0-9A-Fa-f]*:[0-9A-Fa-f:.]*(?:/{})?",
        digits(0, 128)
    );
    let word = format!("(?:{v4}|{v6}|unix)");
    format!(r"^[, \t]*{word}(?:[, \t]+{word})*[, \t]*$")
}

/// The number of a release, such as `7.0.15`.
pub(super) fn release() -> String {
    let part = digits(0, u64::from(u16::MAX));
    format!(r"^{part}\.{part}\.{part}$")
}

/// The name of a command, of at most `longest` bytes: what can be seen of ASCII, without quotes and `|`.
pub(super) fn command(longest: usize) -> String {
    format!("^[!#-&(-{{}}~]{{1,{longest}}}$")
}

const NO_URL: &str = r"(?![A-Za-z0-9+.\-]*://)";

fn host_and_port() -> String {
    format!(".+:{}", digits(1, u64::from(u16::MAX)))
}

/// Digits for a number from `min`, which is 0 or 1, to `max`. Zeros may precede it.
fn digits(min: u64, max: u64) -> String {
    debug_assert!(min <= 1, "a number from {min} on");
    let most = max.to_string();
    let mut forms = Vec::new();
    if most.len() > 1 {
        forms.push("[1-9]".to_owned() + &any_digits(0, most.len() - 2));
    }
    // As many digits as the largest, and the first that differs from it is lower.
    for (at, digit) in most.bytes().enumerate() {
        let least = if at == 0 { b'1' } else { b'0' };
        let (lead, rest) = (&most[..at], most.len() - at - 1);
        let lower = match digit.checked_sub(least) {
            None | Some(0) => continue,
            Some(1) => char::from(least).to_string(),
            Some(_) => format!("[{}-{}]", char::from(least), char::from(digit - 1)),
        };
        forms.push(format!("{lead}{lower}{}", any_digits(rest, rest)));
    }
    if max > 0 {
        forms.push(most);
    }
    let positive = format!("0*(?:{})", forms.join("|"));
    match (min, max) {
        (0, 0) => "0+".into(),
        // Nothing matches: there is no number from 1 to 0.
        (_, 0) => "(?!)".into(),
        (0, _) => format!("(?:0+|{positive})"),
        _ => positive,
    }
}

/// From `least` to `most` digits.
fn any_digits(least: usize, most: usize) -> String {
    match (least, most) {
        (_, 0) => String::new(),
        (1, 1) => "[0-9]".into(),
        (least, most) if least == most => format!("[0-9]{{{most}}}"),
        (least, most) => format!("[0-9]{{{least},{most}}}"),
    }
}
