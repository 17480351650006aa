//! COMMAND: the table of commands, as clients ask for it.

use std::sync::OnceLock;

use redis_proto::command::{self, Command};
use redis_proto::describe::{self, Begin, Find, KeySpec};
use redis_proto::{Version, encode, glob};

use super::extra::ExtraCommands;
use super::help::treatment;
use super::request::{ARGUMENT_TOO_LONG, Request};
use super::state::Redis;

/// COMMAND with or without a subcommand.
pub(super) fn answer(
    command: &Command,
    redis: &Redis,
    request: &Request<'_>,
    version: Version,
    out: &mut Vec<u8>,
) {
    let (count, extra) = (request.args.len(), &redis.extra);
    match command.sub_name() {
        "command" if count == 1 => all(extra, version, out),
        "info" if count == 2 => all(extra, version, out),
        "info" => info(extra, request, version, out),
        "count" => encode::integer(out, rows(extra).count() as i64),
        "list" => list(extra, request, out),
        "docs" => docs(redis, request, version, out),
        "getkeys" => get_keys(extra, request, None, out),
        "getkeysandflags" => get_keys(extra, request, Some(version), out),
        _ => {
            let sub = super::request::shown(request.arg(1));
            let error = format!("ERR unknown subcommand '{sub}'. Try COMMAND HELP.");
            encode::error(out, &error);
        }
    }
}

/// All commands.
fn rows(extra: &ExtraCommands) -> impl Iterator<Item = &'static Command> {
    command::all().iter().chain(extra.all())
}

/// A command.
fn find_whole(extra: &ExtraCommands, name: &[u8]) -> Option<&'static Command> {
    command::lookup(name).or_else(|| extra.find(name))
}

/// A command or, as `container|sub`, a subcommand.
fn find(extra: &ExtraCommands, name: &[u8]) -> Option<&'static Command> {
    let mut words = name.splitn(2, |byte| *byte == b'|');
    let container = find_whole(extra, words.next()?)?;
    let Some(sub) = words.next() else {
        return Some(container);
    };
    let asked = |row: &&Command| row.sub_name().as_bytes().eq_ignore_ascii_case(sub);
    container.subs.iter().find(asked)
}

/// The description of every command.
fn all(extra: &ExtraCommands, version: Version, out: &mut Vec<u8>) {
    encode::array_header(out, rows(extra).count());
    out.extend_from_slice(table(version));
    extra.all().for_each(|row| describe(row, version, out));
}

/// The description of every command of the table, which is the same each time.
fn table(version: Version) -> &'static [u8] {
    static RESP2: OnceLock<Vec<u8>> = OnceLock::new();
    static RESP3: OnceLock<Vec<u8>> = OnceLock::new();
    let made = match version {
        Version::Resp2 => &RESP2,
        Version::Resp3 => &RESP3,
    };
    made.get_or_init(|| {
        let mut out = Vec::new();
        for row in command::all() {
            describe(row, version, &mut out);
        }
        out
    })
}

fn info(extra: &ExtraCommands, request: &Request<'_>, version: Version, out: &mut Vec<u8>) {
    encode::array_header(out, request.args.len() - 2);
    for index in 2..request.args.len() {
        match find(extra, request.arg(index)) {
            Some(row) => describe(row, version, out),
            // A null array in RESP2, as Redis has it here.
            None if version == Version::Resp2 => out.extend_from_slice(b"*-1\r\n"),
            None => encode::null(out, version),
        }
    }
}

