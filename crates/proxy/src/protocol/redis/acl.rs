//! ACL WHOAMI and CAT. There is one user.

use redis_proto::{Command, command, describe, encode};

use super::commands::write_names;
use super::request::{Request, shown};

pub(super) fn answer(command: &Command, request: &Request<'_>, out: &mut Vec<u8>) {
    match (command.sub_name(), request.args.len()) {
        ("whoami", _) => encode::bulk(out, b"default"),
        (_, 2) => {
            encode::array_header(out, describe::categories().count());
            describe::categories().for_each(|name| encode::bulk(out, &name.as_bytes()[1..]));
        }
        _ => commands_of(request.arg(2), out),
    }
}

fn commands_of(wanted: &[u8], out: &mut Vec<u8>) {
    let is_it = |category: &&str| category.as_bytes()[1..].eq_ignore_ascii_case(wanted);
    let Some(category) = describe::categories().find(is_it) else {
        return encode::error(out, &format!("ERR Unknown category '{}'", shown(wanted)));
    };
    let is_in = |row: &&Command| describe::of(row).categories.contains(&category);
    write_names(command::all().iter(), |row| is_in(row), out);
}
