//! The page of the manual that tells what becomes of each memcached command. It is made from the tables.

use memcached_proto::{REFUSED, Verb};

const HEAD: &str = "\
<!-- Generated from the tables of commands: `nuthatch docs memcached` prints this page. -->
# memcached commands

What becomes of each command of memcached's text protocol (`protocol.txt` of 1.6) in a memcached pool. The binary protocol is
refused in its own terms.

- A command *goes to the server of its key*, and the server's reply is passed on as it comes. `noreply` and quiet requests are
  sent as if they were not: what their client does not want is dropped by the proxy, so that a reply that comes all the same is
  nobody else's.
- What is *split* is sent to each server with its keys, and the replies become one. A server that fails is a miss for its keys,
  unless all of them fail.
- Whatever is wrong with a storage command, its data block is skipped.
- In a pool with [`users`](users.md#memcached-pools) a client begins with a `set` of its name and password.
- Settings: [`allow_flush`](configuration.md#allow_flush), [`admin_commands`](configuration.md#admin_commands),
  [`max_value`](configuration.md#max_value).

| command | what becomes of it |
|---|---|
";

/// The page.
pub(crate) fn page() -> String {
    let mut page = String::from(HEAD);
    for verb in Verb::ALL {
        page.push_str(&format!("| `{}` | {} |\n", verb.name(), handling(verb)));
    }
    for (name, reason, _) in REFUSED {
        page.push_str(&format!("| `{name}` | is refused: {reason} |\n"));
    }
    page
}

fn handling(verb: Verb) -> &'static str {
    match verb {
        Verb::Get | Verb::Gets => {
            "is split by server, if it has several keys; values in the order of the keys"
        }
        Verb::Gat | Verb::Gats => "the same",
        Verb::Set | Verb::Add | Verb::Replace | Verb::Append | Verb::Prepend | Verb::Cas => {
            "goes to the server of its key; a value of more than `max_value` is refused"
        }
        Verb::Delete | Verb::Incr | Verb::Decr | Verb::Touch => "goes to the server of its key",
        Verb::Version => "goes to one of the servers, always the same",
        Verb::Verbosity => {
            "goes to every server; above 1 only if the pool has `admin_commands: true`, as every server would log each request"
        }
        Verb::FlushAll => "goes to every server, if the pool has `allow_flush: true`",
        Verb::Stats => {
            "goes to every server; one table of all: alone and with `items`, `slabs`, `settings`, `extstore`. `stats servers` \
             shows each server. `sizes`, `conns`, `cachedump`, `detail` only if the pool has `admin_commands: true`, `reset` if \
             it has that or `allow_flush: true`"
        }
        Verb::MetaGet | Verb::MetaDelete | Verb::MetaArithmetic => {
            "goes to the server of its key, which may be in base64 (flag `b`) and is placed as what it stands for; all flags are \
             passed on"
        }
        Verb::MetaSet => "the same; a value of more than `max_value` is refused",
        Verb::MetaDebug => "goes to the server of its key",
        Verb::MetaNoop => {
            "is answered by the proxy itself, when every request before it is answered"
        }
        Verb::Quit => "closes the connection",
    }
}