/// The ten fields that Redis has since 7.0.
fn describe(row: &'static Command, version: Version, out: &mut Vec<u8>) {
    let description = describe::of(row);
    let (first, last, step) = row.key_range();
    encode::array_header(out, 10);
    encode::bulk(out, row.name.as_bytes());
    encode::integer(out, row.arity.as_redis());
    write_words(&description.flags, version, out);
    for number in [first, last, step] {
        encode::integer(out, number);
    }
    write_words(&description.categories, version, out);
    encode::set_header(out, description.tips.len(), version);
    for tip in &description.tips {
        encode::bulk(out, tip.as_bytes());
    }
    encode::set_header(out, description.keys.len(), version);
    for spec in &description.keys {
        write_spec(spec, version, out);
    }
    match row.subs {
        [] => encode::set_header(out, 0, version),
        subs => {
            encode::array_header(out, subs.len());
            subs.iter().for_each(|sub| describe(sub, version, out));
        }
    }
}

fn write_words(words: &[&str], version: Version, out: &mut Vec<u8>) {
    encode::set_header(out, words.len(), version);
    words.iter().for_each(|word| encode::simple(out, word));
}

fn write_spec(spec: &KeySpec, version: Version, out: &mut Vec<u8>) {
    encode::map_header(out, 3, version);
    encode::bulk(out, b"flags");
    let flags: Vec<&str> = spec.flags.split_ascii_whitespace().collect();
    write_words(&flags, version, out);
    encode::bulk(out, b"begin_search");
    match spec.begin {
        Begin::Index(index) => write_rule("index", &[("index", index)], version, out),
        Begin::Keyword(word, from) => {
            begin_rule("keyword", 2, version, out);
            encode::bulk(out, b"keyword");
            encode::bulk(out, word.as_bytes());
            write_numbers(&[("startfrom", from)], out);
        }
        Begin::Unknown => write_rule("unknown", &[], version, out),
    }
    encode::bulk(out, b"find_keys");
    match spec.find {
        Find::Range { last, step, limit } => {
            let numbers = [("lastkey", last), ("keystep", step), ("limit", limit)];
            write_rule("range", &numbers, version, out);
        }
        Find::Number { first, step } => {
            let numbers = [("keynumidx", 0), ("firstkey", first), ("keystep", step)];
            write_rule("keynum", &numbers, version, out);
        }
        Find::Unknown => write_rule("unknown", &[], version, out),
    }
}

fn write_rule(kind: &str, numbers: &[(&str, i64)], version: Version, out: &mut Vec<u8>) {
    begin_rule(kind, numbers.len(), version, out);
    write_numbers(numbers, out);
}

fn begin_rule(kind: &str, fields: usize, version: Version, out: &mut Vec<u8>) {
    encode::map_header(out, 2, version);
    encode::bulk(out, b"type");
    encode::bulk(out, kind.as_bytes());
    encode::bulk(out, b"spec");
    encode::map_header(out, fields, version);
}

fn write_numbers(numbers: &[(&str, i64)], out: &mut Vec<u8>) {
    for (name, number) in numbers {
        encode::bulk(out, name.as_bytes());
        encode::integer(out, *number);
    }
}

/// COMMAND LIST, with or without FILTERBY.
fn list(extra: &ExtraCommands, request: &Request<'_>, out: &mut Vec<u8>) {
    let value = request.arg(4);
    let is = |index: usize, word: &str| request.arg(index).eq_ignore_ascii_case(word.as_bytes());
    let has_filter = request.args.len() == 5 && is(2, "filterby");
    let in_category = |row: &&Command| {
        let description = describe::of(row);
        let mut categories = description.categories.iter();
        categories.any(|category| category.as_bytes()[1..].eq_ignore_ascii_case(value))
    };
    match () {
        () if request.args.len() == 2 => write_names(rows(extra), |_| true, out),
        () if has_filter && is(3, "pattern") => {
            write_names(
                rows(extra),
                |row| glob::matches(value, row.name.as_bytes()),
                out,
            );
        }
        () if has_filter && is(3, "aclcat") => write_names(rows(extra), in_category, out),
        // The proxy has no modules.
        () if has_filter && is(3, "module") => encode::array_header(out, 0),
        () => encode::error(out, "ERR syntax error"),
    }
}

