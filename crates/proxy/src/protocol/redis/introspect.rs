//! INFO and COMMAND, answered from what the proxy knows.

use redis_proto::command::{self, Command, Flags};
use redis_proto::{Version, encode};

use super::client::RedisClient;
use super::request::{Request, shown};

/// The version of Redis whose manners the proxy has, for clients that ask before they use a feature.
/// The servers behind it may be older or newer.
pub(crate) const REDIS_VERSION: &str = "7.2.0";

/// INFO: who is talking. The servers' own INFO is asked of the servers.
pub(super) fn info(request: &Request<'_>, client: &RedisClient, out: &mut Vec<u8>) {
    let section = request.arg(1).to_ascii_lowercase();
    let mut text = String::new();
    if matches!(
        section.as_slice(),
        b"" | b"all" | b"default" | b"everything" | b"server"
    ) {
        text.push_str(concat!(
            "# Server\r\nredis_version:7.2.0\r\nredis_mode:standalone\r\nnuthatch_version:",
            env!("CARGO_PKG_VERSION"),
            "\r\n"
        ));
    }
    match client.version {
        Version::Resp2 => encode::bulk(out, text.as_bytes()),
        Version::Resp3 => {
            out.extend_from_slice(format!("={}\r\ntxt:{text}\r\n", text.len() + 4).as_bytes());
        }
    }
}

/// COMMAND and its subcommands.
pub(super) fn command(request: &Request<'_>, client: &RedisClient, out: &mut Vec<u8>) {
    let sub = request.arg(1).to_ascii_lowercase();
    let version = client.version;
    match (sub.as_slice(), request.args.len()) {
        (b"", 1) => describe_all(command::all().iter().map(Some), version, out),
        (b"info", 2) => describe_all(command::all().iter().map(Some), version, out),
        (b"info", count) => describe_all(
            (2..count).map(|index| command::lookup(request.arg(index))),
            version,
            out,
        ),
        (b"count", 2) => encode::integer(out, command::all().len() as i64),
        (b"list", 2) => {
            encode::array_header(out, command::all().len());
            command::all()
                .iter()
                .for_each(|row| encode::bulk(out, row.name.as_bytes()));
        }
        (b"docs", _) => encode::map_header(out, 0, version),
        (b"getkeys", count) if count > 2 => get_keys(request, out),
        _ => encode::error(
            out,
            &format!(
                "ERR unknown subcommand or wrong number of arguments for 'command {}'",
                shown(request.arg(1))
            ),
        ),
    }
}

fn describe_all(
    rows: impl Iterator<Item = Option<&'static Command>>,
    version: Version,
    out: &mut Vec<u8>,
) {
    let rows: Vec<_> = rows.collect();
    encode::array_header(out, rows.len());
    for row in rows {
        match row {
            Some(row) => describe(row, out),
            // A null array in RESP2, as Redis has it here.
            None if version == Version::Resp2 => out.extend_from_slice(b"*-1\r\n"),
            None => encode::null(out, version),
        }
    }
}

/// The six fields that every version of Redis has.
fn describe(row: &Command, out: &mut Vec<u8>) {
    let flags: Vec<_> = [(Flags::WRITE, "write"), (Flags::READONLY, "readonly")]
        .into_iter()
        .filter(|(flag, _)| row.flags.contains(*flag))
        .map(|(_, name)| name)
        .chain(row.has_movable_keys().then_some("movablekeys"))
        .collect();
    let (first, last, step) = row.key_range();
    encode::array_header(out, 6);
    encode::bulk(out, row.name.as_bytes());
    encode::integer(out, row.arity.as_redis());
    encode::array_header(out, flags.len());
    flags.iter().for_each(|flag| encode::simple(out, flag));
    [first, last, step]
        .into_iter()
        .for_each(|number| encode::integer(out, number));
}

fn get_keys(request: &Request<'_>, out: &mut Vec<u8>) {
    let args = &request.args[2..];
    let inner = Request { args, ..*request };
    let mut indices = Vec::new();
    let found = command::lookup(inner.arg(0)).map(|row| row.resolve(inner.text, args));
    match found {
        None => encode::error(out, "ERR Invalid command specified"),
        Some(row) if !row.arity.check(args.len()) => {
            encode::error(out, "ERR Invalid number of arguments specified for command")
        }
        Some(row) => match row.keys(inner.text, args, &mut indices) {
            Err(error) => encode::error(out, &format!("ERR {error}")),
            Ok(()) if indices.is_empty() => {
                encode::error(out, "ERR The command has no key arguments")
            }
            Ok(()) => {
                encode::array_header(out, indices.len());
                indices
                    .iter()
                    .for_each(|index| encode::bulk(out, inner.arg(*index)));
            }
        },
    }
}
