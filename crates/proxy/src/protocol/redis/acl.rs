//! ACL WHOAMI, CAT, and GETUSER of oneself. In a pool without users there is one.

use redis_proto::acl::Acl;
use redis_proto::{Command, command, describe, encode};

use super::client::RedisClient;
use super::commands::write_names;
use super::request::{Request, shown};

pub(super) fn answer(
    command: &Command,
    request: &Request<'_>,
    client: &RedisClient,
    out: &mut Vec<u8>,
) {
    match (command.sub_name(), request.args.len()) {
        ("whoami", _) => encode::bulk(out, client.user_name().as_bytes()),
        ("getuser", _) if request.arg(2) == client.user_name().as_bytes() => match &client.user {
            Some(user) => tell(user.acl(), client, out),
            None => tell(&Acl::unlimited(), client, out),
        },
        ("getuser", _) => {
            let name = client.user_name();
            let error =
                format!("ERR the proxy tells a client of its own user only, which is '{name}'");
            encode::error(out, &error);
        }
        (_, 2) => {
            encode::array_header(out, describe::categories().count());
            describe::categories().for_each(|name| encode::bulk(out, &name.as_bytes()[1..]));
        }
        _ => commands_of(request.arg(2), out),
    }
}

/// What GETUSER tells. The digests of passwords stay here, as they could be tried out elsewhere.
fn tell(acl: &Acl, client: &RedisClient, out: &mut Vec<u8>) {
    let version = client.version;
    encode::map_header(out, 6, version);
    encode::bulk(out, b"flags");
    let flags = [
        Some(if acl.enabled { "on" } else { "off" }),
        acl.nopass.then_some("nopass"),
    ];
    encode::set_header(out, flags.iter().flatten().count(), version);
    let flags = flags.iter().flatten();
    flags.for_each(|flag| encode::bulk(out, flag.as_bytes()));
    encode::bulk(out, b"passwords");
    encode::array_header(out, 0);
    for (name, text) in [
        ("commands", acl.commands_text()),
        ("keys", acl.keys_text()),
        ("channels", acl.channels_text()),
    ] {
        encode::bulk(out, name.as_bytes());
        encode::bulk(out, text.as_bytes());
    }
    encode::bulk(out, b"selectors");
    encode::array_header(out, 0);
}

fn commands_of(wanted: &[u8], out: &mut Vec<u8>) {
    let is_it = |category: &&str| category.as_bytes()[1..].eq_ignore_ascii_case(wanted);
    let Some(category) = describe::categories().find(is_it) else {
        return encode::error(out, &format!("ERR Unknown category '{}'", shown(wanted)));
    };
    let is_in = |row: &&Command| describe::of(row).categories.contains(&category);
    write_names(command::all().iter(), |row| is_in(row), out);
}