/// The names of those commands and subcommands that are wanted.
pub(super) fn write_names(
    rows: impl Iterator<Item = &'static Command>,
    wanted: impl FnMut(&&'static Command) -> bool,
    out: &mut Vec<u8>,
) {
    let with_subs = |row: &'static Command| [row].into_iter().chain(row.subs);
    let rows = rows.flat_map(with_subs);
    let names: Vec<&str> = rows.filter(wanted).map(|row| row.name).collect();
    encode::array_header(out, names.len());
    for name in names {
        encode::bulk(out, name.as_bytes());
    }
}

/// COMMAND DOCS: what becomes of each command here; what it does is in the documents of Redis.
fn docs(redis: &Redis, request: &Request<'_>, version: Version, out: &mut Vec<u8>) {
    let extra = &redis.extra;
    let found: Vec<&'static Command> = match request.args.len() {
        2 => rows(extra).collect(),
        count => (2..count)
            .filter_map(|index| find(extra, request.arg(index)))
            .collect(),
    };
    write_docs(&found, redis.has_one_server(), version, out);
}

fn write_docs(
    rows: &[&'static Command],
    has_one_server: bool,
    version: Version,
    out: &mut Vec<u8>,
) {
    encode::map_header(out, rows.len(), version);
    for row in rows {
        let subs: Vec<&Command> = row.subs.iter().collect();
        let fields = if subs.is_empty() { 3 } else { 4 };
        encode::bulk(out, row.name.as_bytes());
        encode::map_header(out, fields, version);
        let summary = treatment(row, has_one_server);
        let since = env!("CARGO_PKG_VERSION");
        for (name, value) in [
            ("summary", summary.as_str()),
            ("since", since),
            ("group", describe::group(row)),
        ] {
            encode::bulk(out, name.as_bytes());
            encode::bulk(out, value.as_bytes());
        }
        if !subs.is_empty() {
            encode::bulk(out, b"subcommands");
            write_docs(&subs, has_one_server, version, out);
        }
    }
}

/// The keys of the request behind the subcommand's name; with a version also what is done with them.
fn get_keys(
    extra: &ExtraCommands,
    request: &Request<'_>,
    with_flags: Option<Version>,
    out: &mut Vec<u8>,
) {
    let args = &request.args[2..];
    let inner = Request { args, ..*request };
    let found = find_whole(extra, inner.arg(0));
    let Some(row) = found.map(|row| row.resolve(inner.text, args)) else {
        return encode::error(out, "ERR Invalid command specified");
    };
    if !row.arity.check(args.len()) {
        let error = "ERR Invalid number of arguments specified for command";
        return encode::error(out, error);
    }
    let mut indices = Vec::new();
    match row.keys(inner.text, args, &mut indices) {
        Err(_) if runs_without_keys(row, &inner) => encode::array_header(out, 0),
        Err(error) => encode::error(out, &format!("ERR {error}")),
        Ok(()) if indices.is_empty() => encode::error(out, "ERR The command has no key arguments"),
        Ok(()) if indices.iter().any(|index| args[*index].diverted) => {
            encode::error(out, ARGUMENT_TOO_LONG);
        }
        Ok(()) => {
            encode::array_header(out, indices.len());
            for index in indices {
                if let Some(version) = with_flags {
                    let flags = row.key_flags(index).split_ascii_whitespace();
                    let flags: Vec<&str> = flags.collect();
                    encode::array_header(out, 2);
                    encode::bulk(out, inner.arg(index));
                    write_words(&flags, version, out);
                } else {
                    encode::bulk(out, inner.arg(index));
                }
            }
        }
    }
}

/// Whether a script is to be run without keys, which a server does, though nobody can route it.
fn runs_without_keys(row: &Command, request: &Request<'_>) -> bool {
    describe::of(row).flags.contains(&"no_mandatory_keys") && request.arg(2) == b"0"
}
